"""Cameras from a coarse grid of raxel values, by a few steps of Gauss and Newton in float32.

What a network can afford at every step; `geometry.raxels.cameras_from_raxels` is exact, robust and
slower.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.least_squares import NormalEquations
from rays_as_pixels.geometry.rotations import rotation_from_vector, skew
from rays_as_pixels.solve.depth_reprojection import pixels_from_middle

_STEPS = 8
_DAMPING = 1e-4
_LOG_FOCAL_LIMIT = 2.5
_STEP_LIMIT = 0.7


def cameras_of_points(
    points: Float[Tensor, "n 3 height width"],
) -> tuple[Float[Tensor, "n 3 3"], Float[Tensor, "n 3"], Float[Tensor, "n 2"]]:
    """Fit rotation, centre and focal lengths to raxels d + o at the centres of a grid of cells.

    Args:
        points: Halved raxels, as the autoencoder gets them, over the whole image.

    Returns:
        world_from_cam rotations, centres in scene units, and log (fx, fy)
        normalised by sqrt(H W). What fits nothing gives some camera, never nan.
    """
    count, _, height, width = points.shape
    xy = pixels_from_middle((height, width)).to(points) / (height * width) ** 0.5  # cells 2
    wanted = (2 * points).flatten(2).mT  # n cells 3
    rotation = torch.eye(3).to(points).expand(count, 3, 3)
    log_focal = points.new_zeros(count, 2)
    center = (wanted - _rays(xy, log_focal)[0]).mean(1)
    damping = points.new_full((8,), _DAMPING * len(xy))
    for _ in range(_STEPS):
        ray, slope = _rays(xy, log_focal)
        turned = ray @ rotation.mT
        by_log_focal = torch.einsum("nij,nkjc->nkic", rotation, slope)
        jacobian = torch.cat(
            [skew(-turned), torch.eye(3).to(points).expand(*turned.shape, 3), by_log_focal], -1
        ).flatten(1, 2)  # n 3 cells, 8
        error = (turned + center[:, None] - wanted).flatten(1)
        step = NormalEquations.of(jacobian, error).with_prior(damping, damping * 0).step()
        step = step.nan_to_num().clamp(-_STEP_LIMIT, _STEP_LIMIT)
        rotation = rotation_from_vector(step[:, :3]) @ rotation
        center = center + step[:, 3:6]
        log_focal = (log_focal + step[:, 6:]).clamp(-_LOG_FOCAL_LIMIT, _LOG_FOCAL_LIMIT)
    return rotation, center, log_focal


def _rays(xy: Tensor, log_focal: Tensor) -> tuple[Tensor, Tensor]:
    """Return unit rays (n, cells, 3) and their change with log focal lengths (..., 2)."""
    plane = xy / log_focal.exp()[:, None]
    ray = torch.cat([plane, torch.ones_like(plane[..., :1])], -1)
    length = ray.norm(dim=-1, keepdim=True)
    unit = ray / length
    axes = torch.eye(3, 2).to(xy)
    moved = -axes * plane[..., None, :]  # d ray / d log f
    along = (unit[..., None] * moved).sum(-2, keepdim=True)
    return unit, (moved - unit[..., None] * along) / length[..., None]
