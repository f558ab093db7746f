// The four views: one large, three small. Any of them can take the large place.

class Stage {
  constructor(editor, scene, text) {
    Object.assign(this, { editor, scene, text, drawTimes: [] });
    this.slots = ["persp", "camera", "top", "side"].map((kind, i) => this.slot(kind, i));
    this.element = h("div", { class: "rap-ed-stage" }, this.slots[0].element, h("div", { class: "rap-ed-small" }, ...this.slots.slice(1).map((slot) => slot.element)));
    this.name();
  }

  slot(kind, index) {
    const canvas = h("canvas", { class: "rap-ed-canvas", tabindex: 0, role: "img" });
    const view = new View(kind, canvas), pointer = new ViewPointer(this.editor, view);
    const title = h("button", { type: "button", class: "rap-ed-title", onclick: () => (index ? this.promote(view.kind) : canvas.focus()) });
    const swap = h("button", { type: "button", class: "rap-ed-swap", html: icon("swap"), title: this.text("swap_side"), "aria-label": this.text("swap_side"), onclick: () => this.swapSide(view) });
    const element = h("div", { class: `rap-ed-view ${index ? "" : "is-main"}` }, canvas, h("div", { class: "rap-ed-view-bar" }, title, swap));
    return { view, canvas, title, swap, element, pointer };
  }

  get main() { return this.slots[0].view; }
  get dragging() { return this.slots.some((slot) => slot.pointer.drag); }
  view(kind) { return this.slots.map((slot) => slot.view).find((view) => view.kind === kind); }

  name() {
    this.slots.forEach(({ view, canvas, title, swap }, i) => {
      const name = this.text(`view_${view.kind}`);
      title.textContent = name;
      title.title = i ? this.text("enlarge", { view: name }) : name;
      canvas.setAttribute("aria-label", this.text("canvas_label", { view: name }));
      canvas.dataset.view = view.kind;
      swap.hidden = !["side", "front"].includes(view.kind);
    });
  }

  swapSide(view) {
    view.kind = view.kind === "side" ? "front" : "side";
    this.name();
    this.editor.host.repaint();
  }

  /** Give a kind of view the large place; it changes places with what was there. */
  promote(kind) {
    let view = this.view(kind);
    if (!view) { // front and side share a place
      view = this.view(kind === "front" ? "side" : "front");
      view.kind = kind;
    }
    const { main } = this;
    if (view !== main) {
      for (const part of ["kind", "orbit", "flat"]) [view[part], main[part]] = [main[part], view[part]];
      this.scene.cloud.pictures.clear();
    }
    this.name();
    this.editor.host.repaint();
  }

  /** Show the whole path, and what it looks at, in every view. */
  frameAll() {
    const { editor, scene } = this;
    const { doc } = editor, start = firstCamera(doc).position, floor = 0.35 * editor.reach;
    const points = [...editor.curve, pivotAhead(doc, SUBJECT_DEPTH)];
    points.push(add(start, [floor, 0.5 * floor, 0]), add(start, [-floor, -0.5 * floor, 0]));
    for (const { view } of this.slots) {
      view.resize();
      view.frame(points);
    }
    scene.cloud.pictures.clear();
    editor.host.repaint();
  }

  drawNow() {
    const begun = performance.now();
    for (const { view } of this.slots) {
      view.resize();
      this.scene.draw(view);
    }
    this.drawTimes.push(performance.now() - begun);
    if (this.drawTimes.length > 500) this.drawTimes.shift();
  }
}
