"""Joint robust refinement of rotation, centre and focal length against raxel values.

Eq. 6 assumes that both frames have the same intrinsics, so a zoom leaks into its translation, and
Eq. 7 takes the pose for granted. Levenberg-Marquardt on (R, t, log f) with Huber weights fits the
three together: r(u) = R d(u; f) + t - raxel(u).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rays import pixel_grid_px, rays_in_cam
from rays_as_pixels.geometry.rotations import rotation_from_vector, skew

# Codec noise settles within 10 steps; one pixel in five at random needs up to 60.
MAX_ITERATIONS = 100
EXACT = 1e-10  # tolerance for raxels without noise
_HUBER_SIGMAS = 1.345  # 95 % efficient for Gaussian errors (Huber 1964)


def raxel_jacobian(
    cameras: Cameras, ray_cam: Float[Tensor, "*batch h w 3"]
) -> Float[Tensor, "*batch h w 3 8"]:
    """Differentiate R d(u; f) + t by (rotation vector on the left, t, log fx, log fy).

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
        # d = q/|q| with q = (x, y, 1); dq/dlog f = -x e; project out the part along d.
        dq = torch.zeros_like(ray_cam)
        dq[..., axis] = -xy[..., axis]
        dd = (dq - ray_cam * (ray_cam * dq).sum(-1, keepdim=True)) / length
        by_focal.append(torch.einsum("...ij,...hwj->...hwi", rotation, dd))
    return torch.cat([by_rotation, by_translation, torch.stack(by_focal, dim=-1)], dim=-1)


def _residual(
    cameras: Cameras, values: Float[Tensor, "*batch h w 3"]
) -> tuple[Float[Tensor, "*batch h w 3"], Float[Tensor, "*batch h w 3"]]:
    """Return raxel(u) - (R d(u) + t) and the camera-axes rays d."""
    ray_cam = rays_in_cam(
        cameras.focal_px, cameras.center_px, height=cameras.height, width=cameras.width
    )
    rotation = cameras.world_from_cam[..., :3, :3]
    model = torch.einsum("...ij,...hwj->...hwi", rotation, ray_cam)
    return values - model - cameras.world_from_cam[..., None, None, :3, 3], ray_cam


def _huber_weights(residual: Float[Tensor, "*batch h w 3"]) -> Float[Tensor, "*batch h w 1"]:
    size = residual.norm(dim=-1, keepdim=True)
    scale = 1.4826 * size.flatten(-3).median(dim=-1).values[..., None, None, None]
    limit = (_HUBER_SIGMAS * scale).clamp_min(torch.finfo(size.dtype).eps)
    return torch.where(size <= limit, torch.ones_like(size), limit / size.clamp_min(1e-30))


def _cost(residual: Float[Tensor, "*batch h w 3"], weight: Tensor) -> Float[Tensor, "*batch"]:
    return (weight * residual**2).sum(dim=(-3, -2, -1))


def _moved(cameras: Cameras, step: Float[Tensor, "*batch 8"]) -> Cameras:
    rotation = rotation_from_vector(step[..., :3]) @ cameras.world_from_cam[..., :3, :3]
    pose = rigid(rotation, cameras.world_from_cam[..., :3, 3] + step[..., 3:6])
    focal = cameras.focal_px * step[..., 6:].clamp(-0.5, 0.5).exp()
    return Cameras(pose, focal, cameras.center_px, cameras.height, cameras.width)


def _shared(normal: Tensor, gradient: Tensor, damping: Tensor) -> Tensor:
    """Solve for per-frame poses and one focal pair over the last batch axis (Schur complement)."""
    pose_block = normal[..., :6, :6]
    cross = normal[..., :6, 6:]
    inverse_cross = torch.linalg.solve(pose_block, cross)
    inverse_gradient = torch.linalg.solve(pose_block, gradient[..., :6, None])
    schur = (normal[..., 6:, 6:] - cross.transpose(-1, -2) @ inverse_cross).sum(-3)
    right = (gradient[..., 6:, None] - cross.transpose(-1, -2) @ inverse_gradient).sum(-3)
    eye = torch.eye(2, dtype=normal.dtype, device=normal.device)
    focal = torch.linalg.solve(schur + damping.amax(-1)[..., None, None] * eye, right)
    pose = inverse_gradient - inverse_cross @ focal[..., None, :, :]
    frames = normal.shape[-3]
    return torch.cat([pose, focal[..., None, :, :].expand(*pose.shape[:-3], frames, 2, 1)], dim=-2)


def _normal_equations(
    cameras: Cameras,
    residual: Float[Tensor, "*batch h w 3"],
    ray_cam: Float[Tensor, "*batch h w 3"],
    weight: Float[Tensor, "*batch h w 1"],
    damping: Float[Tensor, "*batch"],
) -> tuple[Float[Tensor, "*batch 8 8"], Float[Tensor, "*batch 8"]]:
    """Return the damped normal matrix and the gradient of the weighted squares."""
    jacobian = raxel_jacobian(cameras, ray_cam).flatten(-4, -2)
    weighted = jacobian * weight.expand_as(residual).flatten(-3)[..., None]
    normal = weighted.transpose(-1, -2) @ jacobian
    gradient = (weighted.transpose(-1, -2) @ residual.flatten(-3)[..., None]).squeeze(-1)
    size = normal.diagonal(dim1=-2, dim2=-1).mean(-1)
    eye = torch.eye(8, dtype=normal.dtype, device=normal.device)
    return normal + (damping * size)[..., None, None] * eye, gradient


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
    work = cameras.to(dtype=torch.float64)
    values64 = values.to(torch.float64)
    if shared_focal and iterations:
        focal = work.focal_px.median(dim=-2, keepdim=True).values.expand_as(work.focal_px)
        work = Cameras(work.world_from_cam, focal, work.center_px, work.height, work.width)
    damping = torch.full(work.batch_shape, 1e-6, dtype=torch.float64, device=values.device)
    residual, ray_cam = _residual(work, values64)
    for _ in range(iterations):
        weight = _huber_weights(residual)
        damped, gradient = _normal_equations(work, residual, ray_cam, weight, damping)
        if shared_focal:
            step = _shared(damped, gradient, damping).squeeze(-1)
        else:
            step = torch.linalg.solve(damped, gradient[..., None]).squeeze(-1)
        trial = _moved(work, step)
        trial_residual, trial_ray = _residual(trial, values64)
        old_cost = _cost(residual, weight)
        new_cost = _cost(trial_residual, weight)
        if shared_focal:  # one frame may pay for what the common focal length gains in the others
            old_cost = old_cost.sum(-1, keepdim=True).expand_as(old_cost)
            new_cost = new_cost.sum(-1, keepdim=True).expand_as(new_cost)
        better = new_cost <= old_cost
        damping = torch.where(better, damping * 0.3, damping * 10).clamp(1e-15, 1e6)
        keep = better[..., None]
        work = Cameras(
            torch.where(keep[..., None], trial.world_from_cam, work.world_from_cam),
            torch.where(keep, trial.focal_px, work.focal_px),
            work.center_px,
            work.height,
            work.width,
        )
        image = keep[..., None, None]
        residual = torch.where(image, trial_residual, residual)
        ray_cam = torch.where(image, trial_ray, ray_cam)
        if bool((step.abs().amax(-1) < tolerance).all()):
            break
    rms = (residual**2).sum(-1).mean(dim=(-2, -1)).sqrt()
    return work.to(dtype=cameras.focal_px.dtype), rms.to(values.dtype)
