// Puts the parts together inside one gr.HTML. `element`, `trigger`, `props`, `server` and `watch` are
// what Gradio gives to js_on_load.

const CALM_MS = 120;

function translator(props) {
  const wanted = props.language === "auto" ? (navigator.language || "en").slice(0, 2) : props.language;
  const words = { ...props.strings.en, ...props.strings[wanted] };
  return (key, values = {}) => (words[key] || key).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
}

function mountEditor({ element, trigger, props, server, watch }) {
  const root = element.querySelector(".rap-ed"), text = translator(props), cloud = new Cloud();
  let asked = false, parts = null;
  root.setAttribute("aria-label", text("region"));
  if (props.view_height) root.style.setProperty("--ed-height", `${props.view_height}px`);
  const host = {
    server, text,
    sources: () => props.sources, presets: () => props.presets || [], frameCounts: () => props.frame_counts || [],
    alive: () => root.isConnected,
    repaint() {
      if (asked) return;
      asked = true;
      requestAnimationFrame(() => { asked = false; if (parts && root.isConnected) parts.paint(); });
    },
    publish(document, { hash, num_frames }) {
      root.dataset.hash = hash;
      root.dataset.frames = num_frames;
      props.value = copyOf(document);
      trigger("path_commit", { hash, num_frames });
    },
    scrubbed() {
      const { editor } = parts, detail = { frame: editor.frame, share: editor.share, num_frames: editor.doc.num_frames, time_sec: editor.share * spanOf(editor.doc) };
      root.dispatchEvent(new CustomEvent("rap-scrub", { bubbles: true, detail }));
    },
  };
  parts = buildParts(root, host, cloud, text);
  const { editor, stage, scene } = parts;
  root.rapEditor = parts; // for the page's own scripts and for tests

  const takeProps = () => {
    scene.overlays = props.overlays || [];
    const url = props.cloud && props.cloud.url;
    if (url !== parts.cloudUrl) {
      parts.cloudUrl = url;
      const shown = () => { root.dataset.points = cloud.count; host.repaint(); };
      if (url) cloud.fetch(url).then(shown, () => editor.say("error_cloud", {}, "error"));
      else { cloud.clear(); shown(); }
    }
    host.repaint();
  };
  const takeValue = () => {
    if (isDocument(props.value)) {
      if (JSON.stringify(props.value) === JSON.stringify(editor.doc)) return;
      editor.load(props.value);
      parts.tabs.showNamed("keyframes");
    } else {
      editor.clear();
      for (const name of ["hash", "frames"]) delete root.dataset[name];
      parts.tabs.showNamed("start");
    }
    stage.frameAll();
  };
  watch(["sources", "overlays", "cloud"], takeProps);
  watch("value", takeValue);
  root.addEventListener("rap-seek", ({ detail }) => {
    editor.share = clamp("share" in detail ? detail.share : detail.frame / Math.max(1, editor.doc.num_frames - 1), 0, 1);
    host.repaint();
  });
  takeProps();
  takeValue();
  root.dataset.ready = "1";
}

function buildParts(root, host, cloud, text) {
  const editor = new Editor(host), scene = new Scene(editor, cloud), controls = new Controls(editor, text);
  editor.penPlane = "top";
  scene.palette = readPalette(root);
  const stage = new Stage(editor, scene, text), commands = new Commands(editor, stage);
  const timeline = new Timeline(editor, text), sheet = new HelpSheet(text), table = new KeyTable(editor, controls);
  const status = new StatusLine(editor, controls), parts = { root, editor, scene, stage, commands, timeline, sheet, table, cloud };
  sheet.fill(shortcuts(parts));
  const toolbar = buildToolbar(controls, commands, editor, sheet);
  const transport = buildTransport(controls, commands, editor, timeline);
  parts.tabs = buildTabs(controls, [
    ["start", startPanel(controls, commands, editor, host)],
    ["keyframes", [table.element]],
    ["curve", curvePanel(controls, commands, editor)],
    ["path", pathPanel(controls, commands, editor, host)],
    ["lens", lensPanel(controls, commands, editor)],
  ], 1);
  const blank = h("p", { class: "rap-ed-blank" }, text("blank"));
  stage.slots[0].element.append(blank);
  controls.updates.push(() => { blank.hidden = !editor.isEmpty || !!editor.pen; });
  root.replaceChildren(toolbar, stage.element, transport, status.element, parts.tabs.element, sheet.element);
  listenToKeys(root, parts);
  const tell = atACalmPace(host, () => {
    timeline.draw(scene.palette);
    controls.update();
  });
  parts.paint = () => {
    stage.drawNow();
    tell(!!editor.draft && !timeline.drag);
  };
  follow(root, parts, host);
  return parts;
}

/**
 * While something is dragged in a view, the numbers and the speed graph follow at a calm pace: laying
 * out and composing them costs more than drawing the views.
 */
function atACalmPace(host, tell) {
  let last = 0, later = 0;
  return (calm) => {
    const wait = last + CALM_MS - performance.now();
    if (!calm || wait <= 0) {
      last = performance.now();
      tell();
    } else if (!later) later = setTimeout(() => { later = 0; host.repaint(); }, wait);
  };
}

/** Draw again when the size or the theme of the page changes. */
function follow(root, { scene }, host) {
  new ResizeObserver(() => host.repaint()).observe(root);
  const themed = new MutationObserver(() => {
    scene.palette = readPalette(root);
    host.repaint();
  });
  for (const place of [document.documentElement, document.body]) themed.observe(place, { attributes: true, attributeFilter: ["class", "style", "data-theme"] });
  setTimeout(() => { scene.palette = readPalette(root); host.repaint(); }, 300); // fonts and theme settle
}
