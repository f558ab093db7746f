// Keyframes to a path. Repeats trajectories/splines.py and curves.py line by line; both are tested
// against tests/trajectories/golden_splines.json. Python decides: this is for drawing while dragging.

const bothEnds = (easeIn) => (t) => (t < 0.5 ? easeIn(2 * t) / 2 : 1 - easeIn(2 - 2 * t) / 2);
const mirrored = (easeIn) => (t) => 1 - easeIn(1 - t);
const sineIn = (t) => 2 * Math.sin((t * Math.PI) / 4) ** 2;
const quadIn = (t) => t ** 2;
const cubicIn = (t) => t ** 3;

const EASINGS = {
  "linear": (t) => t,
  "hold": (t) => (t >= 1 ? 1 : 0),
  "sine-in": sineIn,
  "sine-out": mirrored(sineIn),
  "sine-in-out": bothEnds(sineIn),
  "quad-in": quadIn,
  "quad-out": mirrored(quadIn),
  "quad-in-out": bothEnds(quadIn),
  "cubic-in": cubicIn,
  "cubic-out": mirrored(cubicIn),
  "cubic-in-out": bothEnds(cubicIn),
  "smoother": (t) => t ** 3 * (10 - 15 * t + 6 * t ** 2),
};
const SMOOTH = "smooth";
const POSITIONS = ["catmull-rom", "linear", "tcb", "bezier"];
const ROTATIONS = ["squad", "slerp"];
const LEAST_STEP_SEC = 1e-6;
const SAME_KEY = 1e-12;
const CHORDS = 1024;
const MOST_CHORDS = 2e6;

function hermite(start, end, startSlope, endSlope, w) {
  const rise = w * w * (3 - 2 * w), out = w * (1 - w) ** 2, into = w * w * (w - 1);
  return start + rise * (end - start) + out * startSlope + into * endSlope;
}
const hermite3 = (a, b, s, e, w) => [0, 1, 2].map((i) => hermite(a[i], b[i], s[i], e[i], w));

/** For every key the value before it and after it; open ends have one side and use it twice. */
function sides(values, closed) {
  const first = values[0], last = values[values.length - 1];
  return [[closed ? last : first, ...values], [...values, closed ? first : last]];
}

function sideWeights(gap, closed) {
  const [before, after] = sides(gap, closed);
  return before.map((b, i) => (b + after[i] > 0 ? after[i] / (b + after[i]) : 0.5));
}

function catmullRomRates(steps, gap, closed) {
  const rate = steps.map((step, i) => (gap[i] > 0 ? mul(step, 1 / gap[i]) : [0, 0, 0]));
  const [before, after] = sides(rate, closed);
  return sideWeights(gap, closed).map((w, i) => add(mul(before[i], w), mul(after[i], 1 - w)));
}

function endRate(nearGap, farGap, near, far) {
  const total = nearGap + farGap;
  if (total === 0) return near;
  const slope = ((2 * nearGap + farGap) * near - nearGap * far) / total;
  if (Math.sign(slope) !== Math.sign(near)) return 0;
  if (Math.sign(near) !== Math.sign(far) && Math.abs(slope) > 3 * Math.abs(near)) return 3 * near;
  return slope;
}

/** Tangents of the monotone cubic through the keys (Fritsch and Butland 1984). */
function pchipRates(steps, gap, closed) {
  const rate = steps.map((step, i) => (gap[i] > 0 ? step / gap[i] : 0));
  const [before, after] = sides(rate, closed);
  const [gapBefore, gapAfter] = sides(gap, closed);
  const slopes = before.map((b, i) => {
    if (!(b * after[i] > 0)) return 0;
    const weightBefore = 2 * gapAfter[i] + gapBefore[i], weightAfter = gapAfter[i] + 2 * gapBefore[i];
    return (weightBefore + weightAfter) / (weightBefore / b + weightAfter / after[i]);
  });
  const n = rate.length;
  if (closed) return slopes;
  if (n === 1) return [rate[0], rate[0]];
  slopes[0] = endRate(gap[0], gap[1], rate[0], rate[1]);
  slopes[n] = endRate(gap[n - 1], gap[n - 2], rate[n - 1], rate[n - 2]);
  return slopes;
}

/** Kochanek and Bartels 1984, Eqs. 8 and 9, on uneven knots: rates leaving and reaching each key. */
function tcbRates(keys, steps, gap, closed) {
  const rate = steps.map((step, i) => (gap[i] > 0 ? mul(step, 1 / gap[i]) : [0, 0, 0]));
  const [before, after] = sides(rate, closed);
  const weights = sideWeights(gap, closed);
  const blend = (i, sign) => {
    const [tension, continuity, bias] = keys[i].tcb;
    const b = (1 - tension) * (1 + sign * continuity) * (1 + bias) * weights[i];
    const a = (1 - tension) * (1 - sign * continuity) * (1 - bias) * (1 - weights[i]);
    return add(mul(before[i], b), mul(after[i], a));
  };
  return [keys.map((_, i) => blend(i, 1)), keys.map((_, i) => blend(i, -1))];
}

function centreSlopes(keys, centre, gap, options) {
  const steps = gap.map((_, i) => sub(centre[i + 1], centre[i]));
  if (options.position === "linear") return [steps, steps];
  let [outRate, inRate] = [null, null];
  if (options.position === "tcb") [outRate, inRate] = tcbRates(keys, steps, gap, options.closed);
  else outRate = inRate = catmullRomRates(steps, gap, options.closed);
  const out = gap.map((g, i) => mul(outRate[i], g)), into = gap.map((g, i) => mul(inRate[i + 1], g));
  if (options.position === "bezier") {
    gap.forEach((_, i) => {
      if (keys[i].handle_out) out[i] = mul(keys[i].handle_out, 3);
      if (keys[i + 1].handle_in) into[i] = mul(keys[i + 1].handle_in, -3);
    });
  }
  return [out, into];
}

/** SQUAD's inner quaternions at the start and the end of every segment. */
function squadControls(wxyz, gap, closed) {
  const step = gap.map((_, i) => qLog(qMul(qConj(wxyz[i]), wxyz[i + 1])));
  const rate = catmullRomRates(step, gap, closed);
  return [
    gap.map((g, i) => qMul(wxyz[i], qExp(mul(sub(mul(rate[i], g), step[i]), 0.5)))),
    gap.map((g, i) => qMul(wxyz[i + 1], qExp(mul(sub(step[i], mul(rate[i + 1], g)), 0.5)))),
  ];
}

/** A curve through keyframes; a closed one repeats the first key at the end. */
class SplinePath {
  constructor(keyframes, options) {
    const keys = keyframes.slice();
    for (let i = 1; i < keys.length; i++) {
      if (!(keys[i].time_sec - keys[i - 1].time_sec > LEAST_STEP_SEC)) throw new EditError("error_times", { key: i + 1 });
    }
    this.options = options;
    this.time = keys.map((key) => key.time_sec);
    if (options.closed && keys.length > 1) {
      const last = this.time[keys.length - 1];
      this.time.push(last + (options.closing_sec || (last - this.time[0]) / (keys.length - 1)));
      keys.push(keys[0]);
    }
    this.keys = keys;
    this.centre = keys.map((key) => key.position);
    this.hfov = keys.map((key) => key.hfov_deg * DEG);
    this.roll = keys.map((key) => key.roll_deg * DEG);
    let wxyz = keys.map((key) => qUnit(key.quaternion_wxyz));
    if (options.look_at) wxyz = this.aimed(this.centre, this.roll).map(quaternionFromRotation);
    this.wxyz = qContinuous(wxyz);
    this.gap = [];
    for (let i = 0; i + 1 < keys.length; i++) {
      const way = norm(sub(this.centre[i + 1], this.centre[i]));
      const distance = way + qAngle(wxyz[i], wxyz[i + 1]) + Math.abs(this.hfov[i + 1] - this.hfov[i]);
      this.gap.push(distance < SAME_KEY ? 0 : Math.sqrt(distance));
    }
    if (keys.length < 2) return;
    this.slopes = centreSlopes(keys, this.centre, this.gap, options);
    this.controls = squadControls(this.wxyz, this.gap, options.closed);
    const spans = this.gap.map((_, i) => this.time[i + 1] - this.time[i]);
    this.pace = pchipRates(this.gap, spans, options.closed);
    const rises = (values) => this.gap.map((_, i) => values[i + 1] - values[i]);
    this.hfovRates = pchipRates(rises(this.hfov), this.gap, options.closed);
    this.rollRates = pchipRates(rises(this.roll), this.gap, options.closed);
  }

  get span() { return this.time[this.time.length - 1] - this.time[0]; }

  aimed(centres, rolls) {
    let right = null;
    return centres.map((centre, i) => {
      const facing = lookAtRotation(centre, this.options.look_at, right);
      right = column(facing, 0);
      const c = Math.cos(rolls[i]), s = Math.sin(rolls[i]);
      const x = column(facing, 0), y = column(facing, 1);
      return fromColumns(add(mul(x, c), mul(y, s)), sub(mul(y, c), mul(x, s)), column(facing, 2));
    });
  }

  /** Segment and weight at a time, by the easing of the key before it. */
  paced(time) {
    let segment = 0;
    while (segment + 1 < this.gap.length && this.time[segment + 1] <= time) segment++;
    const span = this.time[segment + 1] - this.time[segment];
    const tau = clamp((time - this.time[segment]) / span, 0, 1);
    const easing = this.keys[segment].easing;
    if (easing !== SMOOTH) return [segment, EASINGS[easing](tau)];
    const gap = this.gap[segment];
    if (!(gap > 0)) return [segment, tau];
    const reached = hermite(0, gap, span * this.pace[segment], span * this.pace[segment + 1], tau);
    return [segment, clamp(reached / gap, 0, 1)];
  }

  centreAt(segment, w) {
    return hermite3(this.centre[segment], this.centre[segment + 1], this.slopes[0][segment], this.slopes[1][segment], w);
  }

  scalarAt(values, rates, segment, w) {
    const gap = this.gap[segment];
    return hermite(values[segment], values[segment + 1], gap * rates[segment], gap * rates[segment + 1], w);
  }

  rotationAt(segment, w) {
    const a = this.wxyz[segment], b = this.wxyz[segment + 1];
    if (this.options.rotation === "slerp") return qSlerp(a, b, w);
    return qSquad(a, b, this.controls[0][segment], this.controls[1][segment], w);
  }

  /** Cameras at places [segment, weight], in order: look-at keeps its axis from one to the next. */
  at(places) {
    if (this.keys.length === 1) {
      const one = { position: this.centre[0], quaternion_wxyz: this.wxyz[0], hfov_deg: this.hfov[0] / DEG };
      return places.map(() => one);
    }
    const centres = places.map(([segment, w]) => this.centreAt(segment, w));
    let turns = null;
    if (this.options.look_at) {
      const rolls = places.map(([segment, w]) => this.scalarAt(this.roll, this.rollRates, segment, w));
      turns = this.aimed(centres, rolls).map(quaternionFromRotation);
    } else turns = places.map(([segment, w]) => qUnit(this.rotationAt(segment, w)));
    return places.map(([segment, w], i) => ({
      position: centres[i],
      quaternion_wxyz: turns[i],
      hfov_deg: this.scalarAt(this.hfov, this.hfovRates, segment, w) / DEG,
    }));
  }

  /** Places of frames at shares 0 to 1 of the whole path. */
  places(shares) {
    if (this.keys.length === 1) return shares.map(() => [0, 0]);
    if (this.options.speed === "constant") {
      const even = this.evenPlaces(shares);
      if (even) return even;
    }
    const last = this.time[this.time.length - 1];
    return shares.map((share) => this.paced(share === 1 ? last : this.time[0] + this.span * share));
  }

  /** Places that cover equal lengths in equal times; null for a path that stands still. */
  evenPlaces(shares) {
    const segments = this.gap.length;
    const chords = Math.max(32, Math.min(CHORDS, Math.floor(MOST_CHORDS / segments)));
    const steps = Array.from({ length: chords + 1 }, (_, i) => i / chords);
    const grid = this.gap.map((_, segment) => steps.map((w) => [segment, w]));
    let length = grid.map((row) => chordLengths(row.map(([s, w]) => this.centreAt(s, w)), (a, b) => norm(sub(b, a))));
    const totals = length.map((row) => row.reduce((a, b) => a + b, 0));
    const total = totals.reduce((a, b) => a + b, 0);
    const turns = (segment) => chordLengths(this.at(grid[segment]).map((one) => one.quaternion_wxyz), qAngle);
    const turned = (segment) => turns(segment).reduce((a, b) => a + b, 0);
    if (total < 1e-9) {
      length = grid.map((_, segment) => turns(segment));
      if (length.flat().reduce((a, b) => a + b, 0) < 1e-9) return null;
    } else {
      const bad = totals.findIndex((one, segment) => one < 1e-6 * total && turned(segment) > 1e-6);
      if (bad >= 0) throw new EditError("error_turn_on_spot", { key: bad + 1 });
    }
    return spreadEvenly(length.flat(), chords, shares);
  }

  /** `count` cameras at equal steps from the first key to the last. */
  frames(count) {
    const shares = Array.from({ length: count }, (_, i) => (count > 1 ? i / (count - 1) : 0));
    return this.at(this.places(shares));
  }
}

function chordLengths(values, distance) {
  return values.slice(1).map((value, i) => distance(values[i], value));
}

function spreadEvenly(length, chords, shares) {
  const reached = [0];
  for (const part of length) reached.push(reached[reached.length - 1] + part);
  const total = reached[length.length];
  let cell = 0;
  return shares.map((share) => {
    const wanted = share * total;
    if (wanted < reached[cell]) cell = 0;
    while (cell + 1 < length.length && reached[cell + 1] <= wanted) cell++;
    const inside = length[cell] > 0 ? clamp((wanted - reached[cell]) / length[cell], 0, 1) : 1;
    return [Math.floor(cell / chords), ((cell % chords) + inside) / chords];
  });
}
