"""Paths of cameras that only turn: rotations and one focal length, from what keyframes share.

Without travel a point's picture moves by the homography K R K^-1, whatever its distance (Hartley
and Zisserman 2004, 8.4.2). Rotations are chained from frame to frame (Wahba's problem, robust), and
those of the keyframes are then adjusted together with the focal length (Brown and Lowe 2007, 4).
"""

import numpy as np
import torch
from jaxtyping import Float

from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.solve.video.observations import Observations
from rays_as_pixels.solve.video.path import ScenePoints, VideoPath, cross_matrix, rays_in_cam

_MIN_SHARED = 12  # points of two frames
_MAX_SHARED = 150  # of a pair that are used
_REACH = 12  # keyframes ahead that one is compared with
_CHAIN_ITERATIONS, _ITERATIONS = 10, 15
_CHAIN_SCALE, _SCALE_PX = 0.7, 1.5  # of the robust weights 1 / (1 + (r / scale)^2), in pixels
_FOCAL_RANGE = (0.3, 8.0)  # of the image's longer side
_ANCHOR = 1e9  # weight that holds the first camera
_MAX_LOG_FOCAL_STEP = 0.3

# What two keyframes (positions among them) share, in pixels from the image's centre.
KeyframePairs = dict[tuple[int, int], tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2"]]]


def turning_path(
    observations: Observations, focal_px: float, *, refine_focal: bool = True
) -> VideoPath:
    """Return the path of a camera that only turns; all centres are the world's origin.

    Args:
        observations: Of the clip.
        focal_px: Focal length to start from, in pixels of the frames.
        refine_focal: Whether it is adjusted.
    """
    tracks = observations.tracks
    rotations = _chained(observations, focal_px)[list(observations.keyframes)]
    pairs = _keyframe_pairs(observations)
    if pairs:
        longer = max(tracks.height, tracks.width)
        limits = (_FOCAL_RANGE[0] * longer, _FOCAL_RANGE[1] * longer)
        for focal_range_px in (None, limits) if refine_focal else (None,):
            rotations, focal_px = _adjusted(
                pairs, rotations, focal_px, focal_range_px=focal_range_px
            )
    cam_from_world = _turned_from_keyframes(observations, rotations, focal_px)
    poses = np.concatenate([cam_from_world, np.zeros((len(tracks), 3, 1))], axis=2)
    return VideoPath(poses, np.full(len(tracks), focal_px), ScenePoints.none(), turns_only=True)


def _shared_rays(
    observations: Observations, first: int, second: int, focal_px: float
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    tracks = observations.tracks
    ids, rows, others = tracks.shared(first, second)
    fitted = np.isin(ids, tracks.ids[first][~observations.held_out_tracks(first)])
    focal, size = np.full(int(fitted.sum()), focal_px), (tracks.height, tracks.width)
    return (
        rays_in_cam(tracks.points_px[first][rows[fitted]], focal, size),
        rays_in_cam(tracks.points_px[second][others[fitted]], focal, size),
    )


def _chained(observations: Observations, focal_px: float) -> Float[np.ndarray, "F 3 3"]:
    """Turn each frame against the one before; one that shares too little keeps its rotation."""
    rotations = [np.eye(3)]
    for frame in range(1, len(observations.tracks)):
        before, after = _shared_rays(observations, frame - 1, frame, focal_px)
        turn = _turn_between(before, after, focal_px) if len(before) >= _MIN_SHARED else np.eye(3)
        rotations.append(turn @ rotations[-1])
    return np.array(rotations)


def _turn_between(
    before: Float[np.ndarray, "n 3"], after: Float[np.ndarray, "n 3"], focal_px: float
) -> Float[np.ndarray, "3 3"]:
    """Return R with after = R before, by singular values (Kabsch 1976) with robust weights."""
    weight, turn = np.ones(len(before)), np.eye(3)
    for _ in range(_CHAIN_ITERATIONS):
        left, _, right = np.linalg.svd((after * weight[:, None]).T @ before)
        turn = left @ np.diag([1, 1, np.linalg.det(left @ right)]) @ right
        error_px = np.linalg.norm(after - before @ turn.T, axis=1) * focal_px
        weight = 1 / (1 + (error_px / _CHAIN_SCALE) ** 2)
    return turn


def _adjusted(
    pairs: KeyframePairs,
    rotations: Float[np.ndarray, "k 3 3"],
    focal_px: float,
    *,
    focal_range_px: tuple[float, float] | None,
) -> tuple[Float[np.ndarray, "k 3 3"], float]:
    """Adjust the keyframes' rotations, and the focal length within a range where one is given."""
    log_focal, size = np.log(focal_px), 3 * len(rotations) + 1
    for _ in range(_ITERATIONS):
        hessian, gradient = np.zeros((size, size)), np.zeros(size)
        for (first, second), (x, y) in pairs.items():
            block, slope = _pair_equations(rotations[first], rotations[second], log_focal, x, y)
            index = np.r_[3 * first : 3 * first + 3, 3 * second : 3 * second + 3, size - 1]
            hessian[np.ix_(index, index)] += block
            gradient[index] += slope
        hessian[:3, :3] += _ANCHOR * np.eye(3)
        if focal_range_px is None:
            hessian[-1, -1] += _ANCHOR**2
        hessian += 1e-6 * np.diag(np.diag(hessian) + 1)
        step = np.linalg.solve(hessian, -gradient)
        turns = rotation_from_vector(torch.from_numpy(step[:-1].reshape(-1, 3))).numpy()
        rotations = turns @ rotations
        if focal_range_px is not None:
            log_focal += np.clip(step[-1], -_MAX_LOG_FOCAL_STEP, _MAX_LOG_FOCAL_STEP)
            log_focal = np.clip(log_focal, *np.log(focal_range_px))
    return rotations, float(np.exp(log_focal))


def _keyframe_pairs(observations: Observations) -> KeyframePairs:
    """Return for pairs of positions in the keyframes what both see, in pixels from the centre."""
    tracks, keyframes = observations.tracks, observations.keyframes
    center = np.array([tracks.width / 2, tracks.height / 2])
    pairs = {}
    for first, frame in enumerate(keyframes):
        for second in range(first + 1, min(first + 1 + _REACH, len(keyframes))):
            _, rows, others = tracks.shared(frame, keyframes[second])
            fitted = np.flatnonzero(~observations.held_out_tracks(frame)[rows])
            if len(fitted) < _MIN_SHARED:
                continue
            chosen = fitted[:: max(1, len(fitted) // _MAX_SHARED)]
            pairs[first, second] = (
                tracks.points_px[frame][rows[chosen]] - center,
                tracks.points_px[keyframes[second]][others[chosen]] - center,
            )
    return pairs


def _pair_equations(
    first_from_world: Float[np.ndarray, "3 3"],
    second_from_world: Float[np.ndarray, "3 3"],
    log_focal: float,
    x: Float[np.ndarray, "n 2"],
    y: Float[np.ndarray, "n 2"],
) -> tuple[Float[np.ndarray, "7 7"], Float[np.ndarray, "7"]]:
    """Return J^T W J and J^T W r of r = f (R d)_xy / (R d)_z - y, with d = (x / f, 1).

    Unknowns are left increments of both rotations, and the logarithm of the focal length f.
    """
    focal = np.exp(log_focal)
    turn = second_from_world @ first_from_world.T
    rays = np.concatenate([x / focal, np.ones((len(x), 1))], axis=1)
    seen = rays @ turn.T
    depth = np.maximum(seen[:, 2], 1e-3)
    place = focal * seen[:, :2] / depth[:, None]
    residual = place - y
    weight = 1 / (1 + (residual**2).sum(1) / _SCALE_PX**2)
    by_seen = np.zeros((len(x), 2, 3))  # d place / d seen
    by_seen[:, 0, 0] = by_seen[:, 1, 1] = focal / depth
    by_seen[:, :, 2] = -place / depth[:, None]
    by_focal = np.concatenate([-x / focal, np.zeros((len(x), 1))], axis=1) @ turn.T
    jacobian = np.concatenate(
        [
            by_seen @ (turn @ cross_matrix(rays)),
            by_seen @ -cross_matrix(seen),
            (by_seen @ by_focal[:, :, None]) + place[:, :, None],
        ],
        axis=2,
    )
    weighted = jacobian * weight[:, None, None]
    return (
        np.einsum("nki,nkj->ij", weighted, jacobian),
        np.einsum("nki,nk->i", weighted, residual),
    )


def _turned_from_keyframes(
    observations: Observations, keyframe_rotations: Float[np.ndarray, "k 3 3"], focal_px: float
) -> Float[np.ndarray, "F 3 3"]:
    """Turn each frame against the keyframe before it.

    Against its predecessor where they share too little; a frame that shares too little with both
    keeps its predecessor's rotation.
    """
    rotations = np.empty((len(observations.tracks), 3, 3))
    adjusted = dict(zip(observations.keyframes, keyframe_rotations, strict=True))
    keyframe = 0
    for frame in range(len(rotations)):
        if frame in adjusted:
            rotations[frame], keyframe = adjusted[frame], frame
            continue
        for earlier in (keyframe, frame - 1):
            before, after = _shared_rays(observations, earlier, frame, focal_px)
            if len(before) >= _MIN_SHARED:
                turn = _turn_between(before, after, focal_px)
                rotations[frame] = turn @ rotations[earlier]
                break
        else:
            rotations[frame] = rotations[frame - 1]
    return rotations
