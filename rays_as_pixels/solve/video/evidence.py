"""How good a path is, by what it was not fitted to: tracks and feature matches that were held out.

The same numbers for every candidate, whatever made it: how well half of a held-out track predicts
the other half, and how near held-out matches of far keyframes lie to their epipolar lines.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from rays_as_pixels.solve.video.epipolar import epipolar_inliers
from rays_as_pixels.solve.video.observations import Observations, Pair
from rays_as_pixels.solve.video.path import VideoPath, cross_matrix, rays_in_cam

_MIN_OBSERVATIONS = 4  # of a held-out track
_MIN_MATCHES = 15
_MAX_PAIRS = 40
_REFERENCE_SIDE_PX = 480  # thresholds are for frames with this short side


@dataclass(frozen=True)
class Evidence:
    """Shares of what was held out that a path explains; what it leaves unposed counts against it.

    Attributes:
        tracks_1px: Held-out observations within 1 pixel of where the rest of their track puts them.
        tracks_2px: The same within 2 pixels (of a frame whose short side is 480).
        matches_1px: Held-out matches of far keyframes within 1 pixel of their epipolar line.
        matches_2px: The same within 2 pixels.

    NaN where nothing of the kind was held out.
    """

    tracks_1px: float
    tracks_2px: float
    matches_1px: float
    matches_2px: float

    @property
    def score(self) -> float:
        """Return the mean of all shares: 1 for a path that explains everything, 0 without any."""
        shares = np.array([self.tracks_1px, self.tracks_2px, self.matches_1px, self.matches_2px])
        known = np.isfinite(shares)
        return float(shares[known].mean()) if known.any() else 0.0


class HeldOut:
    """What was held out of a clip, gathered once for all candidates."""

    def __init__(self, observations: Observations) -> None:
        """Gather the held-out tracks, and the held-out matches that agree with some geometry."""
        self._tracks = observations.tracks
        self._pixel = max(min(self._tracks.height, self._tracks.width) / _REFERENCE_SIDE_PX, 0.5)
        parts = []
        for frame in range(len(self._tracks)):
            rows = np.flatnonzero(observations.held_out_tracks(frame))
            ids, points = self._tracks.ids[frame][rows], self._tracks.points_px[frame][rows]
            parts.append((ids, np.full(len(rows), frame), points))
        ids, frames, points = (np.concatenate(values) for values in zip(*parts, strict=True))
        order = np.lexsort((frames, ids))
        _, track, count = np.unique(ids[order], return_inverse=True, return_counts=True)
        long = count[track] >= _MIN_OBSERVATIONS
        self._frame, self._points = frames[order][long], points[order][long].astype(np.float64)
        self._track = np.unique(track[long], return_inverse=True)[1]
        self._num_tracks = int((count >= _MIN_OBSERVATIONS).sum())
        first = np.searchsorted(self._track, np.arange(self._num_tracks))
        self._fitted = (np.arange(len(self._track)) - first[self._track]) % 2 == 0
        self._matches = _consistent_matches(observations)

    def judge(self, path: VideoPath) -> Evidence:
        """Return how much of the held-out observations a path explains."""
        tracks, matches = self._track_errors(path), self._match_errors(path)
        shares = [
            float(np.mean(errors < limit * self._pixel)) if len(errors) else np.nan
            for errors in (tracks, matches)
            for limit in (1, 2)
        ]
        return Evidence(*shares)

    def _track_errors(self, path: VideoPath) -> Float[np.ndarray, "n"]:
        """Return pixels between every second observation and what the others of its track say.

        Linear triangulation in homogeneous coordinates (Hartley and Zisserman 2004, 12.2): sum of
        squares of [d]_x [R | t] X over the track; for a camera that only turns, the mean direction.
        """
        poses, frame, track = _scaled_poses(path), self._frame, self._track
        posed = path.posed[frame]
        size = (self._tracks.height, self._tracks.width)
        rays = rays_in_cam(self._points, path.focal_px[frame], size)
        points = _triangulated(
            poses[frame],
            rays,
            track,
            self._fitted & posed,
            num_tracks=self._num_tracks,
            at_infinity=path.turns_only,
        )
        in_cam = np.einsum("nij,nj->ni", poses[frame], points[track])
        in_front = np.zeros(self._num_tracks)
        use = self._fitted & posed
        np.add.at(in_front, track[use], in_cam[use, 2])
        in_cam *= np.where(in_front < 0, -1.0, 1.0)[track][:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            center = (self._tracks.width / 2, self._tracks.height / 2)
            places = in_cam[:, :2] / in_cam[:, 2:] * path.focal_px[frame][:, None] + center
            errors = np.linalg.norm(places - self._points, axis=1)
        errors[~posed | (in_cam[:, 2] <= 0) | ~np.isfinite(errors)] = np.inf
        return errors[~self._fitted]

    def _match_errors(self, path: VideoPath) -> Float[np.ndarray, "n"]:
        """Return the Sampson distances of the held-out matches, in pixels."""
        errors = [
            _sampson_px(path, pair, first, second, (self._tracks.height, self._tracks.width))
            for pair, (first, second) in self._matches.items()
        ]
        return np.concatenate(errors) if errors else np.zeros(0)


def _scaled_poses(path: VideoPath) -> Float[np.ndarray, "F 3 4"]:
    """Return poses in a unit in which the path is as long as 1, so that no coordinate is tiny."""
    poses = np.nan_to_num(path.cam_from_world)
    extent = float(np.ptp(path.centers[path.posed], axis=0).max()) if path.posed.any() else 0.0
    poses[:, :, 3] /= max(extent, 1e-9)
    return poses


def _triangulated(
    poses: Float[np.ndarray, "n 3 4"],
    rays: Float[np.ndarray, "n 3"],
    track: Int[np.ndarray, "n"],
    use: Bool[np.ndarray, "n"],
    *,
    num_tracks: int,
    at_infinity: bool,
) -> Float[np.ndarray, "tracks 4"]:
    points = np.zeros((num_tracks, 4))
    if at_infinity:
        in_world = np.einsum("nji,nj->ni", poses[use][:, :, :3], rays[use])
        np.add.at(points[:, :3], track[use], in_world)
        return points
    constraint = cross_matrix(rays[use]) @ poses[use]
    normal = np.zeros((num_tracks, 4, 4))
    np.add.at(normal, track[use], np.swapaxes(constraint, 1, 2) @ constraint)
    return np.linalg.eigh(normal)[1][:, :, 0]


def _consistent_matches(
    observations: Observations,
) -> dict[Pair, tuple[Float[np.ndarray, "m 2"], Float[np.ndarray, "m 2"]]]:
    """Return held-out matches of keyframes that are not neighbours, by a pose-free check.

    Kept are those that agree with a fundamental matrix of all matches of their pair: wrong matches
    say nothing of any path.
    """
    keyframes, found = observations.keyframes, {}
    place = {frame: position for position, frame in enumerate(keyframes)}
    far = [pair for pair in observations.matches if place[pair[1]] - place[pair[0]] >= 2]
    chosen = np.random.default_rng(0).permutation(len(far))[:_MAX_PAIRS]
    for pair in (far[number] for number in sorted(chosen)):
        rows = observations.matches[pair]
        if len(rows) < _MIN_MATCHES:
            continue
        first, second = (
            observations.features[frame].points_px[rows[:, side]].astype(np.float64)
            for side, frame in enumerate(pair)
        )
        inliers = epipolar_inliers(first, second)
        kept = inliers & observations.held_out_matches(pair)
        if inliers.sum() >= _MIN_MATCHES and kept.any():
            found[pair] = (first[kept], second[kept])
    return found


def _sampson_px(
    path: VideoPath,
    pair: Pair,
    first: Float[np.ndarray, "m 2"],
    second: Float[np.ndarray, "m 2"],
    size: tuple[int, int],
) -> Float[np.ndarray, "m"]:
    """Return Sampson distances (Hartley and Zisserman 2004, 11.4.3); infinite without poses.

    A camera that only turns maps points to points, by the homography K R K^-1; the distance to that
    place is then divided by sqrt(2), since it counts along two axes.
    """
    if not path.posed[list(pair)].all():
        return np.full(len(first), np.inf)
    (a, b), (height, width) = path.cam_from_world[list(pair)], size
    calibration_a, calibration_b = (
        np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
        for focal in path.focal_px[list(pair)]
    )
    b_from_a = b[:, :3] @ a[:, :3].T
    x, y = (np.concatenate([side, np.ones((len(side), 1))], axis=1) for side in (first, second))
    if path.turns_only:
        mapped = x @ (calibration_b @ b_from_a @ np.linalg.inv(calibration_a)).T
        return np.linalg.norm(mapped[:, :2] / mapped[:, 2:] - second, axis=1) / np.sqrt(2)
    essential = cross_matrix(b[:, 3] - b_from_a @ a[:, 3]) @ b_from_a
    fundamental = np.linalg.inv(calibration_b).T @ essential @ np.linalg.inv(calibration_a)
    lines_b, lines_a = x @ fundamental.T, y @ fundamental
    norm = np.sqrt((lines_b[:, :2] ** 2).sum(1) + (lines_a[:, :2] ** 2).sum(1))
    return np.abs((y * lines_b).sum(1)) / np.maximum(norm, 1e-12)
