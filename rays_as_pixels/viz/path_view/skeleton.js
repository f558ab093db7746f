// The elements of the view, and those of its parts that are only text.

const SIGNS = {
  previous: 'M11 2 4 8l7 6z M2.5 2h2v12h-2z', next: 'M5 2l7 6-7 6z M11.5 2h2v12h-2z',
  play: 'M4 1.5v13l10-6.5z', pause: 'M3 2h4v12H3z M9 2h4v12H9z',
};

function sign(name) {
  const picture = svg('svg', { viewBox: '0 0 16 16', 'aria-hidden': 'true' });
  picture.append(svg('path', { d: SIGNS[name] }));
  return picture;
}

function skeleton(say, key) {
  const button = (word, attributes = {}) => el('button', { type: 'button', 'data-word': word, ...attributes }, say(word));
  const icon = (word) => el('button', { type: 'button', class: 'rpv-icon', 'aria-label': say(word), title: say(word) }, sign(word));
  const pressed = (word, on) => button(word, { 'aria-pressed': String(on) });
  const parts = {
    legend: el('ul', { class: 'rpv-legend' }),
    layers: el('div', { class: 'rpv-group', role: 'group', 'aria-label': say('layers') },
      pressed('layer_images', false), pressed('layer_spread', true), pressed('layer_cloud', false), pressed('layer_ground', true)),
    views: el('div', { class: 'rpv-group', role: 'group', 'aria-label': say('views') },
      button('view_reset'), button('view_top'), button('view_side'), button('view_front')),
    plot: el('div', { class: 'rpv-plot' }),
    sketch: el('canvas', { class: 'rpv-sketch', hidden: true, 'aria-hidden': 'true' }),
    tip: el('div', { class: 'rpv-tip', hidden: true }),
    hint: el('p', { class: 'rpv-hint' }, say('empty')),
    errors: el('div', { class: 'rpv-errors', hidden: true }),
    previous: icon('previous'), play: icon('play'), next: icon('next'),
    slider: el('input', { type: 'range', min: 0, max: 0, value: 0, step: 1, 'aria-label': say('frame') }),
    ticks: el('div', { class: 'rpv-ticks', 'aria-hidden': 'true' }),
    readout: el('output', { class: 'rpv-readout', 'aria-live': 'polite' }),
    strip: el('div', { class: 'rpv-strip', hidden: true }),
    note: el('p', { class: 'rpv-note' }),
    table: el('div', { class: 'rpv-table' }),
    html: el('button', { type: 'button', 'data-file': 'html' }, 'HTML'),
    status: el('p', { class: 'rpv-status', role: 'status' }),
  };
  parts.play.classList.add('rpv-play');
  parts.stage = el('div', { class: 'rpv-stage' }, parts.plot, parts.sketch, parts.hint, parts.tip);
  parts.files = el('div', { class: 'rpv-files' }, parts.html,
    el('button', { type: 'button', 'data-file': 'glb' }, say('download_glb')),
    el('button', { type: 'button', 'data-file': 'ply' }, say('download_ply')));
  parts.menu = el('details', { class: 'rpv-menu' }, el('summary', {}, say('download')), parts.files);
  parts.root = el('section', { class: 'rpv rpv-empty', role: 'region', tabindex: 0, 'aria-label': say('region'), 'aria-describedby': `${key}-help` },
    el('p', { class: 'rpv-hidden', id: `${key}-help` }, say('region_help')),
    el('div', { class: 'rpv-bar' }, parts.legend, el('div', { class: 'rpv-tools' }, parts.layers, parts.views)),
    el('div', { class: 'rpv-main' }, parts.stage, parts.errors),
    el('div', { class: 'rpv-controls' },
      el('div', { class: 'rpv-buttons' }, parts.previous, parts.play, parts.next),
      el('div', { class: 'rpv-track' }, parts.slider, el('div', { class: 'rpv-scale' }, parts.ticks)),
      parts.readout),
    parts.strip,
    el('div', { class: 'rpv-foot' }, parts.note,
      el('div', { class: 'rpv-more' },
        el('details', { class: 'rpv-numbers' }, el('summary', {}, say('table')), parts.table), parts.menu),
      parts.status));
  return parts;
}

function legendOf(list, value, language) {
  const scale = value.colorscale[isDark() ? 'dark' : 'light'];
  list.replaceChildren(...value.paths.map((path) => {
    const paint = path.color || `linear-gradient(to right, ${scale.map(([, color]) => color).join(', ')})`;
    return el('li', {}, el('i', { style: `background:${paint}` }), path.label[language]);
  }));
}

function inWords(value, frame, { say, language }) {
  const main = value.paths[0], lines = [];
  const [x, y, z] = main.position[frame];
  lines.push(`x ${short(x)}, y ${short(y)}, z ${short(z)} ${say('units')}`);
  lines.push(say('hfov_here', { hfov: main.hfov_deg[frame].toFixed(1) }));
  if (value.spread) {
    lines.push(say('spread_here', { position: short(value.spread.position[frame]), rotation: short(value.spread.rotation_deg[frame]) }));
  }
  value.errors.forEach((errors, k) => {
    if (errors.rotation_deg[frame] === undefined) return;
    lines.push(say('error_short', {
      label: value.paths[k + 1].label[language], rotation: short(errors.rotation_deg[frame]), translation: short(errors.translation[frame]),
    }));
  });
  return lines;
}

function tipContent(value, frame, { say, language }) {
  const main = value.paths[0], nodes = [];
  if (value.frames) {
    const image = el('i', { class: 'rpv-tip-image' });
    picture(image, value.frames, frame);
    image.style.width = `${Math.round((value.frames.width / value.frames.height) * 96)}px`;
    nodes.push(image);
  }
  let title = `${say('frame')} ${frame}, ${main.time_sec[frame].toFixed(2)} s`;
  if (main.source_frame) title += ` (${say('input_frame', { frame: main.source_frame[frame] })})`;
  nodes.push(el('b', {}, title), ...inWords(value, frame, { say, language }).map((line) => el('span', {}, line)));
  return nodes;
}

function tableOf(holder, value, { say, language, choose }) {
  const main = value.paths[0];
  const heads = [say('frame'), say('time'), say('col_x'), say('col_y'), say('col_z'), say('col_hfov')];
  value.errors.forEach(({ is_error: isError }, k) => {
    const name = value.paths[k + 1].label[language];
    const differs = differenceNames(say, isError);
    heads.push(`${name}: ${differs.rotation}`, `${name}: ${differs.translation}`);
  });
  const rows = main.time_sec.map((time, frame) => {
    const cells = [time.toFixed(3), ...main.position[frame].map((v) => v.toFixed(4)), main.hfov_deg[frame].toFixed(2)];
    for (const errors of value.errors) {
      for (const list of [errors.rotation_deg, errors.translation]) cells.push(list[frame] === undefined ? '–' : list[frame].toFixed(4));
    }
    return el('tr', {}, el('th', { scope: 'row' }, el('button', { type: 'button', onclick: () => choose(frame) }, String(frame))), ...cells.map((cell) => el('td', {}, cell)));
  });
  holder.replaceChildren(el('table', {},
    el('thead', {}, el('tr', {}, ...heads.map((head) => el('th', { scope: 'col' }, head)))), el('tbody', {}, ...rows)));
}
