"""The script's edits of whole paths do what the library's operations do."""

import pytest
import torch
from path_edits import moved, rotated

from rays_as_pixels.app.editor import editor_script, trajectory_from_document
from rays_as_pixels.geometry.rotations import rotation_angle_rad
from rays_as_pixels.trajectories import operations

pytestmark = pytest.mark.browser
TURN_DEG = 17.0
# Keys with every kind of shape; the script's own functions make the document.
MAKE = """
const key = (time, place, angles, more) => ({ ...newKey(time, { position: place, hfov_deg: 60,
  quaternion_wxyz: quaternionFromAngles(angles) }), ...more });
const document = { ...emptyDocument({ num_frames: 13 }), keyframes: [
  key(0, [0, 0, 0], [0, 0, 0], { easing: "quad-in", tcb: [0.2, 0.1, 0.3] }),
  key(0.5, [0.3, -0.1, 0.2], [20, 5, 0], { easing: "smoother", hfov_deg: 50 }),
  key(0.8, [0.5, 0, 0.7], [40, -5, 10], { handle_in: [-0.1, 0, -0.1], handle_out: [0.1, 0, 0.1] }),
  key(1.2, [0.2, 0.1, 1], [90, 0, 0], { easing: "cubic-out" })] };
Object.assign(document.options, options);
"""
OPERATIONS = {
    "move": (
        "movedPath(document, [0.1, -0.2, 0.3])",
        lambda path: moved(path, (0.1, -0.2, 0.3)),
    ),
    "rotate": (
        f"turnedPath(document, qAxis([0, 1, 0], {TURN_DEG} * DEG), [0, 0, 0])",
        lambda path: rotated(path, (0.0, TURN_DEG, 0.0)),
    ),
    "scale": ("scaledPath(document, 1.5, [0, 0, 0])", lambda path: path),
    "mirror x": ("mirroredPath(document, 0, [0, 0, 0])", lambda path: operations.mirror(path, "x")),
    "mirror y": ("mirroredPath(document, 1, [0, 0, 0])", lambda path: operations.mirror(path, "y")),
    "mirror z": ("mirroredPath(document, 2, [0, 0, 0])", lambda path: operations.mirror(path, "z")),
    "reverse": ("reversedPath(document)", operations.reverse),
    "retime": ("retimedPath(document, 3)", lambda path: path),
}
CURVES = [
    {"position": "linear", "rotation": "slerp"},
    {"position": "tcb", "closed": True, "closing_sec": 0.3},
    {"position": "bezier"},
    {"speed": "constant"},
]


@pytest.fixture(scope="module")
def edited(browser):
    """Documents before and after each operation, by curve."""
    page = browser.new_page()
    script = editor_script(("math", "spline", "model", "operations"))
    calls = ", ".join(f"{name!r}: {call}" for name, (call, _) in OPERATIONS.items())
    documents = [
        page.evaluate(f"options => {{ {script}\n{MAKE} return {{ document, {calls} }}; }}", options)
        for options in CURVES
    ]
    page.close()
    return documents


@pytest.mark.parametrize("curve", range(len(CURVES)))
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_edit_of_the_whole_path_is_that_of_the_library(edited, name, curve):
    if name == "scale":  # the knots weigh ways against turns, so only the keyframes are compared
        before, after = (edited[curve][one]["keyframes"] for one in ("document", name))
        for key, scaled in zip(before, after, strict=True):
            assert scaled["position"] == pytest.approx([1.5 * v for v in key["position"]])
        return
    wanted = OPERATIONS[name][1](trajectory_from_document(edited[curve]["document"]))
    path = trajectory_from_document(edited[curve][name])
    assert float((path.positions - wanted.positions).abs().max()) < (1e-9 if curve < 3 else 1e-6)
    rotation, other = (one.cameras.world_from_cam[:, :3, :3] for one in (path, wanted))
    assert float(rotation_angle_rad(rotation.mT @ other).max()) < (1e-7 if curve < 3 else 1e-5)
    torch.testing.assert_close(
        path.cameras.focal_px, wanted.cameras.focal_px, rtol=1e-6, atol=0
    )  # the knots of constant speed are read off chords


def test_a_dolly_zoom_keeps_the_size_of_the_subject(browser):
    page = browser.new_page()
    script = editor_script(("math", "spline", "model", "operations"))
    sizes = page.evaluate(
        f"""() => {{ {script}
        const turn = [1, 0, 0, 0];
        const camera = z => ({{ position: [0, 0, z], quaternion_wxyz: turn, hfov_deg: 60 }});
        const keyframes = [0, 0.2, 0.5].map((z, i) => newKey(i, camera(z)));
        const document = {{ ...emptyDocument(), keyframes }};
        return dollyZoomed(document, 0, [0, 0, 1]).keyframes.map(
          key => Math.tan(key.hfov_deg * DEG / 2) * (1 - key.position[2])); }}"""
    )
    page.close()
    assert sizes == pytest.approx([sizes[0]] * 3, rel=1e-12)
