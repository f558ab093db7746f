// The timeline: frames, keyframes that can be dragged in time, the playhead, and the speed graph.

const TIMELINE = { pad: 16, ruler: 20, track: 42 };

class Timeline {
  constructor(editor, text) {
    Object.assign(this, { editor, text, drag: null, height: 96 });
    this.canvas = h("canvas", { class: "rap-ed-timeline-canvas", tabindex: 0, role: "slider", "aria-label": text("timeline"), "aria-valuemin": 0 });
    this.readout = h("output", { class: "rap-ed-readout" });
    const on = (name, handler) => this.canvas.addEventListener(name, handler.bind(this));
    on("pointerdown", this.down);
    on("pointermove", this.move);
    on("pointerup", this.up);
    on("pointercancel", () => { this.drag = null; editor.cancelDraft(); });
    on("dblclick", (event) => editor.edit((doc) => insertAt(doc, this.shareAt(event))));
  }

  get inner() { return Math.max(1, this.width - 2 * TIMELINE.pad); }
  x(share) { return TIMELINE.pad + share * this.inner; }

  shareAt(event) {
    const box = this.canvas.getBoundingClientRect();
    return clamp((event.clientX - box.left - TIMELINE.pad) / this.inner, 0, 1);
  }

  down(event) {
    const { editor } = this;
    this.canvas.focus({ preventScroll: true });
    if (editor.isEmpty) return;
    this.canvas.setPointerCapture(event.pointerId);
    const box = this.canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    const reach = event.pointerType === "touch" ? 18 : 9;
    const near = editor.keyShares.map((share, index) => ({ index, away: Math.abs(this.x(share) - x) })).sort((a, b) => a.away - b.away)[0];
    if (y > TIMELINE.ruler - 4 && y < TIMELINE.track + 4 && near && near.away <= reach) {
      editor.select({ kind: "key", index: near.index });
      this.drag = { key: near.index, from: editor.doc, span: spanOf(editor.doc), start: x };
    } else {
      this.drag = { scrub: true };
      editor.setShare(this.shareAt(event));
    }
  }

  move(event) {
    const { editor, drag } = this;
    if (!drag) return;
    if (drag.scrub) return editor.setShare(this.shareAt(event));
    const x = event.clientX - this.canvas.getBoundingClientRect().left;
    if (Math.abs(x - drag.start) < 3 && !editor.draft) return;
    if (drag.from.options.speed === "constant") return editor.say("said_constant_times");
    if (drag.key === 0 || drag.key === drag.from.keyframes.length - 1) return editor.say("said_end_times");
    const time = drag.from.keyframes[0].time_sec + this.shareAt(event) * drag.span;
    editor.attempt(() => editor.preview(withKey(drag.from, drag.key, (key) => { key.time_sec = timeBetween(drag.from, drag.key, time); })));
    editor.share = editor.keyShares[editor.index];
  }

  up() {
    const { editor } = this, moved = editor.draft;
    this.drag = null;
    if (moved) editor.edit(() => moved);
  }

  draw(palette) {
    const { editor, canvas } = this, doc = editor.shown, density = Math.min(2, window.devicePixelRatio || 1);
    const box = canvas.getBoundingClientRect();
    this.width = Math.max(1, box.width);
    const [w, hgt] = [Math.round(this.width * density), Math.round(this.height * density)];
    if (canvas.width !== w || canvas.height !== hgt) Object.assign(canvas, { width: w, height: hgt });
    const c = canvas.getContext("2d", CANVAS);
    c.setTransform(density, 0, 0, density, 0, 0);
    c.clearRect(0, 0, this.width, this.height);
    if (editor.isEmpty) return;
    this.graph(c, palette);
    this.ruler(c, palette, doc);
    this.keys(c, palette);
    this.playhead(c, palette);
    this.describe(doc);
  }

  describe(doc) {
    const seconds = this.editor.share * spanOf(doc), words = this.text("frame_of", {
      frame: this.editor.frame, last: doc.num_frames - 1, seconds: seconds.toFixed(2),
    });
    if (this.readout.textContent !== words) {
      this.readout.textContent = words;
      this.canvas.setAttribute("aria-valuemax", doc.num_frames - 1);
      this.canvas.setAttribute("aria-valuenow", this.editor.frame);
      this.canvas.setAttribute("aria-valuetext", words);
    }
  }

  ruler(c, palette, doc) {
    const last = Math.max(1, doc.num_frames - 1), every = [1, 2, 4, 5, 8, 10, 20, 25, 50, 100, 200].find((n) => (this.inner * n) / last >= 26) || last;
    c.font = `10px ${palette.font}`;
    c.textAlign = "center";
    c.textBaseline = "middle";
    c.lineWidth = 1;
    for (let frame = 0; frame <= last; frame++) {
      const x = Math.round(this.x(frame / last)) + 0.5, major = frame % every === 0;
      if (!major && this.inner / last < 4) continue;
      c.strokeStyle = major ? palette["grid-strong"] : palette.grid;
      strokeLine(c, [x, major ? 15 : 18], [x, this.height]);
      if (major) {
        c.fillStyle = palette["ink-soft"];
        c.fillText(frame, x, 8);
      }
    }
  }

  graph(c, palette) {
    const speeds = this.editor.speeds, top = TIMELINE.track + 6, bottom = this.height - 3;
    if (!speeds) return;
    const plot = (values, highest) => values.map((value, i) => [this.x((i + 0.5) / values.length), bottom - ((bottom - top) * value) / (highest || 1)]);
    const [way, turn] = [Math.max(...speeds.way), Math.max(...speeds.turn)];
    const area = plot(speeds.way, way > 1e-6 ? way : 0), line = plot(speeds.turn, turn > 1e-4 ? turn : 0);
    c.fillStyle = palette.halo;
    c.strokeStyle = palette.accent;
    c.lineWidth = 1.5;
    c.beginPath();
    c.moveTo(this.x(0), area[0][1]);
    area.forEach((p) => c.lineTo(...p));
    c.lineTo(this.x(1), area[area.length - 1][1]);
    c.stroke();
    c.lineTo(this.x(1), bottom);
    c.lineTo(this.x(0), bottom);
    c.fill();
    c.strokeStyle = palette.wave;
    c.setLineDash([4, 3]);
    c.beginPath();
    line.forEach((p, i) => (i ? c.lineTo(...p) : c.moveTo(...p)));
    c.stroke();
    c.setLineDash([]);
  }

  keys(c, palette) {
    const { editor } = this, y = (TIMELINE.ruler + TIMELINE.track) / 2;
    editor.keyShares.forEach((share, i) => {
      const x = this.x(share), chosen = editor.scope === "path" || (editor.selection.kind === "key" && i === editor.index), r = chosen ? 7 : 6;
      c.beginPath();
      c.moveTo(x, y - r);
      c.lineTo(x + r, y);
      c.lineTo(x, y + r);
      c.lineTo(x - r, y);
      c.closePath();
      c.fillStyle = chosen ? palette.accent : palette.time(share);
      c.fill();
      c.lineWidth = 1.5;
      c.strokeStyle = palette.bg;
      c.stroke();
    });
  }

  playhead(c, palette) {
    const x = this.x(this.editor.share);
    c.strokeStyle = c.fillStyle = palette.ink;
    c.lineWidth = 1.4;
    strokeLine(c, [x, 12], [x, this.height]);
    c.beginPath();
    c.moveTo(x - 5, 1);
    c.lineTo(x + 5, 1);
    c.lineTo(x + 5, 8);
    c.lineTo(x, 14);
    c.lineTo(x - 5, 8);
    c.fill();
  }
}

/** Runs the playhead at the path's own pace, round and round. */
class Player {
  constructor(editor) { Object.assign(this, { editor, last: 0 }); }

  toggle() {
    const { editor } = this;
    if (!(spanOf(editor.doc) > 0)) return;
    editor.playing = !editor.playing;
    this.last = performance.now();
    if (editor.playing) requestAnimationFrame((now) => this.tick(now));
    editor.host.repaint();
  }

  tick(now) {
    const { editor } = this;
    if (!editor.playing || !editor.host.alive()) return;
    const share = editor.share + Math.max(0, now - this.last) / 1000 / Math.max(0.05, spanOf(editor.shown));
    this.last = now;
    editor.share = share > 1 ? share % 1 : share;
    editor.host.repaint();
    editor.host.scrubbed();
    requestAnimationFrame((next) => this.tick(next));
  }
}
