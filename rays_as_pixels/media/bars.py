"""Black bars above and below a picture (letterbox) or at its sides (pillarbox)."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8

_MAX_LEVEL = 24  # of 255, in any channel: video black is 0 after decoding, compression adds some
_MAX_RANGE = 12  # of the levels along a line of a bar
_SYMMETRY = 0.01  # of the side: how much the bars of two opposite sides may differ
_MIN_SHARE = 0.01  # of the side: thinner dark lines are no bars
_EDGE_PX = 2  # beyond the bar, that compression darkens


@dataclass(frozen=True)
class PictureArea:
    """The part of the frames that shows a picture.

    Attributes:
        top: First row of it.
        left: First column of it.
        height: In pixels.
        width: In pixels.
    """

    top: int
    left: int
    height: int
    width: int

    def of(self, frame: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "height width 3"]:
        """Cut the picture out of a frame."""
        rows = slice(self.top, self.top + self.height)
        return np.ascontiguousarray(frame[rows, self.left : self.left + self.width])


def picture_area(frames: Iterable[UInt8[np.ndarray, "height width 3"]]) -> PictureArea:
    """Find the area between black bars that some frames share; all of it where there are none.

    Bars count only in pairs of one thickness: a dark sky is none, and the lens's axis stays in the
    middle.

    Args:
        frames: RGB, of one size; one or more, the brighter the better.
    """
    brightest: np.ndarray | None = None
    darkest: np.ndarray | None = None
    for frame in frames:
        brightest = frame if brightest is None else np.maximum(brightest, frame)
        darkest = frame if darkest is None else np.minimum(darkest, frame)
    assert brightest is not None and darkest is not None
    height, width = brightest.shape[:2]
    black = (brightest.max(axis=2) <= _MAX_LEVEL) & (
        brightest.max(axis=2).astype(int) - darkest.min(axis=2) <= _MAX_RANGE
    )
    top = _thickness(black.all(axis=1))
    left = _thickness(black.all(axis=0))
    return PictureArea(top, left, height - 2 * top, width - 2 * left)


def _thickness(black: Bool[np.ndarray, "lines"]) -> int:
    """Return how many lines to leave out at either end."""
    if black.all():
        return 0
    before, after = int(np.argmin(black)), int(np.argmin(black[::-1]))
    if abs(before - after) > max(2, _SYMMETRY * len(black)):
        return 0
    thickness = max(before, after)
    return thickness + _EDGE_PX if thickness >= max(2, _MIN_SHARE * len(black)) else 0
