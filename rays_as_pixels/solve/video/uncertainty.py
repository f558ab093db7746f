"""How sure each frame's camera is: standard deviations from the adjustment's covariance.

The covariance of all keyframes' poses and the focal length is the pseudo-inverse of the reduced
camera system of bundle adjustment (Schur complement; Triggs et al. 2000, 6 and 9.3): points are
marginalised, and of the directions that no image tells (the world's axes, origin and scale) none is
charged, so that errors are those after the best alignment. It assumes that tracking errors are
independent and that lenses are exact pinholes. Neither is so: a factor makes up for the first, and
shares of each frame's turn and way from the middle of the path for the second. All three were
measured on clips with known cameras (docs/results.md).
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from rays_as_pixels.geometry.rotations import nearest_rotation, rotation_angle_rad
from rays_as_pixels.solve.video.observations import Observations
from rays_as_pixels.solve.video.path import ScenePoints, VideoPath, cross_matrix

CALIBRATION = 6.0  # of the covariance's deviations; see docs/results.md
TURN_SHARE, WAY_SHARE = 0.08, 0.016  # of a frame's turn and way from the middle of the path
USUAL_UNEXPLAINED = 0.2  # share of what was held out, at which these shares hold
FLOOR_RAD = np.deg2rad(0.05)
_MAX_KEYFRAMES, _MAX_POINTS = 150, 1500  # of the dense system
_MIN_NOISE_PX = 0.1  # of a residual, so that perfect renderings are not infinitely sure
_HUBER_PX = 2.0
_NULL = 1e-9  # share of the largest eigenvalue below which a direction counts as untold
_FREE_DEPTH = 1e-12  # share of a point's stiffness that it has along a ray without depth


@dataclass(frozen=True, eq=False)
class PathDeviation:
    """Standard deviations of a path's cameras, one per frame.

    Attributes:
        rotation_rad: (F,) root mean square angle, radians.
        position: (F,) root mean square distance, in the path's unit.
        log_focal: Of the logarithm of the focal length.
    """

    rotation_rad: Float[np.ndarray, "F"]
    position: Float[np.ndarray, "F"]
    log_focal: float


def path_deviation(
    path: VideoPath,
    observations: Observations,
    *,
    interpolated: Bool[np.ndarray, "F"],
    score: float,
) -> PathDeviation | None:
    """Return how sure a path's cameras are; None where too little is seen to tell.

    Args:
        path: A pose for every frame.
        observations: That it was fitted to.
        interpolated: Frames whose pose lies between those of others: they may be anywhere from one
            to the other, and beyond the first or last as far off as that moved over as many frames.
        score: Of the path by what was held out (`Evidence.score`).
    """
    points = _directions(path, observations) if path.turns_only else path.points
    seen = _thinned(points, observations.keyframes)
    if len(np.unique(seen.frame)) < 2:
        return None
    frames = np.unique(seen.frame)
    system = _Linearised(path, seen)
    noise_px = max(system.noise_px, _MIN_NOISE_PX)
    covariance = system.covariance(np.searchsorted(frames, seen.frame), len(frames)) * noise_px**2
    turn, travel = _split(np.diagonal(covariance)[:-1].reshape(len(frames), -1))
    rotation, position = (_for_all(frames, values, len(path.focal_px)) for values in (turn, travel))
    own_turn, own_travel = _own_noise(path, points, noise_px)
    between = ~np.isin(np.arange(len(rotation)), frames)
    rotation[between] += own_turn[between]
    position[between] += own_travel[between]
    lens_turn, lens_travel = _lens_variance(path, score)
    guess_turn, guess_travel = _interpolation_variance(path, interpolated)
    return PathDeviation(
        np.sqrt(CALIBRATION**2 * rotation + lens_turn + guess_turn),
        np.sqrt(CALIBRATION**2 * position + lens_travel + guess_travel),
        CALIBRATION * float(np.sqrt(covariance[-1, -1])),
    )


def _lens_variance(
    path: VideoPath, score: float
) -> tuple[Float[np.ndarray, "F"], Float[np.ndarray, "F"]]:
    """Return variances of angle (radians) and place from lenses that are no exact pinholes.

    They grow with what the path leaves unexplained, squared.
    """
    doubt = ((1 - score) / USUAL_UNEXPLAINED) ** 2
    rotations = torch.from_numpy(path.cam_from_world[:, :, :3])
    middle = nearest_rotation(rotations.sum(0))
    turn = rotation_angle_rad(rotations @ middle.T).numpy()
    way = np.linalg.norm(path.centers - path.centers.mean(axis=0), axis=1)
    return (doubt * TURN_SHARE * turn) ** 2 + FLOOR_RAD**2, (doubt * WAY_SHARE * way) ** 2


def _interpolation_variance(
    path: VideoPath, interpolated: Bool[np.ndarray, "F"]
) -> tuple[Float[np.ndarray, "F"], Float[np.ndarray, "F"]]:
    """Return variances of angle (radians) and place from not knowing what lies between."""
    turn, travel = np.zeros(len(interpolated)), np.zeros(len(interpolated))
    posed = np.flatnonzero(~interpolated)
    if not interpolated.any() or len(posed) < 2:
        return turn, travel
    rotations = torch.from_numpy(path.cam_from_world[posed][:, :, :3])
    steps = rotation_angle_rad(rotations[1:] @ rotations[:-1].transpose(1, 2)).numpy()
    ways = np.linalg.norm(np.diff(path.centers[posed], axis=0), axis=1)
    gaps = np.diff(posed)
    for frame in np.flatnonzero(interpolated):
        gap = int(np.clip(np.searchsorted(posed, frame) - 1, 0, len(gaps) - 1))
        share = (frame - posed[gap]) / gaps[gap]
        off = share * (1 - share) if 0 < share < 1 else max(-share, share - 1)
        turn[frame], travel[frame] = (off * steps[gap]) ** 2, (off * ways[gap]) ** 2
    return turn, travel


def _split(
    variances: Float[np.ndarray, "k n"],
) -> tuple[Float[np.ndarray, "k"], Float[np.ndarray, "k"]]:
    """Return squared root-mean-square angles and distances; no distance without translations."""
    return variances[:, :3].sum(1), variances[:, 3:].sum(1)


def _for_all(
    frames: Int[np.ndarray, "k"], values: Float[np.ndarray, "k"], count: int
) -> Float[np.ndarray, "F"]:
    return np.interp(np.arange(count), frames, values)


def _directions(path: VideoPath, observations: Observations) -> ScenePoints:
    """Return the tracks of a camera that only turns as points, all one unit away."""
    tracks, frames = observations.tracks, range(len(observations.tracks))
    ids = np.concatenate([tracks.ids[frame] for frame in frames])
    frame = np.concatenate([np.full(len(tracks.ids[k]), k) for k in frames])
    places = np.concatenate([tracks.points_px[k] for k in frames]).astype(np.float64)
    center = np.array([tracks.width / 2, tracks.height / 2])
    xy = (places - center) / path.focal_px[frame][:, None]
    rays = np.concatenate([xy, np.ones((len(xy), 1))], axis=1)
    rays = np.einsum("nji,nj->ni", path.cam_from_world[frame][:, :, :3], rays)
    known, point = np.unique(ids, return_inverse=True)
    xyz = np.zeros((len(known), 3))
    np.add.at(xyz, point, rays)
    xyz /= np.maximum(np.linalg.norm(xyz, axis=1, keepdims=True), 1e-12)
    return ScenePoints(xyz, np.zeros((len(xyz), 3), np.uint8), point, frame, places)


def _thinned(points: ScenePoints, keyframes: tuple[int, ...]) -> ScenePoints:
    """Keep what up to _MAX_KEYFRAMES keyframes see of the points that most of them see."""
    step = -(-len(keyframes) // _MAX_KEYFRAMES)
    rows = np.isin(points.frame, np.array(keyframes[::step]))
    count = np.bincount(points.point[rows], minlength=len(points))
    often = np.argsort(-count, kind="stable")[:_MAX_POINTS]
    often = often[count[often] >= 2]
    index = np.full(len(points), -1)
    index[often] = np.arange(len(often))
    rows &= index[points.point] >= 0
    return replace(
        points,
        xyz=points.xyz[often],
        rgb=points.rgb[often],
        point=index[points.point[rows]],
        frame=points.frame[rows],
        xy_px=points.xy_px[rows],
    )


class _Linearised:
    """Residuals of observations and their derivatives by poses, focal length and points.

    A pose's unknowns are left increments of its rotation and, unless the camera only turns, of its
    translation: with x = R X + t, x' = x + w x x + v; the centre then moves by -R^T v.
    """

    def __init__(self, path: VideoPath, seen: ScenePoints) -> None:
        pose = path.cam_from_world[seen.frame]
        focal = path.focal_px[seen.frame][:, None]
        in_cam = np.einsum("nij,nj->ni", pose[:, :, :3], seen.xyz[seen.point]) + pose[:, :, 3]
        depth = np.maximum(in_cam[:, 2:], 1e-9)
        offset = focal * in_cam[:, :2] / depth
        by_cam = np.zeros((len(in_cam), 2, 3))
        by_cam[:, 0, 0] = by_cam[:, 1, 1] = focal[:, 0] / depth[:, 0]
        by_cam[:, :, 2] = -offset / depth
        by_turn = by_cam @ -cross_matrix(in_cam)
        by_pose = [by_turn] if path.turns_only else [by_turn, by_cam]
        self.by_pose = np.concatenate(by_pose, axis=2)
        self.by_focal = offset[:, :, None]
        self.by_point = by_cam @ pose[:, :, :3]
        self._seen = seen
        residual = seen.xy_px - offset
        residual = residual - np.median(residual, axis=0)  # the image's centre
        self.noise_px = float(1.4826 * np.median(np.abs(residual)))
        size = np.linalg.norm(residual, axis=1)
        self.weight = np.minimum(1.0, _HUBER_PX / np.maximum(size, 1e-9))[:, None, None]

    def covariance(self, place: Int[np.ndarray, "n"], count: int) -> Float[np.ndarray, "u u"]:
        """Return the covariance of `count` poses and the focal length, for noise of one pixel.

        Args:
            place: Of each observation's frame among the poses.
            count: How many poses there are.
        """
        weighted = self.by_pose * self.weight
        own, num_points = self.by_pose.shape[2], len(self._seen)
        to_point = np.zeros((num_points, 3, 3))
        np.add.at(
            to_point,
            self._seen.point,
            np.swapaxes(self.by_point * self.weight, 1, 2) @ self.by_point,
        )
        to_point += _FREE_DEPTH * np.trace(to_point, axis1=1, axis2=2)[:, None, None] * np.eye(3)
        root = np.linalg.cholesky(np.linalg.inv(to_point))
        unknowns = own * count + 1
        system = np.zeros((unknowns, unknowns))
        blocks = np.zeros((count, own, own))
        np.add.at(blocks, place, np.swapaxes(weighted, 1, 2) @ self.by_pose)
        with_focal = np.zeros((count, own))
        np.add.at(with_focal, place, (np.swapaxes(weighted, 1, 2) @ self.by_focal)[:, :, 0])
        for k in range(count):
            part = slice(own * k, own * (k + 1))
            system[part, part] = blocks[k]
            system[part, -1] = system[-1, part] = with_focal[k]
        system[-1, -1] = float((self.by_focal**2 * self.weight).sum())
        coupling = np.zeros((count, num_points, own, 3))
        each = np.swapaxes(weighted, 1, 2) @ self.by_point @ root[self._seen.point]
        np.add.at(coupling, (place, self._seen.point), each)
        focal_coupling = np.zeros((num_points, 1, 3))
        by_focal = np.swapaxes(self.by_focal * self.weight, 1, 2)
        np.add.at(
            focal_coupling, self._seen.point, by_focal @ self.by_point @ root[self._seen.point]
        )
        rows = coupling.transpose(0, 2, 1, 3).reshape(own * count, 3 * num_points)
        rows = np.concatenate([rows, focal_coupling.reshape(1, 3 * num_points)])
        return _pseudo_inverse(system - rows @ rows.T, own, count)


def _pseudo_inverse(
    system: Float[np.ndarray, "u u"], own: int, count: int
) -> Float[np.ndarray, "u u"]:
    """Invert, but for the directions that no image tells: 3 of a turning camera, else 7."""
    scale = 1 / np.sqrt(np.maximum(np.diagonal(system), 1e-12))
    scale[:-1] = np.tile(scale[:-1].reshape(count, own).mean(axis=0), count)
    values, vectors = np.linalg.eigh(system * scale[:, None] * scale)
    told = np.arange(len(values)) >= (3 if own == 3 else 7)
    told &= values > _NULL * values[-1]
    inverse = (vectors[:, told] / values[told]) @ vectors[:, told].T
    return inverse * scale[:, None] * scale


def _own_noise(
    path: VideoPath, points: ScenePoints, noise_px: float
) -> tuple[Float[np.ndarray, "F"], Float[np.ndarray, "F"]]:
    """Return each frame's variances for points and a focal length that are known exactly."""
    system = _Linearised(path, points)
    own, count = system.by_pose.shape[2], len(path.focal_px)
    normal = np.zeros((count, own, own))
    squares = np.swapaxes(system.by_pose * system.weight, 1, 2) @ system.by_pose
    np.add.at(normal, points.frame, squares)
    blind = np.trace(normal, axis1=1, axis2=2) == 0
    normal[blind] = np.eye(own)
    variances = np.diagonal(np.linalg.pinv(normal), axis1=1, axis2=2).copy() * noise_px**2
    variances[blind] = 0
    return _split(variances)
