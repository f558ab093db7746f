// The point cloud: fetched as bytes, drawn into pixels by hand, so that it needs no GPU. A picture of
// it is kept for as long as its view stays as it is.

const BYTES_PER_POINT = 16;
const MOST_POINTS = 20000;

class Cloud {
  constructor() { Object.assign(this, { count: 0, places: null, colors: null, pictures: new Map(), version: 0 }); }

  /** Take the bytes that cloud.py writes. */
  read(buffer) {
    this.count = Math.min(MOST_POINTS, Math.floor(buffer.byteLength / BYTES_PER_POINT));
    const view = new DataView(buffer);
    this.places = new Float32Array(3 * this.count);
    this.colors = new Uint32Array(this.count);
    for (let i = 0; i < this.count; i++) {
      for (let j = 0; j < 3; j++) this.places[3 * i + j] = view.getFloat32(BYTES_PER_POINT * i + 4 * j, true);
      const [r, g, b] = [12, 13, 14].map((at) => view.getUint8(BYTES_PER_POINT * i + at));
      this.colors[i] = (255 << 24) | (b << 16) | (g << 8) | r; // little-endian RGBA, as pixels are
    }
    this.version++;
  }

  clear() {
    this.count = 0;
    this.version++;
  }

  async fetch(url) {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`point cloud: ${answer.status}`);
    this.read(await answer.arrayBuffer());
  }

  /** Points around the middle of the cloud, for framing: those far out are left aside. */
  sample() {
    const points = [], step = Math.max(1, Math.floor(this.count / 400));
    for (let i = 0; i < this.count; i += step) points.push([...this.places.subarray(3 * i, 3 * i + 3)]);
    const axis = [0, 1, 2].map((j) => points.map((p) => p[j]).sort((a, b) => a - b));
    const bound = (j, share) => axis[j][Math.floor(share * (points.length - 1))];
    return points.filter((p) => p.every((v, j) => v >= bound(j, 0.05) && v <= bound(j, 0.85)));
  }

  draw(context, view) {
    if (!this.count) return;
    const key = `${view.key},${this.version},${view.density}`;
    let picture = this.pictures.get(view);
    if (!picture || picture.key !== key) {
      picture = this.paint(view, picture);
      picture.key = key;
      this.pictures.set(view, picture);
    }
    context.drawImage(picture.canvas, 0, 0, view.width, view.height);
  }

  paint(view, picture = {}) {
    const width = view.width, height = view.height;
    if (!picture.canvas) picture.canvas = document.createElement("canvas");
    if (picture.canvas.width !== width || picture.canvas.height !== height || !picture.data) {
      picture.canvas.width = width;
      picture.canvas.height = height;
      picture.context = picture.canvas.getContext("2d", CANVAS);
      picture.data = picture.context.createImageData(width, height);
      picture.pixels = new Uint32Array(picture.data.data.buffer);
      picture.nearest = new Float32Array(width * height);
    }
    picture.pixels.fill(0);
    picture.nearest.fill(Infinity);
    this.splat(view, picture, width, height);
    picture.context.putImageData(picture.data, 0, 0);
    return picture;
  }

  splat(view, { pixels, nearest }, width, height) {
    const { turn: m, eye, focal, scale } = view, { places, colors } = this;
    const size = width * height > 90000 ? 2 : 1, [cx, cy] = view.middle;
    for (let i = 0, j = 0; i < this.count; i++, j += 3) {
      const x = places[j] - eye[0], y = places[j + 1] - eye[1], z = places[j + 2] - eye[2];
      const depth = m[2] * x + m[5] * y + m[8] * z;
      if (focal && depth < NEAR) continue;
      const k = focal ? focal / depth : scale;
      const u = (cx + k * (m[0] * x + m[3] * y + m[6] * z)) | 0, v = (cy + k * (m[1] * x + m[4] * y + m[7] * z)) | 0;
      if (u < 0 || v < 0 || u + size > width || v + size > height) continue;
      for (let dv = 0; dv < size; dv++) {
        for (let du = 0; du < size; du++) {
          const at = (v + dv) * width + u + du;
          if (depth < nearest[at]) {
            nearest[at] = depth;
            pixels[at] = colors[i];
          }
        }
      }
    }
  }
}
