"""Images and where they were taken, beside a path to be filmed: what `generate` starts from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, joined
from rays_as_pixels.geometry.resize_crop import ResizeCrop
from rays_as_pixels.geometry.rotations import rotation_angle_rad
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.pipeline.validation import (
    check_clip_length,
    check_image_frames,
    depths_for_images,
    framed_images,
    path_for_images,
    within_reach,
)

_SAME = 1e-3  # scene units, radians and logarithms of a lens up to which two cameras are one


@dataclass(frozen=True, eq=False)
class PosedImages:
    """Images with their cameras and a path, all for the model's images.

    Attributes:
        images: (n, 3, H, W) in [0, 1] at their own size.
        resize_crop: From that size to the model's.
        known: (n,) whether the camera of each is known.
        frames: Frame of the path that each belongs to in time.
        cameras: (F,) of the path, in axes of its first one.
        taken: (n,) of the images, in the same axes; without meaning where not known.
        origin: (4, 4) the camera that the images' own path begins with, in the same axes.
        apart: Whether the images have a path of their own.
        shown: (n,) whether the path's camera at its frame shows what the image does.
        log_depth: (n, h, w) logarithms of what is known of depths, NaN elsewhere; None for
            nothing.
    """

    images: Float[Tensor, "n 3 height width"]
    resize_crop: ResizeCrop
    known: Bool[Tensor, "n"]
    frames: tuple[int, ...]
    cameras: Cameras
    taken: Cameras
    origin: Float[Tensor, "4 4"]
    apart: bool
    shown: Bool[Tensor, "n"]
    log_depth: Float[Tensor, "n h w"] | None

    @classmethod
    def beside(
        cls,
        trajectory: Trajectory,
        images: "Float[Tensor, '3 height width'] | Sequence[Float[Tensor, '3 height width']]",
        *,
        sizes: Sequence[tuple[int, int]],
        max_frames: int,
        temporal_stride: int,
        image_frames: Sequence[int],
        source_trajectory: Trajectory | None,
        cameras_known: Sequence[bool] | None,
        depths: "Sequence[Tensor | None] | None",
    ) -> "PosedImages":
        """Check and put together what `RaysAsPixelsPipeline.generate` is given.

        Raises:
            InputError: See there.
        """
        stack, resize_crop = framed_images(images, sizes)
        check_clip_length(len(trajectory), max_frames=max_frames, temporal_stride=temporal_stride)
        cameras = path_for_images(trajectory, resize_crop)
        known = [True] * len(stack) if cameras_known is None else list(cameras_known)
        own = len(trajectory) if source_trajectory is None else len(source_trajectory)
        check_image_frames(image_frames, known, len(stack), own)
        frames = tuple(min(frame, len(trajectory) - 1) for frame in image_frames)
        if len(set(frames)) != len(frames):
            raise InputError(
                f"image_frames must name different frames of the trajectory too, which has "
                f"{len(trajectory)}; got {list(image_frames)} of a longer image_path. Leave out "
                "images near its end."
            )
        path = cameras
        if source_trajectory is not None:
            first = trajectory.cameras.world_from_cam[:1].to(cameras.world_from_cam)
            path = path_for_images(source_trajectory, resize_crop, world_from_first=first)
        taken, origin = path[torch.tensor(list(image_frames))], path.world_from_cam[0]
        shown = torch.ones(len(frames), dtype=torch.bool)
        if source_trajectory is not None:
            shown = _same(taken, cameras[torch.tensor(frames)])
        log_depth = depths_for_images(depths, len(stack), resize_crop)
        return cls(
            stack,
            resize_crop,
            torch.tensor(known),
            frames,
            cameras,
            taken,
            origin,
            source_trajectory is not None,
            shown,
            log_depth,
        )

    def in_world_of(self, trajectory: Trajectory) -> Cameras:
        """Return the path's cameras in the world that it was given in."""
        first = trajectory.cameras.world_from_cam[:1].to(self.cameras.world_from_cam)
        return replace(self.cameras, world_from_cam=first @ self.cameras.world_from_cam)

    def within_reach(self) -> tuple[Cameras, Cameras, Float[Tensor, "n h w"] | None]:
        """Return path, images' cameras and depths, scaled down where raxels could not hold them."""
        count = len(self.cameras.world_from_cam)
        every, log_depth = within_reach(joined(self.cameras, self.taken), self.log_depth)
        return every[:count], every[count:], log_depth


def _same(one: Cameras, other: Cameras) -> Bool[Tensor, "n"]:
    """Tell which cameras of two rows are the same."""
    pose, other_pose = one.world_from_cam, other.world_from_cam
    away = (pose[:, :3, 3] - other_pose[:, :3, 3]).norm(dim=-1)
    turn = rotation_angle_rad(pose[:, :3, :3].mT @ other_pose[:, :3, :3])
    zoom = (one.focal_px / other.focal_px).log().abs().amax(-1)
    return (away < _SAME) & (turn < _SAME) & (zoom < _SAME)
