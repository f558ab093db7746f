"""What a clip's frames say of its cameras: tracks, keyframes, features; some of it kept aside.

A share of the tracks and of the features is held out: no path is fitted to it, so that it can tell
how good a path is (`evidence`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Int, UInt8

from rays_as_pixels.solve.video.features import Features, detect_features, match_features
from rays_as_pixels.solve.video.keyframes import is_keyframe
from rays_as_pixels.solve.video.tracks import Tracker, Tracks

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
        matches: For pairs of keyframes (m, 2) rows of their features.
    """

    tracks: Tracks
    keyframes: tuple[int, ...]
    features: dict[int, Features]
    matches: dict[Pair, Int[np.ndarray, "_ 2"]] = field(default_factory=dict)

    def held_out_tracks(self, frame: int) -> Bool[np.ndarray, "n"]:
        """Tell which points of a frame belong to tracks that no path is fitted to."""
        return self.tracks.ids[frame] % _HELD_OUT_EVERY == 0

    def held_out_matches(self, pair: Pair) -> Bool[np.ndarray, "m"]:
        """Tell which matches of a pair no path is fitted to."""
        return (self.matches[pair] % _HELD_OUT_FEATURES_EVERY == 0).any(axis=1)


def observe(
    frames: Iterable[UInt8[np.ndarray, "height width"]],
    *,
    after_frame: Callable[[int], None] | None = None,
) -> Observations:
    """Track points through a shot, choose keyframes and match their features.

    Args:
        frames: Grey frames of one size, two or more; they may be decoded one by one.
        after_frame: Called with the number of frames tracked so far; may raise to stop.
    """
    tracker = Tracker()
    features: dict[int, Features] = {}
    last_keyframe, frame, number = None, None, -1
    for number, frame in enumerate(frames):
        points = tracker.add(frame)
        diagonal_px = float(np.hypot(*frame.shape))
        if last_keyframe is None or is_keyframe(last_keyframe, points, diagonal_px=diagonal_px):
            features[number] = detect_features(frame)
            last_keyframe = points
        if after_frame is not None:
            after_frame(number + 1)
    if frame is not None:
        features.setdefault(number, detect_features(frame))
    keyframes = tuple(features)
    matches = {
        pair: match_features(features[pair[0]], features[pair[1]]) for pair in pairs_of(keyframes)
    }
    return Observations(tracker.tracks(), keyframes, features, matches)


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
