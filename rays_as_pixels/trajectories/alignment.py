"""Bring a path onto another, with what is left between them."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.align import Similarity, align_cameras, umeyama
from rays_as_pixels.geometry.rotations import rotation_angle_rad
from rays_as_pixels.geometry.trajectory import Trajectory

_ALIGN_BY = ("centres", "first-frame")


@dataclass(frozen=True)
class Alignment:
    """A path moved onto another.

    Attributes:
        trajectory: The moved path.
        similarity: What moved it: target from source.
        residual: (F,) distance left between the centres of each frame, in the target's unit.
        residual_deg: (F,) angle left between the rotations, in degrees.
    """

    trajectory: Trajectory
    similarity: Similarity
    residual: Float[Tensor, "frames"]
    residual_deg: Float[Tensor, "frames"]

    @property
    def rmse(self) -> float:
        """Root mean square of `residual`."""
        return float(self.residual.square().mean().sqrt())


def align(
    trajectory: Trajectory, target: Trajectory, *, by: str = "centres", with_scale: bool = True
) -> Alignment:
    """Move a path onto another of as many frames.

    Args:
        trajectory: The path to move.
        target: Where to; frame i belongs to frame i.
        by: "centres" brings all centres as close as can be (Umeyama 1991); "first-frame" lets the
            first poses coincide and, with scale, the furthest distances from them agree: for
            straight paths, whose centres do not fix a rotation.
        with_scale: True for Sim(3), False for SE(3).

    Raises:
        InputError: Different lengths, an unknown `by`, centres on one line or in one spot with
            "centres", or a path that stands still with "first-frame" and scale.
    """
    if by not in _ALIGN_BY:
        raise InputError(f"by must be centres or first-frame; got {by!r}. Use centres if in doubt.")
    if len(trajectory) != len(target):
        raise InputError(
            f"both paths must have the same number of frames; got {len(trajectory)} and "
            f"{len(target)}. Resample one of them."
        )
    source, wanted = (
        path.cameras.world_from_cam.to(torch.float64) for path in (trajectory, target)
    )
    if by == "centres":
        fit = umeyama(source[:, :3, 3], wanted[:, :3, 3], with_scale=with_scale)
    else:
        fit = _first_frame_fit(source, wanted, with_scale=with_scale)
    double = replace(trajectory, cameras=trajectory.cameras.to(dtype=torch.float64))
    moved = replace(double, cameras=align_cameras(double.cameras, fit))
    pose = moved.cameras.world_from_cam
    turn = pose[:, :3, :3].transpose(-1, -2) @ wanted[:, :3, :3]
    return Alignment(
        moved,
        fit,
        (pose[:, :3, 3] - wanted[:, :3, 3]).norm(dim=-1),
        torch.rad2deg(rotation_angle_rad(turn)),
    )


def _first_frame_fit(source: Tensor, wanted: Tensor, *, with_scale: bool) -> Similarity:
    extents = [(pose[:, :3, 3] - pose[0, :3, 3]).norm(dim=-1).max() for pose in (source, wanted)]
    if with_scale and not bool(torch.stack(extents).min() > 1e-9):
        raise InputError(
            "both paths must move for their scales to be matched; got furthest distances "
            f"{extents[0].item():g} and {extents[1].item():g} from frame 0. Use with_scale=False."
        )
    factor = extents[1] / extents[0] if with_scale else torch.ones_like(extents[0])
    rotation = wanted[0, :3, :3] @ source[0, :3, :3].T
    return Similarity(rotation, wanted[0, :3, 3] - factor * rotation @ source[0, :3, 3], factor)
