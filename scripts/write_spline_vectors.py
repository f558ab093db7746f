"""Write tests/trajectories/golden_splines.json: what every reader of keyframes must agree on.

The editor's JavaScript and the Python splines are both tested against this file. Run it after a
wanted change of the splines, and say in the commit why the numbers moved.
"""

import json
import math
import re
import sys
from pathlib import Path

import torch

from rays_as_pixels.geometry.cameras import rigid
from rays_as_pixels.geometry.rotations import quaternion_wxyz_from_rotation, rotation_from_vector
from rays_as_pixels.trajectories.easing import EASINGS, ease
from rays_as_pixels.trajectories.quaternions import continuous_wxyz
from rays_as_pixels.trajectories.splines import (
    Keyframe,
    SplineOptions,
    trajectory_from_keyframes,
)

OUT = Path(__file__).parents[1] / "tests" / "trajectories" / "golden_splines.json"
NUM_FRAMES = 13
DIGITS = 12

# Centre, rotation vector in degrees, hFOV in degrees, seconds.
_PLACES = (
    ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 60.0, 0.0),
    ((0.6, -0.2, 0.1), (5.0, 30.0, 0.0), 60.0, 1.0),
    ((0.7, -0.3, 1.0), (-10.0, 75.0, 20.0), 45.0, 1.5),
    ((-0.4, 0.2, 1.6), (0.0, 170.0, -15.0), 50.0, 3.5),
    ((-0.9, 0.1, 0.4), (15.0, 260.0, 0.0), 70.0, 4.5),
)


def _key(place: tuple, **shape: object) -> Keyframe:
    centre, turn_deg, hfov_deg, time_sec = place
    turn = torch.deg2rad(torch.tensor(turn_deg, dtype=torch.float64))
    pose = rigid(rotation_from_vector(turn), torch.tensor(centre, dtype=torch.float64))
    return Keyframe(time_sec, pose, hfov_deg, **shape)


def _plain(count: int = len(_PLACES)) -> list[Keyframe]:
    return [_key(place) for place in _PLACES[:count]]


def _shaped() -> list[Keyframe]:
    tcb = ((0, 0, 0), (0.5, 0, 0), (0, -0.6, 0.3), (-0.4, 0.2, -0.7), (0.1, 0.1, 0.1))
    return [_key(place, tcb=shape) for place, shape in zip(_PLACES, tcb, strict=True)]


def _handled() -> list[Keyframe]:
    handles = [
        {"handle_out": (0.2, 0.1, 0.0)},
        {"handle_in": (-0.1, 0.0, -0.2), "handle_out": (0.1, 0.0, 0.2)},
        {},
        {"handle_in": (0.3, 0.0, 0.1)},
        {"handle_in": (0.0, 0.1, 0.3)},
    ]
    return [_key(place, **handle) for place, handle in zip(_PLACES, handles, strict=True)]


def _eased() -> list[Keyframe]:
    names = ("quad-in", "smoother", "hold", "sine-in-out", "linear")
    return [_key(place, easing=name) for place, name in zip(_PLACES, names, strict=True)]


def _rolled() -> list[Keyframe]:
    rolls = (0.0, 10.0, -20.0, 0.0, 5.0)
    return [_key(place, roll_deg=roll) for place, roll in zip(_PLACES, rolls, strict=True)]


def _resting() -> list[Keyframe]:
    first, second, third = _PLACES[:3]
    again = (second[0], second[1], second[2], 2.0)
    return [_key(first), _key(second), _key(again), _key((*third[:3], 3.0))]


def _cases() -> dict[str, tuple[list[Keyframe], SplineOptions]]:
    return {
        "one key": (_plain(1), SplineOptions()),
        "two keys": (_plain(2), SplineOptions()),
        "two keys, closed": (_plain(2), SplineOptions(closed=True)),
        "defaults": (_plain(), SplineOptions()),
        "defaults, closed": (_plain(), SplineOptions(closed=True, closing_sec=1.25)),
        "linear and slerp": (_plain(), SplineOptions(position="linear", rotation="slerp")),
        "tcb": (_shaped(), SplineOptions(position="tcb")),
        "tcb, closed": (_shaped(), SplineOptions(position="tcb", closed=True)),
        "bezier": (_handled(), SplineOptions(position="bezier")),
        "easings": (_eased(), SplineOptions()),
        "look-at with roll": (_rolled(), SplineOptions(look_at=(0.1, 0.2, 3.0))),
        "constant speed": (_plain(), SplineOptions(speed="constant")),
        "constant speed, closed": (_plain(), SplineOptions(speed="constant", closed=True)),
        "a key twice": (_resting(), SplineOptions()),
    }


def _rounded(values: object) -> object:
    if isinstance(values, list):
        return [_rounded(value) for value in values]
    return round(values, DIGITS) + 0.0  # no minus zero


def _key_as_json(key: Keyframe) -> dict[str, object]:
    wxyz = quaternion_wxyz_from_rotation(key.world_from_cam[:3, :3])
    return {
        "time_sec": key.time_sec,
        "position": _rounded(key.world_from_cam[:3, 3].tolist()),
        "quaternion_wxyz": _rounded(wxyz.tolist()),
        "hfov_deg": key.hfov_deg,
        "easing": key.easing,
        "tcb": list(key.tcb),
        "handle_in": None if key.handle_in is None else list(key.handle_in),
        "handle_out": None if key.handle_out is None else list(key.handle_out),
        "roll_deg": key.roll_deg,
    }


def _case_as_json(name: str, keys: list[Keyframe], options: SplineOptions) -> dict[str, object]:
    path = trajectory_from_keyframes(
        keys, num_frames=NUM_FRAMES, fps=10.0, height=480, width=640, options=options
    )
    wxyz = continuous_wxyz(quaternion_wxyz_from_rotation(path.cameras.world_from_cam[:, :3, :3]))
    hfov_deg = path.cameras.hfov_rad * 180 / math.pi
    return {
        "name": name,
        "options": {
            "position": options.position,
            "rotation": options.rotation,
            "look_at": None if options.look_at is None else list(options.look_at),
            "closed": options.closed,
            "closing_sec": options.closing_sec,
            "speed": options.speed,
        },
        "keyframes": [_key_as_json(key) for key in keys],
        "num_frames": NUM_FRAMES,
        "expected": {
            "position": _rounded(path.positions.tolist()),
            "quaternion_wxyz": _rounded(wxyz.tolist()),
            "hfov_deg": _rounded(hfov_deg.tolist()),
        },
    }


def golden_vectors() -> dict[str, object]:
    """Return all vectors; shares are times of the whole path, 0 to 1."""
    share = torch.linspace(0, 1, 9, dtype=torch.float64)
    return {
        "about": "Frames are read at equal steps from the first key to the last (closed: back to "
        "the first). Quaternions are Hamilton, scalar first; compare them up to sign. "
        "Axes are OpenCV's, angles degrees, lengths scene units.",
        "tolerance": 1e-9,
        "tolerance_constant_speed": 1e-6,
        "chords_per_segment": 1024,
        "easing_share": _rounded(share.tolist()),
        "easings": {name: _rounded(ease(share, name).tolist()) for name in EASINGS},
        "cases": [_case_as_json(name, *case) for name, case in _cases().items()],
    }


def as_text(vectors: dict[str, object]) -> str:
    """Return the file's text, with each list of numbers on one line."""
    text = json.dumps(vectors, indent=1, allow_nan=False)
    return re.sub(r"\[[^\[\]{}]*\]", lambda found: " ".join(found[0].split()), text) + "\n"


if __name__ == "__main__":
    OUT.write_text(as_text(golden_vectors()), encoding="utf-8")
    sys.stdout.write(f"{OUT}: {OUT.stat().st_size} bytes\n")
