// The filmstrip: the whole video with two handles that trim it, and the frames that will be used.
const root = element.querySelector('.film');
const track = root.querySelector('.film-track');
const used = root.querySelector('.film-used');
const handles = [...root.querySelectorAll('.film-handle')];
const shades = [...root.querySelectorAll('.film-shade')];
const ticks = root.querySelector('.film-ticks');
// `table`: see `i18n.script`.
const words = table[(navigator.language || '').slice(0, 2)] || table.en;
let part = [0, 0], held = -1, drawn = '';

const duration = () => (props.strip && props.strip.duration_sec) || 0;
const least = () => Math.min(duration(), Math.max(duration() / 200, (props.strip && props.strip.least_sec) || 0));
const round = (seconds) => Math.round(seconds * 1000) / 1000;
const clock = (seconds) => `${seconds.toFixed(2)} s`;

function place() {
  const whole = duration() || 1;
  const [from, to] = part.map((seconds) => 100 * seconds / whole);
  handles[0].style.left = `${from}%`;
  handles[1].style.left = `${to}%`;
  shades[0].style.width = `${from}%`;
  shades[1].style.width = `${100 - to}%`;
  handles.forEach((handle, k) => {
    handle.setAttribute('aria-valuemin', '0');
    handle.setAttribute('aria-valuemax', String(round(whole)));
    handle.setAttribute('aria-valuenow', String(round(part[k])));
    handle.setAttribute('aria-valuetext', clock(part[k]));
    handle.setAttribute('aria-label', k ? words.end : words.start);
    handle.dataset.time = clock(part[k]);
  });
}

function picture(sprite, columns, column) {
  const cell = document.createElement('div');
  cell.className = 'film-frame';
  cell.style.backgroundImage = `url(${sprite})`;
  cell.style.backgroundSize = `${100 * columns}% 100%`;
  cell.style.backgroundPosition = columns > 1 ? `${100 * column / (columns - 1)}% 0` : '0 0';
  return cell;
}

function draw() {
  const strip = props.strip;
  root.hidden = !strip;
  const key = strip ? JSON.stringify(strip) : '';
  if (key === drawn) return; // the opening example, sent again
  drawn = key;
  if (!strip) return;
  part = [strip.start_sec, strip.end_sec];
  const still = strip.duration_sec <= 0 || !strip.overview;
  track.hidden = still;
  root.style.setProperty('--film-aspect', strip.aspect);
  track.querySelectorAll('.film-cell').forEach((cell) => cell.remove());
  for (let k = strip.overview_count - 1; !still && k >= 0; k -= 1) {
    const cell = document.createElement('div');
    cell.className = 'film-cell';
    cell.append(picture(strip.overview, strip.overview_count, k));
    track.prepend(cell);
  }
  ticks.replaceChildren(...strip.used.map(([seconds]) => {
    const tick = document.createElement('i');
    tick.style.left = `${100 * seconds / (strip.duration_sec || 1)}%`;
    return tick;
  }));
  used.replaceChildren(...strip.used.map(([seconds, index], k) => {
    const figure = document.createElement('figure');
    figure.append(picture(strip.frames, strip.used.length, k));
    const caption = document.createElement('figcaption');
    caption.textContent = still ? '' : `${seconds.toFixed(2)} s`;
    figure.title = `${words.frame} ${index}`;
    figure.append(caption);
    return figure;
  }));
  place();
}

function commit() {
  const [start, end] = part.map(round);
  if (!props.strip || (start === props.strip.start_sec && end === props.strip.end_sec)) return;
  props.value = { start_sec: start, end_sec: end };
  trigger('release', { start_sec: start, end_sec: end });
}

function set(which, seconds) {
  const gap = least();
  part[which] = which
    ? Math.min(duration(), Math.max(part[0] + gap, seconds))
    : Math.max(0, Math.min(part[1] - gap, seconds));
  place();
}

function at(event) {
  const box = track.getBoundingClientRect();
  return duration() * Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
}

track.addEventListener('pointerdown', (event) => {
  const seconds = at(event);
  held = handles.indexOf(event.target);
  if (held < 0) held = Math.abs(seconds - part[0]) <= Math.abs(seconds - part[1]) ? 0 : 1;
  track.setPointerCapture(event.pointerId);
  handles[held].focus();
  set(held, seconds);
  event.preventDefault();
});
track.addEventListener('pointermove', (event) => { if (held >= 0) set(held, at(event)); });
for (const name of ['pointerup', 'pointercancel']) {
  track.addEventListener(name, () => { if (held >= 0) { held = -1; commit(); } });
}
handles.forEach((handle, k) => {
  handle.addEventListener('keydown', (event) => {
    const step = event.shiftKey ? 1 : 0.1;
    const by = { ArrowLeft: -step, ArrowDown: -step, ArrowRight: step, ArrowUp: step,
      Home: -duration(), End: duration() }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    set(k, part[k] + by);
  });
  handle.addEventListener('keyup', (event) => { if (event.key.match(/^(Arrow|Home|End)/)) commit(); });
});
watch('strip', draw);
draw();
