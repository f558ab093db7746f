// The keyframes as a table of numbers: the same state as the views, for eyes, fingers and readers.

const ANGLE_NAMES = ["yaw", "pitch", "roll"];

/** name: heading; get and set work on a keyframe. */
function tableColumns(editor) {
  const aimed = () => !!editor.shown.options.look_at;
  const place = [0, 1, 2].map((i) => ({
    name: "xyz"[i], unit: "unit", step: 0.05,
    get: (key) => key.position[i], set: (key, value) => { key.position[i] = value; },
  }));
  const angles = [0, 1, 2].map((i) => ({
    name: ANGLE_NAMES[i], unit: "deg", step: 1, digits: 2,
    get: (key) => (aimed() ? (i === 2 ? key.roll_deg : null) : anglesFromQuaternion(key.quaternion_wxyz)[i]),
    set: (key, value) => {
      if (aimed()) key.roll_deg = value;
      else key.quaternion_wxyz = quaternionFromAngles(anglesFromQuaternion(key.quaternion_wxyz).map((old, j) => (j === i ? value : old)));
    },
  }));
  const time = { name: "time", unit: "sec", step: 0.05, get: (key) => key.time_sec, set: (key, value) => { key.time_sec = value; } };
  const lens = {
    name: "hfov", unit: "deg", step: 1, digits: 2, get: (key) => key.hfov_deg,
    set: (key, value) => {
      if (value < 1 || value > 170) throw new EditError("error_hfov");
      key.hfov_deg = value;
    },
  };
  return [time, ...place, ...angles, lens];
}

class KeyTable {
  constructor(editor, controls) {
    Object.assign(this, { editor, controls, text: controls.text, rows: [], columns: tableColumns(editor) });
    const heading = (name, unit) => h("th", { scope: "col" }, this.text(name), unit ? controls.unit(unit) : null);
    const head = h("tr", {}, heading("number_short"), ...this.columns.map(({ name, unit }) => heading(name, unit)), heading("easing"), h("th", { scope: "col" }, h("span", { class: "rap-ed-sr" }, this.text("actions"))));
    this.body = h("tbody");
    const table = h("table", { class: "rap-ed-table" }, h("caption", { class: "rap-ed-sr" }, this.text("table_caption")), h("thead", {}, head), this.body);
    this.element = h("div", { class: "rap-ed-table-frame", tabindex: -1 }, table);
    controls.updates.push(() => this.update());
  }

  update() {
    const { editor, rows } = this, count = editor.keys.length;
    while (rows.length < count) rows.push(this.row(rows.length));
    while (rows.length > count) rows.pop().element.remove();
    rows.forEach((row, i) => {
      const key = editor.keys[i], chosen = editor.scope === "path" || (i === editor.index && editor.selection.kind !== "target");
      row.element.classList.toggle("is-selected", chosen);
      row.pick.setAttribute("aria-pressed", String(chosen));
      row.cells.forEach(({ input, column }) => {
        const value = column.get(key), words = value === null ? "" : rounded(value, column.digits || 3);
        if (input.dataset.shown === words) return;
        input.dataset.shown = words;
        input.value = words;
        input.disabled = value === null;
      });
      if (row.easing.value !== key.easing) row.easing.value = key.easing;
      row.easing.disabled = editor.shown.options.speed === "constant" || (i === count - 1 && !editor.shown.options.closed);
      row.up.disabled = i === 0;
      row.down.disabled = i === count - 1;
      row.remove.disabled = count < 2;
    });
  }

  row(index) {
    const { editor, text } = this;
    const pick = h("button", { type: "button", class: "rap-ed-pick", title: text("select_key", { key: index + 1 }), "aria-label": text("select_key", { key: index + 1 }), onclick: () => this.pick(index) }, String(index + 1));
    const cells = this.columns.map((column) => ({ column, input: this.input(column, index) }));
    const easing = h("select", { "aria-label": text("cell", { name: text("easing"), key: index + 1 }), "data-cell": "easing", onchange: () => editor.edit((doc) => withKey(doc, index, (key) => { key.easing = easing.value; })) });
    easing.append(...[SMOOTH, ...Object.keys(EASINGS)].map((name) => h("option", { value: name }, text(`easing_${name}`))));
    const small = (iconName, name, action) => h("button", { type: "button", class: "rap-ed-mini", title: text(name), "aria-label": text("cell", { name: text(name), key: index + 1 }), "data-action": name, html: icon(iconName), onclick: action });
    const up = small("earlier", "earlier", () => editor.edit((doc) => reordered(doc, index, -1)));
    const down = small("later", "later", () => editor.edit((doc) => reordered(doc, index, 1)));
    const copy = small("duplicate", "duplicate", () => editor.edit((doc) => duplicated(doc, index)));
    const remove = small("remove", "remove", () => editor.edit((doc) => removed(doc, index)));
    const element = h("tr", { onfocusin: () => { if (editor.index !== index || editor.selection.kind !== "key") this.pick(index); } },
      h("th", { scope: "row" }, pick), ...cells.map(({ input }) => h("td", {}, input)), h("td", {}, easing), h("td", { class: "rap-ed-row-actions" }, up, down, copy, remove));
    this.body.append(element);
    return { element, pick, cells, easing, up, down, remove };
  }

  pick(index) {
    this.editor.scope = "key";
    this.editor.select({ kind: "key", index });
  }

  input(column, index) {
    const { editor, text } = this;
    const input = h("input", { type: "number", step: column.step, inputmode: "decimal", "data-cell": column.name, "aria-label": text("cell", { name: text(column.name), key: index + 1 }) });
    input.addEventListener("change", () => {
      const value = input.value.trim() === "" ? NaN : Number(input.value);
      if (!Number.isFinite(value)) editor.say("error_number", {}, "error");
      else editor.edit((doc) => {
        let moved = null;
        const next = changed(doc, (d) => { moved = d.keyframes[index]; column.set(moved, value); });
        return [next, next.keyframes.indexOf(moved)]; // a new time may change the order
      });
      input.dataset.shown = "stale"; // show what holds now, also where the number was refused
      editor.host.repaint();
    });
    return input;
  }
}
