"""The rules that the inputs of the four tasks must keep."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, invert_rigid
from rays_as_pixels.geometry.raxels import raxels_from_cameras
from rays_as_pixels.geometry.resize_crop import ResizeCrop
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.model.autoencoder import RAXEL_LIMIT
from rays_as_pixels.model.clip_lengths import check_frame_count, clip_lengths
from rays_as_pixels.trajectories.depth import depth_map

_ASPECT_TOLERANCE = 0.02


def check_clip_length(frames: int, *, max_frames: int, temporal_stride: int) -> None:
    """Refuse a number of frames that the model does not take; see `model.clip_lengths`."""
    check_frame_count(frames, temporal_stride)
    allowed = clip_lengths(max_frames, temporal_stride)
    if frames not in allowed:
        raise InputError(
            f"num_frames must be from {allowed[0]} to {allowed[-1]} for this model; got {frames}. "
            f"Use {min(allowed[-1], max(allowed[0], frames))} frames."
        )


def check_video(
    video: Float[Tensor, "frames 3 height width"], *, max_frames: int, temporal_stride: int
) -> None:
    """Refuse a video of the wrong shape, length or range of values."""
    check_frames(video)
    check_clip_length(video.shape[0], max_frames=max_frames, temporal_stride=temporal_stride)


def check_frames(video: Float[Tensor, "frames 3 height width"]) -> None:
    """Refuse a video of the wrong shape or range of values."""
    if video.dim() != 4 or video.shape[1] != 3:
        raise InputError(
            f"video must have shape F 3 H W; got {tuple(video.shape)}. "
            "Put the colour channels second."
        )
    _check_values("video", video)


def check_image_frames(image_frames: Sequence[int], images: int, frames: int) -> None:
    """Refuse frame numbers that do not fit the images one to one or lie outside the clip."""
    given = list(image_frames)
    if len(given) != images or len(set(given)) != images:
        raise InputError(
            f"image_frames must name one frame for each of the {images} images, no two the "
            f"same; got {given}. Number the frames from 0."
        )
    if any(not isinstance(f, int) or not 0 <= f < frames for f in given):
        raise InputError(
            f"image_frames must lie from 0 to {frames - 1}; got {given}. "
            "Lengthen the path or choose an earlier frame."
        )


def stack_images(
    images: "Tensor | Sequence[Tensor]", sizes: Sequence[tuple[int, int]]
) -> tuple[Float[Tensor, "n 3 height width"], ResizeCrop]:
    """Stack one or several images and choose the nearest model size for them.

    Raises:
        InputError: No image, shapes that differ or are not 3 H W, or values outside [0, 1].
    """
    listed = [images] if isinstance(images, Tensor) and images.dim() == 3 else list(images)
    shapes = {tuple(image.shape) for image in listed}
    if len(shapes) != 1 or len(next(iter(shapes))) != 3 or next(iter(shapes))[0] != 3:
        raise InputError(
            f"images must be one or more tensors 3 H W of one size; got shapes "
            f"{sorted(shapes)}. Resize them to the same size."
        )
    stack = torch.stack(listed)
    _check_values("images", stack)
    resize_crop = ResizeCrop.nearest(stack.shape[-2], stack.shape[-1], sizes)
    return stack.to(torch.float32), resize_crop


def depths_for_images(
    image_depths: "Sequence[Tensor | None] | None", images: int, resize_crop: ResizeCrop
) -> Float[Tensor, "n h w"] | None:
    """Return logarithms of depths of every pixel the model sees, NaN where none is given.

    Raises:
        InputError: There is not one for each image, or one is no map of positive numbers.
    """
    if image_depths is None or all(depth is None for depth in image_depths):
        return None
    if len(image_depths) != images:
        raise InputError(
            f"image_depths must hold a map or None for each of the {images} images; got "
            f"{len(image_depths)}. Give None for images whose depths are not known."
        )
    unknown = torch.full((resize_crop.model_height, resize_crop.model_width), torch.nan)
    return torch.stack(
        [
            unknown if depth is None else resize_crop.map(_checked_depth(depth).log())
            for depth in image_depths
        ]
    )


def _checked_depth(depth: Tensor) -> Tensor:
    depth = depth_map(depth.detach().cpu(), "image_depths")
    if not bool((depth > 0).all() and depth.isfinite().all()):
        wrong = depth[~((depth > 0) & depth.isfinite())][0]
        raise InputError(
            f"depths must be positive numbers of scene units; got {float(wrong):g}. Give what is "
            "endlessly far away a large number."
        )
    return depth


def within_reach(
    cameras: Cameras, log_depth: Float[Tensor, "n h w"] | None
) -> tuple[Cameras, Float[Tensor, "n h w"] | None]:
    """Scale a path and all depths down together, where it goes further than raxels can hold.

    The two say the same of every picture. Where a depth is not known both stay as they are.

    Args:
        cameras: (F,) in the first one's axes, scene units.
        log_depth: Of the images, NaN where not known; None if nowhere.
    """
    furthest = float(cameras.world_from_cam[:, :3, 3].norm(dim=-1).max())
    reach = 0.99 * (RAXEL_LIMIT - 1)  # |d + o| with directions d of length 1
    inside = float(raxels_from_cameras(cameras).abs().max()) <= RAXEL_LIMIT
    if inside or log_depth is None or bool(log_depth.isnan().any()):
        return cameras, log_depth
    return cameras.scaled(reach / furthest), log_depth + math.log(reach / furthest)


def path_for_images(
    trajectory: Trajectory,
    resize_crop: ResizeCrop,
    world_from_first: Float[Tensor, "1 4 4"] | None = None,
) -> Cameras:
    """Re-anchor a path at its first frame, or another, and state it for the model's images.

    Args:
        trajectory: The path.
        resize_crop: To the model's images.
        world_from_first: Pose that is to be the axes; None for the path's first.

    Raises:
        InputError: The path is for images of another aspect ratio (by more than 2 %).
    """
    cameras = trajectory.cameras
    aspect, wanted = cameras.width / cameras.height, resize_crop.width / resize_crop.height
    if abs(aspect / wanted - 1) > _ASPECT_TOLERANCE:
        raise InputError(
            f"trajectory must be for images of aspect {wanted:.3f} like the ones given "
            f"({resize_crop.width} x {resize_crop.height}); got {cameras.width} x "
            f"{cameras.height}. Crop the images, or state the path's intrinsics for their size."
        )
    resized = cameras.resized(height=resize_crop.height, width=resize_crop.width)
    if world_from_first is None:
        return resize_crop.cameras(resized.relative_to(0))
    pose = invert_rigid(world_from_first) @ resized.world_from_cam.to(world_from_first)
    return resize_crop.cameras(replace(resized, world_from_cam=pose))


def _check_values(name: str, images: Tensor) -> None:
    low, high = images.min().item(), images.max().item()
    if not (low >= -1e-4 and high <= 1 + 1e-4):
        raise InputError(
            f"{name} must hold values in [0, 1]; got {low:.3g} to {high:.3g}. Divide uint8 by 255."
        )
