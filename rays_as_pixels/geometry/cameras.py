"""Cameras: poses and intrinsics of a batch of pinhole cameras, one value that checks itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError

_NO_MOVE = 1e-6  # radians and scene units


def invert_rigid(a_from_b: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 4 4"]:
    """Return b_from_a of a rigid transform, by transposing its rotation."""
    rotation_t = a_from_b[..., :3, :3].transpose(-1, -2)
    translation = -(rotation_t @ a_from_b[..., :3, 3:])
    return rigid(rotation_t, translation.squeeze(-1))


def rigid(
    rotation: Float[Tensor, "*batch 3 3"], translation: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch 4 4"]:
    """Put a rotation and a translation into one 4x4 transform."""
    top = torch.cat([rotation, translation[..., None]], dim=-1)
    bottom = top.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*top.shape[:-2], 1, 4)
    return torch.cat([top, bottom], dim=-2)


def check_reference(reference: int, batch_shape: "torch.Size | tuple[int, ...]") -> None:
    """Refuse a reference frame that is not one of the last batch axis.

    Raises:
        InputError: There is no frame axis, or `reference` lies outside it.
    """
    frames = batch_shape[-1] if len(batch_shape) else 0
    if not -frames <= reference < frames:
        raise InputError(
            f"reference must be one of the {frames} frames; got {reference}. "
            "Use 0 for the first frame."
        )


@dataclass(frozen=True, eq=False)
class Cameras:
    """Pinhole cameras that share one image size.

    Attributes:
        world_from_cam: Rigid camera-to-world poses, OpenCV axes, translation in scene units.
        focal_px: Focal lengths (fx, fy), in pixels of the image size below.
        center_px: Principal point (cx, cy), in pixels; (0, 0) is the image's top-left corner.
        height: Image height, in pixels.
        width: Image width, in pixels.

    Raises:
        InputError: A shape disagrees, a number is not finite, a pose is not rigid, a focal length
            is not positive, or the image size is not a positive whole number.
    """

    world_from_cam: Float[Tensor, "*batch 4 4"]
    focal_px: Float[Tensor, "*batch 2"]
    center_px: Float[Tensor, "*batch 2"]
    height: int
    width: int

    def __post_init__(self) -> None:
        """Check every rule in the class docstring."""
        batch = self.world_from_cam.shape[:-2]
        if self.world_from_cam.shape[-2:] != (4, 4):
            raise InputError(
                f"world_from_cam must end in 4x4; got shape {tuple(self.world_from_cam.shape)}. "
                "Add the row 0 0 0 1 to a 3x4 pose."
            )
        for name, value in (("focal_px", self.focal_px), ("center_px", self.center_px)):
            if value.shape != (*batch, 2):
                raise InputError(
                    f"{name} must have shape {(*batch, 2)} to match world_from_cam; "
                    f"got {tuple(value.shape)}. Give one (x, y) pair per camera."
                )
        for name, size in (("height", self.height), ("width", self.width)):
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise InputError(
                    f"{name} must be a positive whole number of pixels; got {size!r}. "
                    "Name the image size that the intrinsics belong to."
                )
        self._check_values()

    def _check_values(self) -> None:
        for name in ("world_from_cam", "focal_px", "center_px"):
            value: Tensor = getattr(self, name)
            finite = torch.isfinite(value).flatten()
            if not bool(finite.all()):
                bad = int((~finite).nonzero()[0])
                raise InputError(
                    f"{name} must be finite; got {value.flatten()[bad].item()} at flat index "
                    f"{bad}. Remove or repair that camera."
                )
        if bool((self.focal_px <= 0).any()):
            raise InputError(
                f"focal_px must be positive; got {self.focal_px.min().item():g}. "
                "Check the axis signs of the file the intrinsics came from."
            )
        rotation = self.world_from_cam[..., :3, :3]
        eye = torch.eye(3, dtype=rotation.dtype, device=rotation.device)
        skewness = (rotation.transpose(-1, -2) @ rotation - eye).abs().amax(dim=(-1, -2))
        tolerance = 1e-4  # float32 products of two poses stay below 1e-6; files round to 1e-5
        bottom = self.world_from_cam[..., 3, :] - eye.new_tensor([0.0, 0.0, 0.0, 1.0])
        off = torch.maximum(skewness, bottom.abs().amax(-1))
        off = torch.where(torch.det(rotation) > 0, off, torch.full_like(off, 2.0))
        if off.numel() and bool((off > tolerance).any()):
            worst = int(off.flatten().argmax())
            raise InputError(
                f"world_from_cam must be rigid (R^T R = 1, det R = +1, last row 0 0 0 1) to "
                f"{tolerance:g}; got a deviation of {off.max().item():.3g} at camera {worst}. "
                "Remove scale or mirroring from the pose."
            )

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The leading axes, (F,) for a trajectory."""
        return tuple(self.world_from_cam.shape[:-2])

    @property
    def hfov_rad(self) -> Float[Tensor, "*batch"]:
        """Horizontal field of view in radians, for a centred principal point."""
        return 2 * torch.atan(self.width / (2 * self.focal_px[..., 0]))

    @property
    def vfov_rad(self) -> Float[Tensor, "*batch"]:
        """Vertical field of view in radians, for a centred principal point."""
        return 2 * torch.atan(self.height / (2 * self.focal_px[..., 1]))

    def __getitem__(self, index: "int | slice | tuple | Tensor") -> "Cameras":
        """Select along the batch axes."""
        return replace(
            self,
            world_from_cam=self.world_from_cam[index],
            focal_px=self.focal_px[index],
            center_px=self.center_px[index],
        )

    def to(
        self, *, dtype: torch.dtype | None = None, device: "torch.device | str | None" = None
    ) -> "Cameras":
        """Return the same cameras in another dtype or on another device."""
        return replace(
            self,
            world_from_cam=self.world_from_cam.to(dtype=dtype, device=device),
            focal_px=self.focal_px.to(dtype=dtype, device=device),
            center_px=self.center_px.to(dtype=dtype, device=device),
        )

    def resized(self, *, height: int, width: int) -> "Cameras":
        """Return the cameras of the same images resampled to `height` x `width` pixels."""
        scale = self.focal_px.new_tensor([width / self.width, height / self.height])
        return replace(
            self,
            focal_px=self.focal_px * scale,
            center_px=self.center_px * scale,
            height=height,
            width=width,
        )

    def cropped(self, *, top: int, left: int, height: int, width: int) -> "Cameras":
        """Return the cameras of a window of the images; negative `top`, `left` pad instead."""
        corner = self.center_px.new_tensor([float(left), float(top)])
        return replace(self, center_px=self.center_px - corner, height=height, width=width)

    def relative_to(self, reference: int) -> "Cameras":
        """Make the camera `reference` of the last batch axis the world frame (its pose identity).

        P_rel = P_s^-1 P_j (section 2 of the paper).

        Raises:
            InputError: There is no frame `reference`.
        """
        check_reference(reference, self.batch_shape)
        ref_from_world = invert_rigid(self.world_from_cam[..., reference, :, :])
        return replace(self, world_from_cam=ref_from_world[..., None, :, :] @ self.world_from_cam)

    def scaled(self, factor: "float | Tensor") -> "Cameras":
        """Multiply every camera centre by `factor`, leaving rotations alone.

        Args:
            factor: One positive number, or one per camera.

        Raises:
            InputError: A factor is not finite and positive.
        """
        factor = torch.as_tensor(factor, dtype=self.focal_px.dtype, device=self.focal_px.device)
        if not bool(torch.isfinite(factor).all() and (factor > 0).all()):
            raise InputError(
                f"scale factor must be finite and positive; got {factor.tolist()}. "
                "Use the reciprocal of the reference frame's median depth."
            )
        pose = self.world_from_cam.clone()
        pose[..., :3, 3] = pose[..., :3, 3] * factor[..., None]
        return replace(self, world_from_cam=pose)


def stacked(each: Sequence[Cameras]) -> Cameras:
    """Stack cameras of one batch shape and image size along a new first axis."""
    return replace(
        each[0],
        world_from_cam=torch.stack([cameras.world_from_cam for cameras in each]),
        focal_px=torch.stack([cameras.focal_px for cameras in each]),
        center_px=torch.stack([cameras.center_px for cameras in each]),
    )


def joined(first: Cameras, *others: Cameras) -> Cameras:
    """Return the cameras of all, one after the other, in pixels of the first ones' images.

    Args:
        first: (F,).
        others: (N,) each, in the same axes and scene units, of images of the same aspect.

    Returns:
        (F + N + ...), on the first ones' device and in their precision.
    """
    size = {"height": first.height, "width": first.width}
    every = [first, *(one.resized(**size) for one in others)]
    pose, focal, center = (
        torch.cat([getattr(one, name).to(getattr(first, name)) for one in every])
        for name in ("world_from_cam", "focal_px", "center_px")
    )
    return Cameras(pose, focal, center, **size)


def kind_of_move(cameras: Cameras) -> Literal["still", "turns", "travels", "both"]:
    """Say what cameras do, as far as they do it at all.

    Paths fitted to a clip turn, or travel, by exactly 0 where the clip shows neither
    (`solve.motion_selection`), up to the rounding of files: 1e-6 radians and scene units.

    Args:
        cameras: (F,) in any world frame.
    """
    pose = invert_rigid(cameras.world_from_cam[:1].double()) @ cameras.world_from_cam.double()
    still = torch.eye(3, dtype=pose.dtype, device=pose.device)
    # The chord of a small angle is the angle times the square root of 2.
    turns = float((pose[:, :3, :3] - still).flatten(1).norm(dim=-1).max()) > 2**0.5 * _NO_MOVE
    travels = float(pose[:, :3, 3].norm(dim=-1).max()) > _NO_MOVE
    if turns and travels:
        return "both"
    return "turns" if turns else "travels" if travels else "still"
