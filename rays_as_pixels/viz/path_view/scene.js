// The 3D scene: draws the figure once per value, then moves single traces without touching the rest.

const EYES = {
  view_reset: { eye: { x: -0.98, y: -1.35, z: 0.82 }, center: { x: 0, y: 0, z: -0.17 } },
  view_top: { eye: { x: 0, y: -0.02, z: 2.0 }, center: { x: 0, y: 0, z: 0 } },
  view_side: { eye: { x: -2.0, y: 0, z: 0.05 }, center: { x: 0, y: 0, z: 0 } },
  view_front: { eye: { x: 0, y: -2.0, z: 0.05 }, center: { x: 0, y: 0, z: 0 } },
};
const MODEBAR = { displayModeBar: false, displaylogo: false, responsive: false, scrollZoom: true };
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans CJK SC", sans-serif';
const MOST_EDGES_OF = 240; // frames; of longer paths only the centres can be clicked
const NEAR_PX = { dot: 11, edge: 7 };
const PICTURE_POINTS = { one: 2000, all: 14000 };

function cameraOf(name, width) {
  const stretch = width < 480 ? 1.5 : 1.38;
  const { eye, center } = EYES[name];
  const far = { x: eye.x * stretch, y: eye.y * stretch, z: eye.z * stretch };
  return { eye: far, center: { ...center }, up: { x: 0, y: 0, z: 1 } };
}

function toSegment(x, y, [ax, ay], [bx, by]) {
  const dx = bx - ax, dy = by - ay, length = dx * dx + dy * dy;
  const share = length ? Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / length)) : 0;
  return Math.hypot(ax + share * dx - x, ay + share * dy - y);
}

function makeScene(holder, plotly, { key, say }) {
  const kept = shownCamera(key);
  let value = null, stride = 0, listening = false, fast = true, pixels = null, atFrame = -1, pending = 0;
  const shown = { ground: true, spread: true, cloud: false, images: false };

  const part = (name) => holder.data.findIndex((trace) => trace.meta === name);
  const source = (name) => value.figure.data.find((trace) => trace.meta === name);

  function ink() { return isDark() ? '#f3f4f6' : '#111827'; }

  function themedTraces() {
    const scale = value.colorscale[isDark() ? 'dark' : 'light'];
    const data = value.figure.data.map((trace) => ({ ...trace }));
    for (const trace of data) {
      if (trace.line) trace.line = { ...trace.line, showscale: false };
      if (/frusta$|path$/.test(trace.meta)) { trace.hoverinfo = 'skip'; delete trace.hovertemplate; }
      if (trace.meta === 'frusta') { trace.line.colorscale = scale; trace.line.width = 2.2; trace.opacity = value.paths.length > 1 ? 0.6 : 0.85; }
      if (trace.meta === 'path') {
        trace.line.color = isDark() ? '#9aa4b2' : '#6b7684';
        trace.marker = { ...trace.marker, colorscale: scale, size: 4.5 };
      }
      if (/^other.*path$/.test(trace.meta)) { trace.line.width = 4; trace.marker = { ...trace.marker, size: 3 }; }
      if (/^other.*frusta$/.test(trace.meta)) { trace.line.width = 1.2; trace.opacity = 0.3; }
      if (/current$/.test(trace.meta)) {
        Object.assign(trace, cut(trace.meta.replace('current', 'frusta'), 0), { visible: true });
        trace.line = { ...trace.line, width: trace.meta === 'current' ? 7 : 5 };
        if (trace.meta === 'current') trace.line.color = ink();
      }
      if (trace.meta === 'ground') {
        const { x, y, z } = around().data.find(({ meta }) => meta === 'ground');
        Object.assign(trace, { x, y, z });
        trace.line.color = isDark() ? '#566072' : '#b6bcc6';
      }
      if (trace.meta in shown) trace.visible = shown[trace.meta];
      trace.showlegend = false;
    }
    if (pixels) data.push(pictureTrace('current-image', [Math.max(0, atFrame)], PICTURE_POINTS.one));
    if (pixels && shown.images) data.push(pictureTrace('images', allFrames(), PICTURE_POINTS.all));
    return data;
  }

  // The figure whose box and grid are shown: the wide one where the points are.
  const around = () => (shown.cloud && value.with_cloud ? value.with_cloud : value.figure);
  const allFrames = () => value.paths[0].time_sec.map((_, frame) => frame);

  function themedLayout() {
    const figure = around();
    const layout = { ...figure.layout, scene: { ...figure.layout.scene } };
    layout.font = { family: FONT, size: 12, color: isDark() ? '#d1d5db' : '#374151' };
    layout.showlegend = false;
    layout.hovermode = false;
    layout.scene.hovermode = false;
    layout.margin = { l: 0, r: 0, t: 0, b: 0 };
    layout.scene.domain = { x: [0, 1], y: [0, 1] };
    const names = { xaxis: 'axis_x', yaxis: 'axis_z', zaxis: 'axis_y' };
    for (const [axis, word] of Object.entries(names)) {
      layout.scene[axis] = {
        ...layout.scene[axis],
        gridcolor: isDark() ? '#3b4453' : '#dde1e8',
        title: { text: say(word), font: { size: 12, family: FONT } }, // units: the note below
        tickfont: { size: 11, family: FONT }, nticks: axis === 'zaxis' ? 4 : 5,
      };
    }
    layout.scene.camera = kept.get() || cameraOf('view_reset', holder.clientWidth);
    layout.autosize = true;
    return layout;
  }

  // The part of a broken line that is one frame's frustum.
  function cut(name, frame) {
    const trace = source(name), first = frame * stride;
    return Object.fromEntries(['x', 'y', 'z'].map((axis) => [axis, trace[axis].slice(first, first + stride)]));
  }

  // Pictures as meshes of coloured points on the image planes; colours are read off the sprite.
  function pictureTrace(meta, frames, budget) {
    const { width, height } = value.frames;
    const scale = Math.min(1, Math.sqrt(budget / (frames.length * width * height)));
    const columns = Math.max(2, Math.round(width * scale)), rows = Math.max(2, Math.round(height * scale));
    const mesh = { x: [], y: [], z: [], i: [], j: [], k: [], vertexcolor: [] };
    for (const frame of frames) addPicture(mesh, frame, rows, columns);
    return {
      type: 'mesh3d', ...mesh, meta, hoverinfo: 'skip', showlegend: false,
      lighting: { ambient: 1, diffuse: 0, specular: 0, fresnel: 0 },
    };
  }

  function addPicture(mesh, frame, rows, columns) {
    const corner = cut('frusta', frame), first = mesh.x.length;
    const { columns: across, width, height } = value.frames;
    const left = (frame % across) * width, top = Math.floor(frame / across) * height;
    for (let r = 0; r < rows; r += 1) {
      for (let c = 0; c < columns; c += 1) {
        const u = c / (columns - 1), v = r / (rows - 1);
        for (const axis of 'xyz') {
          const [from, right, down] = [corner[axis][1], corner[axis][4], corner[axis][10]];
          mesh[axis].push(from + u * (right - from) + v * (down - from));
        }
        const px = left + Math.min(width - 1, Math.floor(u * width));
        const at = 4 * ((top + Math.min(height - 1, Math.floor(v * height))) * pixels.width + px);
        mesh.vertexcolor.push(`rgb(${pixels.data[at]},${pixels.data[at + 1]},${pixels.data[at + 2]})`);
        if (r && c) {
          const d = first + r * columns + c, a = d - columns - 1;
          mesh.i.push(a, a); mesh.j.push(a + 1, d); mesh.k.push(d, d - 1);
        }
      }
    }
  }

  // Plotly's restyle prepares every trace of the scene anew; with pictures or points that is most of
  // a frame's time. The traces of the scene are asked directly; restyle is what to fall back on.
  function move(name, columns) {
    const index = part(name);
    if (index < 0) return;
    Object.assign(holder.data[index], columns);
    if (fast) {
      try {
        const full = holder._fullData[index], scene = holder._fullLayout.scene._scene;
        Object.assign(full, columns);
        scene.traces[full.uid].update(full);
        return;
      } catch (error) { fast = false; }
    }
    const update = Object.fromEntries(Object.entries(columns).map(([axis, list]) => [axis, [list]]));
    plotly.restyle(holder, update, [index]);
  }

  // One redraw for all that moved, and only for the last of several frames marked at once.
  function mark(frame, frames) {
    if (!value || !holder.data) return;
    atFrame = frame;
    if (pending) cancelAnimationFrame(pending);
    pending = requestAnimationFrame(() => { pending = 0; moveAll(frame, frames); });
  }

  function moveAll(frame, frames) {
    if (!value || !holder.data || frame >= value.paths[0].time_sec.length) return;
    const started = performance.now();
    value.paths.forEach((path, k) => move(`${path.prefix}current`, cut(`${path.prefix}frusta`, frames[k])));
    if (pixels) {
      const { x, y, z, vertexcolor } = pictureTrace('current-image', [frame], PICTURE_POINTS.one);
      move('current-image', { x, y, z, vertexcolor });
    }
    if (fast) holder._fullLayout.scene._scene.glplot.redraw();
    holder.dataset.shown = frame;
    holder.dataset.ms = (performance.now() - started).toFixed(1);
  }

  function keep() {
    const scene = holder._fullLayout && holder._fullLayout.scene;
    if (scene && scene._scene) kept.set(structuredClone(scene._scene.getCamera()));
  }

  // Where points of a trace are on screen, in pixels of the holder; null where Plotly will not say.
  function projector() {
    try {
      const scene = holder._fullLayout.scene._scene, { model, view, projection } = scene.glplot.cameraParams;
      const scale = scene.dataScale, { clientWidth, clientHeight } = holder;
      const times = (m, p) => [0, 1, 2, 3].map((r) => m[r] * p[0] + m[4 + r] * p[1] + m[8 + r] * p[2] + m[12 + r] * p[3]);
      return (x, y, z) => {
        const point = times(projection, times(view, times(model, [x * scale[0], y * scale[1], z * scale[2], 1])));
        return [(0.5 + 0.5 * (point[0] / point[3])) * clientWidth, (0.5 - 0.5 * (point[1] / point[3])) * clientHeight];
      };
    } catch (error) { return null; }
  }

  function dotOf(frame) {
    const path = source('path');
    return { x: [path.x[frame]], y: [path.y[frame]], z: [path.z[frame]] };
  }

  // The frame whose camera centre, or else whose frustum, is under a point of the holder.
  function pick(px, py) {
    const project = value && holder.data ? projector() : null;
    if (!project) return null;
    const frames = allFrames();
    let best = null, least = 1;
    for (const frame of frames) {
      const lines = frames.length > MOST_EDGES_OF ? dotOf(frame) : cut('frusta', frame);
      const points = lines.x.map((x, k) => (x === null ? null : project(x, lines.y[k], lines.z[k])));
      const offer = (distance) => { if (distance < least) { least = distance; best = frame; } };
      offer((0.5 * Math.hypot(points[0][0] - px, points[0][1] - py)) / NEAR_PX.dot);
      for (let k = 0; k + 1 < points.length; k += 3) offer(0.5 + (0.5 * toSegment(px, py, points[k], points[k + 1])) / NEAR_PX.edge);
    }
    return best;
  }

  // The scene swings on for a moment after the drag that Plotly reports.
  function listen() {
    listening = true;
    holder.on('plotly_relayout', () => { keep(); for (const ms of [300, 900]) setTimeout(keep, ms); });
  }

  async function redraw({ fresh = false } = {}) {
    if (fresh) kept.set(null); else if (holder.data) keep();
    await plotly.react(holder, themedTraces(), themedLayout(), MODEBAR);
    if (!listening) listen();
  }

  async function draw(next, picture) {
    value = next;
    pixels = picture;
    atFrame = Math.max(0, Math.min(atFrame, next.paths[0].time_sec.length - 1));
    stride = source('frusta').x.length / next.paths[0].time_sec.length;
    await redraw();
  }

  async function show(layer, on) {
    shown[layer] = on;
    if (!value) return;
    await redraw({ fresh: layer === 'cloud' });
  }

  function look(name) {
    kept.set(null);
    plotly.relayout(holder, { 'scene.camera': cameraOf(name, holder.clientWidth) });
  }

  function clear() { if (holder.data) keep(); value = null; plotly.purge(holder); listening = false; }

  return {
    draw, redraw, mark, show, look, clear, shown, pick,
    project: (frame) => { const { x, y, z } = dotOf(frame); return projector()(x[0], y[0], z[0]); },
    resize: () => { if (value && holder.getClientRects().length) plotly.Plots.resize(holder); }, // not while hidden
    isFast: () => fast,
  };
}
