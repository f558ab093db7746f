// The editor's state: document, draft while dragging, undo, selection, and what the server confirmed.

const TOOLS = ["move", "rotate", "scale"];
const CURVE_STEPS = 24; // per segment, drawn while dragging

class Editor {
  /** `host` has server, publish(document, confirmation), text(key, values) and repaint(). */
  constructor(host) {
    Object.assign(this, {
      host, doc: emptyDocument(), draft: null, past: [], future: [], confirmed: null, ticket: 0,
      selection: { kind: "key", index: 0 }, tool: "move", axis: null, scope: "key", local: false, snap: false,
      share: 0, playing: false, pen: null, depth: 1, message: null, cache: {}, state: "empty", roundTrips: [],
      heading: "keep",
    });
  }

  /** Without a path there still is a document, one without keyframes: nothing here is ever null. */
  get isEmpty() { return !this.doc.keyframes.length; }
  get shown() { return this.draft || this.doc; }
  get keys() { return this.shown.keyframes; }
  get index() { return clamp(this.selection.index || 0, 0, Math.max(0, this.keys.length - 1)); }
  get key() { return this.keys[this.index]; }
  get frame() { return Math.round(this.share * Math.max(0, this.shown.num_frames - 1)); }

  say(key, values = {}, tone = "note") {
    this.message = { text: this.host.text(key, values), tone };
    this.host.repaint();
  }

  /** Run an edit; what cannot be done is said, and changes nothing. */
  attempt(action) {
    try {
      return action();
    } catch (error) {
      if (!(error instanceof EditError)) throw error;
      this.draft = null;
      this.say(error.key, error.values, "error");
      return null;
    }
  }

  /** Make an edit final: one step of undo, then the server's word on it. */
  commit(next, select) {
    this.draft = null;
    if (!next || JSON.stringify(next) === JSON.stringify(this.doc)) return this.host.repaint();
    this.adopt(next, select, { remember: true });
  }

  /**
   * `edit(doc)` returns a document, or [document, index of the keyframe to select]. Without a path
   * there is nothing to edit, and that is said; only drawing works `fromNothing`.
   */
  edit(edit, { fromNothing = false } = {}) {
    if (this.isEmpty && !fromNothing) {
      this.draft = null;
      return this.say("blank");
    }
    return this.attempt(() => {
      const result = edit(this.doc);
      if (Array.isArray(result)) this.commit(result[0], result[1]);
      else this.commit(result);
      return true;
    });
  }

  /** Take a document as the path. There is no step of undo to having none. */
  adopt(next, select, { remember = false } = {}) {
    if (remember) {
      if (!this.isEmpty) this.past.push(this.doc);
      this.future = [];
    }
    this.doc = next;
    this.message = null;
    if (select !== undefined) this.select({ kind: "key", index: select });
    this.selection.index = this.index;
    if (this.selection.kind === "target" && !next.options.look_at) this.selection.kind = "key";
    this.host.repaint();
    return this.confirm();
  }

  preview(next) {
    this.draft = next;
    this.host.repaint();
  }

  /** While a drag lasts; a draft that makes no path is shown all the same. */
  cancelDraft() {
    this.draft = null;
    this.host.repaint();
  }

  undo() { this.step(this.past, this.future, "said_undo", "said_nothing_to_undo"); }
  redo() { this.step(this.future, this.past, "said_redo", "said_nothing_to_redo"); }

  step(from, to, done, none) {
    if (this.draft) return this.cancelDraft();
    if (!from.length) return this.say(none);
    to.push(this.doc);
    this.adopt(from.pop());
    this.say(done, { left: from.length });
  }

  /** A document that comes from outside: undoable, and confirmed like any other. */
  load(document) {
    if (!isDocument(document)) return;
    this.selection = { kind: "key", index: 0 };
    this.share = 0;
    this.adopt(copyOf(document), 0, { remember: true });
  }

  /** Back to no path. There is no undo: what was edited belongs to a video that is gone. */
  clear() {
    this.ticket++; // an answer under way is about the old path
    Object.assign(this, {
      doc: emptyDocument(), draft: null, past: [], future: [], confirmed: null, selection: { kind: "key", index: 0 },
      share: 0, playing: false, pen: null, message: null, state: "empty",
    });
    this.host.repaint();
  }

  async confirm() {
    const ticket = ++this.ticket, document = this.doc, begun = performance.now();
    this.state = "waiting";
    let answer = null;
    try {
      answer = await this.host.server.confirm(document);
    } catch (error) {
      answer = null; // no network, or the server is gone: said below
    }
    if (ticket !== this.ticket) return;
    this.state = !answer ? "lost" : answer.ok ? "confirmed" : "refused";
    if (answer && answer.ok) {
      this.roundTrips.push(performance.now() - begun);
      this.confirmed = { ...answer, document, key: JSON.stringify(document) };
      this.cache = {};
      this.host.publish(document, this.confirmed);
    } else this.message = { text: answer ? answer.message : this.host.text("status_lost"), tone: "error" };
    this.host.repaint();
  }

  /** Whether what is shown is the path that the server confirmed. */
  get isConfirmed() {
    return !this.draft && !!this.confirmed && this.confirmed.document === this.doc;
  }

  remembered(name, make) {
    const shown = this.shown;
    if (this.cache.shown !== shown) this.cache = { shown };
    if (!(name in this.cache)) this.cache[name] = make();
    return this.cache[name];
  }

  /** The curve as this page works it out; null where the keyframes make no path, or there are none. */
  get path() {
    return this.remembered("path", () => {
      if (!this.keys.length) return null;
      try {
        return new SplinePath(this.shown.keyframes, this.shown.options);
      } catch (error) {
        if (error instanceof EditError) return null;
        throw error;
      }
    });
  }

  quietly(make, otherwise) {
    try {
      return this.path ? make() : otherwise;
    } catch (error) {
      if (error instanceof EditError) return otherwise;
      throw error;
    }
  }

  /** The frames the model gets: the server's own numbers once it has confirmed them. */
  get frames() {
    return this.remembered("frames", () => {
      if (this.isConfirmed) return this.confirmed.frames;
      return this.quietly(() => this.path.frames(this.shown.num_frames), this.keys);
    });
  }

  /** Points to draw the curve with. */
  get curve() {
    return this.remembered("curve", () => {
      if (this.isConfirmed) return this.confirmed.curve;
      if (!this.path || this.keys.length < 2) return this.keys.map((key) => key.position);
      const points = [];
      this.path.gap.forEach((_, segment) => {
        for (let i = segment ? 1 : 0; i <= CURVE_STEPS; i++) points.push(this.path.centreAt(segment, i / CURVE_STEPS));
      });
      return points;
    });
  }

  /** The camera at the playhead; between frames too, for playing. */
  get camera() {
    return this.quietly(() => this.path.at(this.path.places([this.share]))[0], this.key || ORIGIN);
  }

  /** Speed of the centre (scene units per second) and turn rate (degrees per second) along the path. */
  get speeds() {
    return this.remembered("speeds", () => this.quietly(() => {
      const span = spanOf(this.shown), count = 97;
      if (!(span > 0)) return null;
      const cameras = this.path.frames(count), dt = span / (count - 1);
      const pairs = cameras.slice(1).map((camera, i) => [cameras[i], camera]);
      return {
        way: pairs.map(([a, b]) => norm(sub(b.position, a.position)) / dt),
        turn: pairs.map(([a, b]) => qAngle(a.quaternion_wxyz, b.quaternion_wxyz) / DEG / dt),
      };
    }, null));
  }

  get keyShares() {
    return this.remembered("keyShares", () =>
      this.quietly(() => this.keys.map((_, i) => shareOfKey(this.shown, i)), this.keys.map(() => 0)));
  }

  /** How far the path reaches, for sizes on screen: never less than a fifth of the scene's depth. */
  get reach() {
    const points = this.doc.keyframes.map((key) => key.position);
    return Math.max(0.2 * SUBJECT_DEPTH, ...points.map((p) => norm(sub(p, points[0]))));
  }

  select(selection) {
    this.selection = selection;
    if (selection.kind === "key") this.share = this.keyShares[this.index] || 0;
    this.host.repaint();
    this.host.scrubbed();
  }

  setShare(share) {
    this.share = clamp(share, 0, 1);
    const near = this.keyShares.findIndex((one) => Math.abs(one - this.share) < 1e-4);
    if (near >= 0 && this.selection.kind === "key") this.selection = { kind: "key", index: near };
    this.host.repaint();
    this.host.scrubbed();
  }

  /** Whether the playhead is at the selected keyframe: what the camera view can turn and move. */
  get isAtKey() { return !!this.key && Math.abs((this.keyShares[this.index] || 0) - this.share) < 1e-4; }

  stepFrame(step) {
    const last = Math.max(1, this.shown.num_frames - 1);
    this.setShare(clamp(Math.round(this.share * last) + step, 0, last) / last);
  }

  selectStep(step) {
    if (this.isEmpty) return this.say("blank");
    this.select({ kind: "key", index: clamp(this.index + step, 0, this.keys.length - 1) });
    return this.say("said_key", { key: this.index + 1, count: this.keys.length });
  }

  /** The point a gizmo sits at, and the axes it has; null where there is nothing to hold. */
  get anchor() {
    const { shown, selection } = this;
    if (this.isEmpty) return null;
    if (this.scope === "path") return { point: this.pathPivot, axes: [0, 1, 2].map(axisVector), kind: "path" };
    if (selection.kind === "target" && shown.options.look_at) {
      return { point: shown.options.look_at, axes: [0, 1, 2].map(axisVector), kind: "target" };
    }
    const key = this.key;
    if (selection.kind === "handle" && key[selection.side]) {
      return { point: add(key.position, key[selection.side]), axes: [0, 1, 2].map(axisVector), kind: "handle" };
    }
    const turn = rotationFromQuaternion(key.quaternion_wxyz);
    const axes = [0, 1, 2].map((i) => (this.local ? column(turn, i) : axisVector(i)));
    return { point: key.position, axes, kind: "key" };
  }

  /** Whole paths turn and scale about their first camera: the video starts there. */
  get pathPivot() { return firstCamera(this.shown).position; }

  /** Move what is selected by a vector of the world; `from` is the document before the drag. */
  moved(from, offset) {
    const { kind, index, side } = this.selection;
    if (this.scope === "path") return movedPath(from, offset);
    if (kind === "target") return changed(from, (d) => { d.options.look_at = add(d.options.look_at, offset); });
    if (kind === "handle") {
      return withKey(from, index, (key) => {
        key[side] = add(key[side], offset);
        const other = side === "handle_in" ? "handle_out" : "handle_in";
        if (key[other]) key[other] = mul(unit(key[side]), -norm(key[other])); // handles stay in line
      });
    }
    return withKey(from, this.index, (key) => { key.position = add(key.position, offset); });
  }

  turned(from, axis, rad) {
    const turn = qAxis(axis, rad);
    if (this.scope === "path") return turnedPath(from, turn, from.keyframes[0].position);
    return withKey(from, this.index, (key) => {
      if (from.options.look_at) { // the target aims the camera: what is left to turn is the roll
        key.roll_deg += (rad / DEG) * Math.sign(dot(axis, qRotate(this.camera.quaternion_wxyz, [0, 0, 1])) || 1);
      } else key.quaternion_wxyz = qUnit(qMul(turn, key.quaternion_wxyz));
    });
  }
}
