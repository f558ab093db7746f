// Vectors are arrays [x, y, z], quaternions [w, x, y, z], rotations rows of a 3x3 flattened to 9.
// Axes are OpenCV's: +X right, +Y down, +Z forward. `worldFromCam` names what maps what.

const DEG = Math.PI / 180;

const add = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
const sub = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const mul = (a, k) => [a[0] * k, a[1] * k, a[2] * k];
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const norm = (a) => Math.hypot(a[0], a[1], a[2]);
const lerp3 = (a, b, w) => [a[0] + (b[0] - a[0]) * w, a[1] + (b[1] - a[1]) * w, a[2] + (b[2] - a[2]) * w];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const unit = (a) => { const n = norm(a); return n > 0 ? mul(a, 1 / n) : [0, 0, 0]; };
const clamp = (v, low, high) => Math.min(high, Math.max(low, v));
const axisVector = (i) => [+(i === 0), +(i === 1), +(i === 2)];

const qMul = (a, b) => [
  a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
  a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
  a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
  a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0],
];
const qConj = (q) => [q[0], -q[1], -q[2], -q[3]];
const qDot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3];
const qUnit = (q) => { const n = Math.hypot(...q); return q.map((v) => v / n); };

/** Axis times half the angle. */
function qLog(q) {
  const sine = Math.hypot(q[1], q[2], q[3]);
  const k = sine < 1e-12 ? 1 : Math.atan2(sine, q[0]) / sine;
  return [q[1] * k, q[2] * k, q[3] * k];
}

/** The quaternion that turns by 2 |v| about v. */
function qExp(v) {
  const angle = norm(v);
  const k = angle < 1e-12 ? 1 : Math.sin(angle) / angle;
  return [Math.cos(angle), v[0] * k, v[1] * k, v[2] * k];
}

const qAxis = (axis, rad) => qExp(mul(unit(axis), rad / 2));
const qSlerp = (a, b, w) => qMul(a, qExp(mul(qLog(qMul(qConj(a), b)), w)));
const qSquad = (a, b, s, t, w) => qSlerp(qSlerp(a, b, w), qSlerp(s, t, w), 2 * w * (1 - w));

/** Flip signs so that neighbours lie within a right angle of each other in 4D. */
function qContinuous(list) {
  const out = [];
  for (const q of list) {
    const before = out[out.length - 1];
    out.push(before && qDot(before, q) < 0 ? q.map((v) => -v) : q.slice());
  }
  return out;
}

function rotationFromQuaternion(quaternion) {
  const [w, x, y, z] = qUnit(quaternion);
  return [
    1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
    2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
    2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
  ];
}

/** With w >= 0; read off the largest component, so that nothing divides by a small number. */
function quaternionFromRotation(m) {
  const rows = [
    [1 + m[0] + m[4] + m[8], m[7] - m[5], m[2] - m[6], m[3] - m[1]],
    [m[7] - m[5], 1 + m[0] - m[4] - m[8], m[1] + m[3], m[2] + m[6]],
    [m[2] - m[6], m[1] + m[3], 1 - m[0] + m[4] - m[8], m[5] + m[7]],
    [m[3] - m[1], m[2] + m[6], m[5] + m[7], 1 - m[0] - m[4] + m[8]],
  ];
  let best = 0;
  for (let i = 1; i < 4; i++) if (rows[i][i] > rows[best][best]) best = i;
  const q = qUnit(rows[best]);
  return q[0] < 0 ? q.map((v) => -v) : q;
}

const rotate = (m, v) => [dot(m.slice(0, 3), v), dot(m.slice(3, 6), v), dot(m.slice(6, 9), v)];
const unrotate = (m, v) => [
  m[0] * v[0] + m[3] * v[1] + m[6] * v[2],
  m[1] * v[0] + m[4] * v[1] + m[7] * v[2],
  m[2] * v[0] + m[5] * v[1] + m[8] * v[2],
];
const column = (m, i) => [m[i], m[i + 3], m[i + 6]];
const fromColumns = (x, y, z) => [x[0], y[0], z[0], x[1], y[1], z[1], x[2], y[2], z[2]];
const qRotate = (q, v) => rotate(rotationFromQuaternion(q), v);

/** Angle between two unit quaternions, 0 to pi, exact for tiny turns. */
function qAngle(a, b) {
  const step = qMul(qConj(a), b);
  return 2 * Math.atan2(Math.hypot(step[1], step[2], step[3]), Math.abs(step[0]));
}

/** R = Ry(yaw) Rx(pitch) Rz(roll): yaw looks right, pitch up, roll leans clockwise; degrees. */
const quaternionFromAngles = ([yaw, pitch, roll]) =>
  qMul(qMul(qAxis([0, 1, 0], yaw * DEG), qAxis([1, 0, 0], pitch * DEG)), qAxis([0, 0, 1], roll * DEG));

/** Inverse of `quaternionFromAngles`; straight up or down the roll is called 0. */
function anglesFromQuaternion(q) {
  const m = rotationFromQuaternion(q);
  const sine = clamp(-m[5], -1, 1);
  if (Math.abs(sine) > 1 - 1e-9) return [Math.atan2(-m[6], m[0]) / DEG, Math.sign(sine) * 90, 0];
  return [Math.atan2(m[2], m[8]) / DEG, Math.asin(sine) / DEG, Math.atan2(m[3], m[4]) / DEG];
}

const POLE_SINE = 1e-4; // nearer to the vertical than this, "upright" means nothing

/** Face a point and stay upright; near the vertical keep the right-hand axis of `before`. */
function lookAtRotation(centre, target, before) {
  const offset = sub(target, centre);
  if (norm(offset) < 1e-9) throw new EditError("error_target_on_path");
  const forward = unit(offset);
  const crossed = cross([0, 1, 0], forward);
  let right = unit(crossed);
  if (norm(crossed) < POLE_SINE) {
    const kept = before || [1, 0, 0];
    right = unit(sub(kept, mul(forward, dot(kept, forward))));
  }
  return fromColumns(right, cross(forward, right), forward);
}

/** Something the user asked for that cannot be; `key` names its sentence in the text. */
class EditError extends Error {
  constructor(key, values = {}) {
    super(key);
    this.key = key;
    this.values = values;
  }
}
