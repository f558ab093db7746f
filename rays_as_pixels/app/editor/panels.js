// The tabs below the timeline: where a path comes from, its keyframes, its curve, the whole of it, its lens.

function buildTabs(controls, panels, start) {
  const list = h("div", { class: "rap-ed-tabs", role: "tablist", "aria-label": controls.text("panels") });
  const bodies = h("div", { class: "rap-ed-bodies" }), serial = Math.random().toString(36).slice(2, 8);
  const tabs = panels.map(([name, body], i) => {
    const id = `rap-ed-${serial}-${name}`;
    const tab = h("button", { type: "button", role: "tab", id: `${id}-tab`, "aria-controls": id, "data-tab": name, onclick: () => show(i) }, controls.text(`tab_${name}`));
    const panel = h("div", { role: "tabpanel", id, "aria-labelledby": `${id}-tab`, class: `rap-ed-panel is-${name}` }, ...body);
    list.append(tab);
    bodies.append(panel);
    return { name, tab, panel };
  });
  function show(index) {
    tabs.forEach(({ tab, panel }, i) => {
      tab.setAttribute("aria-selected", String(i === index));
      tab.tabIndex = i === index ? 0 : -1;
      panel.hidden = i !== index;
    });
  }
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const next = (tabs.findIndex(({ tab }) => tab === document.activeElement) + step + tabs.length) % tabs.length;
    show(next);
    tabs[next].tab.focus();
  });
  show(start);
  controls.updates.push(() => tabs.forEach(({ name, panel }) => { panel.inert = name !== "start" && controls.editor.isEmpty; }));
  return { element: h("div", { class: "rap-ed-inspector" }, list, bodies), showNamed: (name) => show(tabs.findIndex((tab) => tab.name === name)) };
}

const section = (controls, name, ...children) => h("section", { class: "rap-ed-section" }, h("h4", {}, controls.text(name)), ...children);
const line = (...children) => h("div", { class: "rap-ed-line" }, ...children);

function startPanel(controls, commands, editor, host) {
  const { text } = controls, sources = line();
  const list = () => (host.sources() || []).filter((source) => isDocument(source.document));
  let shown = "";
  controls.updates.push(() => {
    const found = list(), key = found.map((source) => source.label).join("|");
    if (key === shown) return;
    shown = key;
    sources.replaceChildren(...found.map((source, i) => h("button", { type: "button", class: `rap-ed-button ${i ? "" : "is-primary"}`, "data-source": source.name, onclick: () => commands.start(list()[i].document) }, source.label)));
  });
  const empty = controls.note("no_sources");
  controls.updates.push(() => { empty.hidden = list().length > 0; });
  const wish = { name: "", amount: 0, depth: 1 }, presets = host.presets();
  const named = () => presets.find((preset) => preset.name === wish.name);
  const label = (preset) => { const words = text(`preset_${preset.name}`); return words === `preset_${preset.name}` ? preset.label : words; };
  const choose = (name) => { wish.name = name; wish.amount = named().amount; };
  if (presets.length) choose(presets[0].name);
  const unit = () => (named() && named().unit === "deg" ? "deg" : "units");
  const amount = controls.number("amount", { get: () => wish.amount, set: (value) => { wish.amount = value; }, step: 0.1, unit });
  const about = h("p", { class: "rap-ed-note" });
  controls.updates.push(() => { about.textContent = named() ? (text(`about_${wish.name}`) === `about_${wish.name}` ? named().description : text(`about_${wish.name}`)) : ""; });
  const preset = section(controls, "from_preset",
    line(controls.select("preset", presets.map((one) => [one.name, label(one)]), () => wish.name, (name) => { choose(name); host.repaint(); }), amount,
      controls.number("subject_distance", { get: () => wish.depth, set: (value) => { wish.depth = value; }, unit: "units", min: 0.01 }),
      controls.button({ name: "use_preset", action: () => commands.preset(wish), kind: "is-primary" })), about);
  const planes = controls.choice("plane", PEN_PLANES.map((plane) => ({ name: `view_${plane}`, value: plane })), () => editor.penPlane, (plane) => { editor.penPlane = plane; host.repaint(); });
  const heading = controls.select("heading", ["keep", "along", "target"].map((name) => [name, text(`heading_${name}`)]), () => editor.heading, (name) => { editor.heading = name; });
  const draw = section(controls, "draw_path", line(h("div", { class: "rap-ed-field" }, h("span", {}, text("plane")), planes), heading,
    controls.button({ name: "draw", icon: "pen", word: true, action: () => commands.takePen(editor.penPlane) })), controls.note("draw_note"));
  return [section(controls, "from_path", sources, empty), preset, draw];
}

function curvePanel(controls, commands, editor) {
  const { text } = controls, option = (name) => () => editor.shown.options[name];
  const shape = section(controls, "shape", line(
    controls.select("spline", POSITIONS.map((name) => [name, text(`spline_${name}`)]), option("position"), (value) => commands.option("position", value)),
    controls.select("turning", ROTATIONS.map((name) => [name, text(`turning_${name}`)]), option("rotation"), (value) => commands.option("rotation", value)),
    controls.toggle("loop", option("closed"), () => commands.toggleLoop(), "L"),
    controls.number("closing", { get: () => (editor.shown.options.closed ? editor.shown.options.closing_sec || spanOf(editor.shown) - openSpan(editor.shown) : null), set: (value) => { if (!(value > 0.01)) throw new EditError("error_duration"); commands.option("closing_sec", value); }, unit: "sec", step: 0.1 })));
  const tcb = line(...["tension", "continuity", "bias"].map((name, i) => controls.number(name, {
    get: () => (editor.key && editor.shown.options.position === "tcb" ? editor.key.tcb[i] : null), step: 0.1, min: -1, max: 1,
    set: (value) => { if (Math.abs(value) > 1) throw new EditError("error_tcb"); editor.edit((doc) => withKey(doc, editor.index, (key) => { key.tcb[i] = value; })); },
  })));
  const bezier = h("div", {}, ...["handle_in", "handle_out"].map((side) => line(h("span", { class: "rap-ed-line-name" }, text(side)), ...[0, 1, 2].map((i) => controls.number("xyz"[i], {
    get: () => (editor.key && editor.key[side] ? editor.key[side][i] : null), step: 0.02, unit: "unit",
    set: (value) => editor.edit((doc) => withKey(doc, editor.index, (key) => { key[side][i] = value; })),
  })))), line(controls.button({ name: "handles_make", action: () => commands.makeHandles() }), controls.button({ name: "handles_auto", action: () => commands.dropHandles() })));
  const shaped = section(controls, "shape_of_key", tcb, bezier);
  controls.updates.push(() => {
    const kind = editor.shown.options.position;
    shaped.hidden = !["tcb", "bezier"].includes(kind);
    tcb.hidden = kind !== "tcb";
    bezier.hidden = kind !== "bezier";
  });
  const speed = section(controls, "speed", line(
    controls.toggle("constant_speed", () => option("speed")() === "constant", () => commands.toggleSpeed(), "K"),
    controls.button({ name: "times_even", action: () => commands.space(false) }), controls.button({ name: "times_by_distance", action: () => commands.space(true) })), controls.note("speed_note"));
  return [shape, shaped, speed];
}

const openSpan = (doc) => doc.keyframes[doc.keyframes.length - 1].time_sec - doc.keyframes[0].time_sec;

function pathPanel(controls, commands, editor, host) {
  const { text } = controls, set = commands.settings, none = () => editor.isEmpty;
  const apply = (name, action) => controls.button({ name, action, disabled: none });
  const move = line(...[0, 1, 2].map((i) => controls.number("xyz"[i], { get: () => set.moved[i], set: (value) => { set.moved = set.moved.map((old, j) => (j === i ? value : old)); }, unit: "unit" })), apply("move_all", () => commands.moveAll()));
  const turn = line(controls.select("axis_of_turn", [0, 1, 2].map((i) => [i, text(`axis_${"xyz"[i]}`)]), () => set.axis, (value) => { set.axis = Number(value); }), controls.number("angle", { get: () => set.angle, set: (value) => { set.angle = value; }, unit: "deg", step: 5 }), apply("rotate_all", () => commands.turnAll()));
  const scale = line(controls.number("factor", { get: () => set.factor, set: (value) => { if (!(value > 0)) throw new EditError("error_factor"); set.factor = value; }, step: 0.05, min: 0.01 }), apply("scale_all", () => commands.scaleAll()));
  const flip = line(apply("reverse", () => commands.reverse()), ...[0, 1, 2].map((i) => apply(`mirror_${"xyz"[i]}`, () => commands.mirror(i))));
  const smooth = line(controls.number("strength", { get: () => set.strength, set: (value) => { if (value < 0 || value > 1) throw new EditError("error_strength"); set.strength = value; }, step: 0.1, min: 0, max: 1 }), apply("smooth", () => commands.smooth()));
  const counts = host.frameCounts();
  const frames = counts.length
    ? controls.select("frames", counts.map((count) => [count, String(count)]), () => editor.shown.num_frames, (value) => commands.setFrames(Number(value)))
    : controls.number("frames", { get: () => editor.shown.num_frames, set: (value) => { if (!Number.isInteger(value) || value < 2 || value > 1000) throw new EditError("error_frames"); commands.setFrames(value); }, step: 1, min: 2, max: 1000 });
  const time = line(frames, controls.number("duration", { get: () => (spanOf(editor.shown) > 0 ? spanOf(editor.shown) : null), set: (value) => editor.edit((doc) => retimedPath(doc, value)), unit: "sec", step: 0.1 }), controls.number("fps", { get: () => editor.shown.fps, set: (value) => editor.edit((doc) => retimedPath(doc, (doc.num_frames - 1) / value)), step: 1, digits: 2 }));
  return [section(controls, "place_and_size", move, turn, scale, controls.note("pivot_note")), section(controls, "form", flip, smooth), section(controls, "timing", time)];
}

function lensPanel(controls, commands, editor) {
  const mm = (hfov) => 18 / Math.tan((hfov * DEG) / 2);
  const setLens = (hfov) => {
    if (!(hfov >= 1 && hfov <= 170)) throw new EditError("error_hfov");
    editor.edit((doc) => withKey(doc, editor.index, (key) => { key.hfov_deg = hfov; }));
  };
  const lens = section(controls, "lens_of_key", line(
    controls.number("hfov", { get: () => (editor.key ? editor.key.hfov_deg : null), set: setLens, unit: "deg", step: 1, digits: 2 }),
    controls.number("focal_mm", { get: () => (editor.key ? mm(editor.key.hfov_deg) : null), set: (value) => setLens((2 * Math.atan(18 / value)) / DEG), unit: "mm", step: 1, digits: 1 }),
    controls.button({ name: "lens_for_all", action: () => commands.lensForAll() })));
  const dolly = section(controls, "dolly_zoom", line(controls.button({ name: "dolly_zoom_apply", action: () => commands.dollyZoom() })), controls.note("dolly_zoom_note"));
  const aim = (i) => controls.number("xyz"[i], {
    get: () => (editor.shown.options.look_at ? editor.shown.options.look_at[i] : null), unit: "unit", step: 0.05,
    set: (value) => editor.edit((doc) => changed(doc, (d) => { d.options.look_at[i] = value; })),
  });
  const target = section(controls, "target", line(controls.toggle("look_at", () => editor.shown.options.look_at, () => commands.toggleTarget(), "T")),
    line(aim(0), aim(1), aim(2)),
    line(controls.button({ name: "target_select", action: () => commands.selectTarget(), disabled: () => !editor.shown.options.look_at }), controls.button({ name: "target_bake", action: () => commands.bake(), disabled: () => !editor.shown.options.look_at })), controls.note("target_note"));
  return [lens, target, dolly];
}
