"""From paths to few keyframes: what the editor opens with."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.app.editor.document import MAX_KEYFRAMES, Document, document_from_keyframes
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.rotations import rotation_angle_rad
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.keyframes import Keyframe
from rays_as_pixels.trajectories.presets import make_preset
from rays_as_pixels.trajectories.splines import trajectory_from_keyframes

CLOSE_ENOUGH = 0.01  # share of the path's reach, or radians: about half a degree
PRESET_ENOUGH = 0.025  # a preset is a start to edit from: fewer keyframes are worth more
MOST_FITTED = 20  # keyframes of an automatic fit: more cannot be edited by hand
_WHOLE_MOVES = ("smooth", "smoother", "sine-in-out")  # easings tried between two keyframes alone
_DENSE_FRAMES = 65  # a preset is fitted to that many frames, so that fast moves keep their shape


def document_from_trajectory(trajectory: Trajectory, num_keyframes: int | None = None) -> Document:
    """Describe a path by keyframes taken from its frames, the first and the last included.

    Frame by frame the one is added that the curve through those before misses most, so bends get
    more keyframes than straights.

    Args:
        trajectory: The path; its lens is described by the horizontal field of view alone.
        num_keyframes: 1 to 200; None takes as few as keep every frame within 1 % of the path's
            reach and half a degree, but 20 at most.

    Raises:
        InputError: The number of keyframes, or a field of view outside 1 to 170 degrees.
    """
    if num_keyframes is not None and not 1 <= num_keyframes <= MAX_KEYFRAMES:
        raise InputError(
            f"num_keyframes must lie between 1 and {MAX_KEYFRAMES}; got {num_keyframes}. Use 5."
        )
    return _document(trajectory, _fit(trajectory, num_keyframes, CLOSE_ENOUGH))


def _document(trajectory: Trajectory, keys: list[Keyframe]) -> Document:
    cameras = trajectory.cameras
    return document_from_keyframes(
        keys,
        num_frames=len(trajectory),
        fps=trajectory.fps,
        height=cameras.height,
        width=cameras.width,
    )


def document_from_preset(
    name: str,
    *,
    num_frames: int,
    fps: float,
    height: int,
    width: int,
    hfov_deg: float = 60.0,
    amount: float | None = None,
    pivot_depth: float = 1.0,
) -> Document:
    """Describe a preset (see `make_preset`) by as few keyframes as follow it closely.

    Raises:
        InputError: As `make_preset`, and for fewer than 2 frames.
    """
    if num_frames < 2:
        raise InputError(f"num_frames must be 2 or more; got {num_frames}. Use 9 to start with.")
    dense_fps = fps * (_DENSE_FRAMES - 1) / (num_frames - 1)
    path = make_preset(
        name,
        num_frames=_DENSE_FRAMES,
        fps=dense_fps,
        height=height,
        width=width,
        hfov_deg=hfov_deg,
        amount=amount,
        pivot_depth=pivot_depth,
    )
    document = _document(path, _fit(path, None, PRESET_ENOUGH))
    return {**document, "num_frames": num_frames, "fps": float(fps)}


def sampled_keys(trajectory: Trajectory, time_sec: Sequence[float]) -> list[Keyframe]:
    """Return keyframes on a path at given times."""
    read = trajectory.sampled_at(torch.tensor(time_sec, dtype=torch.float64))
    return _keys_at(read, list(range(len(read))))


def _keys_at(trajectory: Trajectory, frames: Sequence[int]) -> list[Keyframe]:
    hfov_deg = torch.rad2deg(trajectory.cameras.hfov_rad.to(torch.float64))
    world_from_cam = trajectory.cameras.world_from_cam.to(torch.float64)
    return [
        Keyframe(float(trajectory.times_sec[frame]), world_from_cam[frame], float(hfov_deg[frame]))
        for frame in frames
    ]


def _fit(trajectory: Trajectory, wanted: int | None, enough: float) -> list[Keyframe]:
    """Return `wanted` keyframes, or as few as miss no frame by `enough`."""
    count = len(trajectory)
    most = min(count, MOST_FITTED if wanted is None else wanted)
    if most < 2:
        return _keys_at(trajectory, [0])
    picked = [0, count - 1]
    if wanted is None and count > 2:
        for easing in _WHOLE_MOVES:
            keys = [replace(key, easing=easing) for key in _keys_at(trajectory, picked)]
            if float(_misses(trajectory, keys).max()) < enough:
                return keys
    while len(picked) < most:
        miss = _misses(trajectory, _keys_at(trajectory, picked))
        miss[picked] = -1.0
        worst = int(miss.argmax())
        if wanted is None and float(miss[worst]) < enough:
            break
        picked = sorted([*picked, worst])
    return _keys_at(trajectory, picked)


def _misses(trajectory: Trajectory, keys: list[Keyframe]) -> Float[Tensor, "frames"]:
    """Return how far the curve through keyframes is from every frame.

    The distance over the path's reach, the angle in radians and the relative change of the focal
    length, added up.
    """
    cameras = trajectory.cameras
    time = trajectory.times_sec.to(torch.float64)
    drawn = trajectory_from_keyframes(
        keys,
        num_frames=2 * len(trajectory) - 1,
        fps=1.0,
        height=cameras.height,
        width=cameras.width,
    )
    share = (time - time[0]) / (time[-1] - time[0])
    drawn = drawn.sampled_at(share * float(drawn.times_sec[-1]))
    centre, drawn_centre = trajectory.positions.to(torch.float64), drawn.positions
    reach = (centre - centre[0]).norm(dim=-1).max().clamp_min(1e-3)
    distance = (centre - drawn_centre).norm(dim=-1) / reach
    world_from_cam = cameras.world_from_cam.to(torch.float64)
    cam_from_world = world_from_cam[:, :3, :3].mT
    angle = rotation_angle_rad(cam_from_world @ drawn.cameras.world_from_cam[:, :3, :3])
    zoom = (cameras.focal_px[:, 0].to(torch.float64) / drawn.cameras.focal_px[:, 0]).log().abs()
    return distance + angle + zoom
