// The edit document and what one does to single keyframes. Every function returns a new document.

const FORMAT = "rays-as-pixels/edit";
const MOST_KEYFRAMES = 200;
const SUBJECT_DEPTH = 1; // scene units: the median depth of frame 0
const LEAST_GAP_SEC = 1e-3; // between keyframes made by hand

const copyOf = (doc) => JSON.parse(JSON.stringify(doc));
const isDocument = (value) =>
  !!value && value.format === FORMAT && value.version === 1 && Array.isArray(value.keyframes) && value.keyframes.length > 0;

function newKey(timeSec, camera) {
  return {
    time_sec: timeSec,
    position: camera.position.slice(),
    quaternion_wxyz: camera.quaternion_wxyz.slice(),
    hfov_deg: camera.hfov_deg,
    easing: SMOOTH,
    tcb: [0, 0, 0],
    handle_in: null,
    handle_out: null,
    roll_deg: 0,
  };
}

/** Where a path starts that has no camera yet: at the origin, looking along +Z. */
const ORIGIN = Object.freeze(newKey(0, { position: [0, 0, 0], quaternion_wxyz: [1, 0, 0, 0], hfov_deg: 60 }));

const firstCamera = (doc) => doc.keyframes[0] || ORIGIN;

/** What the editor holds while there is no path: a document like any other, but without keyframes. */
function emptyDocument({ num_frames = 9, fps = 10, width = 384, height = 256 } = {}) {
  return {
    format: FORMAT, version: 1, num_frames, fps, width, height, keyframes: [],
    options: { position: "catmull-rom", rotation: "squad", look_at: null, closed: false, closing_sec: null, speed: "keys" },
  };
}

/** Seconds from the first camera to the last, the way back of a closed path included. */
function spanOf(doc) {
  const keys = doc.keyframes, n = keys.length;
  if (n < 2) return 0;
  const open = keys[n - 1].time_sec - keys[0].time_sec;
  return doc.options.closed ? open + (doc.options.closing_sec || open / (n - 1)) : open;
}

/** Sort by time and play at the keyframes' own pace. */
function settled(doc) {
  doc.keyframes.sort((a, b) => a.time_sec - b.time_sec);
  doc.keyframes.forEach((key, i) => {
    if (i && key.time_sec - doc.keyframes[i - 1].time_sec < LEAST_GAP_SEC / 2) throw new EditError("error_times", { key: i });
  });
  const span = spanOf(doc);
  if (span > 0 && doc.num_frames > 1) doc.fps = (doc.num_frames - 1) / span;
  return doc;
}

function changed(doc, change) {
  const next = copyOf(doc);
  change(next);
  return settled(next);
}

function needRoom(doc) {
  if (doc.keyframes.length >= MOST_KEYFRAMES) throw new EditError("error_too_many", { most: MOST_KEYFRAMES });
}

/** Index of the keyframe with this very time, for selecting it after a sort. */
const indexAt = (doc, timeSec) => doc.keyframes.findIndex((key) => key.time_sec === timeSec);

/** A keyframe on the curve, at a share 0 to 1 of the path; returns [document, index]. */
function insertAt(doc, share) {
  needRoom(doc);
  const path = new SplinePath(doc.keyframes, doc.options);
  if (doc.keyframes.length < 2) return append(doc, path.frames(1)[0]);
  const places = path.places([share]);
  const camera = path.at(places)[0];
  const timeSec = timeInside(doc, path, places[0], share);
  const next = changed(doc, (d) => {
    const key = newKey(timeSec, camera);
    key.easing = doc.keyframes[Math.min(places[0][0], doc.keyframes.length - 1)].easing;
    key.roll_deg = path.scalarAt(path.roll, path.rollRates, ...places[0]) / DEG;
    d.keyframes.push(key);
  });
  return [next, indexAt(next, timeSec)];
}

/** The time of a place; at constant speed that is not the share of the span, so keep it inside. */
function timeInside(doc, path, [segment, weight], share) {
  let time = path.time[0] + share * path.span;
  const early = path.time[segment], late = path.time[segment + 1];
  if (doc.options.speed === "constant") time = early + weight * (late - early);
  if (late - early < 3 * LEAST_GAP_SEC) throw new EditError("error_times", { key: segment + 1 });
  const margin = Math.max(LEAST_GAP_SEC, (late - early) * 0.02);
  return clamp(time, early + margin, late - margin);
}

/** The mean pause between keyframes, for one that is added at the end. */
function meanGap(doc) {
  const keys = doc.keyframes, n = keys.length;
  if (n > 1) return (keys[n - 1].time_sec - keys[0].time_sec) / (n - 1);
  return Math.max(1, doc.num_frames - 1) / doc.fps;
}

function append(doc, camera) {
  needRoom(doc);
  const timeSec = doc.keyframes[doc.keyframes.length - 1].time_sec + meanGap(doc);
  const next = changed(doc, (d) => d.keyframes.push(newKey(timeSec, camera)));
  return [next, next.keyframes.length - 1];
}

/** The same camera again, halfway to the next keyframe (after the last: one gap later). */
function duplicated(doc, index) {
  needRoom(doc);
  const key = doc.keyframes[index], after = doc.keyframes[index + 1];
  const timeSec = after ? (key.time_sec + after.time_sec) / 2 : key.time_sec + meanGap(doc);
  const next = changed(doc, (d) => d.keyframes.push({ ...copyOf(key), time_sec: timeSec }));
  return [next, indexAt(next, timeSec)];
}

function removed(doc, index) {
  if (doc.keyframes.length < 2) throw new EditError("error_last_key");
  const next = changed(doc, (d) => {
    if (index === 0) d.keyframes[1].time_sec = d.keyframes[0].time_sec; // the path keeps its start
    else if (index === d.keyframes.length - 1 && index > 1) d.keyframes[index - 1].time_sec = d.keyframes[index].time_sec;
    d.keyframes.splice(index, 1);
  });
  return [next, Math.min(index, next.keyframes.length - 1)];
}

/** Swap two neighbours: the places change, the times stay. */
function reordered(doc, index, step) {
  const other = index + step;
  if (other < 0 || other >= doc.keyframes.length) return [doc, index];
  const next = changed(doc, (d) => {
    const keys = d.keyframes, time = keys[index].time_sec;
    keys[index].time_sec = keys[other].time_sec;
    keys[other].time_sec = time;
  });
  return [next, other];
}

function withKey(doc, index, change) {
  return changed(doc, (d) => change(d.keyframes[index]));
}

/** Time of a keyframe while it is dragged: it stays between its neighbours. */
function timeBetween(doc, index, timeSec) {
  const before = doc.keyframes[index - 1], after = doc.keyframes[index + 1];
  const low = before ? before.time_sec + 0.01 : -Infinity, high = after ? after.time_sec - 0.01 : Infinity;
  return low > high ? doc.keyframes[index].time_sec : clamp(timeSec, low, high);
}

/** Share 0 to 1 of the path at which a keyframe is reached. */
function shareOfKey(doc, index) {
  const span = spanOf(doc);
  if (!(span > 0)) return 0;
  if (doc.options.speed === "constant") return shareByLength(doc, index);
  return clamp((doc.keyframes[index].time_sec - doc.keyframes[0].time_sec) / span, 0, 1);
}

function shareByLength(doc, index) {
  const path = new SplinePath(doc.keyframes, doc.options);
  const lengths = path.gap.map((_, segment) => {
    const centres = Array.from({ length: 65 }, (_, i) => path.centreAt(segment, i / 64));
    return chordLengths(centres, (a, b) => norm(sub(b, a))).reduce((a, b) => a + b, 0);
  });
  const total = lengths.reduce((a, b) => a + b, 0);
  return total > 0 ? lengths.slice(0, index).reduce((a, b) => a + b, 0) / total : index / Math.max(1, lengths.length);
}
