// Small helpers: elements, words, numbers, and Plotly's code kept apart from any other Plotly.

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function pickLanguage(wanted, languages) {
  if (languages.includes(wanted)) return wanted;
  const own = (navigator.language || 'en').toLowerCase();
  return languages.find((language) => own.startsWith(language)) || languages[0];
}

function speaker(words, language) {
  return (key, values = {}) => {
    let text = words[key][language];
    for (const [name, value] of Object.entries(values)) text = text.replaceAll(`{${name}}`, value);
    return text;
  };
}

// As many digits as tell neighbouring values apart on screen, and no more.
function short(value) {
  if (value === null || value === undefined) return '–';
  const size = Math.abs(value);
  if (size < 1e-9) return '0'; // rounding
  if (size < 0.0005) return value.toExponential(1);
  return value.toFixed(size < 0.1 ? 4 : size < 10 ? 3 : size < 100 ? 2 : 1);
}

function megabytes(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function isDark() {
  return document.body.classList.contains('dark');
}

function indexAt(times, time) {
  let low = 0, high = times.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (times[middle] <= time) low = middle; else high = middle - 1;
  }
  return low;
}

function nearestIndex(times, time) {
  const left = indexAt(times, time);
  const right = Math.min(times.length - 1, left + 1);
  return Math.abs(times[right] - time) < Math.abs(times[left] - time) ? right : left;
}

function colorAt(scale, share) {
  const k = Math.min(scale.length - 2, Math.max(0, Math.floor(share * (scale.length - 1))));
  const [at, from] = scale[k], [next, to] = scale[k + 1];
  const mix = Math.min(1, Math.max(0, (share - at) / (next - at)));
  const channel = (color, n) => parseInt(color.slice(2 * n - 1, 2 * n + 1), 16);
  const rgb = [1, 2, 3].map((n) => Math.round(channel(from, n) + mix * (channel(to, n) - channel(from, n))));
  return `rgb(${rgb.join(',')})`;
}

const MOST_PATIENCE_MS = 2000;

// Runs Plotly's file where `module` exists, keeps what it exports, and puts window.Plotly back as it
// was: another component of the page may bring another version.
function plotlyFrom(code) {
  const had = Object.prototype.hasOwnProperty.call(window, 'Plotly');
  const before = window.Plotly;
  const module = { exports: {} };
  // It draws every label on a canvas and reads it back, which is slow from one on the graphics card.
  const canvas = HTMLCanvasElement.prototype, { getContext } = canvas;
  canvas.getContext = function get(kind, options) {
    return getContext.call(this, kind, kind === '2d' ? { willReadFrequently: true, ...options } : options);
  };
  try {
    new Function('module', 'exports', code)(module, module.exports);
  } finally { canvas.getContext = getContext; }
  if (had) window.Plotly = before; else delete window.Plotly;
  return module.exports;
}

// Ends when timers have come in time for a third of a second, or after MOST_PATIENCE_MS.
async function calm() {
  const until = performance.now() + MOST_PATIENCE_MS;
  for (let free = 0; free < 6 && performance.now() < until;) {
    const before = performance.now();
    await new Promise((go) => setTimeout(go, 50));
    free = performance.now() - before < 80 ? free + 1 : 0;
  }
}

function loadPlotly(url, reached) {
  const shelf = (window.__raysAsPixels ??= {});
  shelf.plotly ??= fetch(url).then((answer) => {
    if (!answer.ok) throw new Error(`plotly.js: HTTP ${answer.status}`);
    return answer.text();
  }).then(async (code) => {
    await Promise.race([calm(), reached]); // a second of work: what the page shows and answers goes first
    const api = plotlyFrom(code);
    await new Promise((go) => setTimeout(go, 0)); // a breath before the first drawing
    return { code, api };
  });
  shelf.plotly.catch(() => { delete shelf.plotly; });
  return shelf.plotly;
}

function shownCamera(key) {
  const shelf = (window.__raysAsPixels ??= {});
  shelf.cameras ??= {};
  return {
    get: () => shelf.cameras[key] || null,
    set: (camera) => { shelf.cameras[key] = camera; },
  };
}
