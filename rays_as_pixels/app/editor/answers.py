"""What the server says to the editor: plain JSON, and never an exception the browser cannot see."""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import wraps
from typing import Annotated, Any

from pydantic import Field

from rays_as_pixels.app.editor.document import (
    MAX_FRAMES,
    Fps,
    FrameCount,
    HfovDeg,
    Number,
    SidePx,
    Word,
    read_document,
    trajectory_from_document,
    trajectory_hash,
    with_keyframes,
)
from rays_as_pixels.app.editor.fitting import document_from_preset, sampled_keys
from rays_as_pixels.app.validation import StrictModel, validated
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.rotations import quaternion_wxyz_from_rotation
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.operations import seam, smooth
from rays_as_pixels.trajectories.training_range import TrainingRange, check_range

Answer = dict[str, Any]
_MAX_CURVE_POINTS = 241  # to draw the confirmed path with


class PresetRequest(StrictModel):
    """Which preset the editor asks for; the fields are those of `make_preset`."""

    name: Word
    amount: Number
    pivot_depth: Annotated[float, Field(ge=1e-3, le=1e6)]
    num_frames: FrameCount
    fps: Fps
    width: SidePx
    height: SidePx
    hfov_deg: HfovDeg


class SmoothRequest(StrictModel):
    """What to smooth, and how much.

    Attributes:
        document: The edit document.
        strength: 0 changes nothing, 1 the most.
    """

    document: dict[str, Any]
    strength: Annotated[float, Field(ge=0, le=1)]


def _enveloped(answer: Callable[..., Answer]) -> Callable[..., Answer]:
    """Add ok=True, or turn an InputError into ok=False and its message."""

    @wraps(answer)
    def enveloped(*args: Any, **kwargs: Any) -> Answer:
        try:
            return {"ok": True, **answer(*args, **kwargs)}
        except InputError as error:
            return {"ok": False, "message": str(error)}

    return enveloped


@_enveloped
def confirm(document: Any, *, training: TrainingRange) -> Answer:
    """Answer with the frames a document stands for, exactly as the model gets them.

    Returns:
        frames: position, quaternion_wxyz and hfov_deg of each; curve: positions in between, for
        drawing; hash; warnings (see `check_range`); seam of the loop, None for one frame.
    """
    path = trajectory_from_document(document)
    curve = path
    if len(path) > 1:
        steps = max(1, (_MAX_CURVE_POINTS - 1) // (len(path) - 1))
        curve = trajectory_from_document(
            {**document, "num_frames": min(MAX_FRAMES, (len(path) - 1) * steps + 1)}
        )
    return {
        "frames": _cameras(path),
        "curve": curve.positions.tolist(),
        "num_frames": len(path),
        "hash": trajectory_hash(path),
        "warnings": [asdict(one) for one in check_range(path, training)],
        "seam": asdict(seam(path)) if len(path) > 1 else None,
    }


@_enveloped
def preset(request: Any) -> Answer:
    """Answer with the document of a preset; the request has the fields of `make_preset`."""
    return {"document": document_from_preset(**validated(PresetRequest, request).model_dump())}


@_enveloped
def smooth_keys(request: Any) -> Answer:
    """Answer with a document whose keyframes lie on the smoothed path, at their times.

    The request has the fields document and strength; the path is smoothed as `operations.smooth`
    does, read densely, so that the number of frames does not matter.
    """
    wanted = validated(SmoothRequest, request)
    document = wanted.document
    keys = [key.keyframe() for key in read_document(document).keyframes]
    if len(keys) < 3:
        return {"document": document}
    paced = {**document, "options": {**document["options"], "speed": "keys", "closed": False}}
    dense = trajectory_from_document({**paced, "num_frames": 16 * (len(keys) - 1) + 1})
    first, last = keys[0].time_sec, keys[-1].time_sec
    length = float(dense.times_sec[-1])
    shares = [(key.time_sec - first) / (last - first) for key in keys]
    found = sampled_keys(smooth(dense, wanted.strength), [share * length for share in shares])
    moved = [
        replace(key, world_from_cam=new.world_from_cam, hfov_deg=new.hfov_deg)
        for key, new in zip(keys, found, strict=True)
    ]
    return {"document": with_keyframes(document, moved)}


def _cameras(path: Trajectory) -> list[Answer]:
    world_from_cam = path.cameras.world_from_cam
    wxyz = quaternion_wxyz_from_rotation(world_from_cam[:, :3, :3]).tolist()
    hfov_deg = path.cameras.hfov_rad.rad2deg().tolist()
    rows = zip(world_from_cam[:, :3, 3].tolist(), wxyz, hfov_deg, strict=True)
    return [
        {"position": position, "quaternion_wxyz": turn, "hfov_deg": hfov}
        for position, turn, hfov in rows
    ]
