"""Frames of a clip as one file, exactly as 8-bit pictures show them."""

import io
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.files import write_bytes


def frames_bytes(video: Float[Tensor, "frames 3 h w"]) -> bytes:
    """Return frames in [0, 1] as a NumPy file's bytes, uint8 of the same shape."""
    file = io.BytesIO()
    np.save(file, video.mul(255).round().to(torch.uint8).cpu().numpy(), allow_pickle=False)
    return file.getvalue()


def save_frames(path: Path, video: Float[Tensor, "frames 3 h w"]) -> None:
    """Write `frames_bytes` of a video. Inverse of `load_frames`."""
    write_bytes(path, frames_bytes(video))


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
