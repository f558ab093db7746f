"""The native file as one of the formats; see `native.py`."""

from pathlib import Path
from typing import Any

import torch

from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.conventions import CONVENTION
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.formats.base import (
    FormatSpec,
    Frames,
    PathData,
    ReadOptions,
    Written,
    frames_of,
)
from rays_as_pixels.trajectories.formats.native import read_native_with_extra, write_native


def trajectory_of(frames: Frames) -> Trajectory:
    """Return the trajectory of float64 arrays. Inverse of `frames_of`."""
    cameras = Cameras(
        torch.from_numpy(frames.world_from_cam),
        torch.from_numpy(frames.focal_px),
        torch.from_numpy(frames.center_px),
        frames.size[1],
        frames.size[0],
    )
    return Trajectory(cameras, frames.fps, torch.from_numpy(frames.time_sec), frames.source_frame)


def data_of(trajectory: Trajectory, extra: "dict[str, Any]", where) -> PathData:
    """Return a whole trajectory as what a reader found."""
    frames = frames_of(trajectory)
    return PathData(
        world_from_cam=frames.world_from_cam,
        where=where,
        focal_px=frames.focal_px,
        center_px=frames.center_px,
        size=frames.size,
        time_sec=frames.time_sec,
        fps=frames.fps,
        source_frame=frames.source_frame,
        extra=extra,
    )


def read(path: Path, options: ReadOptions) -> PathData:
    """Read a native file."""
    trajectory, extra = read_native_with_extra(path)
    return data_of(trajectory, extra, lambda frame: f"{path.name}, field frames[{frame}]")


def write(frames: Frames, path: Path, extra: "dict[str, Any]") -> Written:
    """Write a native file."""
    write_native(trajectory_of(frames), path, extra=extra)
    return Written((path,))


SPEC = FormatSpec(
    name="native",
    title="Rays as Pixels trajectory",
    convention=f"{CONVENTION} 4x4; pixels with the first centre at (0.5, 0.5); seconds",
    direction="camera to world",
    extensions=(".json",),
    carries_intrinsics=True,
    carries_time=True,
    read=read,
    write=write,
)
