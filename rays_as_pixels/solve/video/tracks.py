"""Point tracks through a video: Lucas-Kanade from frame to frame, each step checked backwards.

Lucas and Kanade 1981, with the pyramids of Bouguet 2001 (OpenCV); a step is kept where tracking it
back ends where it began (forward-backward error, Kalal et al. 2010). Places follow the project's
convention: the image's top-left corner is (0, 0), so OpenCV's pixel centres gain half a pixel.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

NUM_POINTS = 1000  # tracked at once
_REFILL_BELOW = 0.8  # of NUM_POINTS; then new corners are looked for
_MIN_DISTANCE_PX = 7  # between two points
_CORNER_QUALITY = 0.003  # of the best corner's response; low, so that bare walls have points too
_MAX_BACKWARD_ERROR_PX = 0.5
_BORDER_PX = 3  # points that leave by less than the window keep OpenCV's status 1
_WINDOW, _LEVELS = (21, 21), 4
_CRITERIA = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 20, 0.02)


@dataclass(frozen=True, eq=False)
class Tracks:
    """Where scene points are seen, frame by frame.

    Attributes:
        points_px: For each frame the (n, 2) places (x, y) of its points, in pixels from the corner.
        ids: For each frame the (n,) numbers of the tracks that these belong to, ascending.
        height: Of the frames, in pixels.
        width: Of the frames, in pixels.
    """

    points_px: tuple[Float[np.ndarray, "_ 2"], ...]
    ids: tuple[Int[np.ndarray, "_"], ...]
    height: int
    width: int

    def __len__(self) -> int:
        return len(self.ids)

    def shared(
        self, first: int, second: int
    ) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"], Int[np.ndarray, "n"]]:
        """Return the tracks that two frames share: their ids, and their rows in each frame."""
        return np.intersect1d(
            self.ids[first], self.ids[second], assume_unique=True, return_indices=True
        )


class FramePoints(NamedTuple):
    """The tracked points of one frame.

    Attributes:
        points_px: (n, 2) places (x, y), in pixels from the image's corner.
        ids: (n,) numbers of the tracks they belong to, ascending.
    """

    points_px: Float[np.ndarray, "n 2"]
    ids: Int[np.ndarray, "n"]


class Tracker:
    """Track points through frames that come one at a time; only the last one is kept."""

    def __init__(self) -> None:
        """Start without any frame."""
        self._previous: np.ndarray | None = None
        self._tracked: np.ndarray | None = None
        self._counts = (0, 0)
        self._points = np.zeros((0, 2), np.float32)  # OpenCV's convention: pixel centres at 0
        self._ids = np.zeros(0, np.int64)
        self._num_tracks = 0
        self._found: list[FramePoints] = []

    def track(self, frame: UInt8[np.ndarray, "height width"]) -> tuple[int, int]:
        """Track the points into the next frame, a grey one.

        `add` of the same frame then does not track again.

        Returns:
            How many points there were, and how many of them were found.
        """
        if self._tracked is frame:
            return self._counts
        before = len(self._points)
        if self._previous is not None and before:
            moved, good = _track_step(self._previous, frame, self._points)
            self._points, self._ids = moved[good], self._ids[good]
        self._tracked, self._counts = frame, (before, len(self._points))
        return self._counts

    def add(self, frame: UInt8[np.ndarray, "height width"]) -> FramePoints:
        """Track the points into the next frame, a grey one, and fill up with new corners."""
        self.track(frame)
        if len(self._points) < _REFILL_BELOW * NUM_POINTS:
            self._refill(frame)
        self._previous = frame
        self._found.append(FramePoints(self._points + np.float32(0.5), self._ids.copy()))
        return self._found[-1]

    def _refill(self, frame: np.ndarray) -> None:
        free = np.full(frame.shape, 255, np.uint8)
        for x, y in self._points:
            cv2.circle(free, (int(x), int(y)), _MIN_DISTANCE_PX, 0, -1)
        wanted = NUM_POINTS - len(self._points)
        corners = cv2.goodFeaturesToTrack(
            frame, wanted, _CORNER_QUALITY, _MIN_DISTANCE_PX, mask=free
        )
        if corners is None:
            return
        numbers = np.arange(self._num_tracks, self._num_tracks + len(corners))
        self._points = np.concatenate([self._points, corners[:, 0]]).astype(np.float32)
        self._ids = np.concatenate([self._ids, numbers])
        self._num_tracks += len(corners)

    def forget(self, count: int) -> None:
        """Drop what was found in the first frames; tracks keep their numbers."""
        del self._found[:count]

    def tracks(self) -> Tracks:
        """Return what was found in all frames so far; there must be one at least."""
        assert self._previous is not None
        height, width = self._previous.shape
        points, ids = zip(*self._found, strict=True)
        return Tracks(points, ids, height, width)


def _track_step(
    previous: np.ndarray, frame: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return where points of one frame are in the next, and which of these can be believed."""
    height, width = frame.shape
    options = {"winSize": _WINDOW, "maxLevel": _LEVELS, "criteria": _CRITERIA}
    flow = cast(Any, cv2.calcOpticalFlowPyrLK)  # its stub wants a start in place of None
    moved, found, _ = flow(previous, frame, points[:, None], None, **options)
    back, found_back, _ = flow(frame, previous, moved, None, **options)
    moved, back = moved[:, 0], back[:, 0]
    good = (found[:, 0] > 0) & (found_back[:, 0] > 0)
    good &= np.linalg.norm(back - points, axis=1) < _MAX_BACKWARD_ERROR_PX
    limit = (width - 1 - _BORDER_PX, height - 1 - _BORDER_PX)
    good &= ((moved > _BORDER_PX) & (moved < limit)).all(axis=1)
    return moved, good
