"""What each task conditions on: which latents of video, rays and reference images are known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rays_as_pixels.model.camera_prior.camera_prior import CameraPrior
from rays_as_pixels.model.clip_lengths import latent_frames
from rays_as_pixels.model.joint_state import SOURCE
from rays_as_pixels.pipeline.sampler import Conditioning


@dataclass(frozen=True, eq=False)
class PredictedCameras:
    """Cameras that the network gives several images, as latents of their rays.

    Attributes:
        order: Numbers of the images, in the order of their frames.
        latents: Of the images, in that order.
        rays: Of their rays, in that order.
        cell_log_depth: Logarithm of the depths of the first one's latent cells, scene units.
        log_depth: Logarithm of the depth of each pixel of the first; None where it is not known.
    """

    order: list[int]
    latents: Float[Tensor, "1 c n h w"]
    rays: Float[Tensor, "1 c n hr wr"]
    cell_log_depth: Float[Tensor, "h w"]
    log_depth: Float[Tensor, "height width"] | None = None

    def refined(
        self, rays: Float[Tensor, "1 c n hr wr"], log_depth: Float[Tensor, "height width"]
    ) -> "PredictedCameras":
        """Return the same images with other cameras and the first one's depths."""
        return replace(self, rays=rays, log_depth=log_depth)


RefineCameras = Callable[[PredictedCameras], PredictedCameras]


def condition_on_video(latents: Float[Tensor, "b c t h w"], *, frames: int) -> Conditioning:
    """All of the video is known and nothing of its rays: estimate."""
    batch, channels, _, height, width = latents.shape
    return Conditioning(
        video=latents,
        video_known=torch.ones(latents.shape[2], dtype=torch.bool),
        rays=latents.new_zeros(batch, channels, frames, height // 2, width // 2),
        rays_known=torch.zeros(frames, dtype=torch.bool),
    )


def condition_on_images(
    reference_images: Float[Tensor, "1 c n h w"],
    image_frames: Sequence[int],
    *,
    frames: int,
    rays: Float[Tensor, "1 c frames hr wr"] | None,
    temporal_stride: int,
    log_depth: Float[Tensor, "n height width"] | None = None,
    reference_rays: Float[Tensor, "1 c n hr wr"] | None = None,
    is_frame: Bool[Tensor, "n"] | None = None,
) -> Conditioning:
    """Images are known, as reference images, and perhaps all rays: generate, or imagine without.

    Args:
        reference_images: Latents of the images.
        image_frames: Frame of each; that of frame 0 is also the first latent frame.
        frames: Video frames of the clip.
        rays: Latents of the clip's rays, whose cameras are known (generate), or None where cameras
            are to be made (imagine).
        temporal_stride: Video frames per latent frame of the autoencoder.
        log_depth: Of the images, see `ReferenceImages.log_depth`.
        reference_rays: Latents of the images' rays; None for those of their frames.
        is_frame: (n,) whether the path's own camera took an image; None for all.
    """
    channels, height, width = reference_images.shape[1], *reference_images.shape[-2:]
    known = rays is not None
    if rays is None:
        rays = reference_images.new_zeros(1, channels, frames, height // 2, width // 2)
    index = torch.tensor(list(image_frames))
    times = latent_frames(frames, temporal_stride)
    video = reference_images.new_zeros(1, channels, times, height, width)
    video_known = torch.zeros(video.shape[2], dtype=torch.bool)
    at_first = list(image_frames).index(0) if 0 in image_frames else None
    if at_first is not None and (is_frame is None or bool(is_frame[at_first])):
        video[:, :, 0] = reference_images[:, :, at_first]
        video_known[0] = True
    return Conditioning(
        video=video,
        video_known=video_known,
        rays=rays,
        rays_known=torch.full((frames,), known),
        reference_images=reference_images,
        reference_rays=rays[:, :, index.to(rays.device)]
        if reference_rays is None
        else reference_rays,
        reference_rays_known=torch.full((len(index),), known),
        reference_frame=index.float(),
        reference_kind=torch.full((len(index),), SOURCE),
        reference_log_depth=log_depth,
    )


@torch.no_grad()
def with_predicted_cameras(
    conditioning: Conditioning,
    image_frames: Sequence[int],
    prior: CameraPrior | None,
    refine: RefineCameras | None = None,
) -> Conditioning:
    """Let the camera prior predict the cameras of several images, as it does those of a clip.

    Nothing changes without a camera prior, with one image, or with none at frame 0, whose camera is
    the prior's world frame.

    Args:
        conditioning: On images (1, C, n, h, w) whose cameras are not known; stays as it is.
        image_frames: Frame of each image, n of them.
        prior: Of the network. Its cameras are in frame 0's axes and scene units.
        refine: Improves what the prior predicts.

    Returns:
        The same with the ray latents of those n frames and images, and these marked as known.
    """
    images = conditioning.reference_images
    if prior is None or images is None or len(image_frames) < 2 or 0 not in image_frames:
        return conditioning
    order = sorted(range(len(image_frames)), key=image_frames.__getitem__)
    in_order = images[:, :, order].to(prior.std.device)
    raster = (conditioning.rays.shape[-2], conditioning.rays.shape[-1])
    output = prior(in_order, raster)
    assert output.log_depth is not None  # there are two images or more
    rays = output.rays.to(conditioning.rays)
    predicted = PredictedCameras(order, in_order, rays, output.log_depth[0])
    if refine is not None:
        predicted = refine(predicted)
    log_depth = conditioning.reference_log_depth
    if predicted.log_depth is not None:
        log_depth = torch.full((len(order), *predicted.log_depth.shape), torch.nan)
        log_depth[order[0]] = predicted.log_depth
    rays, rays_known = conditioning.rays.clone(), conditioning.rays_known.clone()
    at = torch.tensor([image_frames[k] for k in order])
    rays[:, :, at.to(rays.device)], rays_known[at] = predicted.rays, True
    return replace(
        conditioning,
        rays=rays,
        rays_known=rays_known,
        reference_rays=rays[:, :, torch.tensor(list(image_frames)).to(rays.device)],
        reference_rays_known=torch.ones(len(image_frames), dtype=torch.bool),
        reference_log_depth=log_depth,
    )


def with_rays(
    conditioning: Conditioning,
    rays: Float[Tensor, "batch c frames hr wr"],
    image_frames: Sequence[int],
) -> Conditioning:
    """Take a clip's rays as known, and with them the cameras of its images.

    Args:
        conditioning: On images, see `condition_on_images`.
        rays: Latents of the clip's rays.
        image_frames: Frame of each image.
    """
    index = torch.tensor(list(image_frames), device=rays.device)
    return replace(
        conditioning,
        rays=rays,
        rays_known=torch.ones(rays.shape[2], dtype=torch.bool),
        reference_rays=rays[:, :, index],
        reference_rays_known=torch.ones(len(index), dtype=torch.bool),
    )
