"""What one does to whole paths: every function returns a new path and leaves its argument alone.

Making another frame the world is `Trajectory.reanchored`; restating intrinsics for another image
size is `Trajectory.resized`.
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.align import Similarity, align_cameras
from rays_as_pixels.geometry.cameras import Cameras, invert_rigid, rigid
from rays_as_pixels.geometry.rotations import (
    rotation_angle_rad,
    rotation_from_vector,
    vector_from_rotation,
)
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.alignment import Alignment, align
from rays_as_pixels.trajectories.easing import ease
from rays_as_pixels.trajectories.motions import shake_curve
from rays_as_pixels.trajectories.smoothing import smooth
from rays_as_pixels.trajectories.training_range import RangeWarning, TrainingRange, check_range

__all__ = [
    "Alignment",
    "RangeWarning",
    "Seam",
    "Speeds",
    "TrainingRange",
    "align",
    "check_range",
    "close_loop",
    "concatenate",
    "mirror",
    "move",
    "resample",
    "retime",
    "reverse",
    "rotate",
    "scale",
    "seam",
    "shake",
    "smooth",
    "speeds",
]

Point = tuple[float, float, float]
ORIGIN: Point = (0.0, 0.0, 0.0)
_AXES = ("x", "y", "z")
_JOINS = ("continue", "as-is")


def _with_pose(trajectory: Trajectory, pose: Float[Tensor, "frames 4 4"]) -> Trajectory:
    return replace(trajectory, cameras=replace(trajectory.cameras, world_from_cam=pose))


def _transformed(trajectory: Trajectory, similarity: Similarity) -> Trajectory:
    return replace(trajectory, cameras=align_cameras(trajectory.cameras, similarity))


def _about(trajectory: Trajectory, rotation: Tensor, factor: float, pivot: Point) -> Similarity:
    pose = trajectory.cameras.world_from_cam
    rotation, point = rotation.to(pose), pose.new_tensor(pivot)
    return Similarity(rotation, point - factor * rotation @ point, pose.new_tensor(factor))


def move(trajectory: Trajectory, offset: Point) -> Trajectory:
    """Shift the whole path by an offset in world axes, in scene units."""
    pose = trajectory.cameras.world_from_cam.clone()
    pose[:, :3, 3] += pose.new_tensor(offset)
    return _with_pose(trajectory, pose)


def rotate(
    trajectory: Trajectory, rotation_vector_deg: Point, *, pivot: Point = ORIGIN
) -> Trajectory:
    """Turn the whole path, cameras and all, about a world point.

    Args:
        trajectory: The path.
        rotation_vector_deg: World axis times angle in degrees, right-handed; (0, 90, 0) takes a
            path that goes forward (+Z) to one that goes right (+X).
        pivot: The point that stays, in scene units.
    """
    vector = torch.deg2rad(torch.tensor(rotation_vector_deg, dtype=torch.float64))
    return _transformed(trajectory, _about(trajectory, rotation_from_vector(vector), 1.0, pivot))


def scale(trajectory: Trajectory, factor: float, *, pivot: Point = ORIGIN) -> Trajectory:
    """Bring every camera centre `factor` times as far from a world point; rotations stay.

    Raises:
        InputError: The factor is not positive: use `mirror` to turn a path round.
    """
    if not 0 < factor < 1e9:
        raise InputError(
            f"factor must be positive and below 1e9; got {factor}. Use mirror to flip a path."
        )
    eye = torch.eye(3, dtype=torch.float64)
    return _transformed(trajectory, _about(trajectory, eye, factor, pivot))


def mirror(trajectory: Trajectory, axis: str = "x") -> Trajectory:
    """Reflect the path in the world plane through the origin across an axis.

    "x" gives the path of the same video flipped left to right, "y" top to bottom, and the principal
    point flips with it. "z" turns forward moves into backward ones; no flip of the video does that.

    Raises:
        InputError: The axis is not x, y or z.
    """
    if axis not in _AXES:
        raise InputError(f"axis must be x, y or z; got {axis!r}. Use x for left to right.")
    cameras = trajectory.cameras
    signs = torch.ones(4, dtype=cameras.world_from_cam.dtype)
    signs[_AXES.index(axis)] = -1
    pose = signs[:, None] * cameras.world_from_cam * signs
    center = cameras.center_px.clone()
    if axis != "z":
        column = _AXES.index(axis)
        center[:, column] = (cameras.width, cameras.height)[column] - center[:, column]
    return replace(trajectory, cameras=replace(cameras, world_from_cam=pose, center_px=center))


def reverse(trajectory: Trajectory) -> Trajectory:
    """Play the path backwards, over the same times. The world stays that of the old frame 0."""
    order = torch.arange(len(trajectory) - 1, -1, -1)
    time = trajectory.times_sec
    source = trajectory.source_frame
    return replace(
        trajectory,
        cameras=trajectory.cameras[order],
        time_sec=(time[0] + time[-1] - time).flip(0),
        source_frame=None if source is None else source[::-1],
    )


def retime(
    trajectory: Trajectory, *, duration_sec: float | None = None, easing: str = "linear"
) -> Trajectory:
    """Travel the same path in another time or at another pace, with as many frames.

    Args:
        trajectory: 2 frames or more.
        duration_sec: From the first frame to the last; None keeps it. The fps changes inversely.
        easing: A key of `easing.EASINGS`; "linear" keeps the pace. Other paces read the path
            between its frames and thereby lose `source_frame`.

    Raises:
        InputError: A path of one frame, a duration that is not positive, an unknown easing.
    """
    if len(trajectory) < 2:
        raise InputError("a path must have 2 frames or more to be retimed; got 1. Add a frame.")
    time = trajectory.times_sec
    before = float(time[-1] - time[0])
    after = before if duration_sec is None else duration_sec
    if not 0 < after < 1e6:
        raise InputError(
            f"duration_sec must be positive; got {duration_sec}. Use reverse to play backwards."
        )
    retimed = trajectory
    if easing != "linear":
        share = ease(((time - time[0]) / before).clamp(0, 1).to(torch.float64), easing)
        read_at, place = torch.unique(time[0] + before * share, return_inverse=True)
        cameras = trajectory.sampled_at(read_at).cameras[place]
        retimed = replace(trajectory, cameras=cameras, source_frame=None)
    factor = after / before
    return replace(
        retimed, time_sec=time[0] + (time - time[0]) * factor, fps=trajectory.fps / factor
    )


def resample(
    trajectory: Trajectory, *, num_frames: int | None = None, fps: float | None = None
) -> Trajectory:
    """Read the path at evenly spaced times, at a number of frames or at a rate.

    With `num_frames`, first and last frame are kept and the fps follows. With `fps`, frames stand
    1/fps apart from the first on; a rest shorter than 1/fps at the end has no frame.

    Raises:
        InputError: Neither or both are given, or they are not positive.
    """
    if (num_frames is None) == (fps is None):
        raise InputError(
            f"resample must get either num_frames or fps; got {num_frames} and {fps}. "
            "Leave one out."
        )
    if num_frames is not None:
        return trajectory.resampled(num_frames)
    if fps is None or not 0 < fps < 1e6:
        raise InputError(f"fps must be positive; got {fps}. Use the path's own, {trajectory.fps}.")
    first, last = (float(trajectory.times_sec[index]) for index in (0, -1))
    count = math.floor((last - first) * fps + 1e-6) + 1
    time = first + torch.arange(count, dtype=torch.float64) / fps
    return trajectory.sampled_at(time.clamp(max=last), fps=fps)


def concatenate(first: Trajectory, second: Trajectory, *, join: str = "continue") -> Trajectory:
    """Play one path after another.

    Args:
        first: Its world and fps are those of the result.
        second: Of the same image size; keeps its own pace.
        join: "continue" moves the second path so that its frame 0 falls on the last frame of the
            first, which then stands for both; "as-is" leaves it where it is and starts it 1/fps
            later.

    Raises:
        InputError: Unknown join, different image sizes, or "continue" with a second path of one
            frame.
    """
    if join not in _JOINS:
        raise InputError(f"join must be continue or as-is; got {join!r}. Use continue if in doubt.")
    sizes = [(path.cameras.height, path.cameras.width) for path in (first, second)]
    if sizes[0] != sizes[1]:
        raise InputError(
            f"both paths must have one image size; got {sizes[0]} and {sizes[1]} (height, width). "
            "Use Trajectory.resized on one of them."
        )
    pose, other = (
        first.cameras.world_from_cam,
        second.cameras.world_from_cam.to(first.cameras.world_from_cam),
    )
    skip = 0
    time = second.times_sec - second.times_sec[0] + first.times_sec[-1]
    if join == "continue":
        if len(second) < 2:
            raise InputError(
                "the second path must have 2 frames or more to continue the first; got 1. "
                "Use join 'as-is'."
            )
        skip, other = 1, pose[-1] @ invert_rigid(other[0]) @ other
    else:
        time = time + 1 / first.fps
    both = None
    if first.source_frame is not None and second.source_frame is not None:
        both = (*first.source_frame, *second.source_frame[skip:])
    focal, center = (
        torch.cat([getattr(first.cameras, name), getattr(second.cameras, name)[skip:]])
        for name in ("focal_px", "center_px")
    )
    cameras = Cameras(torch.cat([pose, other[skip:]]), focal, center, *sizes[0])
    return Trajectory(cameras, first.fps, torch.cat([first.times_sec, time[skip:]]), both)


@dataclass(frozen=True)
class Speeds:
    """How fast a path is between frame i and i + 1, F-1 values each."""

    scene_units_per_sec: Float[Tensor, "steps"]
    deg_per_sec: Float[Tensor, "steps"]


def speeds(trajectory: Trajectory) -> Speeds:
    """Return the speed of the centre and the turn rate of every step, by the path's own times."""
    rotation = trajectory.cameras.world_from_cam[:, :3, :3].to(torch.float64)
    turn = rotation_angle_rad(rotation[:-1].transpose(-1, -2) @ rotation[1:])
    way = trajectory.positions.to(torch.float64).diff(dim=0).norm(dim=-1)
    seconds = trajectory.times_sec.diff()
    return Speeds(way / seconds, torch.rad2deg(turn) / seconds)


@dataclass(frozen=True)
class Seam:
    """What jumps where a path that is played in a loop goes from its last frame to its first.

    Attributes:
        distance: Between the centres, in scene units.
        angle_deg: Between the rotations.
        hfov_deg: Between the horizontal fields of view.
        velocity: Difference of the velocities before and after, scene units per second.
    """

    distance: float
    angle_deg: float
    hfov_deg: float
    velocity: float


def seam(trajectory: Trajectory) -> Seam:
    """Measure the seam of a loop whose last frame should equal its first.

    Raises:
        InputError: A path of one frame.
    """
    if len(trajectory) < 2:
        raise InputError("a loop must have 2 frames or more; got 1. Add a frame.")
    pose = trajectory.cameras.world_from_cam.to(torch.float64)
    hfov = torch.rad2deg(trajectory.cameras.hfov_rad.to(torch.float64))
    step = pose[:, :3, 3].diff(dim=0) / trajectory.times_sec.diff()[:, None]
    turn = rotation_angle_rad(pose[-1, :3, :3].T @ pose[0, :3, :3])
    return Seam(
        float((pose[0, :3, 3] - pose[-1, :3, 3]).norm()),
        float(torch.rad2deg(turn)),
        float((hfov[0] - hfov[-1]).abs()),
        float((step[0] - step[-1]).norm()),
    )


def close_loop(trajectory: Trajectory) -> Trajectory:
    """Bring the last frame onto the first by spreading the gap evenly over all frames in between.

    Rotation, centre and focal length close; the velocity may still jump (see `seam`).

    Raises:
        InputError: A path of fewer than 3 frames.
    """
    if len(trajectory) < 3:
        raise InputError(f"a loop must have 3 frames or more; got {len(trajectory)}. Add frames.")
    cameras = trajectory.cameras.to(dtype=torch.float64)
    pose = cameras.world_from_cam
    share = torch.linspace(0, 1, len(trajectory), dtype=torch.float64)[:, None]
    missing = vector_from_rotation(pose[-1, :3, :3].T @ pose[0, :3, :3])
    rotation = pose[:, :3, :3] @ rotation_from_vector(share * missing)
    centre = pose[:, :3, 3] + share * (pose[0, :3, 3] - pose[-1, :3, 3])
    focal = cameras.focal_px * (cameras.focal_px[0] / cameras.focal_px[-1]) ** share
    closed = replace(cameras, world_from_cam=rigid(rotation, centre), focal_px=focal)
    return replace(trajectory, cameras=closed)


def shake(
    trajectory: Trajectory, amount_deg: float, *, generator: torch.Generator, depth: float = 1.0
) -> Trajectory:
    """Lay the sway of a hand over a path; its ends stay.

    Args:
        trajectory: The path.
        amount_deg: Rotation about each axis stays below this; the centre sways by half as much,
            seen from `depth`.
        generator: Source of the sway.
        depth: Distance of the subject, in scene units.

    Raises:
        InputError: The amount lies outside 0 to 20 degrees.
    """
    if not 0 <= amount_deg <= 20:
        raise InputError(f"amount_deg must lie between 0 and 20; got {amount_deg}. Use 2 to start.")
    share = torch.linspace(0, 1, len(trajectory), dtype=torch.float64)
    sway = math.radians(amount_deg) * shake_curve(share, generator=generator)
    cameras = trajectory.cameras.to(dtype=torch.float64)
    local = rigid(rotation_from_vector(sway[:, :3]), 0.5 * depth * sway[:, 3:])
    return _with_pose(replace(trajectory, cameras=cameras), cameras.world_from_cam @ local)
