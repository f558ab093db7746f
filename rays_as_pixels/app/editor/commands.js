// Everything one can do, by name: buttons and keys call the same commands.

class Commands {
  constructor(editor, stage) {
    Object.assign(this, { editor, stage, player: new Player(editor), settings: { moved: [0, 0, 0], axis: 1, angle: 15, factor: 1.25, strength: 0.3 } });
  }

  insert() { this.editor.edit((doc) => insertAt(doc, this.editor.share)); }
  duplicate() { this.editor.edit((doc) => duplicated(doc, this.editor.index)); }
  remove() { this.editor.edit((doc) => removed(doc, this.editor.index)); }
  reorder(step) { this.editor.edit((doc) => reordered(doc, this.editor.index, step)); }

  /** A keyframe at the end, at the eye of the main view. */
  fromView() {
    const { editor, stage } = this, view = stage.main.kind === "persp" ? stage.main : stage.view("persp");
    editor.edit((doc) => {
      const lens = doc.keyframes[doc.keyframes.length - 1].hfov_deg;
      return append(doc, { position: view.eye, quaternion_wxyz: quaternionFromRotation(view.turn), hfov_deg: lens });
    });
  }

  setTool(tool) {
    this.editor.tool = tool;
    if (tool === "scale") this.editor.scope = "path";
    if (this.editor.selection.kind !== "key" && tool !== "move") this.editor.selection.kind = "key";
    this.editor.say("said_tool", { tool: this.editor.host.text(tool) });
  }

  setScope(scope) {
    this.editor.scope = scope;
    if (scope === "key" && this.editor.tool === "scale") this.editor.tool = "move";
    this.editor.say(scope === "path" ? "said_scope_path" : "said_scope_key");
  }

  setAxis(axis) {
    this.editor.axis = this.editor.axis === axis ? null : axis;
    this.editor.say(this.editor.axis === null ? "said_axis_free" : "said_axis", { axis: "XYZ"[axis] });
  }

  option(name, value) { this.editor.edit((doc) => changed(doc, (d) => { d.options[name] = value; })); }
  toggleSnap() { this.editor.snap = !this.editor.snap; this.editor.say(this.editor.snap ? "said_snap_on" : "said_snap_off"); }
  toggleLocal() { this.editor.local = !this.editor.local; this.editor.say(this.editor.local ? "said_local" : "said_world"); }
  toggleSpeed() { this.option("speed", this.editor.doc.options.speed === "constant" ? "keys" : "constant"); }
  toggleLoop() { this.option("closed", !this.editor.doc.options.closed); }

  toggleTarget() {
    const { editor } = this;
    editor.edit((doc) => changed(doc, (d) => {
      const camera = d.keyframes[editor.index], ahead = mul(qRotate(camera.quaternion_wxyz, [0, 0, 1]), SUBJECT_DEPTH);
      d.options.look_at = d.options.look_at ? null : add(camera.position, ahead);
    }));
    if (editor.doc.options.look_at) editor.select({ kind: "target", index: editor.index });
  }

  /** Free handles where the curve's own tangents are now. */
  makeHandles() {
    const { editor } = this;
    editor.edit((doc) => {
      const path = new SplinePath(doc.keyframes, doc.options), i = editor.index;
      return withKey(doc, i, (key) => {
        const into = i > 0 ? i - 1 : doc.options.closed ? doc.keyframes.length - 1 : -1;
        if (i < path.gap.length) key.handle_out = mul(path.slopes[0][i], 1 / 3);
        if (into >= 0) key.handle_in = mul(path.slopes[1][into], -1 / 3);
      });
    });
  }

  dropHandles() { this.editor.edit((doc) => withKey(doc, this.editor.index, (key) => { key.handle_in = key.handle_out = null; })); }

  bake() { this.editor.edit(bakedTarget); }

  selectTarget() {
    const { editor } = this;
    if (!editor.doc.options.look_at) return editor.say("said_no_target");
    editor.scope = "key";
    return editor.select({ kind: "target", index: editor.index });
  }

  reverse() { this.editor.edit(reversedPath); }
  mirror(axis) { this.editor.edit((doc) => mirroredPath(doc, axis, this.editor.pathPivot)); }
  moveAll() { this.editor.edit((doc) => movedPath(doc, this.settings.moved)); }
  turnAll() { this.editor.edit((doc) => turnedPath(doc, qAxis(axisVector(this.settings.axis), this.settings.angle * DEG), doc.keyframes[0].position)); }
  scaleAll() { this.editor.edit((doc) => scaledPath(doc, this.settings.factor, doc.keyframes[0].position)); }
  space(byDistance) { this.editor.edit((doc) => spacedPath(doc, byDistance)); }

  dollyZoom() {
    const { editor } = this;
    editor.edit((doc) => dollyZoomed(doc, editor.index, pivotAhead(doc, SUBJECT_DEPTH)));
  }

  lensForAll() { this.editor.edit((doc) => changed(doc, (d) => d.keyframes.forEach((key) => { key.hfov_deg = this.editor.key.hfov_deg; }))); }

  /** Ask the server for a document: what needs its own arithmetic is done there. */
  async ask(name, request, select = 0) {
    const { editor } = this, before = editor.doc, start = editor.isEmpty;
    let answer = null;
    try {
      answer = await editor.host.server[name](request);
    } catch (error) {
      answer = null; // no network: said below
    }
    if (editor.doc !== before) return; // edited in the meantime: the answer is out of date
    if (!answer) editor.say("status_lost", {}, "error");
    else if (!answer.ok) {
      editor.message = { text: answer.message, tone: "error" };
      editor.host.repaint();
    } else if (start) editor.load(answer.document);
    else editor.commit(answer.document, Math.min(select, answer.document.keyframes.length - 1));
  }

  smooth() {
    const { editor, settings } = this;
    if (editor.isEmpty) return editor.say("blank");
    return this.ask("smooth", { document: editor.doc, strength: settings.strength }, editor.index);
  }

  async preset({ name, amount, depth }) {
    const { doc } = this.editor, { num_frames, fps, width, height } = doc, { hfov_deg } = firstCamera(doc);
    await this.ask("preset", { name, amount, pivot_depth: depth, num_frames, fps, width, height, hfov_deg });
    this.editor.select({ kind: "key", index: 0 });
    this.stage.frameAll();
  }

  start(document) {
    this.editor.load(document);
    this.stage.frameAll();
  }

  setFrames(count) {
    this.editor.edit((doc) => changed(doc, (d) => { d.num_frames = count; }));
  }

  takePen(kind) {
    const { editor, stage } = this;
    if (editor.pen) return dropPen(editor);
    stage.promote(kind || editor.penPlane || "top");
    stage.drawNow();
    takePen(editor, stage.main);
    stage.main.canvas.focus({ preventScroll: true });
  }

  /** One press of an arrow key: a draft, made final when the key is let go. */
  nudge([dx, dy, dz], big) {
    const { editor } = this, from = editor.shown, axis = editor.axis;
    if (editor.isEmpty) return editor.say("blank");
    const rotating = editor.tool === "rotate" && editor.selection.kind === "key";
    return editor.attempt(() => {
      if (editor.tool === "scale") return editor.preview(scaledPath(from, (big ? 1.25 : 1.05) ** (dx - dy + dz), editor.pathPivot));
      const size = rotating ? (big ? 10 : 1) * DEG : big ? 0.1 : 0.02;
      let way = rotating ? [-dy, dx, dz] : [dx, dy, dz];
      if (axis !== null) way = mul(axisVector(axis), dx - dy + dz);
      const axes = editor.anchor.axes, vector = axes.reduce((sum, one, i) => add(sum, mul(one, way[i])), [0, 0, 0]);
      return editor.preview(rotating ? editor.turned(from, vector, size) : editor.moved(from, mul(vector, size)));
    });
  }

  settle() {
    const { editor } = this, moved = editor.draft;
    if (moved && !this.stage.dragging) editor.edit(() => moved);
  }

  orbit(dx, dy) {
    const view = this.stage.main;
    if (view.kind === "persp") view.turnBy(dx * 14, dy * 14);
    else view.pan(-dx * 24, -dy * 24);
    this.editor.host.repaint();
  }

  zoom(factor) {
    this.stage.main.zoom(factor);
    this.editor.host.repaint();
  }
}
