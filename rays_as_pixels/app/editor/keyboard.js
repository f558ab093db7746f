// Keys, while the focus is inside the editor; typing in a field is never taken away from it.

const TYPING = "input:not([type=checkbox]), select, textarea, [contenteditable]";

/** [section of the sheet, keys as shown, key of the text, test of the event, action, canvas only]. */
function shortcuts({ editor, commands, stage, sheet }) {
  const plain = (...names) => (e) => names.includes(e.key) && !e.ctrlKey && !e.metaKey && !e.altKey;
  const letter = (name, shift = false) => (e) => e.key.toLowerCase() === name && e.shiftKey === shift && !e.ctrlKey && !e.metaKey && !e.altKey;
  const control = (name, shift = false) => (e) => (e.ctrlKey || e.metaKey) && e.key.toLowerCase() === name && e.shiftKey === shift;
  const arrows = { ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowUp: [0, -1, 0], ArrowDown: [0, 1, 0], PageUp: [0, 0, 1], PageDown: [0, 0, -1] };
  const arrow = (alt) => (e) => e.key in arrows && e.altKey === alt && !e.ctrlKey && !e.metaKey;
  const kinds = { 1: "persp", 2: "camera", 3: "top", 4: "side", 5: "front" };
  return [
    ["keys_select", "[  ]", "key_select", plain("[", "]"), (e) => editor.selectStep(e.key === "]" ? 1 : -1)],
    ["keys_select", "A", "key_scope", letter("a"), () => commands.setScope(editor.scope === "key" ? "path" : "key")],
    ["keys_select", "G R S", "key_tools", (e) => "grs".includes(e.key.toLowerCase()) && letter(e.key.toLowerCase())(e), (e) => commands.setTool({ g: "move", r: "rotate", s: "scale" }[e.key.toLowerCase()])],
    ["keys_select", "X Y Z", "key_axis", (e) => "xyz".includes(e.key.toLowerCase()) && letter(e.key.toLowerCase())(e), (e) => commands.setAxis("xyz".indexOf(e.key.toLowerCase()))],
    ["keys_select", "O", "key_local", letter("o"), () => commands.toggleLocal()],
    ["keys_select", "N", "key_snap", letter("n"), () => commands.toggleSnap()],
    ["keys_edit", "← → ↑ ↓ PgUp PgDn", "key_nudge", arrow(false), (e) => commands.nudge(arrows[e.key], e.shiftKey), true],
    ["keys_edit", "I", "insert", letter("i"), () => commands.insert()],
    ["keys_edit", "C", "from_view", letter("c"), () => commands.fromView()],
    ["keys_edit", "Shift D", "duplicate", letter("d", true), () => commands.duplicate()],
    ["keys_edit", "Del", "remove", plain("Delete", "Backspace"), () => commands.remove()],
    ["keys_edit", "{  }", "key_reorder", plain("{", "}"), (e) => commands.reorder(e.key === "}" ? 1 : -1)],
    ["keys_edit", "D", "pen", letter("d"), () => commands.takePen()],
    ["keys_edit", "Ctrl Z", "undo", control("z"), () => editor.undo()],
    ["keys_edit", "Ctrl Shift Z  Ctrl Y", "redo", (e) => control("z", true)(e) || control("y")(e), () => editor.redo()],
    ["keys_path", "K", "constant_speed", letter("k"), () => commands.toggleSpeed()],
    ["keys_path", "L", "loop", letter("l"), () => commands.toggleLoop()],
    ["keys_path", "T", "look_at", letter("t"), () => commands.toggleTarget()],
    ["keys_path", "Shift T", "target_select", letter("t", true), () => commands.selectTarget()],
    ["keys_path", "Shift R", "reverse", letter("r", true), () => commands.reverse()],
    ["keys_path", "M", "mirror_x", letter("m"), () => commands.mirror(0)],
    ["keys_path", "B", "smooth", letter("b"), () => commands.smooth()],
    ["keys_view", "Space", "play", plain(" "), () => commands.player.toggle(), true],
    ["keys_view", ",  .", "key_frames", plain(",", "."), (e) => editor.stepFrame(e.key === "." ? 1 : -1)],
    ["keys_view", "Home End", "key_ends", plain("Home", "End"), (e) => editor.setShare(e.key === "End" ? 1 : 0), true],
    ["keys_view", "1 – 5", "key_views", (e) => e.key in kinds && plain(e.key)(e), (e) => stage.promote(kinds[e.key])],
    ["keys_view", "Alt ← → ↑ ↓", "key_orbit", (e) => arrow(true)(e) && e.key.startsWith("Arrow"), (e) => commands.orbit(...arrows[e.key])],
    ["keys_view", "+  −", "key_zoom", plain("+", "=", "-"), (e) => commands.zoom(e.key === "-" ? 1 / 1.2 : 1.2)],
    ["keys_view", "F", "frame_all", letter("f"), () => stage.frameAll()],
    ["keys_view", "Esc", "key_escape", plain("Escape"), () => escape(editor)],
    ["keys_view", "?", "help", plain("?"), () => sheet.open()],
  ];
}

function escape(editor) {
  if (editor.pen) dropPen(editor);
  else if (editor.draft) editor.cancelDraft();
  else {
    editor.axis = null;
    editor.scope = "key";
    editor.select({ kind: "key", index: editor.index });
  }
}

/** The pen's own keys, while one is drawing with the keyboard. */
function penKey(editor, event) {
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (event.key in ways && !event.altKey) stepPen(editor, ...ways[event.key], event.shiftKey);
  else if (event.key === " ") liftPen(editor);
  else if (event.key === "Enter") finishPen(editor);
  else if (event.key === "Escape") dropPen(editor);
  else return false;
  return true;
}

function listenToKeys(root, parts) {
  const { editor, commands, timeline } = parts, list = shortcuts(parts);
  root.addEventListener("keydown", (event) => {
    const { target } = event, onCanvas = target.tagName === "CANVAS";
    if (event.defaultPrevented || target.closest("dialog") || (target.matches(TYPING) && event.key !== "Escape")) return;
    const done = () => { event.preventDefault(); event.stopPropagation(); };
    if (editor.pen && onCanvas && penKey(editor, event)) return done();
    if (target === timeline.canvas && ["ArrowLeft", "ArrowRight"].includes(event.key) && !event.altKey) {
      editor.stepFrame(event.key === "ArrowRight" ? 1 : -1);
      return done();
    }
    const found = list.find(([, , , fits, , canvasOnly]) => fits(event) && (onCanvas || !canvasOnly));
    if (!found || (target === timeline.canvas && event.key.startsWith("Page"))) return;
    editor.message = null;
    found[4](event);
    done();
  });
  root.addEventListener("keyup", (event) => { if (/^(Arrow|Page)/.test(event.key)) commands.settle(); });
  root.addEventListener("focusout", () => commands.settle());
}

/** The sheet of all shortcuts, made from the list itself. */
class HelpSheet {
  constructor(text) {
    this.text = text;
    const close = h("button", { type: "button", class: "rap-ed-button", onclick: () => this.element.close() }, text("close"));
    this.body = h("div", { class: "rap-ed-sheet-body" });
    this.element = h("dialog", { class: "rap-ed-sheet", "aria-label": text("help") }, h("header", {}, h("h3", {}, text("help")), close), this.body, h("p", { class: "rap-ed-note" }, text("help_mouse")));
    this.element.addEventListener("click", (event) => { if (event.target === this.element) this.element.close(); });
  }

  fill(list) {
    const groups = new Map();
    for (const [group, keys, name] of list) {
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push(h("div", {}, h("dt", {}, ...keys.split(/ {2}/).map((one) => h("kbd", {}, one))), h("dd", {}, this.text(name))));
    }
    this.body.replaceChildren(...[...groups].map(([group, rows]) => h("section", {}, h("h4", {}, this.text(group)), h("dl", {}, ...rows))));
  }

  open() {
    this.opener = document.activeElement;
    this.element.showModal();
  }
}
