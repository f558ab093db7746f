"""Frames of a clip as one file, exactly as 8-bit pictures show them."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.files import atomic_write


def save_frames(path: Path, video: Float[Tensor, "frames 3 h w"]) -> None:
    """Keep frames exactly as 8-bit pictures show them. Inverse of `load_frames`."""
    pixels = video.mul(255).round().to(torch.uint8).cpu().numpy()
    with atomic_write(path) as part, part.open("wb") as file:
        np.save(file, pixels, allow_pickle=False)


def load_frames(path: Path) -> Float[Tensor, "frames 3 h w"]:
    """Read what `save_frames` wrote.

    Raises:
        InputError: The file is gone or damaged.
    """
    try:
        frames = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path.name} must be a file of frames; got '{error}'. Estimate the path again."
        ) from error
    return torch.from_numpy(frames).to(torch.float32) / 255


def even_sized(video: Float[Tensor, "frames 3 h w"]) -> Float[Tensor, "frames 3 _ _"]:
    """Repeat the last row or column of odd sizes, which H.264 does not take, to show a video."""
    height, width = video.shape[-2:]
    padding = (0, width % 2, 0, height % 2)
    return torch.nn.functional.pad(video, padding, mode="replicate")
