"""Essential-matrix chain with OpenCV: SIFT, five-point RANSAC, scale from shared 3D points.

Each step i to i + 1 is estimated alone. Its length comes from the median depth ratio of the points
that it shares with the step before (same keypoint in the middle frame); without 5 such points the
previous length is kept, so the first step and every break are unit steps.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.evaluation.baselines.classical import (
    BaselineEstimate,
    BaselineFailure,
    ClassicalBaseline,
    fill_lost,
)
from rays_as_pixels.evaluation.baselines.trivial import guessed_focal_px
from rays_as_pixels.geometry.cameras import Cameras, invert_rigid

_RATIO = 0.8  # Lowe's ratio test
_MIN_INLIERS = 8  # fewer do not overdetermine the five-point problem
_RANSAC_PX = 1.0
_STILL_PX = 0.25  # median displacement below this is a camera that stands still
_HFOV_GRID_DEG = range(25, 101, 5)


@dataclass(frozen=True)
class _Matches:
    """Matches between two frames: keypoint indices and pixel positions (OpenCV pixel centres)."""

    index: np.ndarray  # (M, 2) keypoint in the first and second frame
    first_px: np.ndarray  # (M, 2)
    second_px: np.ndarray  # (M, 2)


@dataclass(frozen=True)
class _Step:
    """Motion of one step with unit translation (or none), and the points it saw."""

    second_from_first: np.ndarray  # (4, 4)
    depth_first: dict[int, float]  # keypoint of the first frame: depth there
    depth_second: dict[int, float]  # keypoint of the second frame: depth there


def estimate(video: Float[Tensor, "frames 3 H W"], intrinsics: Cameras | None) -> BaselineEstimate:
    """Estimate the path of a video; see the module docstring.

    Args:
        video: (F, 3, H, W) in [0, 1].
        intrinsics: Cameras whose focal lengths and centres are known, or None: then one focal
            length is chosen among fields of view from 25 to 100 degrees, see `_choose_focal_px`.

    Raises:
        BaselineFailure: No step of the path could be estimated.
    """
    import cv2  # noqa: PLC0415 - optional dependency

    cv2.setRNGSeed(0)
    cv2.setNumThreads(1)
    height, width = video.shape[-2:]
    matches = _match_chain(cv2, video)
    if intrinsics is None:
        focal = _choose_focal_px(cv2, matches, height, width)
        intrinsics = _uniform(len(video), focal, height, width)
    return _chain(cv2, matches, intrinsics)


def _chain(cv2: Any, matches: list[_Matches], intrinsics: Cameras) -> BaselineEstimate:
    world_from_cam: list[Tensor | None] = [torch.eye(4, dtype=torch.float64)]
    pose, length = torch.eye(4, dtype=torch.float64), 1.0
    before: _Step | None = None
    for k, match in enumerate(matches):
        step = _estimate_step(cv2, match, _matrices(intrinsics, k))
        if step is None:
            world_from_cam.append(None)  # the chain goes on from the last known pose
            before = None
            continue
        length = _step_length(before, step, length)
        before = _scaled(step, length)
        motion = torch.from_numpy(before.second_from_first)
        pose = pose @ invert_rigid(motion)
        world_from_cam.append(pose)
    if all(p is None for p in world_from_cam[1:]):
        raise BaselineFailure(f"no step had {_MIN_INLIERS} inlying matches")
    filled, lost = fill_lost(world_from_cam)
    cameras = Cameras(
        filled,
        intrinsics.focal_px.double(),
        intrinsics.center_px.double(),
        intrinsics.height,
        intrinsics.width,
    )
    return BaselineEstimate(cameras, lost)


def _match_chain(cv2: Any, video: Tensor) -> list[_Matches]:
    grey = (video.clamp(0, 1).mean(1) * 255).round().to(torch.uint8).cpu().numpy()
    detector = cv2.SIFT_create(contrastThreshold=0.01)
    found = [detector.detectAndCompute(image, None) for image in grey]
    matcher = cv2.BFMatcher(cv2.NORM_L2)
    chain = []
    for (points, code), (next_points, next_code) in pairwise(found):
        pairs = []
        if code is not None and next_code is not None and min(len(code), len(next_code)) > 1:
            back = {m[0].queryIdx: m[0].trainIdx for m in matcher.knnMatch(next_code, code, k=1)}
            for best, second in matcher.knnMatch(code, next_code, k=2):
                mutual = back[best.trainIdx] == best.queryIdx
                if mutual and best.distance < _RATIO * second.distance:
                    pairs.append((best.queryIdx, best.trainIdx))
        index = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        first = np.array([points[i].pt for i in index[:, 0]], dtype=np.float64).reshape(-1, 2)
        second = np.array([next_points[i].pt for i in index[:, 1]], dtype=np.float64)
        chain.append(_Matches(index, first, second.reshape(-1, 2)))
    return chain


def _estimate_step(
    cv2: Any, match: _Matches, matrices: tuple[np.ndarray, np.ndarray]
) -> _Step | None:
    if len(match.index) < _MIN_INLIERS:
        return None
    if np.median(np.linalg.norm(match.second_px - match.first_px, axis=1)) < _STILL_PX:
        return _Step(np.eye(4), {}, {})
    first = cv2.undistortPoints(match.first_px[:, None], matrices[0], None)[:, 0]
    second = cv2.undistortPoints(match.second_px[:, None], matrices[1], None)[:, 0]
    focal = (matrices[0][0, 0] + matrices[1][0, 0]) / 2
    # USAC_ACCURATE refines its inliers; plain RANSAC had three times its error on real clips.
    essential, mask = cv2.findEssentialMat(
        first, second, np.eye(3), method=cv2.USAC_ACCURATE, prob=0.999, threshold=_RANSAC_PX / focal
    )
    if essential is None or essential.shape != (3, 3):
        return None
    good = mask.ravel() > 0
    kept, rotation, translation, front = cv2.recoverPose(
        essential, first[good], second[good], np.eye(3)
    )
    if kept < _MIN_INLIERS:
        return None
    motion = np.eye(4)
    motion[:3, :3] = rotation
    x, y = _homogeneous(first[good]) @ rotation.T, _homogeneous(second[good])
    if np.median(np.linalg.norm(x[:, :2] / x[:, 2:] - y[:, :2], axis=1)) * focal < _STILL_PX:
        return _Step(motion, {}, {})  # a pure rotation explains the matches
    motion[:3, 3] = translation.ravel()
    in_front = front.ravel() > 0
    depths = _triangulate(cv2, motion, first[good][in_front], second[good][in_front])
    index = match.index[good][in_front]
    return _Step(
        motion,
        dict(zip(index[:, 0].tolist(), depths[0].tolist(), strict=True)),
        dict(zip(index[:, 1].tolist(), depths[1].tolist(), strict=True)),
    )


def _homogeneous(points: np.ndarray) -> np.ndarray:
    return np.concatenate([points, np.ones((len(points), 1))], axis=1)


def _triangulate(
    cv2: Any, second_from_first: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the depths of matched points in both cameras, in units of the step."""
    point = cv2.triangulatePoints(np.eye(4)[:3], second_from_first[:3], first.T, second.T)
    point = point / point[3]
    return point[2], (second_from_first @ point)[2]


def _step_length(before: _Step | None, step: _Step, length: float) -> float:
    if before is None:
        return length
    shared = [
        (before.depth_second[key], depth)
        for key, depth in step.depth_first.items()
        if key in before.depth_second
    ]
    ratio = [old / new for old, new in shared if old > 1e-6 and new > 1e-6]
    return float(np.median(ratio)) if len(ratio) >= 5 else length


def _scaled(step: _Step, length: float) -> _Step:
    motion = step.second_from_first.copy()
    motion[:3, 3] *= length
    return _Step(
        motion,
        {key: depth * length for key, depth in step.depth_first.items()},
        {key: depth * length for key, depth in step.depth_second.items()},
    )


def _choose_focal_px(cv2: Any, matches: list[_Matches], height: int, width: int) -> float:
    """Return the focal length that makes the fundamental matrices most nearly essential ones.

    The first two singular values of K^T F K are equal for the true K. Their relative difference is
    summed over the steps, weighted by inliers; without a usable step, 60 degrees are
    assumed.
    """
    grid = width / (2 * np.tan(np.radians(_HFOV_GRID_DEG) / 2))
    cost = np.zeros(len(grid))
    for match in matches:
        if len(match.index) < 2 * _MIN_INLIERS:
            continue
        fundamental, mask = cv2.findFundamentalMat(
            match.first_px, match.second_px, cv2.USAC_MAGSAC, _RANSAC_PX, 0.999, 2000
        )
        if fundamental is None or fundamental.shape != (3, 3):
            continue
        for j, focal in enumerate(grid):
            matrix = _matrix(focal, focal, width / 2, height / 2)
            singular = np.linalg.svd(matrix.T @ fundamental @ matrix, compute_uv=False)
            cost[j] += mask.sum() * (singular[0] - singular[1]) / (singular[0] + singular[1])
    return float(grid[np.argmin(cost)]) if cost.any() else guessed_focal_px(width)


def _matrix(fx: float, fy: float, cx: float, cy: float) -> np.ndarray:
    """Return K with OpenCV's pixel centres, half a pixel less than ours."""
    return np.array([[fx, 0, cx - 0.5], [0, fy, cy - 0.5], [0, 0, 1]], dtype=np.float64)


def _matrices(cameras: Cameras, step: int) -> tuple[np.ndarray, np.ndarray]:
    first, second = (
        _matrix(*cameras.focal_px[k].tolist(), *cameras.center_px[k].tolist())
        for k in (step, step + 1)
    )
    return first, second


def _uniform(num_frames: int, focal_px: float, height: int, width: int) -> Cameras:
    eye = torch.eye(4, dtype=torch.float64).expand(num_frames, 4, 4)
    focal = torch.full((num_frames, 2), focal_px, dtype=torch.float64)
    center = torch.tensor([width / 2, height / 2], dtype=torch.float64).expand(num_frames, 2)
    return Cameras(eye, focal, center, height, width)


BASELINES = (
    ClassicalBaseline(
        "OpenCV essential chain, true K",
        "cv2",
        True,
        estimate,
        "SIFT, five-point RANSAC per step, step length from shared triangulated points",
    ),
    ClassicalBaseline(
        "OpenCV essential chain",
        "cv2",
        False,
        estimate,
        "the same without intrinsics: focal length that makes the fundamental matrices essential",
    ),
)
