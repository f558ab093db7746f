"""The edit document: keyframes and how they are joined, as the editor and the server exchange them.

A plain JSON object, version 1. Everything in it is checked here, since any visitor can send one:

    format "rays-as-pixels/edit", version 1, num_frames, fps, width, height,
    keyframes: list of time_sec, position [x, y, z] (scene units), quaternion_wxyz (world_from_cam,
        OpenCV axes), hfov_deg, easing, tcb, handle_in, handle_out, roll_deg: see `Keyframe`
    options: position, rotation, look_at, closed, closing_sec, speed: see `SplineOptions`
"""

import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any

import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import rigid
from rays_as_pixels.geometry.rotations import (
    quaternion_wxyz_from_rotation,
    rotation_from_quaternion_wxyz,
)
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.keyframes import Keyframe, SplineOptions
from rays_as_pixels.trajectories.splines import trajectory_from_keyframes

FORMAT, VERSION = "rays-as-pixels/edit", 1
MOST_BYTES = 64 * 1024
MOST_KEYFRAMES = 200
MOST_FRAMES = 1000
MOST_PIXELS = 8192  # of one side
FURTHEST = 1e6  # scene units, seconds and degrees
Document = dict[str, Any]

_FIELDS = ("format", "version", "num_frames", "fps", "width", "height", "keyframes", "options")
_KEY_FIELDS = (
    "time_sec",
    "position",
    "quaternion_wxyz",
    "hfov_deg",
    "easing",
    "tcb",
    "handle_in",
    "handle_out",
    "roll_deg",
)
_OPTION_FIELDS = ("position", "rotation", "look_at", "closed", "closing_sec", "speed")


def trajectory_from_document(document: object) -> Trajectory:
    """Return the path that a document describes, frame by frame, after checking all of it.

    Returns:
        float64 cameras with square pixels and a centred principal point, in the document's world;
        `.reanchored()` makes frame 0 the identity.

    Raises:
        InputError: A field is missing, unknown, of another type or outside its range, the document
            is too long, or the keyframes make no path (see `trajectory_from_keyframes`).
    """
    whole = fields_of(document, "the document", _FIELDS)
    _check_bytes(whole)
    if (whole["format"], whole["version"]) != (FORMAT, VERSION):
        raise InputError(
            f"the document must be {FORMAT!r} version {VERSION}; got {whole['format']!r} version "
            f"{whole['version']!r}. Start again from a path or a preset."
        )
    return trajectory_from_keyframes(
        keyframes_from_document(whole),
        num_frames=count_of(whole["num_frames"], "num_frames", MOST_FRAMES),
        fps=number_of(whole["fps"], "fps", 1e-3, 1e5),
        height=count_of(whole["height"], "height", MOST_PIXELS),
        width=count_of(whole["width"], "width", MOST_PIXELS),
        options=_options(whole["options"]),
    )


def keyframes_from_document(document: Document) -> list[Keyframe]:
    """Return the document's keyframes, in its order.

    Raises:
        InputError: There is none or there are too many, or one breaks a rule.
    """
    keys = document["keyframes"]
    if not isinstance(keys, list) or not 1 <= len(keys) <= MOST_KEYFRAMES:
        got = len(keys) if isinstance(keys, list) else type(keys).__name__
        raise InputError(
            f"keyframes must be a list of 1 to {MOST_KEYFRAMES}; got {got}. "
            "Add or remove keyframes."
        )
    return [_keyframe(key, f"keyframe {index + 1}") for index, key in enumerate(keys)]


def document_from_keyframes(
    keyframes: Sequence[Keyframe],
    *,
    num_frames: int,
    fps: float,
    height: int,
    width: int,
    options: SplineOptions | None = None,
) -> Document:
    """Write keyframes down as a document that `trajectory_from_document` reads.

    Raises:
        InputError: As there: a document that is returned can be read.
    """
    options = options or SplineOptions()
    values = {name: getattr(options, name) for name in _OPTION_FIELDS}
    document = {
        "format": FORMAT,
        "version": VERSION,
        "num_frames": num_frames,
        "fps": float(fps),
        "width": width,
        "height": height,
        "keyframes": [_key_as_json(key) for key in keyframes],
        "options": {name: _plain(value) for name, value in values.items()},
    }
    trajectory_from_document(document)
    return document


def with_keyframes(document: Document, keyframes: Sequence[Keyframe]) -> Document:
    """Return the document with other keyframes.

    Raises:
        InputError: As `trajectory_from_document`.
    """
    changed = {**document, "keyframes": [_key_as_json(key) for key in keyframes]}
    trajectory_from_document(changed)
    return changed


def trajectory_hash(trajectory: Trajectory) -> str:
    """Name a path by 12 hex digits of the SHA-256 of its poses, intrinsics and image size.

    The editor shows it beside "confirmed", so that one can tell that the path a model was given is
    the one that was drawn. World frame and every bit count; times do not.
    """
    cameras = trajectory.cameras
    digest = hashlib.sha256(f"{len(trajectory)} {cameras.height} {cameras.width}".encode())
    for tensor in (cameras.world_from_cam, cameras.focal_px, cameras.center_px):
        values = tensor.detach().to("cpu", torch.float64).contiguous()
        digest.update(values.numpy().astype("<f8").tobytes())
    return digest.hexdigest()[:12]


def fields_of(value: object, name: str, fields: Sequence[str]) -> dict[str, Any]:
    """Return a JSON object that has exactly these fields.

    Raises:
        InputError: It is none, or fields are missing or unknown.
    """
    if not isinstance(value, dict):
        raise InputError(
            f"{name} must be a JSON object; got {type(value).__name__}. Start again from a path."
        )
    missing = [field for field in fields if field not in value]
    unknown = [str(field)[:40] for field in value if field not in fields]
    if missing or unknown:
        raise InputError(
            f"{name} must have the fields {', '.join(fields)}; got {len(missing)} missing "
            f"({', '.join(missing) or 'none'}) and {len(unknown)} unknown "
            f"({', '.join(unknown[:5]) or 'none'}). Start again from a path or a preset."
        )
    return value


def _check_bytes(document: Document) -> None:
    try:
        length = len(json.dumps(document, allow_nan=False).encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"the document must be plain JSON with finite numbers; got {error}. "
            "Start again from a path or a preset."
        ) from error
    if length > MOST_BYTES:
        raise InputError(
            f"the document must take {MOST_BYTES} bytes or fewer; got {length}. "
            "Remove some keyframes."
        )


def _keyframe(value: object, name: str) -> Keyframe:
    key = fields_of(value, name, _KEY_FIELDS)
    centre = _numbers(key["position"], f"position of {name}", 3)
    turn = _numbers(key["quaternion_wxyz"], f"quaternion_wxyz of {name}", 4)
    wxyz = torch.tensor(turn, dtype=torch.float64)
    length = float(wxyz.norm())
    if abs(length - 1) > 1e-3:
        raise InputError(
            f"quaternion_wxyz of {name} must have length 1; got {length:g}. Enter its angles again."
        )
    rotation = rotation_from_quaternion_wxyz(wxyz)
    handles = {
        side: None if key[side] is None else _triple(key[side], f"{side} of {name}")
        for side in ("handle_in", "handle_out")
    }
    return Keyframe(
        time_sec=number_of(key["time_sec"], f"time_sec of {name}", -FURTHEST, FURTHEST),
        world_from_cam=rigid(rotation, torch.tensor(centre, dtype=torch.float64)),
        hfov_deg=number_of(key["hfov_deg"], f"hfov_deg of {name}", 1, 170),
        easing=word_of(key["easing"], f"easing of {name}"),
        tcb=_triple(key["tcb"], f"tcb of {name}"),
        roll_deg=number_of(key["roll_deg"], f"roll_deg of {name}", -FURTHEST, FURTHEST),
        **handles,
    )


def _options(value: object) -> SplineOptions:
    options = fields_of(value, "options", _OPTION_FIELDS)
    if not isinstance(options["closed"], bool):
        raise InputError(
            f"closed must be true or false; got {options['closed']!r}. Use false for an open path."
        )
    target, closing = options["look_at"], options["closing_sec"]
    return SplineOptions(
        position=word_of(options["position"], "position"),
        rotation=word_of(options["rotation"], "rotation"),
        look_at=None if target is None else _triple(target, "look_at"),
        closed=options["closed"],
        closing_sec=None if closing is None else number_of(closing, "closing_sec", 1e-6, FURTHEST),
        speed=word_of(options["speed"], "speed"),
    )


def word_of(value: object, name: str) -> str:
    """Return a short string.

    Raises:
        InputError: It is none.
    """
    if not isinstance(value, str) or len(value) > 40:
        raise InputError(f"{name} must be a short word; got {value!r:.60}. Pick one of the list.")
    return value


def number_of(value: object, name: str, low: float, high: float) -> float:
    """Return a finite number within limits.

    Raises:
        InputError: It is none, or lies outside.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{name} must be a finite number; got {value!r:.60}. Write a number.")
    if not low <= value <= high:
        raise InputError(f"{name} must lie between {low:g} and {high:g}; got {value}. Change it.")
    return float(value)


def count_of(value: object, name: str, most: int) -> int:
    """Return a whole number from 1 on.

    Raises:
        InputError: It is none, or lies outside.
    """
    number = number_of(value, name, 1, most)
    if number != int(number):
        raise InputError(f"{name} must be a whole number; got {value}. Use {round(number)}.")
    return int(number)


def _numbers(value: object, name: str, count: int) -> list[float]:
    if not isinstance(value, list | tuple) or len(value) != count:
        raise InputError(f"{name} must hold {count} numbers; got {value!r:.60}. Enter them again.")
    return [number_of(part, name, -FURTHEST, FURTHEST) for part in value]


def _triple(value: object, name: str) -> tuple[float, float, float]:
    x, y, z = _numbers(value, name, 3)
    return x, y, z


def _key_as_json(key: Keyframe) -> dict[str, Any]:
    pose = key.world_from_cam.to(torch.float64)
    values = {name: _plain(getattr(key, name, None)) for name in _KEY_FIELDS}
    values["position"] = pose[:3, 3].tolist()
    values["quaternion_wxyz"] = quaternion_wxyz_from_rotation(pose[:3, :3]).tolist()
    return values


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
