// Drawing a path by hand on a plane, with a pointer or with the arrow keys.

const PEN_PLANES = ["top", "side", "front", "camera"];
const PEN_STEP = 14; // pixels per key press

/** Take up the pen over a view; the line will lie in the view's plane, through the first camera. */
function takePen(editor, view) {
  if (view.kind === "camera") editor.setShare(0);
  const first = firstCamera(editor.doc), ahead = qRotate(first.quaternion_wxyz, [0, 0, 1]);
  const on = view.kind === "camera" ? add(first.position, mul(ahead, SUBJECT_DEPTH)) : first.position;
  editor.pen = {
    view, plane: view.kind, points: [], cursor: on, isDown: false,
    pointAt: (pixel) => view.facing(pixel, on),
  };
  editor.say("said_pen");
}

function dropPen(editor) {
  editor.pen = null;
  editor.say("said_pen_dropped");
}

function finishPen(editor) {
  const { points } = editor.pen;
  editor.pen = null;
  const draw = (doc) => drawnPath(doc, points, { heading: editor.heading, depth: SUBJECT_DEPTH });
  if (editor.edit(draw, { fromNothing: true })) {
    editor.select({ kind: "key", index: 0 });
    editor.say("said_drawn", { count: editor.doc.keyframes.length });
  }
}

/** Move the pen with the keyboard; with the pen down, a line follows. */
function stepPen(editor, dx, dy, fine) {
  const { pen } = editor, spot = pen.view.project(pen.cursor), step = fine ? PEN_STEP / 4 : PEN_STEP;
  const point = pen.pointAt([spot[0] + dx * step, spot[1] + dy * step]);
  if (!point) return;
  pen.cursor = point;
  if (pen.isDown) pen.points.push(point);
  editor.host.repaint();
}

function liftPen(editor) {
  const { pen } = editor;
  pen.isDown = !pen.isDown;
  if (pen.isDown) pen.points.push(pen.cursor);
  editor.say(pen.isDown ? "said_pen_down" : "said_pen_up");
}
