// Draws a Plotly figure given as JSON text; keeps the reader's view when the figure changes; marks
// one frame by slider, by clicking a camera, or by the video beside it.
const holder = element.querySelector('.path-plot-canvas');
const empty = element.querySelector('.path-plot-empty');
const controls = element.querySelector('.path-plot-controls');
const slider = element.querySelector('input[type=range]');
const readout = element.querySelector('output');
const play = element.querySelector('button');
const plotly = window.Plotly;
let figure = null, frame = -1, timer = null;


const dark = () => document.body.classList.contains('dark');
const grid = () => (dark() ? '#374151' : '#d7dbe2');

function themed(layout) {
  const ink = dark() ? '#e5e7eb' : '#1f2937';
  layout.font = { ...layout.font, color: ink };
  layout.autosize = true;
  for (const axis of ['xaxis', 'yaxis', 'zaxis']) layout.scene[axis].gridcolor = grid();
  delete layout.template;
  return layout;
}

function part(name) {
  return figure.data.findIndex((trace) => trace.meta === name);
}

function times() {
  return (figure.layout.meta && figure.layout.meta.time_sec) || [];
}

function video() {
  return props.video_id ? document.querySelector(`#${props.video_id} video`) : null;
}

function mark(index, { seek = false } = {}) {
  const time = times();
  if (!figure || !time.length) return;
  index = Math.max(0, Math.min(time.length - 1, index));
  if (index === frame && !seek) return;
  frame = index;
  slider.value = index;
  readout.textContent = `${index} (${(time[index] - time[0]).toFixed(2)} s)`;
  slider.setAttribute('aria-valuetext', `frame ${index}, ${time[index].toFixed(2)} seconds`);
  const frusta = figure.data[part('frusta')], current = part('current');
  const stride = frusta.x.length / time.length;
  const cut = (axis) => [frusta[axis].slice(index * stride, (index + 1) * stride)];
  plotly.restyle(holder, {
    x: cut('x'), y: cut('y'), z: cut('z'), visible: true, 'line.color': dark() ? '#ffffff' : '#111827',
  }, [current]);
  const player = video();
  if (seek && player && player.duration) {
    const span = time[time.length - 1] - time[0];
    const share = span > 0 ? (time[index] - time[0]) / span : 0;
    const last = player.duration * (time.length - 1) / time.length;
    player.pause();
    player.currentTime = Math.min(player.duration - 1e-3, share * last + 0.5 * player.duration / time.length);
  }
}

function stop() {
  if (timer) clearInterval(timer);
  timer = null;
  play.textContent = play.dataset.play;
}

function toggle() {
  if (timer) return stop();
  const time = times();
  if (time.length < 2) return;
  play.textContent = play.dataset.pause;
  const step = Math.max(60, 1000 * (time[time.length - 1] - time[0]) / (time.length - 1));
  timer = setInterval(() => mark((frame + 1) % time.length, { seek: true }), step);
}

function follow() {
  const player = video();
  if (!player || player.dataset.followed || !figure) return;
  player.dataset.followed = 'yes';
  player.addEventListener('timeupdate', () => {
    const time = times();
    if (timer || !time.length || !player.duration) return;
    mark(Math.floor(player.currentTime / player.duration * time.length));
  });
}

async function draw() {
  const text = props.value;
  stop();
  if (!text) {
    figure = null;
    plotly.purge(holder);
    holder.style.display = controls.style.display = 'none';
    empty.style.display = '';
    return;
  }
  figure = JSON.parse(text);
  empty.style.display = 'none';
  holder.style.display = controls.style.display = '';
  figure.data[part('ground')].line.color = dark() ? '#6b7280' : '#b6bcc6';
  const first = !holder.data;
  const kept = first ? null : structuredClone(holder._fullLayout.scene.camera);
  const eye = figure.layout.scene.camera.eye;
  if (holder.clientWidth < 480) for (const axis of 'xyz') eye[axis] *= 1.3;
  if (kept) figure.layout.scene.camera = kept;
  await plotly.react(holder, figure.data, themed(figure.layout), {
    displaylogo: false, responsive: true,
    modeBarButtonsToRemove: ['hoverClosest3d', 'orbitRotation', 'resetCameraLastSave3d', 'tableRotation'],
  });
  if (first) {
    holder.on('plotly_click', (event) => {
      const point = event.points && event.points[0];
      if (point && point.data.meta === 'path') mark(point.pointNumber, { seek: true });
    });
  }
  slider.max = Math.max(0, times().length - 1);
  frame = -1;
  mark(0);
  follow();
  holder.dataset.drawn = String(Number(holder.dataset.drawn || 0) + 1);
}

play.addEventListener('click', toggle);
slider.addEventListener('input', () => { stop(); mark(Number(slider.value), { seek: true }); });
new MutationObserver(() => {
  if (figure) plotly.relayout(holder, { 'font.color': dark() ? '#e5e7eb' : '#1f2937' });
}).observe(document.body, { attributes: true, attributeFilter: ['class'] });
new ResizeObserver(() => { if (figure) plotly.Plots.resize(holder); }).observe(holder);
setInterval(follow, 1000);
watch('value', draw);
draw();
