"""From what a reader found to a checked Trajectory, with every decision reported."""

import numpy as np
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.rotations import nearest_rotation
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.formats.base import (
    FormatSpec,
    LoadedTrajectory,
    PathData,
    ReadOptions,
)
from rays_as_pixels.trajectories.formats.poses import focal_from_fov, rigid_deviation

ROUNDED = 1e-3  # files keep 4 digits or more; a scaled or sheared pose is further off
EXACT = 1e-9
ASSUMED_HFOV_DEG = 60.0
ASSUMED_FPS = 10.0
ASSUMED_SIZE = (1280, 720)
CLOCK_SEC = 1e8  # three years: no clip lasts this long, so it is a clock's time


def assemble(data: PathData, spec: FormatSpec, options: ReadOptions) -> LoadedTrajectory:
    """Check poses, settle size, intrinsics and times, and build the trajectory.

    Raises:
        InputError: A pose is not rigid, times do not increase, or an option is out of range.
    """
    check_options(options)
    assumed = data.assumed
    data.world_from_cam = rigid_poses(data)
    size = _settle_size(data, options, assumed)
    focal, center = _settle_intrinsics(data, options, size, assumed)
    time, fps = _settle_times(data, options, assumed)
    cameras = Cameras(
        torch.from_numpy(np.array(data.world_from_cam)),
        torch.from_numpy(np.array(focal)),
        torch.from_numpy(np.array(center)),
        size[1],
        size[0],
    )
    trajectory = Trajectory(cameras, fps, torch.from_numpy(time), data.source_frame)
    trajectory = _restate_size(trajectory, data, options)
    return LoadedTrajectory(
        trajectory, spec.name, spec.convention, tuple(data.notes), tuple(assumed), data.extra
    )


def check_options(options: ReadOptions) -> None:
    """Refuse options that mean nothing.

    Raises:
        InputError: A size, rate or angle is out of range.
    """
    if options.size is not None and min(options.size) < 1:
        raise InputError(f"size must be positive; got {options.size}. Write it as WxH.")
    if options.fps is not None and not 0 < options.fps < 1e6:
        raise InputError(f"fps must be positive; got {options.fps}. Use 10 if it is not known.")
    if options.hfov_deg is not None and not 0 < options.hfov_deg < 180:
        raise InputError(
            f"hfov must lie between 0 and 180 degrees; got {options.hfov_deg}. Use 60 if unknown."
        )


def rigid_poses(data: PathData) -> np.ndarray:
    """Return the poses with rotations made exact where the file rounded them.

    Raises:
        InputError: A pose is not finite, or further from rigid than rounding explains.
    """
    pose = data.world_from_cam
    finite = np.isfinite(pose).all((1, 2))
    if not finite.all():
        bad = int(np.argmin(finite))
        raise InputError(
            f"{data.where(bad)}: a pose must be finite; got NaN or infinity. Remove that frame."
        )
    off = rigid_deviation(pose)
    if (off > ROUNDED).any():
        bad = int(np.argmax(off > ROUNDED))
        raise InputError(
            f"{data.where(bad)}: a pose must be rigid (R^T R = 1, det R = +1) to {ROUNDED:g}; got "
            f"a deviation of {off[bad]:.3g}. Remove scale or mirroring, or choose another "
            f"--input-format."
        )
    if off.max() > EXACT:
        exact = nearest_rotation(torch.from_numpy(np.array(pose[:, :3, :3]))).numpy()
        change = np.abs(exact - pose[:, :3, :3]).max()
        data.notes.append(
            f"Rotations are written with few digits: they were made orthonormal (largest change "
            f"{change:.1g})."
        )
        pose = pose.copy()
        pose[:, :3, :3] = exact
    return pose


def settle_size(data: PathData, options: ReadOptions) -> "tuple[int, int] | None":
    """Return the size a file is for: its own, else the caller's, else None."""
    return data.size or options.size


def _settle_size(data: PathData, options: ReadOptions, assumed: list[str]) -> tuple[int, int]:
    size = settle_size(data, options)
    if size is not None:
        return size
    assumed.append("size")
    data.notes.append(
        f"Assumed: images of {ASSUMED_SIZE[0]}x{ASSUMED_SIZE[1]}, since the file names no size. "
        "Give --size WxH."
    )
    return ASSUMED_SIZE


def _settle_intrinsics(
    data: PathData, options: ReadOptions, size: tuple[int, int], assumed: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    count = len(data.world_from_cam)
    focal, center = data.focal_px, data.center_px
    if options.hfov_deg is not None:
        if focal is not None:
            data.notes.append(f"The given {options.hfov_deg:g} degrees replace its intrinsics.")
        focal, center = _focal_of_hfov(options.hfov_deg, size, count), None
    elif focal is None and (data.vfov_rad is not None or data.hfov_rad is not None):
        focal = _focal_of_angles(data, size)
    elif focal is None:
        assumed.append("intrinsics")
        data.notes.append(
            f"Assumed: a horizontal field of view of {ASSUMED_HFOV_DEG:g} degrees, since the file "
            "holds no intrinsics. Give --hfov DEG."
        )
        focal = _focal_of_hfov(ASSUMED_HFOV_DEG, size, count)
    if (focal <= 0).any():
        bad = int(np.argmax((focal <= 0).any(1)))
        raise InputError(
            f"{data.where(bad)}: a focal length must be positive; got {focal[bad].min():g}. "
            "Check the columns."
        )
    if center is None:
        if options.hfov_deg is None and "intrinsics" not in assumed:
            data.notes.append("The principal point is not in the file: the image centre is used.")
        center = np.broadcast_to(np.array(size) / 2, (count, 2))
    return focal, center


def _focal_of_hfov(hfov_deg: float, size: tuple[int, int], count: int) -> np.ndarray:
    return np.full((count, 2), focal_from_fov(np.deg2rad(hfov_deg), size[0]))


def _focal_of_angles(data: PathData, size: tuple[int, int]) -> np.ndarray:
    fx = None if data.hfov_rad is None else focal_from_fov(data.hfov_rad, size[0])
    fy = None if data.vfov_rad is None else focal_from_fov(data.vfov_rad, size[1])
    given = [focal for focal in (fx, fy) if focal is not None]
    if len(given) < 2:
        data.notes.append("The file gives one angle of view: pixels are taken as square.")
    return np.stack([given[0], given[-1]], axis=1)


def _settle_times(
    data: PathData, options: ReadOptions, assumed: list[str]
) -> tuple[np.ndarray, float]:
    count = len(data.world_from_cam)
    time, fps = data.time_sec, data.fps
    if time is not None:
        _check_times(data, time)
        if time[0] >= CLOCK_SEC:
            data.notes.append(f"Times are a clock's: {float(time[0])!r} s was subtracted from all.")
            data.extra = {**data.extra, "clock_start_sec": float(time[0])}
            time = time - time[0]
        fps = fps or rate_of(time)
    if options.fps is None:
        if time is None and fps is None:
            assumed.append("fps")
            data.notes.append(
                f"Assumed: {ASSUMED_FPS:g} frames per second, since the file holds no times. "
                "Give --fps N."
            )
        fps = fps or ASSUMED_FPS
        return (np.arange(count) / fps if time is None else time), float(fps)
    given = np.arange(count) / options.fps
    if time is not None and np.abs(time - time[0] - given).max() < 1e-6:
        return time, float(options.fps)
    if time is not None:
        data.notes.append(
            f"The given {options.fps:g} frames per second replace its times ({time[0]:g} s to "
            f"{time[-1]:g} s); no frame was added or dropped."
        )
    return given, float(options.fps)


def rate_of(time_sec: np.ndarray) -> "float | None":
    """Return frames per second from times: exact if evenly spaced, else by the median step."""
    if len(time_sec) < 2:
        return None
    steps = np.diff(time_sec)
    mean = (time_sec[-1] - time_sec[0]) / len(steps)
    rate = 1 / (mean if np.abs(steps - mean).max() < 0.01 * mean else np.median(steps))
    whole = round(rate)
    return float(whole) if whole and abs(rate - whole) < 1e-6 * whole else float(rate)


def _check_times(data: PathData, time: np.ndarray) -> None:
    if not np.isfinite(time).all():
        bad = int(np.argmin(np.isfinite(time)))
        raise InputError(f"{data.where(bad)}: a time must be finite; got {time[bad]}. Remove it.")
    late = np.diff(time) <= 0
    if late.any():
        bad = int(np.argmax(late)) + 1
        raise InputError(
            f"{data.where(bad)}: times must increase from frame to frame; got "
            f"{float(time[bad])!r} s after {float(time[bad - 1])!r} s. Sort the frames and drop "
            "repeats."
        )


def _restate_size(trajectory: Trajectory, data: PathData, options: ReadOptions) -> Trajectory:
    have = (trajectory.cameras.width, trajectory.cameras.height)
    if options.size is None or options.size == have:
        return trajectory
    width, height = options.size
    data.notes.append(
        f"Intrinsics were for {have[0]}x{have[1]} and are restated for {width}x{height}."
    )
    return trajectory.resized(height=height, width=width)
