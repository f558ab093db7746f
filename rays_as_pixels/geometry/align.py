"""Closed-form alignment of point sets (Umeyama 1991) and of trajectories."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, rigid


@dataclass(frozen=True)
class Similarity:
    """x_target = scale * rotation @ x_source + translation, lengths in target units."""

    rotation: Float[Tensor, "3 3"]
    translation: Float[Tensor, "3"]
    scale: Float[Tensor, ""]

    def apply(self, points: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
        """Map points from the source frame into the target frame."""
        return self.scale * points @ self.rotation.T + self.translation


def _in_one_spot(points: Float[Tensor, "n 3"], variance: Tensor) -> bool:
    rounding = 8 * torch.finfo(points.dtype).eps * points.abs().max()
    return bool(variance.sqrt() <= rounding)


def umeyama(
    source: Float[Tensor, "n 3"], target: Float[Tensor, "n 3"], *, with_scale: bool = True
) -> Similarity:
    """Return the similarity that best maps `source` to `target` (Umeyama 1991, Eqs. 34-42).

    Args:
        source: Points to move.
        target: Where they should come to lie, same order.
        with_scale: False fits a rigid transform (SE(3)) instead of a similarity (Sim(3)).

    Raises:
        InputError: Fewer than 3 points, shapes differ, a coordinate is not finite, or the points
            lie on one line or in one spot, so that the rotation is not determined.
    """
    if source.shape != target.shape or source.shape[0] < 3:
        raise InputError(
            "umeyama must get two sets of the same 3 or more points; got "
            f"{tuple(source.shape)} and {tuple(target.shape)}. "
            "Match the trajectories by time first."
        )
    for name, points in (("source", source), ("target", target)):
        if not bool(torch.isfinite(points).all()):
            raise InputError(
                f"{name} points must be finite; got NaN or infinity. Remove those frames."
            )
    source_mean, target_mean = source.mean(0), target.mean(0)  # Eqs. 34, 35
    source_c, target_c = source - source_mean, target - target_mean
    variance = (source_c**2).sum(-1).mean()  # Eq. 36
    target_variance = (target_c**2).sum(-1).mean()  # Eq. 37
    covariance = target_c.T @ source_c / len(source)  # Eq. 38
    left, singular, right_t = torch.linalg.svd(covariance)
    # Coordinates carry rounding of about eps times their size, so neither one spot nor the second
    # value of a line is exactly 0. No singular value exceeds `extent`, whatever the two units.
    floor = 1e-12 if source.dtype == torch.float64 else 1e-6
    extent = float(variance.sqrt() * target_variance.sqrt())
    in_one_spot = _in_one_spot(source, variance) or _in_one_spot(target, target_variance)
    if in_one_spot or not bool(singular[1] > floor * extent):
        raise InputError(
            "points must not all lie on one line for an alignment to be determined; got singular "
            f"values {[f'{v:.3g}' for v in singular.tolist()]}. "
            "Align by the first pose and by path length instead."
        )
    sign = torch.ones(3, dtype=source.dtype, device=source.device)
    if torch.det(left) * torch.det(right_t) < 0:
        sign[2] = -1  # Eq. 39
    rotation = left @ torch.diag(sign) @ right_t  # Eq. 40
    scale = (singular * sign).sum() / variance if with_scale else torch.ones_like(variance)  # 42
    return Similarity(rotation, target_mean - scale * rotation @ source_mean, scale)  # Eq. 41


def align_cameras(cameras: Cameras, similarity: Similarity) -> Cameras:
    """Move cameras by a similarity: rotations turn, centres are mapped."""
    rotation = similarity.rotation @ cameras.world_from_cam[..., :3, :3]
    centre = similarity.apply(cameras.world_from_cam[..., :3, 3])
    return Cameras(
        rigid(rotation, centre),
        cameras.focal_px,
        cameras.center_px,
        cameras.height,
        cameras.width,
    )
