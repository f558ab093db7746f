// What one does to whole paths. Every function returns a new document; the cameras go along.

/** Apply `camera => camera` to every keyframe, and `point` and `vector` to what else lies in the world. */
function mapped(doc, { point, turn, vector }) {
  return changed(doc, (d) => {
    for (const key of d.keyframes) {
      key.position = point(key.position);
      key.quaternion_wxyz = qUnit(turn(key.quaternion_wxyz));
      for (const side of ["handle_in", "handle_out"]) if (key[side]) key[side] = vector(key[side]);
    }
    if (d.options.look_at) d.options.look_at = point(d.options.look_at);
  });
}

const same = (value) => value;

const movedPath = (doc, offset) => mapped(doc, { point: (p) => add(p, offset), turn: same, vector: same });

function turnedPath(doc, quaternion, pivot) {
  const turn = rotationFromQuaternion(quaternion);
  return mapped(doc, {
    point: (p) => add(pivot, rotate(turn, sub(p, pivot))),
    turn: (q) => qMul(quaternion, q),
    vector: (v) => rotate(turn, v),
  });
}

/** The target stays where it is: scaling a path brings it nearer to, or further from, its pivot. */
function scaledPath(doc, factor, pivot) {
  if (!(factor > 0 && factor < 1e4)) throw new EditError("error_factor");
  const target = doc.options.look_at;
  const next = mapped(doc, { point: (p) => lerp3(pivot, p, factor), turn: same, vector: (v) => mul(v, factor) });
  next.options.look_at = target;
  return next;
}

/** Across axis 0, 1 or 2 of the world, through a pivot: x is the path of the flipped video. */
function mirroredPath(doc, axis, pivot) {
  const flip = (v) => v.map((value, i) => (i === axis ? -value : value));
  const next = mapped(doc, {
    point: (p) => add(pivot, flip(sub(p, pivot))),
    turn: (q) => [q[0], ...[0, 1, 2].map((i) => (i === axis ? q[i + 1] : -q[i + 1]))],
    vector: flip,
  });
  if (axis < 2) for (const key of next.keyframes) key.roll_deg = -key.roll_deg;
  return next;
}

const flippedEasing = (name) =>
  /-in$/.test(name) ? name.replace(/-in$/, "-out") : /[^n]-out$/.test(name) ? name.replace(/-out$/, "-in") : name;

/** Backwards over the same times; slow starts become slow stops. A loop still starts where it did. */
function reversedPath(doc) {
  return changed(doc, (d) => {
    const old = d.keyframes, n = old.length, closed = d.options.closed && n > 1;
    const order = closed ? old.map((_, i) => (n - i) % n) : [...old.keys()].reverse();
    const start = old[0].time_sec, last = old[n - 1].time_sec, end = start + spanOf(doc);
    if (closed) d.options.closing_sec = old[1].time_sec - start;
    d.keyframes = order.map((from, i) => ({
      ...old[from],
      time_sec: closed ? (i ? start + end - old[from].time_sec : start) : start + last - old[from].time_sec,
      handle_in: old[from].handle_out,
      handle_out: old[from].handle_in,
      tcb: [old[from].tcb[0], old[from].tcb[1], -old[from].tcb[2]],
      // The segment that now starts here is the one that ended here.
      easing: closed || i < n - 1 ? flippedEasing(old[order[(i + 1) % n]].easing) : SMOOTH,
    }));
  });
}

function retimedPath(doc, durationSec) {
  const span = spanOf(doc);
  if (!(durationSec > 0.01 && durationSec < 1e4) || !(span > 0)) throw new EditError("error_duration");
  return changed(doc, (d) => {
    const start = d.keyframes[0].time_sec, k = durationSec / span;
    for (const key of d.keyframes) key.time_sec = start + (key.time_sec - start) * k;
    if (d.options.closing_sec) d.options.closing_sec *= k;
  });
}

/** Times of keyframes by the way between them, or all alike; the duration stays. */
function spacedPath(doc, byDistance) {
  const path = new SplinePath(doc.keyframes, { ...doc.options, closed: false });
  if (path.gap.length < 2) return doc;
  let parts = path.gap.map(() => 1);
  if (byDistance) parts = path.gap.map((gap) => gap * gap);
  const total = parts.reduce((a, b) => a + b, 0), floor = (0.02 * total) / parts.length;
  parts = parts.map((part) => Math.max(part, floor)); // a rest keeps a little time
  const whole = parts.reduce((a, b) => a + b, 0);
  return changed(doc, (d) => {
    const start = d.keyframes[0].time_sec, span = d.keyframes[d.keyframes.length - 1].time_sec - start;
    let reached = 0;
    d.keyframes.forEach((key, i) => {
      key.time_sec = start + (span * reached) / whole;
      reached += parts[i] || 0;
    });
  });
}

/** Set every lens so that things at `point` keep the size they have at keyframe `index`. */
function dollyZoomed(doc, index, point) {
  const depth = (key) => {
    const forward = qRotate(key.quaternion_wxyz, [0, 0, 1]);
    const away = sub(point, key.position);
    return doc.options.look_at ? norm(away) : dot(away, forward);
  };
  const fixed = doc.keyframes[index], size = Math.tan((fixed.hfov_deg * DEG) / 2) * depth(fixed);
  if (!(depth(fixed) > 1e-3)) throw new EditError("error_dolly_zoom", { key: index + 1 });
  return changed(doc, (d) => d.keyframes.forEach((key, i) => {
    const hfov = (2 * Math.atan(size / depth(key))) / DEG;
    if (!(depth(key) > 1e-3) || hfov < 1 || hfov > 170) throw new EditError("error_dolly_zoom", { key: i + 1 });
    if (i !== index) key.hfov_deg = hfov;
  }));
}

/** Write what look-at does into the keyframes' own rotations, and let go of the target. */
function bakedTarget(doc) {
  if (!doc.options.look_at) return doc;
  const path = new SplinePath(doc.keyframes, { ...doc.options, closed: false });
  const cameras = path.at(doc.keyframes.map((_, i) => (i ? [i - 1, 1] : [0, 0])));
  return changed(doc, (d) => {
    d.keyframes.forEach((key, i) => {
      key.quaternion_wxyz = cameras[i].quaternion_wxyz;
      key.roll_deg = 0;
    });
    d.options.look_at = null;
  });
}

/** The point a path turns round: its target, or what lies ahead of its first camera. */
function pivotAhead(doc, depth) {
  if (doc.options.look_at) return doc.options.look_at;
  const key = firstCamera(doc);
  return add(key.position, mul(qRotate(key.quaternion_wxyz, [0, 0, 1]), depth));
}

const centroid = (doc) => mul(doc.keyframes.reduce((sum, key) => add(sum, key.position), [0, 0, 0]), 1 / doc.keyframes.length);

/** Ramer, Douglas and Peucker: the points that a polyline cannot do without. */
function simplified(points, tolerance) {
  if (points.length < 3) return points;
  const first = points[0], last = points[points.length - 1], along = sub(last, first), length = norm(along);
  let worst = 0, at = 0;
  for (let i = 1; i < points.length - 1; i++) {
    const away = sub(points[i], first);
    const part = length > 0 ? clamp(dot(away, along) / length ** 2, 0, 1) : 0;
    const miss = norm(sub(away, mul(along, part)));
    if (miss > worst) [worst, at] = [miss, i];
  }
  if (worst <= tolerance) return [first, last];
  return [...simplified(points.slice(0, at + 1), tolerance).slice(0, -1), ...simplified(points.slice(at), tolerance)];
}

/**
 * A hand-drawn line as keyframes. It is laid to the first camera, since that is where the video
 * starts; cameras keep their heading, look along the line, or face the target.
 */
function drawnPath(doc, stroke, { heading = "keep", depth = 1 } = {}) {
  const way = chordLengths(stroke, (a, b) => norm(sub(b, a))).reduce((a, b) => a + b, 0);
  if (stroke.length < 2 || way < 1e-4) throw new EditError("error_short_stroke");
  let tolerance = 0.012 * way, points = simplified(stroke, tolerance);
  while (points.length > 16) points = simplified(stroke, (tolerance *= 1.4));
  if (points.length < 3) points = [0, 0.5, 1].map((w) => pointAlong(stroke, w * way));
  const first = firstCamera(doc), offset = sub(first.position, points[0]);
  points = points.map((p) => add(p, offset));
  const reached = [0];
  chordLengths(points, (a, b) => norm(sub(b, a))).forEach((part) => reached.push(reached[reached.length - 1] + part));
  const total = reached[reached.length - 1], span = spanOf(doc) || Math.max(1, doc.num_frames - 1) / doc.fps;
  const options = { ...doc.options, position: "catmull-rom", closed: false, closing_sec: null, speed: "constant" };
  options.look_at = heading === "target" ? pivotAhead(doc, depth) : null;
  const turn = headings(points, first.quaternion_wxyz, heading);
  const keyframes = points.map((position, i) =>
    newKey(first.time_sec + (span * reached[i]) / total, { position, quaternion_wxyz: turn[i], hfov_deg: first.hfov_deg }));
  return settled({ ...copyOf(doc), keyframes, options });
}

function pointAlong(line, distance) {
  for (let i = 1; i < line.length; i++) {
    const part = norm(sub(line[i], line[i - 1]));
    if (distance <= part && part > 0) return lerp3(line[i - 1], line[i], distance / part);
    distance -= part;
  }
  return line[line.length - 1];
}

/** Turn the first camera's heading by as much as the line has turned since its start. */
function headings(points, start, heading) {
  if (heading !== "along") return points.map(() => start);
  const ways = points.map((_, i) => unit(sub(points[Math.min(i + 1, points.length - 1)], points[Math.max(i - 1, 0)])));
  let turn = start, before = ways[0];
  return ways.map((way) => {
    const axis = cross(before, way), sine = norm(axis);
    if (sine > 1e-9) turn = qUnit(qMul(qAxis(axis, Math.atan2(sine, dot(before, way))), turn));
    before = way;
    return turn;
  });
}
