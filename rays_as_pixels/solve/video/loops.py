"""Closed loops: places that a long shot comes back to, solved as small scenes of their own.

Keyframes of different parts that look alike are found by a bag of visual words (Sivic and Zisserman
2003), as VLAD vectors (Jegou et al. 2010) over the descriptors of the first part, and
believed where enough features agree with one epipolar geometry. Neighbours of both are then mapped
together; the cameras of that small scene tie the two parts (`parts.join_parts`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import cv2
import numpy as np
import torch
from jaxtyping import Float

from rays_as_pixels.geometry.cameras import Cameras, invert_rigid, rigid
from rays_as_pixels.solve.video.epipolar import epipolar_inliers
from rays_as_pixels.solve.video.features import Features, match_features
from rays_as_pixels.solve.video.mapping import MapperOptions, map_video
from rays_as_pixels.solve.video.observations import Observations
from rays_as_pixels.solve.video.tracks import Tracks
from rays_as_pixels.solve.video.watching import run_watched
from rays_as_pixels.solve.window_alignment import Window

_FEATURES, _EVERY = 300, 2  # kept of every second keyframe, the strongest
_WORDS = 32  # of the vocabulary
_MIN_LIKENESS = 0.15  # cosine of two keyframes' vectors
_PARTNERS = 3  # later parts that a part is compared with
_TRIED = 4  # pairs of keyframes looked at for two parts
_MIN_INLIERS = 40
_NEIGHBORS = 2  # kept keyframes on each side that join the small scene


@dataclass(frozen=True, eq=False)
class _Keyframe:
    frame: int
    part: int
    features: Features
    vector: Float[np.ndarray, "d"]


class LoopFinder:
    """Keeps some features of every keyframe of a shot, and finds where it comes back."""

    def __init__(self) -> None:
        """Start without any keyframe."""
        self._keyframes: list[_Keyframe] = []
        self._words: np.ndarray | None = None
        self._num_parts = 0
        self._size = (0, 0)

    def add(self, first_frame: int, observations: Observations) -> None:
        """Keep the keyframes of the next part, whose frames count from `first_frame`."""
        self._size = (observations.tracks.height, observations.tracks.width)
        known = {one.frame for one in self._keyframes[-len(observations.keyframes) :]}
        for number in observations.keyframes[::_EVERY]:
            if number + first_frame not in known:
                kept = _strongest(observations.features[number])
                if self._words is None:
                    self._words = _vocabulary(observations)
                self._keyframes.append(
                    _Keyframe(
                        number + first_frame,
                        self._num_parts,
                        kept,
                        _vlad(kept.descriptors.astype(np.float32), self._words),
                    )
                )
        self._num_parts += 1

    def loops(self, focal_px: float, *, check: Callable[[], None]) -> Iterator[Window]:
        """Map places that parts which are no neighbours share: of each part the likeliest few.

        Args:
            focal_px: Focal length, in pixels of the frames.
            check: Called several times a second; may raise to stop.
        """
        part = np.array([one.part for one in self._keyframes])
        places = [np.flatnonzero(part == number) for number in range(self._num_parts)]
        vectors = [np.array([self._keyframes[k].vector for k in rows]) for rows in places]
        for first in range(self._num_parts - 2):
            likeness = {
                second: vectors[first] @ vectors[second].T
                for second in range(first + 2, self._num_parts)
                if len(places[first]) and len(places[second])
            }
            likeliest = sorted(likeness, key=lambda second: -float(likeness[second].max()))
            for second in likeliest[:_PARTNERS]:
                check()
                found = self._alike(likeness[second], places[first], places[second])
                if found is not None:
                    run = partial(self._mapped, *found, focal_px=focal_px)
                    window = run_watched(run, check)
                    if window is not None:
                        yield window

    def _alike(
        self, likeness: np.ndarray, rows: np.ndarray, columns: np.ndarray
    ) -> tuple[int, int] | None:
        """Return the keyframes of two parts whose features agree best; None where none do."""
        best, count = None, _MIN_INLIERS
        for place in np.argsort(-likeness, axis=None)[:_TRIED]:
            row, column = np.unravel_index(place, likeness.shape)
            if likeness[row, column] < _MIN_LIKENESS:
                break
            pair = (int(rows[row]), int(columns[column]))
            first, second = (self._features(k) for k in pair)
            matches = match_features(first, second)
            if len(matches) <= count:
                continue
            inliers = epipolar_inliers(
                first.points_px[matches[:, 0]].astype(np.float64),
                second.points_px[matches[:, 1]].astype(np.float64),
            )
            if inliers.sum() >= count:
                best, count = pair, int(inliers.sum())
        return best

    def _features(self, place: int) -> Features:
        kept = self._keyframes[place].features
        return Features(kept.points_px, kept.descriptors.astype(np.float32))

    def _mapped(self, first: int, second: int, *, focal_px: float) -> Window | None:
        """Map two keyframes with their neighbours; None unless both sides have two poses."""
        sides = [self._around(place) for place in (first, second)]
        places = [*sides[0], *sides[1]]
        found = map_video(
            self._observations(places), MapperOptions(focal_px=focal_px, refine_focal=False)
        )
        if found is None:
            return None
        posed = found.posed
        if min(posed[: len(sides[0])].sum(), posed[len(sides[0]) :].sum()) < 2:
            return None
        rows = np.flatnonzero(posed)
        pose = torch.from_numpy(found.cam_from_world[rows])
        focal = torch.from_numpy(found.focal_px[rows])[:, None].expand(-1, 2)
        world_from_cam = invert_rigid(rigid(pose[:, :, :3], pose[:, :, 3]))
        cameras = Cameras(world_from_cam, focal, torch.zeros_like(focal), 1, 1)
        return Window(tuple(self._keyframes[places[row]].frame for row in rows), cameras)

    def _around(self, place: int) -> list[int]:
        near = range(place - _NEIGHBORS, place + _NEIGHBORS + 1)
        part = self._keyframes[place].part
        return [
            k for k in near if 0 <= k < len(self._keyframes) and self._keyframes[k].part == part
        ]

    def _observations(self, places: list[int]) -> Observations:
        """Return these keyframes as frames without tracks, all of them matched."""
        features = {number: self._features(place) for number, place in enumerate(places)}
        matches = {
            (a, b): match_features(features[a], features[b])
            for a in features
            for b in features
            if a < b
        }
        nothing = (np.zeros((0, 2), np.float32),) * len(places)
        tracks = Tracks(nothing, (np.zeros(0, np.int64),) * len(places), *self._size)
        grey = {k: np.zeros((len(one.points_px), 3), np.uint8) for k, one in features.items()}
        return Observations(tracks, tuple(features), features, grey, matches)


def _strongest(features: Features) -> Features:
    """Keep the first features, which are the strongest, in half precision."""
    return Features(
        features.points_px[:_FEATURES], features.descriptors[:_FEATURES].astype(np.float16)
    )


def _vocabulary(observations: Observations) -> Float[np.ndarray, "words 128"]:
    """Cluster the descriptors of some keyframes (k-means++, Arthur and Vassilvitskii 2007)."""
    chosen = observations.keyframes[:: max(1, len(observations.keyframes) // 20)]
    descriptors = np.concatenate(
        [observations.features[number].descriptors[:_FEATURES] for number in chosen]
    )
    if len(descriptors) < _WORDS:
        return np.eye(_WORDS, 128, dtype=np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 1e-4)
    cv2.setRNGSeed(0)
    kmeans = cast(Any, cv2).kmeans  # its stub wants a start in place of None
    return kmeans(descriptors, _WORDS, None, criteria, 1, cv2.KMEANS_PP_CENTERS)[2]


def _vlad(
    descriptors: Float[np.ndarray, "n 128"], words: Float[np.ndarray, "words 128"]
) -> Float[np.ndarray, "d"]:
    """Sum what descriptors differ by from their words, each word's sum and all of length 1."""
    sums = np.zeros_like(words)
    if len(descriptors):
        nearest = (descriptors @ words.T - 0.5 * (words**2).sum(1)).argmax(1)
        np.add.at(sums, nearest, descriptors - words[nearest])
    sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    vector = sums.ravel()
    return vector / max(float(np.linalg.norm(vector)), 1e-9)
