"""Depths of an image as a file: a NumPy array, or kept with the path that `estimate` found."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.formats.native import read_native_with_extra

EXTRA = "depth"  # where a native trajectory's `extra` keeps those of frame 0


def depth_for_extra(depth: Float[Tensor, "rows columns"] | None) -> dict[str, Any]:
    """Return what to keep with a path: depths in scene units, to four digits; nothing if None."""
    if depth is None:
        return {}
    return {EXTRA: [[float(f"{value:.4g}") for value in row] for row in depth.tolist()]}


def depth_of_path(path: Path) -> Float[Tensor, "rows columns"] | None:
    """Read the depths of frame 0 that a native trajectory file keeps; None if it has none."""
    kept = read_native_with_extra(path)[1].get(EXTRA)
    return None if kept is None else depth_map(kept, path.name)


def read_depth(path: Path) -> Float[Tensor, "rows columns"]:
    """Read depths over an image: a .npy array, or the trajectory.json of `estimate`.

    Raises:
        InputError: The file cannot be read or has none. What numbers may be, `generate` checks.
    """
    if not path.is_file():
        raise InputError(f"depths must be a file; {path} is none. Check its name.")
    if path.suffix.lower() != ".npy":
        kept = depth_of_path(path)
        if kept is None:
            raise InputError(
                f"{path.name} must keep the depths of its first frame; got none. Estimate the "
                "path again, without --no-refine and with --frames other than all."
            )
        return kept
    try:
        values = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"{path.name} must be an array as numpy.save writes it; got {error}. Write it again."
        ) from error
    return depth_map(values, path.name)


def depth_map(values: Any, name: str) -> Float[Tensor, "rows columns"]:
    """Return rows of numbers as a map; `name` is where they come from, for people.

    Raises:
        InputError: They are none.
    """
    try:
        array = np.asarray(values, dtype=np.float32)
        got = f"shape {array.shape}"
    except (TypeError, ValueError) as error:
        array, got = np.empty(0), str(error)
    if array.ndim != 2 or not array.size:
        raise InputError(
            f"depths in {name} must be rows of numbers, all of one length; got {got}. Give one "
            "number for each cell of a grid over the image."
        )
    return torch.from_numpy(array)
