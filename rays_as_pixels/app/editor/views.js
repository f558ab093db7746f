// A view: where its eye is, how it projects, and how one moves it about. Sizes are CSS pixels.

const NEAR = 0.02;
const VIEW_KINDS = ["persp", "camera", "top", "side", "front"];
const FLAT_TURNS = {
  top: fromColumns([1, 0, 0], [0, 0, -1], [0, 1, 0]), // from above: right is +X, up is +Z
  side: fromColumns([0, 0, 1], [0, 1, 0], [-1, 0, 0]), // from the right: right is +Z, up is -Y
  front: fromColumns([1, 0, 0], [0, 1, 0], [0, 0, 1]), // from behind: right is +X, up is -Y
};

class View {
  constructor(kind, canvas) {
    Object.assign(this, { kind, canvas, width: 1, height: 1, eye: [0, 0, 0], turn: FLAT_TURNS.front, scale: 200, focal: 0 });
    this.orbit = { target: [0, 0, 0.5], yaw: -0.62, pitch: -0.5, distance: 3 };
    this.flat = { centre: [0, 0, 0], scale: 150 };
    this.aspect = 1.5;
  }

  get isFlat() { return this.kind in FLAT_TURNS; }

  /** Take the canvas's size; the drawing buffer follows the screen's density, up to 2. */
  resize() {
    const box = this.canvas.getBoundingClientRect(), density = Math.min(2, window.devicePixelRatio || 1);
    const width = Math.max(1, Math.round(box.width)), height = Math.max(1, Math.round(box.height));
    this.density = density;
    if (this.canvas.width !== Math.round(width * density) || this.canvas.height !== Math.round(height * density)) {
      this.canvas.width = Math.round(width * density);
      this.canvas.height = Math.round(height * density);
    }
    this.width = width;
    this.height = height;
  }

  /** Work out eye, rotation and focal length; `camera` is the one at the playhead. */
  aim(camera, aspect) {
    this.middle = [this.width / 2, this.height / 2];
    if (this.isFlat) {
      this.turn = FLAT_TURNS[this.kind];
      this.eye = sub(this.flat.centre, mul(column(this.turn, 2), 100));
      this.focal = 0;
      this.scale = this.flat.scale;
    } else if (this.kind === "persp") {
      const { target, yaw, pitch, distance } = this.orbit;
      this.turn = rotationFromQuaternion(quaternionFromAngles([yaw / DEG, pitch / DEG, 0]));
      this.eye = sub(target, mul(column(this.turn, 2), distance));
      this.focal = 1.15 * Math.min(this.width, this.height * 1.4);
    } else {
      this.turn = rotationFromQuaternion(camera.quaternion_wxyz);
      this.eye = camera.position;
      this.picture = this.letterbox(aspect);
      this.focal = this.picture.width / 2 / Math.tan((camera.hfov_deg * DEG) / 2);
    }
  }

  /** The picture inside the view, with a margin for what lies just outside. */
  letterbox(aspect) {
    const room = [this.width - 16, this.height - 16];
    const width = Math.max(8, Math.min(room[0], room[1] * aspect));
    const height = width / aspect;
    return { width, height, left: (this.width - width) / 2, top: (this.height - height) / 2 };
  }

  get key() { return [this.kind, this.width, this.height, this.focal, this.scale, ...this.eye, ...this.turn].join(); }

  inView(point) { return unrotate(this.turn, sub(point, this.eye)); }

  fromView(p) {
    const k = this.focal ? this.focal / p[2] : this.scale;
    return [this.middle[0] + k * p[0], this.middle[1] + k * p[1]];
  }

  /** Pixels, or null for a point behind the eye. */
  project(point) {
    const p = this.inView(point);
    return this.focal && p[2] < NEAR ? null : this.fromView(p);
  }

  /** Both ends of a line in pixels, cut at the eye; null where nothing is seen. */
  segment(a, b) {
    let p = this.inView(a), q = this.inView(b);
    if (this.focal) {
      if (p[2] < NEAR && q[2] < NEAR) return null;
      const cut = (behind, ahead) => lerp3(behind, ahead, (NEAR - behind[2]) / (ahead[2] - behind[2]));
      if (p[2] < NEAR) p = cut(p, q);
      else if (q[2] < NEAR) q = cut(q, p);
    }
    return [this.fromView(p), this.fromView(q)];
  }

  /** Pixels per scene unit at a point. */
  pixelsPerUnit(point) { return this.focal ? this.focal / Math.max(NEAR, this.inView(point)[2]) : this.scale; }

  ray([x, y]) {
    const [u, v] = [x - this.middle[0], y - this.middle[1]];
    if (this.focal) return { origin: this.eye, way: unit(rotate(this.turn, [u / this.focal, v / this.focal, 1])) };
    return { origin: add(this.eye, rotate(this.turn, [u / this.scale, v / this.scale, 0])), way: column(this.turn, 2) };
  }

  /** Where a pixel meets the plane through a point; null if it does not. */
  onPlane(pixel, point, normal) {
    const { origin, way } = this.ray(pixel), slope = dot(way, normal);
    if (Math.abs(slope) < 1e-3) return null;
    const distance = dot(sub(point, origin), normal) / slope;
    return distance > 0 || !this.focal ? add(origin, mul(way, distance)) : null;
  }

  /** The point in the view's own plane at the depth of `point`. */
  facing(pixel, point) { return this.onPlane(pixel, point, column(this.turn, 2)); }

  /** How far along an axis through a point a pixel is; null if one looks along the axis. */
  alongAxis(pixel, point, axis) {
    const { origin, way } = this.ray(pixel), cosine = dot(way, axis), sine2 = 1 - cosine * cosine;
    if (sine2 < 2e-3) return null;
    const from = sub(origin, point);
    return (dot(from, axis) - cosine * dot(from, way)) / sine2;
  }

  pan(dx, dy) {
    const reach = this.kind === "persp" ? this.orbit.distance / this.focal : 1 / this.flat.scale;
    const shift = rotate(this.turn, [-dx * reach, -dy * reach, 0]);
    if (this.kind === "persp") this.orbit.target = add(this.orbit.target, shift);
    else if (this.isFlat) this.flat.centre = add(this.flat.centre, shift);
  }

  turnBy(dx, dy) {
    this.orbit.yaw += dx * 0.008;
    this.orbit.pitch = clamp(this.orbit.pitch - dy * 0.008, -1.55, 1.55);
  }

  /** Zoom about a pixel, so that what is under the pointer stays there. */
  zoom(factor, pixel = this.middle) {
    if (this.kind === "persp") {
      this.orbit.distance = clamp(this.orbit.distance / factor, 0.02, 5000);
      return;
    }
    if (!this.isFlat) return;
    const before = this.ray(pixel).origin;
    this.flat.scale = clamp(this.flat.scale * factor, 0.02, 5e5);
    this.scale = this.flat.scale;
    this.flat.centre = add(this.flat.centre, sub(before, this.ray(pixel).origin));
  }

  /** Show all these points. */
  frame(points) {
    const low = [0, 1, 2].map((i) => Math.min(...points.map((p) => p[i])));
    const high = [0, 1, 2].map((i) => Math.max(...points.map((p) => p[i])));
    const centre = mul(add(low, high), 0.5), radius = Math.max(0.05, norm(sub(high, low)) / 2);
    if (this.kind === "persp") Object.assign(this.orbit, { target: centre, distance: radius * 2.7 });
    if (!this.isFlat) return;
    const size = unrotate(FLAT_TURNS[this.kind], sub(high, low)).map(Math.abs);
    const room = [Math.max(20, 0.72 * this.width), Math.max(20, this.height - 64)]; // name above, ruler below
    this.flat.centre = centre;
    this.flat.scale = Math.min(room[0] / Math.max(0.1, size[0]), room[1] / Math.max(0.1, size[1]));
  }
}
