"""Answers that need no model: what a number must beat, and what it cannot beat."""

import time

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.evaluation.scores import PathResult
from rays_as_pixels.geometry.cameras import Cameras, invert_rigid

DEFAULT_HFOV_DEG = 60.0  # the focal guess of a method that looks at nothing


def guessed_focal_px(width: int) -> float:
    """Return the focal length in pixels of a 60 degree horizontal field of view."""
    half = torch.deg2rad(torch.tensor(DEFAULT_HFOV_DEG / 2, dtype=torch.float64))
    return float(width / (2 * torch.tan(half)))


def _with_guessed_focal(world_from_cam: Float[Tensor, "frames 4 4"], truth: Cameras) -> Cameras:
    focal = torch.full_like(truth.focal_px, guessed_focal_px(truth.width))
    center = truth.center_px.new_tensor([truth.width / 2, truth.height / 2]).expand_as(focal)
    return Cameras(world_from_cam, focal, center, truth.height, truth.width)


def identity_cameras(truth: Cameras) -> Cameras:
    """Return a camera that never moves, with a 60 degree field of view."""
    eye = torch.eye(4, dtype=truth.world_from_cam.dtype, device=truth.world_from_cam.device)
    return _with_guessed_focal(eye.expand_as(truth.world_from_cam), truth)


def constant_velocity_cameras(truth: Cameras) -> Cameras:
    """Repeat the first true relative motion, 0 to 1, for the rest of the path.

    It is given that true first step, which no method that only sees the video is: beating it means
    more than predicting a smooth path. Its field of view is the 60 degree guess.
    """
    pose = truth.world_from_cam
    step = invert_rigid(pose[0]) @ pose[1]
    path = [torch.eye(4, dtype=pose.dtype, device=pose.device)]
    for _ in range(len(pose) - 1):
        path.append(path[-1] @ step)
    return _with_guessed_focal(torch.stack(path), truth)


def copy_first_frame(video: Float[Tensor, "frames 3 H W"]) -> Float[Tensor, "frames 3 H W"]:
    """Return a video that shows its first frame throughout."""
    return video[:1].expand_as(video)


def identity(truth: Cameras) -> PathResult:
    """Score card of `identity_cameras`."""
    start = time.perf_counter()
    return PathResult(identity_cameras(truth), time.perf_counter() - start)


def constant_velocity(truth: Cameras) -> PathResult:
    """Score card of `constant_velocity_cameras`."""
    start = time.perf_counter()
    return PathResult(constant_velocity_cameras(truth), time.perf_counter() - start)
