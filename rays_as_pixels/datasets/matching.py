"""Matched points between frames (SIFT), for checks and triangulation. Needs OpenCV, an extra."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError

FEATURES = 1500
RATIO = 0.75  # of the best descriptor distance to the second best


def has_opencv() -> bool:
    """Whether OpenCV is installed."""
    return find_spec("cv2") is not None


def opencv() -> Any:
    """Import OpenCV.

    Raises:
        InputError: It is not installed.
    """
    if not has_opencv():
        raise InputError(
            "opencv must be installed to compare cameras with images; it is not. Run 'pip install "
            '".[data]"\', or check poses alone with --no-images.'
        )
    import cv2  # noqa: PLC0415 - optional, and slow to import

    return cv2


@dataclass(frozen=True)
class Matches:
    """Points of frames `first` and `second` that look the same.

    Attributes:
        first: Frame.
        second: Frame.
        first_px: (N, 2), the first pixel's centre at (0.5, 0.5).
        second_px: (N, 2), likewise.
    """

    first: int
    second: int
    first_px: Float[Tensor, "n 2"]
    second_px: Float[Tensor, "n 2"]


class Matcher:
    """Matches frames of one sequence; features are found once per frame.

    Args:
        frames: (F, 3, H, W) in [0, 1].
        numbers: The frame numbers that the F frames have in their sequence.
    """

    def __init__(
        self, frames: Float[Tensor, "frames 3 height width"], numbers: Sequence[int]
    ) -> None:
        self._cv2 = opencv()
        self._frames = dict(zip(numbers, frames, strict=True))
        self._features: dict[int, tuple[np.ndarray, np.ndarray | None]] = {}

    def match(self, first: int, second: int) -> Matches:
        """Match two frames; there may be no points at all."""
        one, two = self._of(first), self._of(second)
        pairs: list[tuple[int, int]] = []
        if one[1] is not None and two[1] is not None and len(two[0]) > 1:
            for found in self._cv2.BFMatcher().knnMatch(one[1], two[1], k=2):
                if len(found) == 2 and found[0].distance < RATIO * found[1].distance:
                    pairs.append((found[0].queryIdx, found[0].trainIdx))
        index = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        first_px, second_px = one[0][index[:, 0]], two[0][index[:, 1]]
        return Matches(first, second, torch.from_numpy(first_px), torch.from_numpy(second_px))

    def _of(self, number: int) -> tuple[np.ndarray, np.ndarray | None]:
        if number not in self._features:
            gray = (self._frames[number].mean(0) * 255).round().to(torch.uint8).numpy()
            points, descriptors = self._cv2.SIFT_create(FEATURES).detectAndCompute(gray, None)
            # OpenCV has the first pixel's centre at (0, 0), this project at (0.5, 0.5).
            place = np.array([p.pt for p in points], dtype=np.float64).reshape(-1, 2) + 0.5
            self._features[number] = place, descriptors
        return self._features[number]
