"""Trajectory files: every format people use, each with its convention stated.

`load` and `save` are the whole of it for most callers; `load_info` also tells what was detected,
assumed and converted. FORMATS lists the formats. One module per format, each with its layout in
its docstring; conversion to and from OpenCV camera-to-world poses happens there and nowhere else.
"""

import logging
from pathlib import Path
from typing import Any

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.formats.about import fill_from_about
from rays_as_pixels.trajectories.formats.assemble import assemble, check_options
from rays_as_pixels.trajectories.formats.base import (
    FormatSpec,
    LoadedTrajectory,
    ReadOptions,
    Written,
    frames_of,
)
from rays_as_pixels.trajectories.formats.detect import detect, output_format
from rays_as_pixels.trajectories.formats.registry import FORMATS

__all__ = [
    "FORMATS",
    "FormatSpec",
    "LoadedTrajectory",
    "Written",
    "detect",
    "load",
    "load_info",
    "output_format",
    "save",
]

_LOG = logging.getLogger(__name__)


def load(
    path: "str | Path",
    *,
    format: "str | None" = None,
    size: "tuple[int, int] | None" = None,
    fps: "float | None" = None,
    hfov_deg: "float | None" = None,
    camera: "str | None" = None,
) -> Trajectory:
    """Read a trajectory; what had to be assumed goes to the log as warnings.

    Args:
        path: A file, or a folder for COLMAP.
        format: A name in FORMATS; detected from the content if None.
        size: (width, height) in pixels that the path is for.
        fps: Frames per second of a path without times; replaces the times of a path with them.
        hfov_deg: Horizontal field of view in degrees, for a path without intrinsics.
        camera: Which of a file's cameras, by the file's name for it; the first if None.

    Raises:
        InputError: The file breaks a rule of its format; line and column are named.
    """
    loaded = load_info(path, format=format, size=size, fps=fps, hfov_deg=hfov_deg, camera=camera)
    for note in loaded.notes:
        if loaded.assumed and note.startswith("Assumed"):
            _LOG.warning("%s: %s", path, note)
    return loaded.trajectory


def load_info(
    path: "str | Path",
    *,
    format: "str | None" = None,
    size: "tuple[int, int] | None" = None,
    fps: "float | None" = None,
    hfov_deg: "float | None" = None,
    camera: "str | None" = None,
) -> LoadedTrajectory:
    """Read a trajectory and everything one should know about how. Arguments as for `load`."""
    path = Path(path)
    options = ReadOptions(size, fps, hfov_deg, camera)
    check_options(options)
    if not path.exists():
        raise InputError(f"trajectory must exist; got {path}. Check the path.")
    spec = _spec(format if format is not None else detect(path))
    if camera is not None and not spec.names_cameras:
        raise InputError(
            f"camera must not be given for {spec.name}, which holds one; got {camera!r}. Leave it "
            "out."
        )
    data = spec.read(path, options)
    fill_from_about(data, f"what this program wrote with {path.name}")
    return assemble(data, spec, options)


def save(
    trajectory: Trajectory,
    path: "str | Path",
    *,
    format: "str | None" = None,
    extra: "dict[str, Any] | None" = None,
) -> Written:
    """Write a trajectory.

    Args:
        trajectory: The path.
        path: A file, or a folder for COLMAP; the folder it lies in must exist.
        format: A name in FORMATS; from the name of `path` if None.
        extra: JSON values to keep with the path where the format has room (seed, ...).

    Returns:
        The files written, and what the format could not hold.

    Raises:
        InputError: The format is unknown or read-only, or the place cannot be written to.
    """
    path = Path(path)
    spec = _spec(format if format is not None else output_format(path))
    if spec.write is None:
        names = ", ".join(name for name, other in FORMATS.items() if other.writable)
        raise InputError(f"format must be one of {names}; got {spec.name!r}. Choose one of those.")
    return spec.write(frames_of(trajectory), path, dict(extra or {}))


def _spec(name: str) -> FormatSpec:
    if name not in FORMATS:
        raise InputError(
            f"format must be one of {', '.join(FORMATS)}; got {name!r}. Choose one of those."
        )
    return FORMATS[name]
