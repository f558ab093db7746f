// The row of tools above the views, and the transport below them.

function buildToolbar(controls, commands, editor, sheet) {
  const none = () => editor.isEmpty, key = () => editor.isEmpty || editor.scope === "path";
  const scopes = controls.choice("scope", [{ name: "scope_key", value: "key", shortcut: "A" }, { name: "scope_path", value: "path", shortcut: "A" }], () => editor.scope, (value) => commands.setScope(value));
  const tools = controls.choice("tool", [["move", "G"], ["rotate", "R"], ["scale", "S"]].map(([name, shortcut]) => ({ name, value: name, icon: name, shortcut })), () => editor.tool, (value) => commands.setTool(value));
  const axes = controls.choice("axis_lock", [0, 1, 2].map((i) => ({ name: `axis_${"xyz"[i]}`, value: i, shortcut: "XYZ"[i], kind: `is-axis is-${"xyz"[i]}` })), () => editor.axis, (value) => commands.setAxis(value));
  const frame = controls.button({ name: "local", action: () => commands.toggleLocal(), pressed: () => editor.local, shortcut: "O" });
  const snap = controls.button({ name: "snap", icon: "snap", action: () => commands.toggleSnap(), pressed: () => editor.snap, shortcut: "N" });
  const keys = controls.group("keyframes",
    controls.button({ name: "insert", icon: "insert", shortcut: "I", action: () => commands.insert(), disabled: none }),
    controls.button({ name: "from_view", icon: "view", shortcut: "C", action: () => commands.fromView(), disabled: none }),
    controls.button({ name: "duplicate", icon: "duplicate", shortcut: "Shift+D", action: () => commands.duplicate(), disabled: key }),
    controls.button({ name: "remove", icon: "remove", shortcut: "Delete", action: () => commands.remove(), disabled: () => key() || editor.keys.length < 2 }));
  const history = controls.group("history",
    controls.button({ name: "undo", icon: "undo", shortcut: "Ctrl+Z", action: () => editor.undo(), disabled: () => !editor.past.length }),
    controls.button({ name: "redo", icon: "redo", shortcut: "Ctrl+Shift+Z", action: () => editor.redo(), disabled: () => !editor.future.length }));
  const more = controls.group("view",
    controls.button({ name: "pen", icon: "pen", shortcut: "D", action: () => commands.takePen(), pressed: () => !!editor.pen }),
    controls.button({ name: "frame_all", icon: "frame", shortcut: "F", action: () => commands.stage.frameAll() }),
    controls.button({ name: "help", icon: "help", shortcut: "?", action: () => sheet.open() }));
  const gap = h("span", { class: "rap-ed-gap" });
  return h("div", { class: "rap-ed-toolbar", role: "toolbar", "aria-label": controls.text("toolbar") }, scopes, tools, axes, controls.group("frame", frame, snap), keys, gap, history, more);
}

function buildTransport(controls, commands, editor, timeline) {
  const play = controls.button({ name: "play", icon: "play", shortcut: "Space", action: () => commands.player.toggle(), pressed: () => editor.playing, disabled: () => editor.isEmpty });
  const glyph = play.querySelector(".rap-ed-icon");
  controls.updates.push(() => {
    const name = editor.playing ? "pause" : "play";
    if (glyph.dataset.name === name) return;
    glyph.dataset.name = name;
    glyph.innerHTML = icon(name);
  });
  const first = controls.button({ name: "key_before", icon: "first", shortcut: "[", action: () => editor.selectStep(-1), disabled: () => editor.isEmpty });
  const last = controls.button({ name: "key_after", icon: "last", shortcut: "]", action: () => editor.selectStep(1), disabled: () => editor.isEmpty });
  const legend = h("p", { class: "rap-ed-legend" });
  controls.updates.push(() => {
    const speeds = editor.speeds, most = (values) => Math.max(...values);
    const words = speeds ? [["way", "legend_speed", most(speeds.way).toFixed(2)], ["turn", "legend_turn", most(speeds.turn).toFixed(1)]] : [];
    const key = JSON.stringify(words);
    if (legend.dataset.words === key) return;
    legend.dataset.words = key;
    legend.replaceChildren(...words.map(([kind, name, value]) => h("span", { class: `is-${kind}` }, controls.text(name, { value }))));
  });
  const bar = h("div", { class: "rap-ed-transport" }, controls.group("playback", first, play, last), timeline.readout, legend);
  return h("div", { class: "rap-ed-timeline" }, bar, timeline.canvas);
}

/** What the server says about the path: confirmed with its number of frames, waiting, or refused. */
class StatusLine {
  constructor(editor, controls) {
    Object.assign(this, { editor, text: controls.text });
    this.chip = h("span", { class: "rap-ed-chip" });
    this.hash = h("code", { class: "rap-ed-hash", title: this.text("hint_hash") });
    this.words = h("span", { class: "rap-ed-words", role: "status", "aria-live": "polite" });
    this.retry = controls.button({ name: "retry", action: () => editor.confirm(), kind: "is-small" });
    this.warnings = h("ul", { class: "rap-ed-warnings", "aria-label": this.text("warnings") });
    this.element = h("div", { class: "rap-ed-status" }, h("div", { class: "rap-ed-status-line" }, this.chip, this.hash, this.retry, this.words), this.warnings);
    controls.updates.push(() => this.update());
  }

  update() {
    const { editor, text } = this, confirmed = editor.confirmed;
    let state = editor.draft ? "draft" : editor.state, said = text(`status_${state}`);
    if (state === "confirmed") said = text("status_confirmed", { count: confirmed.num_frames });
    if (this.chip.textContent !== said) this.chip.textContent = said;
    this.chip.dataset.state = state;
    const hash = state === "confirmed" ? confirmed.hash : "";
    if (this.hash.textContent !== hash) this.hash.textContent = hash;
    this.retry.hidden = state !== "lost";
    const words = editor.message ? editor.message.text : "";
    if (this.words.textContent !== words) this.words.textContent = words;
    this.words.dataset.tone = editor.message ? editor.message.tone : "";
    if (this.shown !== confirmed) this.list(confirmed);
    this.warnings.classList.toggle("is-stale", !editor.isConfirmed);
  }

  list(confirmed) {
    this.shown = confirmed;
    const warnings = confirmed ? confirmed.warnings : [];
    this.warnings.replaceChildren(...warnings.map((warning) => {
      const go = () => this.editor.setShare(warning.frame / Math.max(1, confirmed.num_frames - 1));
      return h("li", {}, h("button", { type: "button", onclick: go, title: this.text("hint_warning") }, this.words_of(warning)));
    }));
  }

  words_of({ rule, value, limit, frame, message }) {
    const key = `warning_${rule}`, words = this.text(key, { value: value.toFixed(2), limit: String(limit), frame });
    return words === key ? message : words;
  }
}
