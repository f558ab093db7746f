"""Joint robust refinement of rotation, centre and focal length against raxel values.

Eq. 6 (paper) assumes that both frames have the same intrinsics, so a zoom leaks into its
translation, and Eq. 7 takes the pose for granted. Levenberg-Marquardt on (R, t, log f) with Huber
weights fits the three together: r(u) = R d(u; f) + t - raxel(u).
"""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.least_squares import (
    BlockNormalEquations,
    NormalEquations,
    huber_weight,
    levenberg_marquardt,
)
from rays_as_pixels.geometry.rays import pixel_grid_px, rays_in_cam
from rays_as_pixels.geometry.rotations import rotation_from_vector, skew

# Noise of the autoencoder settles within 10 steps; one pixel in five at random needs up to 60.
MAX_ITERATIONS = 100
EXACT = 1e-10  # tolerance for raxels without noise
_FIRST_DAMPING = 1e-6  # share of the mean of the normal equations' diagonal
_MAX_LOG_FOCAL_STEP = 0.5
_POSE = 6  # numbers of a frame's pose; log (fx, fy) come after


def raxel_jacobian(
    cameras: Cameras, ray_cam: Float[Tensor, "*batch h w 3"]
) -> Float[Tensor, "*batch h w 3 8"]:
    """Differentiate R d(u; f) + t by (rotation vector on the left, t, log fx, log fy).

    With exp(w) R the first block is -[R d]x (H&Z A4.3.2); with d = q / |q|, q = (x, y, 1) and
    x = (u - cx) / fx, dq/dlog fx = (-x, 0, 0), of which d keeps what is across it, over |q|.

    Args:
        cameras: In raster pixels.
        ray_cam: Their rays in camera axes, `rays_in_cam`.
    """
    rotation = cameras.world_from_cam[..., :3, :3]
    ray = torch.einsum("...ij,...hwj->...hwi", rotation, ray_cam)
    by_rotation = -skew(ray)
    eye = torch.eye(3, dtype=ray.dtype, device=ray.device)
    by_translation = eye.expand(*ray.shape, 3)
    grid = pixel_grid_px(cameras.height, cameras.width, dtype=ray.dtype, device=ray.device)
    xy = (grid - cameras.center_px[..., None, None, :]) / cameras.focal_px[..., None, None, :]
    length = torch.sqrt(1 + (xy**2).sum(-1, keepdim=True))
    by_focal = []
    for axis in (0, 1):
        dq = torch.zeros_like(ray_cam)
        dq[..., axis] = -xy[..., axis]
        dd = (dq - ray_cam * (ray_cam * dq).sum(-1, keepdim=True)) / length
        by_focal.append(torch.einsum("...ij,...hwj->...hwi", rotation, dd))
    return torch.cat([by_rotation, by_translation, torch.stack(by_focal, dim=-1)], dim=-1)


class _RaxelProblem:
    """Residuals r(u) = R d(u; f) + t - raxel(u) of every frame, for `levenberg_marquardt`.

    Args:
        values: Raxel values.
        shared_focal: One (fx, fy) for all frames, the last axis of the batch.
    """

    def __init__(self, values: Float[Tensor, "*batch frames h w 3"], *, shared_focal: bool) -> None:
        self.values, self.shared_focal = values, shared_focal

    def residual(self, state: Cameras) -> Float[Tensor, "*batch frames n"]:
        rotation = state.world_from_cam[..., :3, :3]
        ray = torch.einsum("...ij,...hwj->...hwi", rotation, _rays(state))
        model = ray + state.world_from_cam[..., None, None, :3, 3]
        return (model - self.values).flatten(-3)

    def weight(
        self, residual: Float[Tensor, "*batch frames n"]
    ) -> Float[Tensor, "*batch frames n"]:
        size = residual.unflatten(-1, (-1, 3)).norm(dim=-1)
        return huber_weight(size).repeat_interleave(3, dim=-1)

    def cost(self, residual: Tensor, weight: Tensor) -> Float[Tensor, "*batch frames"]:
        cost = (weight * residual**2).sum(-1)
        if self.shared_focal:  # one frame may pay for what the common focal length gains in others
            cost = cost.sum(-1, keepdim=True).expand_as(cost)
        return cost

    def step(
        self, state: Cameras, residual: Tensor, weight: Tensor, damping: Float[Tensor, "*batch f"]
    ) -> Float[Tensor, "*batch f 8"]:
        jacobian = raxel_jacobian(state, _rays(state)).flatten(-4, -2)
        equations = NormalEquations.of(jacobian, residual, weight).damped(damping)
        if not self.shared_focal:
            return equations.step()
        hessian, gradient = equations.hessian, equations.gradient
        common = hessian[..., _POSE:, _POSE:].sum(-3)
        common = common + damping.amax(-1)[..., None, None] * torch.eye(2).to(common)
        focal, pose = BlockNormalEquations(
            NormalEquations(common, gradient[..., _POSE:].sum(-2)),
            NormalEquations(hessian[..., :_POSE, :_POSE], gradient[..., :_POSE]),
            hessian[..., :_POSE, _POSE:],
        ).step()
        return torch.cat([pose, focal[..., None, :].expand(*pose.shape[:-1], 2)], dim=-1)

    def retract(self, state: Cameras, step: Float[Tensor, "*batch f 8"]) -> Cameras:
        rotation = rotation_from_vector(step[..., :3]) @ state.world_from_cam[..., :3, :3]
        pose = rigid(rotation, state.world_from_cam[..., :3, 3] + step[..., 3:6])
        change = step[..., _POSE:].clamp(-_MAX_LOG_FOCAL_STEP, _MAX_LOG_FOCAL_STEP)
        return replace(state, world_from_cam=pose, focal_px=state.focal_px * change.exp())

    def where(self, better: Bool[Tensor, "*batch f"], new: Cameras, old: Cameras) -> Cameras:
        pose = torch.where(better[..., None, None], new.world_from_cam, old.world_from_cam)
        focal = torch.where(better[..., None], new.focal_px, old.focal_px)
        return replace(old, world_from_cam=pose, focal_px=focal)


def _rays(cameras: Cameras) -> Float[Tensor, "*batch h w 3"]:
    return rays_in_cam(
        cameras.focal_px, cameras.center_px, height=cameras.height, width=cameras.width
    )


def refine_cameras(
    cameras: Cameras,
    values: Float[Tensor, "*batch frames h w 3"],
    *,
    iterations: int = MAX_ITERATIONS,
    tolerance: float = EXACT,
    shared_focal: bool = False,
) -> tuple[Cameras, Float[Tensor, "*batch frames"]]:
    """Fit (R, t, f) of every frame to raxel values, starting from `cameras`.

    Args:
        cameras: Start values, batch (..., F), in raster pixels.
        values: Raxel values d + o, last axis xyz.
        iterations: Levenberg-Marquardt steps, at most.
        tolerance: Stops early once no step is larger, in radians, scene units, log focal length.
        shared_focal: One (fx, fy) for all frames of a sequence.

    Returns:
        Refined cameras and the root-mean-square residual per frame, in scene units.
    """
    start = cameras.to(dtype=torch.float64)
    if shared_focal and iterations:
        median = start.focal_px.median(dim=-2, keepdim=True).values
        start = replace(start, focal_px=median.expand_as(start.focal_px))
    found, residual = levenberg_marquardt(
        start,
        _RaxelProblem(values.to(torch.float64), shared_focal=shared_focal),
        torch.full(start.batch_shape, _FIRST_DAMPING, dtype=torch.float64, device=values.device),
        iterations=iterations,
        tolerance=tolerance,
    )
    rms = residual.unflatten(-1, (-1, 3)).square().sum(-1).mean(-1).sqrt()
    return found.to(dtype=cameras.focal_px.dtype), rms.to(values.dtype)
