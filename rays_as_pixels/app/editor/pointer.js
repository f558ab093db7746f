// Mouse, pen and fingers on the views. One finger edits or turns, two pan and zoom. Nothing is final
// before the pointer is lifted.

const REACH = { mouse: 9, pen: 12, touch: 22 };

class ViewPointer {
  constructor(editor, view) {
    Object.assign(this, { editor, view, fingers: new Map(), drag: null });
    const canvas = view.canvas, on = (name, handler) => canvas.addEventListener(name, handler.bind(this));
    on("pointerdown", this.down);
    on("pointermove", this.move);
    on("pointerup", this.up);
    on("pointercancel", this.cancel);
    on("dblclick", this.double);
    on("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", this.wheel.bind(this), { passive: false });
    on("pointerleave", () => this.setHot(null));
  }

  at(event) {
    const box = this.view.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  setHot(hot) {
    const before = this.editor.hot, name = (h) => h && `${h.part}${h.axis}`;
    if (name(before) === name(hot)) return;
    this.editor.hot = hot;
    this.editor.host.repaint();
  }

  down(event) {
    const { editor, view } = this, pixel = this.at(event);
    view.canvas.focus({ preventScroll: true });
    this.fingers.set(event.pointerId, pixel);
    view.canvas.setPointerCapture(event.pointerId);
    event.preventDefault();
    if (this.fingers.size === 2) return this.pinch();
    if (this.fingers.size > 2) return;
    const reach = REACH[event.pointerType] || REACH.mouse;
    this.drag = this.begin(event, pixel, reach);
  }

  begin(event, pixel, reach) {
    const { editor, view } = this, panning = event.button !== 0 || event.shiftKey;
    if (editor.pen && editor.pen.view === view && event.button === 0) return this.beginStroke(pixel);
    if (event.button === 0) {
      let hit = hitGizmo(view, editor, pixel, reach * 0.8);
      const other = this.hitThing(pixel, reach);
      if (other && (!hit || hit.part === "free") && !this.isSelected(other)) {
        editor.scope = other.kind === "key" && editor.scope === "path" ? "path" : editor.scope;
        editor.select(other);
        hit = view.kind === "camera" ? null : { part: "free", view, away: 0 };
      }
      if (hit) return this.beginGizmo(hit, pixel, event.altKey);
    }
    if (view.kind === "camera") return this.beginLook(pixel, panning);
    return { kind: panning || view.isFlat ? "pan" : "orbit", last: pixel };
  }

  isSelected(thing) {
    const { selection, index } = this.editor;
    return thing.kind === selection.kind && (thing.kind !== "key" || thing.index === index) && thing.side === selection.side;
  }

  /** The keyframe, handle or target under a pixel. */
  hitThing(pixel, reach) {
    const { editor, view } = this, things = [];
    const offer = (point, thing) => {
      const spot = view.project(point), away = spot ? Math.hypot(spot[0] - pixel[0], spot[1] - pixel[1]) : Infinity;
      if (away <= reach) things.push({ away, thing });
    };
    if (view.kind !== "camera") editor.keys.forEach((key, index) => offer(key.position, { kind: "key", index }));
    if (editor.doc.options.look_at) offer(editor.doc.options.look_at, { kind: "target", index: editor.index });
    if (editor.doc.options.position === "bezier" && editor.key) {
      for (const side of ["handle_in", "handle_out"]) {
        if (editor.key[side]) offer(add(editor.key.position, editor.key[side]), { kind: "handle", index: editor.index, side });
      }
    }
    things.sort((a, b) => a.away - b.away);
    return things.length ? things[0].thing : null;
  }

  beginGizmo(hit, pixel, copy) {
    const { editor, view } = this;
    if (copy && editor.scope === "key" && editor.selection.kind === "key") {
      editor.edit((doc) => duplicated(doc, editor.index)); // drag the copy away
    }
    this.setHot(hit);
    return { kind: "gizmo", gizmo: new GizmoDrag(editor, view, hit, pixel) };
  }

  /** Through the camera: look about with the keyframe at the playhead. */
  beginLook(pixel, panning) {
    const { editor } = this;
    if (!editor.isAtKey) {
      editor.say(editor.isEmpty ? "blank" : "said_look_needs_key");
      return null;
    }
    if (editor.selection.kind !== "key") editor.select({ kind: "key", index: editor.index });
    return { kind: "look", start: pixel, from: editor.doc, truck: panning || !!editor.doc.options.look_at, focal: this.view.focal };
  }

  beginStroke(pixel) {
    const { pen } = this.editor, point = pen.pointAt(pixel);
    pen.points = point ? [point] : [];
    return { kind: "stroke" };
  }

  move(event) {
    const pixel = this.at(event), { editor, view, drag } = this;
    if (this.fingers.has(event.pointerId)) this.fingers.set(event.pointerId, pixel);
    if (!drag) {
      if (event.pointerType === "mouse" && !editor.pen) this.hover(pixel);
      return;
    }
    if (drag.kind === "pinch") return this.pinchMove();
    editor.attempt(() => this.dragTo(drag, pixel, view));
    editor.host.repaint();
  }

  hover(pixel) {
    const hot = hitGizmo(this.view, this.editor, pixel, REACH.mouse * 0.8), thing = !hot && this.hitThing(pixel, REACH.mouse);
    this.setHot(hot);
    this.view.canvas.style.cursor = hot || thing ? "pointer" : this.view.kind === "persp" ? "grab" : "";
  }

  dragTo(drag, pixel, view) {
    const { editor } = this;
    if (drag.kind === "gizmo") editor.preview(drag.gizmo.to(pixel));
    else if (drag.kind === "look") editor.preview(this.lookTo(drag, pixel));
    else if (drag.kind === "stroke") {
      const point = editor.pen.pointAt(pixel);
      if (point) editor.pen.points.push(point);
    } else {
      const [dx, dy] = [pixel[0] - drag.last[0], pixel[1] - drag.last[1]];
      drag.last = pixel;
      if (drag.kind === "orbit") view.turnBy(dx, dy);
      else view.pan(dx, dy);
    }
  }

  lookTo({ start, from, truck, focal }, pixel) {
    const dx = (pixel[0] - start[0]) / focal, dy = (pixel[1] - start[1]) / focal, { editor } = this;
    return withKey(from, editor.index, (key) => {
      const turn = key.quaternion_wxyz;
      if (truck) key.position = add(key.position, qRotate(turn, [-dx * SUBJECT_DEPTH, -dy * SUBJECT_DEPTH, 0]));
      else key.quaternion_wxyz = qUnit(qMul(qMul(qAxis([0, 1, 0], -Math.atan(dx)), turn), qAxis([1, 0, 0], Math.atan(dy))));
    });
  }

  up(event) {
    const { editor, drag } = this;
    if (!this.fingers.delete(event.pointerId) || !drag) return;
    if (drag.kind === "pinch" && this.fingers.size) return;
    this.drag = null;
    if (drag.kind === "stroke") finishPen(editor);
    else if (editor.draft) editor.edit(() => editor.draft);
    this.setHot(null);
    editor.host.repaint();
  }

  cancel(event) {
    this.fingers.delete(event.pointerId);
    this.drag = null;
    this.editor.cancelDraft();
  }

  pinch() {
    if (this.editor.draft) this.editor.cancelDraft();
    if (this.editor.pen) this.editor.pen.points = [];
    this.drag = { kind: "pinch", ...this.spread() };
  }

  spread() {
    const [a, b] = [...this.fingers.values()];
    return { middle: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], width: Math.max(20, Math.hypot(a[0] - b[0], a[1] - b[1])) };
  }

  pinchMove() {
    if (this.fingers.size < 2) return;
    const now = this.spread(), { middle, width } = this.drag;
    this.view.zoom(now.width / width, now.middle);
    this.view.pan(now.middle[0] - middle[0], now.middle[1] - middle[1]);
    Object.assign(this.drag, now);
    this.editor.host.repaint();
  }

  /** The wheel belongs to the page until the view has been clicked. */
  wheel(event) {
    if (document.activeElement !== this.view.canvas && !event.ctrlKey) return;
    event.preventDefault();
    if (this.view.kind === "camera") return this.dolly(-event.deltaY * 0.001 * SUBJECT_DEPTH);
    this.view.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), this.at(event));
    this.editor.host.repaint();
  }

  /** Through the camera the wheel moves the keyframe forward; it is final when the wheel rests. */
  dolly(way) {
    const { editor } = this;
    if (!editor.isAtKey) return editor.say(editor.isEmpty ? "blank" : "said_look_needs_key");
    const forward = mul(qRotate(editor.camera.quaternion_wxyz, [0, 0, 1]), way);
    editor.attempt(() => editor.preview(withKey(editor.draft || editor.doc, editor.index, (key) => { key.position = add(key.position, forward); })));
    clearTimeout(this.rest);
    this.rest = setTimeout(() => { if (editor.draft && !this.drag) editor.edit(() => editor.draft); }, 350);
  }

  /** A new keyframe where the curve was double-clicked. */
  double(event) {
    const { editor, view } = this, pixel = this.at(event), points = editor.curve;
    if (editor.pen) return;
    let best = { away: 12 };
    for (let i = 1; i < points.length; i++) {
      const a = view.project(points[i - 1]), b = view.project(points[i]);
      const [away, part] = a && b ? nearSegment(pixel, a, b) : [Infinity, 0];
      if (away < best.away) best = { away, point: lerp3(points[i - 1], points[i], part) };
    }
    if (best.point) editor.edit((doc) => insertAt(doc, nearestShare(editor.path, best.point)));
  }
}

/** Share of the path that passes nearest to a point. */
function nearestShare(path, point) {
  const shares = Array.from({ length: 257 }, (_, i) => i / 256);
  const away = path.at(path.places(shares)).map((camera) => norm(sub(camera.position, point)));
  return shares[away.indexOf(Math.min(...away))];
}
