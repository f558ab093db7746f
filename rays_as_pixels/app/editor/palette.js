// Colours, taken from the style sheet so that canvases follow the page's theme, and icons.

// Canvases stay in main memory: they are small, change all the time, and must not need a GPU.
const CANVAS = { willReadFrequently: true };

const TIME_STOPS = [[68, 40, 120], [56, 88, 150], [33, 145, 140], [94, 195, 98], [233, 206, 40]]; // even in lightness

/** Colour of a moment, 0 to 1: dark to light, told apart by colour-blind eyes. */
function timeColor(share, alpha = 1) {
  const place = clamp(share, 0, 1) * (TIME_STOPS.length - 1), i = Math.min(TIME_STOPS.length - 2, Math.floor(place));
  const [r, g, b] = lerp3(TIME_STOPS[i], TIME_STOPS[i + 1], place - i).map(Math.round);
  return `rgba(${r},${g},${b},${alpha})`;
}

const COLOR_NAMES = ["bg", "grid", "grid-strong", "ink", "ink-soft", "accent", "halo", "x", "y", "z", "warn", "ghost", "shade", "wave"];

/** Read the colours of the theme at this moment. */
function readPalette(element) {
  const style = getComputedStyle(element), palette = {};
  for (const name of COLOR_NAMES) palette[name] = style.getPropertyValue(`--ed-${name}`).trim();
  palette.axes = [palette.x, palette.y, palette.z];
  palette.font = style.fontFamily;
  palette.low = palette.bg.startsWith("#f") ? 0 : 0.22; // the darkest moments vanish on a dark ground
  palette.high = palette.low ? 1 : 0.86;
  palette.time = (share, alpha) => timeColor(palette.low + (palette.high - palette.low) * share, alpha);
  return palette;
}

// 16 x 16, drawn with a stroke of 1.4 unless "fill:" says otherwise.
const ICONS = {
  move: "M8 1.5v13M1.5 8h13M8 1.5 6.3 3.4M8 1.5l1.7 1.9M8 14.5l-1.7-1.9M8 14.5l1.7-1.9M1.5 8l1.9-1.7M1.5 8l1.9 1.7M14.5 8l-1.9-1.7M14.5 8l-1.9 1.7",
  rotate: "M13.2 8a5.2 5.2 0 1 1-1.7-3.8M13.6 1.8v3h-3",
  scale: "M2 14V9M2 14h5M2 14 14 2M14 2v4.5M14 2H9.5",
  insert: "M1.5 12.5c3-8 10-8 13 0M8 2v7M4.8 5.6h6.4",
  view: "M1.5 5h8.5v7H1.5zM10 7.5 14.5 5v7L10 9.6",
  duplicate: "M5.5 5.5h8.5v8.5H5.5zM10.5 5.5V2H2v8.5h3.5",
  remove: "M2.5 4.2h11M6 4V2.2h4V4M4 4.2l.7 9.6h6.6l.7-9.6M6.6 6.6v5M9.4 6.6v5",
  earlier: "M8 13V3M8 3 4.5 6.5M8 3l3.5 3.5",
  later: "M8 3v10M8 13l-3.5-3.5M8 13l3.5-3.5",
  undo: "M3 6.2h6.6a3.7 3.7 0 0 1 0 7.4H6M3 6.2l3-3M3 6.2l3 3",
  redo: "M13 6.2H6.4a3.7 3.7 0 0 0 0 7.4H10M13 6.2l-3-3M13 6.2l-3 3",
  frame: "M2 5.5V2h3.5M14 5.5V2h-3.5M2 10.5V14h3.5M14 10.5V14h-3.5M6 6h4v4H6z",
  play: "fill:M4.5 2.5v11l9-5.5z",
  pause: "fill:M4 2.5h3v11H4zM9.2 2.5h3v11h-3z",
  first: "M4 3v10M12.5 3 6.5 8l6 5z",
  last: "M12 3v10M3.5 3l6 5-6 5z",
  help: "M5.6 6a2.5 2.5 0 1 1 3.7 2.2C8.4 8.7 8 9.2 8 10.3M8 12.6v.6",
  snap: "M3 2.5v5a5 5 0 0 0 10 0v-5h-3.2v5a1.8 1.8 0 0 1-3.6 0v-5zM3 5.4h3.2M9.8 5.4H13",
  pen: "M2.5 13.5l.8-3.3 7.6-7.6 2.5 2.5-7.6 7.6zM9.4 4.1l2.5 2.5",
  target: "M8 1v4M8 11v4M1 8h4M11 8h4M8 4.2a3.8 3.8 0 1 1 0 7.6 3.8 3.8 0 0 1 0-7.6z",
  loop: "M4.2 5.2h6.6a3 3 0 0 1 0 6H5.2a3 3 0 0 1-2.7-1.6M4.2 5.2 6.4 3M4.2 5.2l2.2 2.2",
  reverse: "M14 5.5H2.5M2.5 5.5l3-3M2 10.5h11.5M13.5 10.5l-3 3",
  smooth: "M1.5 10.5c2-5 3.5-5 6.5-2.5s4.500 2 6.500-3",
  swap: "M2 5h11M10 2l3 3-3 3M14 11H3M6 8l-3 3 3 3",
};

function icon(name) {
  const fill = ICONS[name].startsWith("fill:"), path = ICONS[name].replace("fill:", "");
  const paint = fill ? 'fill="currentColor"' : 'fill="none" stroke="currentColor" stroke-width="1.4" stroke-linecap="round" stroke-linejoin="round"';
  return `<svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false"><path d="${path}" ${paint}/></svg>`;
}
