"""Small pictures of a video's frames, gathered while the frames pass by."""

import math

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

HEIGHT_PX = 96
_MIN_HEIGHT_PX = 16
_MAX_PIXELS = 2_000_000  # of all together; the pictures of longer videos are smaller


class Thumbnails:
    """Gathers small pictures of frames of one size."""

    def __init__(self, num_frames: int) -> None:
        """Start without any.

        Args:
            num_frames: How many frames are expected; decides the size of the pictures.
        """
        self._num_frames = num_frames
        self._pictures: list[np.ndarray] = []

    def add(
        self, frame: UInt8[np.ndarray, "height width 3"]
    ) -> UInt8[np.ndarray, "height width 3"]:
        """Keep a small picture of an RGB frame; return the frame itself."""
        aspect = frame.shape[1] / frame.shape[0]
        height = min(HEIGHT_PX, math.sqrt(_MAX_PIXELS / self._num_frames / aspect))
        size = max(_MIN_HEIGHT_PX, round(height))
        small = Image.fromarray(frame).resize(
            (max(1, round(size * aspect)), size), Image.Resampling.BILINEAR, reducing_gap=2.0
        )
        self._pictures.append(np.asarray(small))
        return frame

    def gathered(self) -> UInt8[Tensor, "frames 3 h w"] | None:
        """Return the pictures, None if there are none."""
        if not self._pictures:
            return None
        return torch.from_numpy(np.stack(self._pictures)).movedim(-1, 1)
