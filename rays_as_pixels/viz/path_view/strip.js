// The strip of frames and raxels under the scene, in step with the slider.

const MOST_CELLS = 240; // longer videos show every n-th frame

function makeStrip(holder, { say, onPick }) {
  let value = null, cells = [], step = 1;
  const rows = () => ['frames', 'raxels'].filter((name) => value && value[name]);

  function draw(next) {
    value = next;
    cells = [];
    holder.replaceChildren();
    holder.hidden = !value || !rows().length;
    if (holder.hidden) return;
    const count = value.paths[0].time_sec.length;
    step = Math.ceil(count / MOST_CELLS);
    for (const name of rows()) {
      const label = el('span', { class: 'rpv-row-label', title: name === 'raxels' ? say('row_raxels_help') : null }, say(`row_${name}`));
      const line = el('div', { class: 'rpv-row', 'data-row': name }, label);
      for (let frame = 0; frame < count; frame += step) line.append(cell(name, frame));
      holder.append(line);
    }
    fit();
  }

  function cell(name, frame) {
    const node = el('i', { class: 'rpv-cell', 'data-frame': frame });
    picture(node, value[name], frame);
    node.addEventListener('click', () => onPick(frame));
    (cells[frame / step] ??= []).push(node);
    return node;
  }

  // Cells fill the width if they can without growing large, and scroll if they cannot.
  function fit() {
    if (!value || !cells.length) return;
    const { width, height } = value[rows()[0]];
    const room = (holder.clientWidth - 70) / cells.length - 3;
    const wide = Math.max(34, Math.min(84, room, (60 * width) / height));
    holder.style.setProperty('--cell-w', `${wide}px`);
    holder.style.setProperty('--cell-h', `${(wide * height) / width}px`);
  }

  function mark(frame) {
    for (const node of holder.querySelectorAll('.rpv-here')) node.classList.remove('rpv-here');
    const here = cells[Math.floor(frame / step)];
    if (!here) return;
    for (const node of here) node.classList.add('rpv-here');
    const node = here[0], left = node.offsetLeft - 64;
    if (left < holder.scrollLeft || node.offsetLeft + node.offsetWidth > holder.scrollLeft + holder.clientWidth) {
      holder.scrollLeft = left - holder.clientWidth / 3;
    }
  }

  return { draw, mark, fit };
}

// Shows one picture of a sprite on an element of any size.
function picture(node, sprite, frame) {
  const column = frame % sprite.columns, row = Math.floor(frame / sprite.columns);
  const share = (at, count) => (count > 1 ? (100 * at) / (count - 1) : 0);
  node.style.backgroundImage = `url("${sprite.url}")`;
  node.style.backgroundSize = `${100 * sprite.columns}% ${100 * sprite.rows}%`;
  node.style.backgroundPosition = `${share(column, sprite.columns)}% ${share(row, sprite.rows)}%`;
}

async function spritePixels(sprite) {
  if (!sprite) return null;
  const image = new Image();
  image.src = sprite.url;
  await image.decode();
  const canvas = el('canvas', { width: image.naturalWidth, height: image.naturalHeight });
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}
