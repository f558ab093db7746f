"""What one does to whole paths: every function returns a new path and leaves its argument alone.

Making another frame the world is `Trajectory.reanchored`; restating intrinsics for another image
size is `Trajectory.resized`.
"""

import math
from dataclasses import dataclass, replace

import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.align import Similarity, align_cameras
from rays_as_pixels.geometry.cameras import rigid
from rays_as_pixels.geometry.flips import mirrored_cameras, reversed_cameras
from rays_as_pixels.geometry.rotations import (
    rotation_angle_rad,
    rotation_from_vector,
    vector_from_rotation,
)
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.alignment import Alignment, align
from rays_as_pixels.trajectories.easing import ease
from rays_as_pixels.trajectories.smoothing import smooth
from rays_as_pixels.trajectories.training_range import RangeWarning, TrainingRange, check_range

__all__ = [
    "Alignment",
    "RangeWarning",
    "Seam",
    "TrainingRange",
    "align",
    "check_range",
    "close_loop",
    "mirror",
    "resample",
    "retime",
    "reverse",
    "scale",
    "seam",
    "smooth",
]

Point = tuple[float, float, float]
ORIGIN: Point = (0.0, 0.0, 0.0)


def scale(trajectory: Trajectory, factor: float, *, pivot: Point = ORIGIN) -> Trajectory:
    """Bring every camera centre `factor` times as far from a world point; rotations stay.

    Raises:
        InputError: The factor is not positive: use `mirror` to turn a path round.
    """
    if not 0 < factor < 1e9:
        raise InputError(
            f"factor must be positive and below 1e9; got {factor}. Use mirror to flip a path."
        )
    pose = trajectory.cameras.world_from_cam
    fixed = pose.new_tensor(pivot)
    about_pivot = Similarity(torch.eye(3).to(pose), fixed - factor * fixed, pose.new_tensor(factor))
    return replace(trajectory, cameras=align_cameras(trajectory.cameras, about_pivot))


def mirror(trajectory: Trajectory, axis: str = "x") -> Trajectory:
    """Reflect the path in the world plane through the origin across an axis.

    "x" gives the path of the same video flipped left to right, "y" top to bottom, and the principal
    point flips with it. "z" turns forward moves into backward ones; no flip of the video does that.

    Raises:
        InputError: The axis is not x, y or z.
    """
    return replace(trajectory, cameras=mirrored_cameras(trajectory.cameras, axis))


def reverse(trajectory: Trajectory) -> Trajectory:
    """Play the path backwards, over the same times. The world stays that of the old frame 0."""
    time = trajectory.times_sec
    source = trajectory.source_frame
    return replace(
        trajectory,
        cameras=reversed_cameras(trajectory.cameras),
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
