// Building blocks of the controls. Each control adds a function to `ui.updates` that brings it in line
// with the editor's state.

function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "html") element.innerHTML = value; // our own icons only
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** At most `digits` decimals, without trailing zeros and without minus zero. */
const rounded = (value, digits = 3) => String(+value.toFixed(digits) + 0);

class Controls {
  constructor(editor, text) { Object.assign(this, { editor, text, updates: [] }); }

  update() { this.updates.forEach((update) => update()); }

  hint(key, shortcut) { return shortcut ? `${this.text(key)} (${shortcut})` : this.text(key); }

  /** A button with an icon, a word, or both. */
  button({ name, icon: iconName, shortcut, action, word = !iconName, pressed, disabled, kind = "" }) {
    const label = this.hint(name, shortcut);
    const element = h("button", { type: "button", class: `rap-ed-button ${kind}`, title: label, "data-action": name, onclick: () => action(element) });
    if (iconName) element.append(h("span", { class: "rap-ed-icon", html: icon(iconName) }));
    if (word) element.append(h("span", {}, this.text(name)));
    else element.setAttribute("aria-label", this.text(name));
    if (shortcut) element.setAttribute("aria-keyshortcuts", shortcut.replace("Ctrl", "Control"));
    if (pressed || disabled) {
      this.updates.push(() => {
        if (pressed) element.setAttribute("aria-pressed", String(!!pressed()));
        if (disabled) element.disabled = !!disabled();
      });
    }
    return element;
  }

  group(name, ...children) {
    return h("div", { class: "rap-ed-group", role: "group", "aria-label": this.text(name) }, ...children);
  }

  /** One of a few, as buttons in a row. */
  choice(name, options, get, set) {
    const buttons = options.map((option) => this.button({ ...option, word: option.word ?? !option.icon, action: () => set(option.value), pressed: () => get() === option.value }));
    const element = this.group(name, ...buttons);
    element.classList.add("rap-ed-segments");
    return element;
  }

  field(name, input, unit) {
    return h("label", { class: "rap-ed-field" }, h("span", {}, this.text(name)), unit ? h("span", { class: "rap-ed-with-unit" }, input, this.unit(unit)) : input);
  }

  /** A unit; the one that is cut short has its whole name as a hint. */
  unit(name) { return h("small", name === "unit" ? { title: this.text("units") } : {}, this.text(name)); }

  /** A number; `get` returns null where there is none to show. */
  number(name, { get, set, unit, step = 0.1, min, max, digits = 3 }) {
    const input = h("input", { class: unit === "unit" ? "is-short" : null, type: "number", step, min, max, "data-field": name, inputmode: "decimal" });
    this.bindNumber(input, get, set, digits);
    if (typeof unit !== "function") return this.field(name, input, unit);
    const small = h("small"); // a unit that changes
    this.updates.push(() => { small.textContent = this.text(unit()); });
    return h("label", { class: "rap-ed-field" }, h("span", {}, this.text(name)), h("span", { class: "rap-ed-with-unit" }, input, small));
  }

  bindNumber(input, get, set, digits = 3) {
    input.addEventListener("change", () => {
      const value = input.value.trim() === "" ? NaN : Number(input.value);
      if (!Number.isFinite(value)) this.editor.say("error_number", {}, "error");
      else this.editor.attempt(() => set(value));
      input.dataset.shown = "";
      this.editor.host.repaint();
    });
    this.updates.push(() => {
      const value = get(), words = value === null || value === undefined ? "" : rounded(value, digits);
      input.disabled = value === null || value === undefined;
      if (words === input.dataset.shown) return;
      input.dataset.shown = words;
      if (document.activeElement !== input || input.value === "" || Number(input.value) !== Number(words)) input.value = words;
    });
  }

  select(name, options, get, set) {
    const input = h("select", { "data-field": name, onchange: () => this.editor.attempt(() => set(input.value)) });
    input.append(...options.map(([value, label]) => h("option", { value }, label)));
    this.updates.push(() => { if (input.value !== String(get())) input.value = get(); });
    return this.field(name, input);
  }

  toggle(name, get, set, shortcut) {
    const input = h("input", { type: "checkbox", "data-field": name, onchange: () => this.editor.attempt(() => set(input.checked)) });
    this.updates.push(() => { input.checked = !!get(); });
    return h("label", { class: "rap-ed-toggle", title: this.hint(name, shortcut) }, input, h("span", {}, this.text(name)));
  }

  note(key) { return h("p", { class: "rap-ed-note" }, this.text(key)); }
}
