// What is drawn into a view, from the ground up.

const PIXEL = { keyRadius: 6, handle: 4.5 };

function strokeLine(c, a, b) {
  c.beginPath();
  c.moveTo(a[0], a[1]);
  c.lineTo(b[0], b[1]);
  c.stroke();
}

/** A round number of scene units that takes at least `pixels` on the screen. */
function niceStep(unitsPerPixel, pixels) {
  const least = unitsPerPixel * pixels, power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((k) => k * power).find((step) => step >= least * 0.999);
}

class Scene {
  constructor(editor, cloud) { Object.assign(this, { editor, cloud, overlays: [], palette: null }); }

  draw(view) {
    const { editor, palette } = this, c = view.canvas.getContext("2d", CANVAS);
    const doc = editor.shown, camera = editor.camera;
    c.setTransform(view.density, 0, 0, view.density, 0, 0);
    c.fillStyle = palette.bg;
    c.fillRect(0, 0, view.width, view.height);
    c.lineCap = c.lineJoin = "round";
    view.aim(camera, doc.width / doc.height);
    this.grid(c, view);
    this.cloud.draw(c, view);
    if (!this.cloud.count) this.subject(c, view);
    this.overlays.forEach((overlay) => this.overlay(c, view, overlay));
    this.target(c, view, camera);
    this.curve(c, view);
    if (view.kind !== "camera") this.cameras(c, view, camera);
    this.keys(c, view);
    if (view.kind === "camera") this.mask(c, view);
    else drawGizmo(c, view, editor, palette);
    this.pen(c, view);
    if (view.kind === "persp") this.triad(c, view);
    if (view.isFlat) this.ruler(c, view);
  }

  grid(c, view) {
    const axes = { top: [0, 2], side: [2, 1], front: [0, 1], persp: [0, 2], camera: [0, 2] }[view.kind];
    const reach = Math.max(this.editor.reach * 1.6, SUBJECT_DEPTH * 1.2);
    const step = view.isFlat ? niceStep(1 / view.scale, 44) : niceStep(reach / 100, 20);
    const middle = view.isFlat ? view.flat.centre : view.kind === "persp" ? view.orbit.target : [0, 0, reach];
    const half = view.isFlat ? Math.ceil(Math.max(view.width, view.height) / 2 / view.scale / step) + 1 : 9;
    const floor = view.isFlat ? 0 : this.floor();
    for (const [across, along] of [axes, [...axes].reverse()]) {
      for (let i = -half; i <= half; i++) {
        const value = (Math.round(middle[across] / step) + i) * step;
        const ends = [-half, half].map((end) => {
          const p = [0, floor, 0];
          p[across] = value;
          p[along] = (Math.round(middle[along] / step) + end) * step;
          return p;
        });
        const line = view.segment(...ends);
        if (!line) continue;
        c.strokeStyle = Math.abs(value) < step / 2 ? this.palette["grid-strong"] : this.palette.grid;
        c.globalAlpha = view.isFlat ? 1 : clamp(1.25 - Math.abs(i) / half, 0.1, 1);
        c.lineWidth = 1;
        strokeLine(c, ...line);
      }
    }
    c.globalAlpha = 1;
  }

  /** Height of the ground grid: below all cameras. */
  floor() {
    const { doc } = this.editor, lowest = Math.max(...[firstCamera(doc), ...doc.keyframes].map((key) => key.position[1]));
    return lowest + 0.3 * SUBJECT_DEPTH;
  }

  /** The first picture's plane at the scene's depth: something to see parallax against. */
  subject(c, view) {
    const doc = this.editor.shown, corners = frustumCorners(firstCamera(doc), SUBJECT_DEPTH, doc.width / doc.height);
    const centre = mul(add(corners[0], corners[2]), 0.5);
    c.strokeStyle = this.palette.ghost;
    c.lineWidth = 1;
    const lines = corners.map((corner, i) => [corner, corners[(i + 1) % 4]]);
    const inner = (i) => [[lerp3(corners[0], corners[1], i / 4), lerp3(corners[3], corners[2], i / 4)], [lerp3(corners[0], corners[3], i / 4), lerp3(corners[1], corners[2], i / 4)]];
    this.lines(c, view, lines);
    c.strokeStyle = this.palette.grid;
    this.lines(c, view, [1, 2, 3].flatMap(inner));
    const spot = view.project(centre);
    if (spot) this.dot(c, spot, 2.5, this.palette.ghost);
  }

  lines(c, view, lines) {
    for (const [a, b] of lines) {
      const line = view.segment(a, b);
      if (line) strokeLine(c, ...line);
    }
  }

  overlay(c, view, { positions, label }) {
    c.strokeStyle = this.palette["ink-soft"];
    c.setLineDash([2, 4]);
    c.lineWidth = 1.3;
    for (let i = 1; i < positions.length; i++) {
      const line = view.segment(positions[i - 1], positions[i]);
      if (line) strokeLine(c, ...line);
    }
    c.setLineDash([]);
    const end = positions.length && view.project(positions[positions.length - 1]);
    if (end && view.kind === "persp" && label) this.label(c, label, [end[0] + 6, end[1] + 12]);
  }

  target(c, view, camera) {
    const point = this.editor.shown.options.look_at;
    if (!point) return;
    const line = view.kind === "camera" ? null : view.segment(camera.position, point), spot = view.project(point);
    c.strokeStyle = this.palette.accent;
    c.lineWidth = 1;
    c.setLineDash([3, 4]);
    if (line) strokeLine(c, ...line);
    c.setLineDash([]);
    if (!spot) return;
    c.lineWidth = this.editor.selection.kind === "target" ? 2.4 : 1.5;
    c.beginPath();
    c.arc(spot[0], spot[1], 6, 0, 2 * Math.PI);
    c.stroke();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      strokeLine(c, [spot[0] + 3 * dx, spot[1] + 3 * dy], [spot[0] + 10 * dx, spot[1] + 10 * dy]);
    }
  }

  curve(c, view) {
    const points = this.editor.curve, last = points.length - 1, chunk = Math.max(1, Math.ceil(last / 40));
    c.lineWidth = 2;
    if (this.editor.draft) c.setLineDash([5, 4]);
    for (let i = 0; i < last; i += chunk) {
      c.strokeStyle = this.palette.time(i / last);
      c.beginPath();
      for (let j = i; j < Math.min(last, i + chunk); j++) {
        const line = view.segment(points[j], points[j + 1]);
        if (!line) continue;
        if (j === i) c.moveTo(...line[0]);
        c.lineTo(...line[1]);
      }
      c.stroke();
    }
    c.setLineDash([]);
  }

  cameras(c, view, camera) {
    const { frames, shown, reach } = this.editor, aspect = shown.width / shown.height;
    const size = (view.kind === "persp" ? 0.16 : 0.13) * reach, step = Math.max(1, Math.ceil(frames.length / 40));
    c.lineWidth = 1;
    frames.forEach((one, i) => {
      if (i % step) return;
      const share = frames.length > 1 ? i / (frames.length - 1) : 0;
      c.strokeStyle = this.palette.time(share, 0.75);
      this.frustum(c, view, one, 0.62 * size, aspect);
      const spot = view.project(one.position);
      if (spot) this.dot(c, spot, 1.7, this.palette.time(share));
    });
    c.strokeStyle = this.palette.accent;
    c.lineWidth = 2;
    c.fillStyle = this.palette.halo;
    this.frustum(c, view, camera, size * 1.15, aspect, true);
  }

  frustum(c, view, camera, size, aspect, filled = false) {
    const corners = frustumCorners(camera, size, aspect).map((corner) => view.project(corner));
    const eye = view.project(camera.position);
    if (!eye || corners.some((corner) => !corner)) return;
    c.beginPath();
    corners.forEach((corner, i) => (i ? c.lineTo(...corner) : c.moveTo(...corner)));
    c.closePath();
    if (filled) c.fill();
    for (const corner of corners) {
      c.moveTo(...eye);
      c.lineTo(...corner);
    }
    const between = (a, b, w) => [a[0] + (b[0] - a[0]) * w, a[1] + (b[1] - a[1]) * w];
    const up = between(corners[0], corners[1], 0.5), down = between(corners[3], corners[2], 0.5);
    c.moveTo(...between(corners[0], corners[1], 0.3)); // a hat says which way is up
    c.lineTo(...between(down, up, 1.16));
    c.lineTo(...between(corners[0], corners[1], 0.7));
    c.stroke();
  }

  keys(c, view) {
    const { editor, palette } = this, { keys, selection } = editor, whole = editor.scope === "path";
    this.handles(c, view);
    c.font = `500 10px ${palette.font}`;
    c.textAlign = "center";
    c.textBaseline = "middle";
    const last = (i) => !whole && i === editor.index; // on top of its neighbours
    const order = [...keys.keys()].sort((a, b) => last(a) - last(b));
    order.forEach((i) => {
      const key = keys[i], spot = view.project(key.position);
      if (!spot || (view.kind === "camera" && norm(sub(key.position, view.eye)) < 1e-3)) return;
      const chosen = whole || (selection.kind === "key" && i === editor.index);
      c.beginPath();
      c.arc(spot[0], spot[1], PIXEL.keyRadius + (chosen ? 1.5 : 0), 0, 2 * Math.PI);
      c.fillStyle = chosen ? palette.accent : palette.bg;
      c.fill();
      c.lineWidth = 1.6;
      c.strokeStyle = chosen ? palette.bg : palette.time(editor.keyShares[i] || 0);
      c.stroke();
      c.fillStyle = chosen ? palette.bg : palette.ink;
      c.fillText(i + 1, spot[0], spot[1] + 0.5);
    });
  }

  handles(c, view) {
    const { key, shown, scope, selection } = this.editor;
    if (shown.options.position !== "bezier" || scope === "path" || !key) return;
    const centre = view.project(key.position);
    for (const side of ["handle_in", "handle_out"]) {
      const tip = key[side] && view.project(add(key.position, key[side]));
      if (!tip || !centre) continue;
      c.strokeStyle = this.palette["ink-soft"];
      c.lineWidth = 1;
      strokeLine(c, centre, tip);
      this.dot(c, tip, PIXEL.handle, selection.kind === "handle" && selection.side === side ? this.palette.accent : this.palette["ink-soft"]);
    }
  }

  /** Dim what lies outside the picture, and draw its thirds. */
  mask(c, view) {
    const { left, top, width, height } = view.picture;
    c.fillStyle = this.palette.shade;
    c.beginPath();
    c.rect(0, 0, view.width, view.height);
    c.rect(left, top, width, height);
    c.fill("evenodd");
    c.strokeStyle = this.palette.accent;
    c.lineWidth = 1.5;
    c.strokeRect(left, top, width, height);
    c.lineWidth = 1;
    for (const third of [1 / 3, 2 / 3]) { // ticks at the thirds, and a cross in the middle
      for (const edge of [0, 1]) {
        const out = edge ? -7 : 7, [x, y] = [left + width * third, top + height * third];
        strokeLine(c, [x, top + edge * height], [x, top + edge * height + out]);
        strokeLine(c, [left + edge * width, y], [left + edge * width + out, y]);
      }
    }
    const [x, y] = [left + width / 2, top + height / 2];
    strokeLine(c, [x - 5, y], [x + 5, y]);
    strokeLine(c, [x, y - 5], [x, y + 5]);
  }

  pen(c, view) {
    const pen = this.editor.pen;
    if (!pen || pen.view !== view) return;
    c.strokeStyle = this.palette.accent;
    c.lineWidth = 2.5;
    c.beginPath();
    pen.points.forEach((point, i) => {
      const spot = view.project(point);
      if (spot) i ? c.lineTo(...spot) : c.moveTo(...spot);
    });
    c.stroke();
    const spot = pen.cursor && view.project(pen.cursor);
    if (!spot) return;
    c.lineWidth = 1.5;
    strokeLine(c, [spot[0] - 8, spot[1]], [spot[0] + 8, spot[1]]);
    strokeLine(c, [spot[0], spot[1] - 8], [spot[0], spot[1] + 8]);
  }

  triad(c, view) {
    const origin = [26, view.height - 26];
    c.font = `500 10px ${this.palette.font}`;
    c.textAlign = "center";
    c.textBaseline = "middle";
    const axes = [0, 1, 2].map((i) => ({ i, tip: unrotate(view.turn, axisVector(i)) })).sort((a, b) => b.tip[2] - a.tip[2]);
    for (const { i, tip } of axes) {
      c.strokeStyle = c.fillStyle = this.palette.axes[i];
      c.lineWidth = 1.8;
      strokeLine(c, origin, [origin[0] + 14 * tip[0], origin[1] + 14 * tip[1]]);
      c.fillText("XYZ"[i], origin[0] + 21 * tip[0], origin[1] + 21 * tip[1]);
    }
  }

  ruler(c, view) {
    const step = niceStep(1 / view.scale, 34), left = 10, bottom = view.height - 10, width = step * view.scale;
    c.strokeStyle = this.palette["ink-soft"];
    c.lineWidth = 1.2;
    c.beginPath();
    c.moveTo(left, bottom - 3);
    c.lineTo(left, bottom);
    c.lineTo(left + width, bottom);
    c.lineTo(left + width, bottom - 3);
    c.stroke();
    this.label(c, this.editor.host.text("units_short", { value: +step.toPrecision(2) }), [left, bottom - 9]);
  }

  label(c, words, [x, y]) {
    c.font = `10.5px ${this.palette.font}`;
    c.textAlign = "left";
    c.textBaseline = "middle";
    c.lineWidth = 3; // a rim in the ground's colour, to be read over points and lines
    c.strokeStyle = this.palette.bg;
    c.strokeText(words, x, y);
    c.fillStyle = this.palette["ink-soft"];
    c.fillText(words, x, y);
  }

  dot(c, [x, y], radius, color) {
    c.fillStyle = color;
    c.beginPath();
    c.arc(x, y, radius, 0, 2 * Math.PI);
    c.fill();
  }
}

/** Corners of the picture at a distance: top left, top right, bottom right, bottom left. */
function frustumCorners(camera, size, aspect) {
  const half = size * Math.tan((camera.hfov_deg * DEG) / 2), turn = rotationFromQuaternion(camera.quaternion_wxyz);
  return [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([x, y]) => add(camera.position, rotate(turn, [x * half, (y * half) / aspect, size])));
}
