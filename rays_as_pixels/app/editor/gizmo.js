// The handles on what is selected: arrows to move, rings to turn, a frame to scale; and their drags.

const SNAP_UNITS = 0.05, SNAP_DEG = 5;

const gizmoSize = (view) => clamp(0.17 * Math.min(view.width, view.height), 34, 66);

/** Axes that are seen from the side enough to be dragged along. */
const axisTips = (view, anchor) => {
  const length = gizmoSize(view) / view.pixelsPerUnit(anchor.point), centre = view.project(anchor.point);
  return anchor.axes.map((axis) => {
    const tip = view.project(add(anchor.point, mul(axis, length)));
    return tip && Math.hypot(tip[0] - centre[0], tip[1] - centre[1]) > 9 ? tip : null;
  });
};

/** The half of a ring that faces the eye, in pixels. */
function ringPoints(view, anchor, axis) {
  const radius = (0.92 * gizmoSize(view)) / view.pixelsPerUnit(anchor.point);
  const helper = Math.abs(axis[0]) < 0.8 ? [1, 0, 0] : [0, 1, 0];
  const u = unit(cross(axis, helper)), v = cross(axis, u), towards = column(view.turn, 2);
  const facing = Math.abs(dot(axis, towards)) > 0.97, points = [];
  for (let i = 0; i <= 48; i++) {
    const angle = (i / 48) * 2 * Math.PI, out = add(mul(u, Math.cos(angle)), mul(v, Math.sin(angle)));
    const hidden = !facing && dot(out, towards) > 0.05;
    points.push(hidden ? null : view.project(add(anchor.point, mul(out, radius))));
  }
  return points;
}

function drawGizmo(c, view, editor, palette) {
  const anchor = editor.anchor;
  const centre = anchor && view.project(anchor.point);
  if (!centre || editor.pen) return;
  const hot = editor.hot && editor.hot.view === view ? editor.hot : {};
  const tool = anchor.kind === "target" || anchor.kind === "handle" ? "move" : editor.tool;
  c.font = `500 10px ${palette.font}`;
  c.textAlign = "center";
  c.textBaseline = "middle";
  anchor.axes.forEach((axis, i) => {
    c.strokeStyle = c.fillStyle = palette.axes[i];
    c.globalAlpha = editor.axis === null || editor.axis === i ? 1 : 0.25;
    c.lineWidth = hot.axis === i ? 4 : 2.2;
    if (tool === "rotate") drawRing(c, ringPoints(view, anchor, axis));
  });
  if (tool !== "rotate") drawArrows(c, view, anchor, editor, { palette, hot, tool, centre });
  c.globalAlpha = 1;
  if (tool === "scale") {
    c.strokeStyle = palette.accent;
    c.lineWidth = hot.part === "scale" ? 3 : 1.5;
    c.setLineDash([4, 3]);
    c.beginPath();
    c.arc(...centre, gizmoSize(view) * 1.12, 0, 2 * Math.PI);
    c.stroke();
    c.setLineDash([]);
  }
}

function drawRing(c, points) {
  c.beginPath();
  points.forEach((p, i) => { if (p) points[i - 1] ? c.lineTo(...p) : c.moveTo(...p); });
  c.stroke();
}

function drawArrows(c, view, anchor, editor, { palette, hot, tool, centre }) {
  axisTips(view, anchor).forEach((tip, i) => {
    if (!tip) return;
    c.strokeStyle = c.fillStyle = palette.axes[i];
    c.globalAlpha = editor.axis === null || editor.axis === i ? 1 : 0.25;
    c.lineWidth = hot.axis === i ? 4 : 2.2;
    const way = unit([tip[0] - centre[0], tip[1] - centre[1], 0]);
    strokeLine(c, [centre[0] + 9 * way[0], centre[1] + 9 * way[1]], tip);
    c.beginPath();
    if (tool === "scale") c.rect(tip[0] - 4, tip[1] - 4, 8, 8);
    else {
      c.moveTo(tip[0] + 8 * way[0], tip[1] + 8 * way[1]);
      c.lineTo(tip[0] - 4 * way[1], tip[1] + 4 * way[0]);
      c.lineTo(tip[0] + 4 * way[1], tip[1] - 4 * way[0]);
    }
    c.fill();
    c.fillText("XYZ"[i], tip[0] + 16 * way[0], tip[1] + 16 * way[1]);
  });
}

function nearSegment([x, y], a, b) {
  const dx = b[0] - a[0], dy = b[1] - a[1], length2 = dx * dx + dy * dy;
  const part = length2 > 0 ? clamp(((x - a[0]) * dx + (y - a[1]) * dy) / length2, 0, 1) : 0;
  return [Math.hypot(x - a[0] - part * dx, y - a[1] - part * dy), part];
}

/** Which part of the gizmo is within `reach` pixels. */
function hitGizmo(view, editor, pixel, reach) {
  const anchor = editor.anchor, centre = anchor && view.kind !== "camera" && view.project(anchor.point);
  if (!centre) return null;
  const tool = anchor.kind === "target" || anchor.kind === "handle" ? "move" : editor.tool;
  const found = [];
  if (tool === "rotate") {
    anchor.axes.forEach((axis, i) => {
      const points = ringPoints(view, anchor, axis);
      for (let j = 1; j < points.length; j++) {
        const [a, b] = [points[j - 1], points[j]];
        if (a && b) found.push({ part: "ring", axis: i, away: nearSegment(pixel, a, b)[0], along: [b[0] - a[0], b[1] - a[1]], arc: (2 * Math.PI) / 48 });
      }
    });
  } else {
    const away = Math.hypot(pixel[0] - centre[0], pixel[1] - centre[1]);
    if (tool === "scale") found.push({ part: "scale", away: Math.abs(away - gizmoSize(view) * 1.12) });
    axisTips(view, anchor).forEach((tip, i) => {
      if (!tip) return;
      const way = unit([tip[0] - centre[0], tip[1] - centre[1], 0]);
      const from = [centre[0] + 11 * way[0], centre[1] + 11 * way[1]], to = [tip[0] + 8 * way[0], tip[1] + 8 * way[1]];
      found.push({ part: tool === "scale" ? "scale" : "axis", axis: i, away: nearSegment(pixel, from, to)[0] });
    });
    found.push({ part: tool === "scale" ? "scale" : "free", away: away - 2 });
  }
  found.sort((a, b) => a.away - b.away);
  return found[0] && found[0].away <= reach ? { ...found[0], view } : null;
}

/** A drag of the gizmo: `to(pixel, fine)` returns the document as it is with the pointer there. */
class GizmoDrag {
  constructor(editor, view, hit, pixel) {
    Object.assign(this, { editor, view, hit, pixel, from: editor.doc, anchor: editor.anchor });
    this.centre = view.project(this.anchor.point);
    const locked = editor.axis !== null && ["free", "axis"].includes(hit.part) ? editor.axis : hit.axis;
    this.axis = locked === undefined ? null : this.anchor.axes[locked];
    if (this.axis && hit.part !== "ring") this.start = view.alongAxis(pixel, this.anchor.point, this.axis);
    else this.start = view.facing(pixel, this.anchor.point);
  }

  to(pixel) {
    const { hit } = this;
    if (hit.part === "ring") return this.turnTo(pixel);
    if (hit.part === "scale") return this.scaleTo(pixel);
    return this.moveTo(pixel);
  }

  moveTo(pixel) {
    const { editor, view, anchor } = this;
    const step = (value) => (editor.snap ? Math.round(value / SNAP_UNITS) * SNAP_UNITS : value);
    if (this.axis) {
      const along = view.alongAxis(pixel, anchor.point, this.axis);
      if (along === null || this.start === null) return this.from;
      return editor.moved(this.from, mul(this.axis, step(along - this.start)));
    }
    const at = view.facing(pixel, anchor.point);
    if (!at || !this.start) return this.from;
    return editor.moved(this.from, sub(at, this.start).map(step));
  }

  /** The ring follows the pointer along its own tangent, whatever side it is seen from. */
  turnTo(pixel) {
    const { hit, editor } = this, length = Math.hypot(...hit.along) || 1;
    let rad = (((pixel[0] - this.pixel[0]) * hit.along[0] + (pixel[1] - this.pixel[1]) * hit.along[1]) / length / length) * hit.arc;
    if (editor.snap) rad = Math.round(rad / DEG / SNAP_DEG) * SNAP_DEG * DEG;
    return editor.turned(this.from, this.axis, rad);
  }

  scaleTo(pixel) {
    const away = (p) => Math.max(4, Math.hypot(p[0] - this.centre[0], p[1] - this.centre[1]));
    let factor = away(pixel) / Math.max(16, away(this.pixel));
    if (this.editor.snap) factor = Math.max(0.1, Math.round(factor * 10) / 10);
    return scaledPath(this.from, factor, this.editor.pathPivot);
  }
}
