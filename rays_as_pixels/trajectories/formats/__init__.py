"""Trajectory files: every format people use, each with its convention said."""

from pathlib import Path
from typing import Any

from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.formats.native import read_native, write_native


def load(path: "str | Path", *, format: str | None = None) -> Trajectory:
    """Read a native trajectory file."""
    return read_native(path)


def save(
    trajectory: Trajectory, path: "str | Path", *, format: str | None = None, extra: Any = None
) -> None:
    """Write a native trajectory file."""
    write_native(trajectory, path, extra=extra)
