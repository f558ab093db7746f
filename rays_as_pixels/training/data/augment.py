"""Flips of a rendered clip: as it is, mirrored, reversed in time, or both."""

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.flips import mirrored_cameras, reversed_cameras


def mirrored(
    video: Float[Tensor, "batch frames 3 height width"], cameras: Cameras
) -> tuple[Float[Tensor, "batch frames 3 height width"], Cameras]:
    """Swap left and right of images and world: x -> -x."""
    return video.flip(-1), mirrored_cameras(cameras)


def reversed_in_time(
    video: Float[Tensor, "batch frames 3 height width"],
    cameras: Cameras,
    median_depth: Float[Tensor, "batch frames"],
) -> tuple[Float[Tensor, "batch frames 3 height width"], Cameras]:
    """Play backwards; the last frame becomes the reference, and its median depth the unit."""
    backwards = reversed_cameras(cameras)
    return video.flip(1), backwards.relative_to(0).scaled(1 / median_depth[:, -1:])


def flipped(
    video: Float[Tensor, "batch frames 3 height width"],
    cameras: Cameras,
    disparity: Float[Tensor, "batch frames h w"],
    median_depth: Float[Tensor, "batch frames"],
    *,
    mirror: bool,
    backwards: bool,
) -> tuple[Tensor, Cameras, Tensor]:
    """Return video, cameras and 1 / depth of the flipped clips, in scene units."""
    if mirror:
        video, cameras = mirrored(video, cameras)
        disparity = disparity.flip(-1)
    if backwards:
        video, cameras = reversed_in_time(video, cameras, median_depth)
        disparity = disparity.flip(1) * median_depth[:, -1:, None, None]
    return video, cameras, disparity


def random_flip(generator: torch.Generator) -> dict[str, bool]:
    """Draw one of the four flips, as arguments of `flipped`."""
    mirror, backwards = (torch.rand(2, generator=generator) < 0.5).tolist()
    return {"mirror": mirror, "backwards": backwards}
