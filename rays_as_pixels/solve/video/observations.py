"""What a clip's frames say of its cameras: tracks, keyframes, features; some of it kept aside.

A share of the tracks and of the features is held out: no path is fitted to it, so that it can tell
how good a path is (`evidence`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Bool, Int, UInt8

from rays_as_pixels.solve.video.features import (
    Features,
    colors_at,
    detect_features,
    match_features,
)
from rays_as_pixels.solve.video.keyframes import is_keyframe
from rays_as_pixels.solve.video.tracks import FramePoints, Tracker, Tracks

_HELD_OUT_EVERY = 5  # tracks
_HELD_OUT_FEATURES_EVERY = 8
_WINDOW = 4  # keyframes ahead that every keyframe is matched with
_MATCH_ALL_UP_TO = 20  # keyframes
_FAR_EVERY, _FAR_STEP = 3, 6  # beyond: every third keyframe with each sixth after it

Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Observations:
    """Tracks of a clip, and features of its keyframes.

    Attributes:
        tracks: Through all frames.
        keyframes: The frames to map.
        features: Of each keyframe.
        colors: Of each keyframe, those of its track points and then those of its features.
        matches: For pairs of keyframes (m, 2) rows of their features.
    """

    tracks: Tracks
    keyframes: tuple[int, ...]
    features: dict[int, Features]
    colors: dict[int, UInt8[np.ndarray, "_ 3"]]
    matches: dict[Pair, Int[np.ndarray, "_ 2"]] = field(default_factory=dict)

    def held_out_tracks(self, frame: int) -> Bool[np.ndarray, "n"]:
        """Tell which points of a frame belong to tracks that no path is fitted to."""
        return self.tracks.ids[frame] % _HELD_OUT_EVERY == 0

    def held_out_matches(self, pair: Pair) -> Bool[np.ndarray, "m"]:
        """Tell which matches of a pair no path is fitted to."""
        return (self.matches[pair] % _HELD_OUT_FEATURES_EVERY == 0).any(axis=1)


def observe(
    frames: Iterable[UInt8[np.ndarray, "height width 3"]],
    *,
    after_frame: Callable[[int], None] | None = None,
) -> Observations:
    """Track points through a shot, choose keyframes and match their features.

    Args:
        frames: RGB frames of one size, one or more; they may be decoded as they are asked for.
        after_frame: Called with the number of frames tracked so far; may raise to stop.
    """
    observer = Observer()
    for number, frame in enumerate(frames):
        observer.add(frame)
        if after_frame is not None:
            after_frame(number + 1)
    return observer.observations()


class Observer:
    """Gather the observations of a shot whose frames come one at a time; it keeps only the last."""

    def __init__(self) -> None:
        """Start without any frame."""
        self._tracker = Tracker()
        self._features: dict[int, Features] = {}
        self._colors: dict[int, np.ndarray] = {}
        self._last_keyframe: FramePoints | None = None
        self._last: tuple[np.ndarray, np.ndarray, FramePoints] | None = None
        self._next: tuple[np.ndarray, np.ndarray] | None = None
        self._count = 0

    def track(self, frame: UInt8[np.ndarray, "height width 3"]) -> tuple[int, int]:
        """Track into the next frame; return how many points there were and how many were found."""
        self._next = (frame, cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))
        return self._tracker.track(self._next[1])

    def add(self, frame: UInt8[np.ndarray, "height width 3"]) -> None:
        """Track into the next frame, and keep it as a keyframe where it is one."""
        if self._next is None or self._next[0] is not frame:
            self.track(frame)
        assert self._next is not None
        grey = self._next[1]
        points = self._tracker.add(grey)
        self._last = (frame, grey, points)
        diagonal_px = float(np.hypot(*grey.shape))
        last = self._last_keyframe
        if last is None or is_keyframe(last, points, diagonal_px=diagonal_px):
            self._keep(self._count)
        self._count += 1

    def _keep(self, number: int) -> None:
        assert self._last is not None
        frame, grey, points = self._last
        self._features[number] = detect_features(grey)
        places = np.concatenate([points.points_px, self._features[number].points_px])
        self._colors[number] = colors_at(frame, places)
        self._last_keyframe = points

    def observations(self) -> Observations:
        """Match the keyframes, the last frame among them; there must have been a frame."""
        if self._count - 1 not in self._features:
            self._keep(self._count - 1)
        keyframes, features = tuple(self._features), self._features
        matches = {
            pair: match_features(features[pair[0]], features[pair[1]])
            for pair in pairs_of(keyframes)
        }
        return Observations(self._tracker.tracks(), keyframes, features, self._colors, matches)


def pairs_of(keyframes: tuple[int, ...]) -> list[Pair]:
    """Return which keyframes to match: neighbours, all of few, and some far ones (loops)."""
    count = len(keyframes)
    return [
        (keyframes[first], keyframes[second])
        for first in range(count)
        for second in range(first + 1, count)
        if count <= _MATCH_ALL_UP_TO
        or second - first <= _WINDOW
        or (first % _FAR_EVERY == 0 and (second - first) % _FAR_STEP == 0)
    ]
