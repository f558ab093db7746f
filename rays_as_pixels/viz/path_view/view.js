// The path view as a whole: one frame is current, and every part shows it.

function pathView(mount, options) {
  const { words, css, plotlyUrl, plotlyLoaded, key, videoIds, language: wanted, height, onChoose, onExport } = options;
  const language = pickLanguage(wanted, Object.keys(words.region)), say = speaker(words, language);
  if (!document.getElementById('rpv-style')) {
    document.head.append(Object.assign(document.createElement('style'), { id: 'rpv-style', textContent: css }));
  }
  const parts = skeleton(say, key);
  const { root, stage, plot, tip, slider, readout, status, views, layers, legend, errors, strip, table, note } = parts;
  mount.replaceChildren(root);
  root.style.setProperty('--rpv-height', `${height}px`);

  let value = null, shown = null, frame = 0, scene = null, pixels = null, drawing = 0, pointer = [0, 0];
  const reached = new Promise((go) => { for (const name of ['pointerenter', 'focusin']) root.addEventListener(name, go, { once: true }); });
  let loaded = plotlyLoaded ? Promise.resolve(plotlyLoaded) : null;

  const player = makePlayer({
    ids: videoIds, root: document,
    onFrame: (index) => mark(index),
    onPlaying: (playing) => {
      parts.play.replaceChildren(sign(playing ? 'pause' : 'play'));
      parts.play.setAttribute('aria-label', say(playing ? 'pause' : 'play'));
      parts.play.title = say(playing ? 'pause' : 'play');
      readout.setAttribute('aria-live', playing ? 'off' : 'polite');
    },
  });
  const errorPlots = makeErrors(errors, { say, language, onPick: choose });
  const film = makeStrip(strip, { say, onPick: choose });
  const sketch = makeSketch(stage, parts.sketch);
  const sketchCamera = () => shownCamera(key).get() || cameraOf('view_reset', plot.clientWidth);

  const count = () => (value ? value.paths[0].time_sec.length : 0);

  // Marks a frame everywhere but in the videos.
  function mark(index) {
    if (!count()) return;
    frame = Math.max(0, Math.min(count() - 1, index));
    const time = value.paths[0].time_sec[frame];
    const frames = value.paths.map((path, k) => (k ? nearestIndex(path.time_sec, time) : frame));
    slider.value = frame;
    const text = say('frame_of', { frame, last: count() - 1, time: time.toFixed(2) });
    slider.setAttribute('aria-valuetext', text);
    readout.textContent = text;
    root.dataset.frame = frame;
    errorPlots.mark(frame);
    film.mark(frame);
    sketch.mark(frames);
    if (scene) scene.mark(frame, frames);
    root.dispatchEvent(new CustomEvent('rap-frame', { bubbles: true, detail: { frame, time_sec: time, num_frames: count() } }));
  }

  // The user chose a frame: mark it, and take the videos there.
  function choose(index) {
    if (!count()) return;
    player.stop();
    mark(index);
    player.seek(frame);
    onChoose({ frame, time_sec: value.paths[0].time_sec[frame] });
  }

  function hover(index) {
    if (index === null && tip.hidden) return;
    root.dataset.hover = index === null ? '' : index;
    plot.style.cursor = index === null ? '' : 'pointer';
    tip.hidden = index === null;
    if (index === null) return;
    tip.replaceChildren(...tipContent(value, index, { say, language }));
    const [x, y] = pointer, box = stage.getBoundingClientRect();
    const left = x + 18 + tip.offsetWidth > box.width ? x - tip.offsetWidth - 14 : x + 18;
    const top = Math.min(Math.max(4, y - tip.offsetHeight / 2), box.height - tip.offsetHeight - 4);
    tip.style.transform = `translate(${Math.max(4, left)}px, ${top}px)`;
  }

  async function set(text) {
    if (text && text === shown) return; // the page's opening example, which its first event sends again
    const turn = ++drawing, started = performance.now();
    shown = text;
    player.stop();
    root.classList.toggle('rpv-empty', !text);
    note.textContent = '';
    if (!text) { value = null; sketch.hide(); if (scene) scene.clear(); scene = null; parts.hint.textContent = say('empty'); return; }
    const next = JSON.parse(text);
    frame = Math.min(frame, next.paths[0].time_sec.length - 1);
    value = next;
    root.dataset.bytes = text.length;
    player.setTimes(value.video_time_sec);
    slider.max = count() - 1;
    legendOf(legend, value, language);
    colorBar();
    for (const button of layers.querySelectorAll('button')) {
      const has = { layer_images: value.frames, layer_spread: value.spread, layer_cloud: value.with_cloud || value.cloud_words, layer_ground: true };
      button.hidden = !has[button.dataset.word];
      if (button.dataset.word === 'layer_cloud') button.setAttribute('aria-pressed', Boolean(value.cloud && scene && scene.shown.cloud));
    }
    errorPlots.draw(value);
    film.draw(value);
    tableOf(table, value, { say, language, choose });
    notes();
    mark(frame);
    try {
      if (!scene) {
        sketch.draw(value, sketchCamera);
        parts.hint.textContent = '';
        root.dataset.sketched = Math.round(performance.now() - started);
      }
      loaded ??= loadPlotly(plotlyUrl, reached);
      const [{ api, code }, picture] = await Promise.all([loaded, spritePixels(value.frames)]);
      if (turn !== drawing) return;
      pixels = picture;
      parts.size = code ? code.length : 4.8e6;
      scene ??= makeScene(plot, api, { key, say });
      await scene.draw(value, pixels);
      if (turn !== drawing) return;
      sketch.hide();
      parts.hint.textContent = '';
    } catch (error) {
      loaded = shown = null;
      parts.hint.textContent = say(/webgl/i.test(String(error)) ? 'no_webgl' : 'no_plotly');
      throw error;
    } finally {
      mark(frame);
      player.seek(frame);
      nameDownload();
      root.dataset.ms = Math.round(performance.now() - started);
      root.dataset.drawn = Number(root.dataset.drawn || 0) + 1;
    }
  }

  function nameDownload() {
    const bytes = Number(root.dataset.bytes || 0) + (parts.size || 4.8e6) + 4e4;
    parts.html.textContent = say('download_html', { size: megabytes(bytes) });
  }

  function notes() {
    const { step } = value.cloud && scene && scene.shown.cloud ? value.with_cloud : value;
    const lines = [say('unit_note', { step: short(step).replace(/\.?0+$/, '') })];
    if (value.spread && (!scene || scene.shown.spread)) lines.push(say('spread_note'));
    if (value.cloud && scene && scene.shown.cloud) {
      lines.push(say('cloud_note', value.cloud));
      if (value.cloud_words) lines.push(`${value.cloud_words[language]}${say('full_stop')}`);
    }
    note.textContent = lines.join(' ');
  }

  function colorBar() {
    const scale = value.colorscale[isDark() ? 'dark' : 'light'];
    const times = value.paths[0].time_sec, last = times[times.length - 1] || 1;
    const stops = times.map((time, k) => `${colorAt(scale, time / last)} ${(100 * k) / Math.max(1, times.length - 1)}%`);
    slider.style.setProperty('--track', `linear-gradient(to right, ${stops.length > 1 ? stops.join(', ') : '#26828e, #26828e'})`);
    const marks = [0, 0.25, 0.5, 0.75, 1].map((share) => times[Math.round(share * (times.length - 1))]);
    parts.ticks.replaceChildren(...marks.map((time, k) => el('span', {}, k === 0 ? `${time.toFixed(1)} s` : time.toFixed(1))));
  }

  parts.play.addEventListener('click', () => { player.at(frame); player.toggle(); });
  parts.previous.addEventListener('click', () => choose(frame - 1));
  parts.next.addEventListener('click', () => choose(frame + 1));
  slider.addEventListener('input', () => choose(Number(slider.value)));
  views.addEventListener('click', ({ target }) => { if (scene && target.dataset.word) scene.look(target.dataset.word); });
  layers.addEventListener('click', ({ target }) => {
    if (!target.dataset.word || !scene) return;
    if (target.dataset.word === 'layer_cloud' && !value.cloud) { status.textContent = value.cloud_words[language]; return; }
    const on = target.getAttribute('aria-pressed') !== 'true';
    target.setAttribute('aria-pressed', on);
    scene.show(target.dataset.word.replace('layer_', ''), on).then(() => { notes(); mark(frame); });
  });
  root.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest('input, button, summary, a, video, select, textarea')) return;
    const far = event.shiftKey ? 5 : 1;
    const keys = {
      ArrowLeft: () => choose(frame - far), ArrowRight: () => choose(frame + far),
      Home: () => choose(0), End: () => choose(count() - 1),
      r: () => scene && scene.look('view_reset'), R: () => scene && scene.look('view_reset'),
    };
    if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
  });
  // A press that does not become a drag chooses the frustum under it.
  let pressed = null;
  const place = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  stage.addEventListener('pointerdown', (event) => { pressed = place(event); hover(null); root.focus({ preventScroll: true }); }, true);
  window.addEventListener('pointerup', release, true);
  function release(event) {
    if (!pressed || !scene) return;
    const [x, y] = place(event), moved = Math.hypot(x - pressed[0], y - pressed[1]);
    pressed = null;
    const index = moved < 6 ? scene.pick(x, y) : null;
    if (index !== null) choose(index);
  }
  let looking = 0;
  stage.addEventListener('pointermove', (event) => {
    pointer = place(event);
    if (looking || event.buttons || event.pointerType === 'touch' || !scene) return;
    looking = requestAnimationFrame(() => { looking = 0; if (scene) hover(scene.pick(...pointer)); });
  }, true);
  stage.addEventListener('pointerleave', () => hover(null));
  root.addEventListener('rap-goto', ({ detail }) => {
    if (count()) { mark(Math.round(detail.frame ?? detail.share * (count() - 1))); player.seek(frame); }
  });
  parts.files.addEventListener('click', async ({ target }) => {
    const kind = target.dataset.file;
    if (!kind || !value) return;
    parts.menu.open = false;
    status.textContent = say('making');
    try {
      status.textContent = await onExport({ kind, value, text: JSON.stringify(value).replaceAll('<', '\\u003c'), say, language, video: player.src() });
    } catch (error) { status.textContent = say('failed'); }
  });

  const themes = new MutationObserver(() => {
    if (!value) return;
    colorBar();
    sketch.paint();
    if (scene) scene.redraw().then(() => mark(frame));
  });
  themes.observe(document.body, { attributes: true, attributeFilter: ['class'] });
  const sizes = new ResizeObserver(() => { film.fit(); errorPlots.fit(); sketch.paint(); if (scene) scene.resize(); });
  sizes.observe(stage);
  const pending = loaded || !plotlyUrl ? null : loadPlotly(plotlyUrl, reached);
  if (pending) pending.catch(() => {});
  return {
    set, mark, choose,
    frame: () => frame,
    scene: () => scene,
    sketch: () => sketch,
    destroy: () => { drawing += 1; themes.disconnect(); sizes.disconnect(); window.removeEventListener('pointerup', release, true); player.destroy(); if (scene) scene.clear(); },
  };
}
