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
_MIN_KEYFRAMES = 8  # of a shot with so many frames; a map needs three that see the same
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


@dataclass(frozen=True)
class PartSize:
    """When a part of a long shot is complete, and what the next one shares with it.

    Attributes:
        keyframes: That complete a part.
        frames: That complete a part, however few keyframes are among them.
        shared_keyframes: Of these the last ones, with which the next part begins.
        shared_frames: At most, with which the next part begins.
    """

    keyframes: int = 80
    frames: int = 800
    shared_keyframes: int = 12
    shared_frames: int = 200


PART_SIZE = PartSize()


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
    """Gather the observations of a shot whose frames come one at a time; it keeps few of them.

    Where the motion makes few keyframes, as in a short shot, evenly spread frames join them.
    """

    def __init__(self, part_size: PartSize = PART_SIZE) -> None:
        """Start without any frame."""
        self._part_size = part_size
        self._tracker = Tracker()
        self._features: dict[int, Features] = {}
        self._colors: dict[int, np.ndarray] = {}
        self._last_keyframe: FramePoints | None = None
        self._last: tuple[np.ndarray, FramePoints] | None = None
        self._next: tuple[np.ndarray, np.ndarray] | None = None
        self._spare: dict[int, tuple[np.ndarray, FramePoints]] = {}
        self._spare_step = 1
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
        points = self._tracker.add(self._next[1])
        self._last = (frame, points)
        diagonal_px = float(np.hypot(*frame.shape[:2]))
        last = self._last_keyframe
        if last is None or is_keyframe(last, points, diagonal_px=diagonal_px):
            self._keep(self._count, frame, points)
            self._last_keyframe = points
        self._keep_spare(frame, points)
        self._count += 1

    def _keep(self, number: int, frame: np.ndarray, points: FramePoints) -> None:
        self._features[number] = detect_features(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))
        places = np.concatenate([points.points_px, self._features[number].points_px])
        self._colors[number] = colors_at(frame, places)

    def _keep_spare(self, frame: np.ndarray, points: FramePoints) -> None:
        """Hold frames at even steps, which double as the shot grows, while keyframes are few."""
        if len(self._features) >= _MIN_KEYFRAMES:
            self._spare.clear()
        elif self._count % self._spare_step == 0:
            self._spare[self._count] = (frame, points)
            if len(self._spare) > 2 * _MIN_KEYFRAMES:
                self._spare_step *= 2
                step = self._spare_step
                self._spare = {k: v for k, v in self._spare.items() if k % step == 0}

    def _add_spares(self) -> None:
        others = [number for number in self._spare if number not in self._features]
        wanted = min(len(others), _MIN_KEYFRAMES - len(self._features))
        for place in np.linspace(0, len(others) - 1, max(wanted, 0)).round().astype(int):
            self._keep(others[place], *self._spare[others[place]])

    def observations(self) -> Observations:
        """Match the keyframes, the last frame among them; there must have been a frame."""
        assert self._last is not None
        if self._count - 1 not in self._features:
            self._keep(self._count - 1, *self._last)
        self._add_spares()
        keyframes = tuple(sorted(self._features))
        features = {number: self._features[number] for number in keyframes}
        matches = {
            pair: match_features(features[pair[0]], features[pair[1]])
            for pair in pairs_of(keyframes)
        }
        return Observations(self._tracker.tracks(), keyframes, features, self._colors, matches)

    @property
    def is_complete(self) -> bool:
        """Tell whether there is enough for a part of a long shot."""
        size = self._part_size
        return len(self._features) >= size.keyframes or self._count >= size.frames

    def cut_part(self) -> tuple[Observations, int]:
        """Return the observations so far, and go on from where the next part begins.

        Returns:
            The observations, and how many frames of them the next part does not share.
        """
        part, size = self.observations(), self._part_size
        start = part.keyframes[-min(size.shared_keyframes, len(part.keyframes) - 1)]
        start = max(start, self._count - size.shared_frames)
        self._tracker.forget(start)
        shared = [number for number in part.keyframes if number >= start]
        self._features = {number - start: self._features[number] for number in shared}
        self._colors = {number - start: self._colors[number] for number in shared}
        self._count -= start
        self._spare.clear()
        self._spare_step = 1
        return part, start


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
