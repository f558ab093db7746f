// Two videos in step: over each other with a slider between them, side by side, or one at a time.
const root = element.querySelector('.cmp');
const stage = root.querySelector('.cmp-stage');
const sides = [...root.querySelectorAll('.cmp-side')];
const videos = sides.map((side) => side.querySelector('video'));
const names = sides.map((side) => side.querySelector('.cmp-name'));
const cut = root.querySelector('.cmp-cut');
const scrub = root.querySelector('.cmp-scrub');
const readout = root.querySelector('output');
const play = root.querySelector('.cmp-play');
const modes = [...root.querySelectorAll('[data-mode]')];
// `table`: see `i18n.script`.
const words = table[(navigator.language || '').slice(0, 2)] || table.en;
let mode = 'slider', shown = '';

const count = () => (props.value && props.value.frames) || 1;
const fps = () => (props.value && props.value.fps) || 10;

function slide() {
  const share = Number(cut.value);
  root.style.setProperty('--cut', `${share}%`);
}

function choose(name) {
  mode = name;
  root.dataset.mode = name;
  for (const button of modes) button.setAttribute('aria-pressed', String(button.dataset.mode === name));
}

function tell() {
  const video = videos[1];
  const frame = Math.min(count() - 1, Math.max(0, Math.floor(video.currentTime * fps() + 1e-3)));
  scrub.value = frame;
  readout.textContent = `${frame} / ${count() - 1}`;
}

function go(frame) {
  for (const video of videos) {
    video.pause();
    const share = video.duration && video.duration < (frame + 0.5) / fps() ? video.duration - 1e-3 : (frame + 0.5) / fps();
    video.currentTime = share;
  }
}

function follow() {
  if (!element.isConnected) return;
  const [a, b] = videos;
  if (!b.paused && a.src && Math.abs(a.currentTime - b.currentTime) > 0.7 / fps()) a.currentTime = b.currentTime;
  tell();
  if (!b.paused) requestAnimationFrame(follow);
}

videos[1].addEventListener('play', () => {
  play.textContent = words.pause;
  if (videos[0].src) videos[0].play().catch(() => {});
  follow();
});
videos[1].addEventListener('pause', () => { play.textContent = words.play; videos[0].pause(); tell(); });
for (const name of ['seeked', 'timeupdate', 'loadeddata']) videos[1].addEventListener(name, tell);
play.addEventListener('click', () => { if (videos[1].paused) videos[1].play().catch(() => {}); else videos[1].pause(); });
scrub.addEventListener('input', () => go(Number(scrub.value)));
cut.addEventListener('input', slide);
for (const button of modes) {
  button.textContent = words[button.dataset.mode];
  button.addEventListener('click', () => choose(button.dataset.mode));
}

function draw() {
  const value = props.value;
  root.hidden = !value;
  if (!value) { for (const video of videos) video.removeAttribute('src'); shown = ''; return; }
  const key = JSON.stringify([value.a && value.a.file.path, value.b.file.path]);
  [value.a, value.b].forEach((side, k) => {
    sides[k].hidden = !side;
    if (!side) { videos[k].removeAttribute('src'); return; }
    if (key !== shown) videos[k].src = side.file.url;
    names[k].textContent = side.label;
  });
  root.classList.toggle('cmp-alone', !value.a);
  stage.style.setProperty('--aspect', value.aspect);
  scrub.max = count() - 1;
  scrub.setAttribute('aria-label', words.frame);
  cut.setAttribute('aria-label', words.cut);
  if (key !== shown) { play.textContent = words.play; tell(); }
  shown = key;
}

choose(mode);
slide();
watch('value', draw);
draw();
