"""Images with their cameras, and the path to generate: the inputs of `generate`, checked."""

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
    check_image_frames,
    depths_for_images,
    path_for_images,
    stack_images,
    within_reach,
)

_SAME = 1e-3  # scene units, radians and logarithms of a lens up to which two cameras are one


@dataclass(frozen=True, eq=False)
class PosedImages:
    """Images with their cameras and a path, all for the model's images.

    Attributes:
        images: (n, 3, H, W) in [0, 1] at their own size.
        resize_crop: From that size to the model's.
        frames: Frame of the path that each belongs to in time.
        cameras: (F,) of the path, in axes of its first one.
        source_cameras: (n,) of the images, in the same axes.
        world_from_source: (4, 4) pose of the camera that the images' own path begins with, in the
            same axes.
        has_own_path: Whether the images were taken along another path.
        is_frame: (n,) whether the path's camera at its frame took the image.
        log_depth: (n, h, w) logarithms of what is known of depths, NaN elsewhere; None for
            nothing.
    """

    images: Float[Tensor, "n 3 height width"]
    resize_crop: ResizeCrop
    frames: tuple[int, ...]
    cameras: Cameras
    source_cameras: Cameras
    world_from_source: Float[Tensor, "4 4"]
    has_own_path: bool
    is_frame: Bool[Tensor, "n"]
    log_depth: Float[Tensor, "n h w"] | None

    @classmethod
    def from_inputs(
        cls,
        trajectory: Trajectory,
        images: "Float[Tensor, '3 height width'] | Sequence[Float[Tensor, '3 height width']]",
        *,
        sizes: Sequence[tuple[int, int]],
        image_frames: Sequence[int],
        source_trajectory: Trajectory | None,
        depths: "Sequence[Tensor | None] | None",
    ) -> "PosedImages":
        """Check and put together the inputs of `generate`.

        Raises:
            InputError: See there.
        """
        stack, resize_crop = stack_images(images, sizes)
        cameras = path_for_images(trajectory, resize_crop)
        own = len(trajectory) if source_trajectory is None else len(source_trajectory)
        check_image_frames(image_frames, len(stack), own)
        frames = _frames_of_path(image_frames, len(trajectory))
        path, is_frame = cameras, torch.ones(len(frames), dtype=torch.bool)
        index = torch.tensor(list(image_frames))
        if source_trajectory is not None:
            first = trajectory.cameras.world_from_cam[:1].to(cameras.world_from_cam)
            path = path_for_images(source_trajectory, resize_crop, world_from_first=first)
            is_frame = _same(path[index], cameras[torch.tensor(frames)])
        return cls(
            stack,
            resize_crop,
            frames,
            cameras,
            path[index],
            path.world_from_cam[0],
            source_trajectory is not None,
            is_frame,
            depths_for_images(depths, len(stack), resize_crop),
        )

    def in_world_of(self, trajectory: Trajectory) -> Cameras:
        """Return the path's cameras in the world that it was given in."""
        first = trajectory.cameras.world_from_cam[:1].to(self.cameras.world_from_cam)
        return replace(self.cameras, world_from_cam=first @ self.cameras.world_from_cam)

    def within_reach(self) -> tuple[Cameras, Cameras, Float[Tensor, "n h w"] | None]:
        """Return path, images' cameras and depths, scaled down where raxels could not hold them."""
        count = len(self.cameras.world_from_cam)
        every, log_depth = within_reach(joined(self.cameras, self.source_cameras), self.log_depth)
        return every[:count], every[count:], log_depth


def _frames_of_path(image_frames: Sequence[int], num_frames: int) -> tuple[int, ...]:
    """Return the path's frame of each image; images of a longer path may lie beyond its end."""
    frames = tuple(min(frame, num_frames - 1) for frame in image_frames)
    if len(set(frames)) != len(frames):
        raise InputError(
            f"image_frames must name different frames of the trajectory too, which has "
            f"{num_frames}; got {list(image_frames)} of a longer source_trajectory. Leave out "
            "images near its end."
        )
    return frames


def _same(one: Cameras, other: Cameras) -> Bool[Tensor, "n"]:
    """Tell which cameras of two rows are the same."""
    pose, other_pose = one.world_from_cam, other.world_from_cam
    away = (pose[:, :3, 3] - other_pose[:, :3, 3]).norm(dim=-1)
    turn = rotation_angle_rad(pose[:, :3, :3].mT @ other_pose[:, :3, :3])
    zoom = (one.focal_px / other.focal_px).log().abs().amax(-1)
    return (away < _SAME) & (turn < _SAME) & (zoom < _SAME)
