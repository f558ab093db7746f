// The path as lines on a flat canvas, seen from the same camera: there at once, until Plotly, whose
// script alone takes longer than this whole drawing, shows the scene that can be turned.

const FIELD_OF_VIEW_RAD = Math.PI / 4; // Plotly's

function crossed([a, b, c], [x, y, z]) {
  return [b * z - c * y, c * x - a * z, a * y - b * x];
}

function unit(v) {
  const length = Math.hypot(...v) || 1;
  return v.map((part) => part / length);
}

// Where Plotly will show points of the figure: pixels of a picture that is `width` by `height`.
function flatProjector({ scene }, camera, width, height) {
  const axes = [['x', scene.xaxis.range], ['y', scene.yaxis.range], ['z', scene.zaxis.range]];
  const at = ({ x, y, z }) => [x, y, z];
  const eye = at(camera.eye), dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const ahead = unit(at(camera.center).map((part, k) => part - eye[k]));
  const right = unit(crossed(ahead, at(camera.up))), up = crossed(right, ahead);
  const focal = height / 2 / Math.tan(FIELD_OF_VIEW_RAD / 2);
  return (...point) => {
    const seen = axes.map(([axis, [from, to]], k) => ((point[k] - from) / (to - from) - 0.5) * scene.aspectratio[axis] - eye[k]);
    const depth = dot(seen, ahead);
    return [width / 2 + (focal * dot(seen, right)) / depth, height / 2 - (focal * dot(seen, up)) / depth];
  };
}

function makeSketch(stage, canvas) {
  let value = null, frames = [], cameraNow = null;

  function stroke(pen, trace, project, { color, width, alpha = 1 }) {
    pen.globalAlpha = alpha;
    pen.lineWidth = width;
    let before = null;
    trace.x.forEach((x, k) => {
      const here = x === null ? null : project(x, trace.y[k], trace.z[k]);
      if (here && before) {
        pen.strokeStyle = color(k);
        pen.beginPath();
        pen.moveTo(...before);
        pen.lineTo(...here);
        pen.stroke();
      }
      before = here;
    });
  }

  const project = () => flatProjector(value.figure.layout, cameraNow(), stage.clientWidth, stage.clientHeight);

  function paint() {
    const width = stage.clientWidth, height = stage.clientHeight, dense = window.devicePixelRatio || 1;
    if (canvas.hidden || !width || !height) return;
    canvas.width = Math.round(width * dense);
    canvas.height = Math.round(height * dense);
    const pen = canvas.getContext('2d'), dark = isDark(), place = project();
    pen.scale(dense, dense);
    pen.lineCap = 'round';
    const part = (name) => value.figure.data.find(({ meta }) => meta === name), only = (color) => () => color;
    const scale = value.colorscale[dark ? 'dark' : 'light'];
    stroke(pen, part('ground'), place, { color: only(dark ? '#566072' : '#b6bcc6'), width: 1 });
    value.paths.forEach(({ prefix, color, time_sec: times }, number) => {
      const frusta = part(`${prefix}frusta`), each = frusta.x.length / times.length;
      const tint = color ? only(color) : (k) => colorAt(scale, times[Math.floor(k / each)] / (times[times.length - 1] || 1));
      stroke(pen, frusta, place, { color: tint, width: color ? 1 : 1.5, alpha: color ? 0.35 : 0.85 });
      stroke(pen, part(`${prefix}path`), place, { color: only(color || (dark ? '#9aa4b2' : '#6b7684')), width: 2 });
      const first = (frames[number] || 0) * each;
      const here = Object.fromEntries(['x', 'y', 'z'].map((axis) => [axis, frusta[axis].slice(first, first + each)]));
      stroke(pen, here, place, { color: only(color || (dark ? '#f3f4f6' : '#111827')), width: color ? 2 : 3 });
    });
  }

  return {
    paint,
    mark(now) { frames = now; paint(); },
    draw(next, camera) {
      [value, cameraNow] = [next, camera];
      canvas.hidden = false;
      paint();
    },
    hide() { canvas.hidden = true; },
    project: (frame) => { const { x, y, z } = value.figure.data.find(({ meta }) => meta === 'path'); return project()(x[frame], y[frame], z[frame]); },
  };
}
