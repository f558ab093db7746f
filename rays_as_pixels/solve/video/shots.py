"""Shots: where a clip cuts to another view, so that each is solved in a world of its own.

A cut loses the tracks all at once; so does a fast turn. They are told apart by features: frames of
one shot still share some that agree with an epipolar geometry.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

from rays_as_pixels.solve.video.epipolar import epipolar_inliers
from rays_as_pixels.solve.video.features import detect_features, match_features
from rays_as_pixels.solve.video.observations import PART_SIZE, Observations, Observer, PartSize

_MIN_POINTS = 50  # with fewer (black frames, bare walls) losing them says nothing
_MAX_KEPT = 0.15  # of the points, across a cut: a few find something that looks alike by chance
_MIN_SHARED_FEATURES = 20  # that agree; chance gives up to a dozen


@dataclass(frozen=True, eq=False)
class ShotPart:
    """Frames without a cut between them: a shot, or a part of a long one.

    Attributes:
        shot: Number of the shot in the clip.
        first_frame: Place of its first frame in the clip; the observations count from it.
        observations: Of its frames; the first of them are the last ones of the part before.
    """

    shot: int
    first_frame: int
    observations: Observations

    def __len__(self) -> int:
        return len(self.observations.tracks)


def observe_shots(
    frames: Iterable[UInt8[np.ndarray, "height width 3"]],
    *,
    after_frame: Callable[[int], None] | None = None,
    part_size: PartSize = PART_SIZE,
) -> Iterator[ShotPart]:
    """Observe a clip shot by shot, long shots part by part, in one pass.

    A part is given as soon as it is complete, and nothing of it is held any more.

    Args:
        frames: RGB frames of one size, decoded as they are asked for.
        after_frame: Called with the number of frames tracked so far; may raise to stop.
        part_size: Of the parts of long shots.
    """
    observer, shot, first, end = Observer(part_size), 0, 0, 0
    last: np.ndarray | None = None
    number = -1
    for number, frame in enumerate(frames):
        if last is not None and _is_cut(observer, last, frame):
            if number > end:
                yield ShotPart(shot, first, observer.observations())
            observer, shot, first = Observer(part_size), shot + 1, number
        observer.add(frame)
        last = frame
        if after_frame is not None:
            after_frame(number + 1)
        if observer.is_complete:
            part, step = observer.cut_part()
            yield ShotPart(shot, first, part)
            first, end = first + step, number + 1
    if number >= end:
        yield ShotPart(shot, first, observer.observations())


def _is_cut(
    observer: Observer,
    last: UInt8[np.ndarray, "height width 3"],
    frame: UInt8[np.ndarray, "height width 3"],
) -> bool:
    points, kept = observer.track(frame)
    if points < _MIN_POINTS or kept > _MAX_KEPT * points:
        return False
    first, second = (
        detect_features(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY)) for one in (last, frame)
    )
    pairs = match_features(first, second)
    if len(pairs) < _MIN_SHARED_FEATURES:
        return True
    inliers = epipolar_inliers(first.points_px[pairs[:, 0]], second.points_px[pairs[:, 1]])
    return int(inliers.sum()) < _MIN_SHARED_FEATURES
