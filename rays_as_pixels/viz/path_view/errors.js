// The two small plots beside the scene: rotation and translation error of every frame.

const CHART = { height: 112, left: 40, right: 10, top: 8, bottom: 20 };

function niceCeiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((f) => f * power).find((top) => top >= value * 0.999);
}

function svg(tag, attributes = {}) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

// What two paths differ by is an error only where one of them is the truth.
function differenceNames(say, isError) {
  if (isError) return { rotation: say('rotation_error'), translation: say('translation_error') };
  return { rotation: say('rotation_difference'), translation: say('translation_difference') };
}

function makeErrors(holder, { say, language, onPick }) {
  let value = null, charts = [], width = 0, marked = 0;

  function draw(next) {
    value = next;
    charts = [];
    holder.replaceChildren();
    holder.hidden = !next || !next.errors.some((errors) => errors.rotation_deg.length);
    if (holder.hidden) return;
    width = chartWidth();
    const names = next.paths.slice(1).map((path) => path.label[language]);
    const differs = differenceNames(say, next.errors.every((errors) => errors.is_error));
    const caption = say('errors_against', { label: names.join(say('errors_and')) });
    holder.append(
      chart('rotation_deg', 'r_err_deg', differs.rotation),
      chart('translation', 't_err_fixed_scale', differs.translation),
      el('p', { class: 'rpv-note' }, caption),
    );
  }

  function chart(name, mean, title) {
    const times = value.paths[0].time_sec, last = Math.max(times[times.length - 1], 1e-9);
    const top = niceCeiling(Math.max(...value.errors.flatMap((errors) => errors[name])));
    const { height, left, right, top: above, bottom } = CHART;
    const x = (k) => left + (times[k] / last) * (width - left - right);
    const y = (v) => height - bottom - (v / top) * (height - above - bottom);
    const picture = svg('svg', { viewBox: `0 0 ${width} ${height}`, width, height, class: 'rpv-chart', role: 'img' });
    for (const share of [0, 0.5, 1]) {
      picture.append(svg('line', { x1: left, x2: width - right, y1: y(share * top), y2: y(share * top), class: 'rpv-rule' }));
      const label = svg('text', { x: left - 5, y: y(share * top) + 3.5, class: 'rpv-tick', 'text-anchor': 'end' });
      label.textContent = String(Number((share * top).toPrecision(3)));
      picture.append(label);
    }
    for (const [time, anchor] of [[0, 'start'], [last, 'end']]) {
      const at = svg('text', { x: time ? width - right : left, y: height - 5, class: 'rpv-tick', 'text-anchor': anchor });
      at.textContent = time ? `${time.toFixed(2)} s` : '0 s';
      picture.append(at);
    }
    const cursor = svg('line', { y1: above, y2: height - bottom, class: 'rpv-cursor' });
    picture.append(cursor);
    const dots = [], reads = el('span', { class: 'rpv-reads' });
    const means = [];
    value.errors.forEach((errors, k) => {
      const color = value.paths[k + 1].color, list = errors[name];
      picture.append(svg('polyline', {
        points: list.map((v, frame) => `${x(frame)},${y(v)}`).join(' '),
        class: 'rpv-curve', stroke: color, 'stroke-dasharray': k ? '4 3' : 'none',
      }));
      const dot = svg('circle', { r: 4, fill: color, class: 'rpv-dot' });
      picture.append(dot);
      dots.push(dot);
      means.push(`${value.paths[k + 1].label[language]}: ${say('error_mean', { value: short(errors[mean]) })}`);
    });
    picture.setAttribute('aria-label', `${title}. ${means.join('; ')}`);
    const choose = (event) => {
      const box = picture.getBoundingClientRect();
      const px = ((event.clientX - box.left) / box.width) * width;
      onPick(nearestIndex(times, ((px - left) / (width - left - right)) * last));
    };
    picture.addEventListener('pointerdown', (event) => { picture.setPointerCapture(event.pointerId); choose(event); });
    picture.addEventListener('pointermove', (event) => { if (event.buttons & 1) choose(event); });
    charts.push({ name, mean, x, y, cursor, dots, reads });
    return el('figure', { class: 'rpv-error', 'data-error': name },
      el('figcaption', {}, el('span', { class: 'rpv-error-title' }, title), reads), picture);
  }

  function chartWidth() {
    const style = getComputedStyle(holder), columns = style.gridTemplateColumns.split(' ').length;
    const room = holder.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    return Math.max(120, Math.floor((room - (columns - 1) * parseFloat(style.columnGap || 0)) / columns));
  }

  function fit() {
    if (!value || holder.hidden || !holder.getClientRects().length || Math.abs(chartWidth() - width) < 6) return;
    draw(value);
    mark(marked);
  }

  function mark(frame) {
    marked = frame;
    for (const { name, mean, x, y, cursor, dots, reads } of charts) {
      cursor.setAttribute('x1', x(frame));
      cursor.setAttribute('x2', x(frame));
      reads.replaceChildren();
      value.errors.forEach((errors, k) => {
        const here = errors[name][frame], known = here !== undefined;
        dots[k].style.display = known ? '' : 'none';
        if (known) { dots[k].setAttribute('cx', x(frame)); dots[k].setAttribute('cy', y(here)); }
        reads.append(el('b', { style: `--c:${value.paths[k + 1].color}`, 'data-value': known ? here : '' }, known ? short(here) : '–'),
          el('small', {}, say('error_mean', { value: short(errors[mean]) })));
      });
    }
  }

  return { draw, mark, fit };
}
