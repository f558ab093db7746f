"""What the network is told at the start: which latents of video, rays and stills are known."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rays_as_pixels.model.autoencoder import latent_frames
from rays_as_pixels.model.camera_prior.camera_prior import CameraPrior
from rays_as_pixels.model.transformer.joint_state import SOURCE
from rays_as_pixels.pipeline.sampler import Conditioning

# The images' numbers in the order of their frames, their latents, and the rays they tell, in; rays
# and the logarithm of the depth of each pixel of the first, or None, out.
RefineCameras = Callable[[list[int], Tensor, Tensor], tuple[Tensor, Tensor | None]]


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
    cameras_known: Tensor,
    temporal_stride: int,
    log_depth: Float[Tensor, "n height width"] | None = None,
    reference_rays: Float[Tensor, "1 c n hr wr"] | None = None,
    shown: Bool[Tensor, "n"] | None = None,
) -> Conditioning:
    """Images are known as clean stills, and perhaps the rays of the whole clip.

    Args:
        reference_images: Latents of the images.
        image_frames: Frame of each; that of frame 0 is also the first latent frame.
        frames: Video frames of the clip.
        rays: Latents of the clip's rays (generate), or None where they are to be made (imagine).
        cameras_known: (n,) whether the camera of each image is known.
        temporal_stride: Video frames per latent frame of the autoencoder.
        log_depth: Of the images, see `ReferenceImages.log_depth`.
        reference_rays: Latents of the images' rays; None for those of their frames.
        shown: (n,) whether an image is what its frame shows; None for all.
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
    if at_first is not None and (shown is None or bool(shown[at_first])):
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
        reference_rays_known=cameras_known,
        reference_frame=index.float(),
        reference_kind=torch.full((len(index),), SOURCE),
        reference_log_depth=log_depth,
    )


@torch.no_grad()
def with_predicted_cameras(
    given: Conditioning,
    image_frames: Sequence[int],
    prior: CameraPrior | None,
    mend: RefineCameras | None = None,
) -> Conditioning:
    """Let the images of `condition_on_images` tell their own cameras, as the frames of a clip do.

    Nothing changes without a camera prior, with one image, or with none at frame 0, from which
    cameras are told.

    Args:
        given: With stills (1, C, n, h, w) whose cameras are not known; stays as it is.
        image_frames: Frame of each still, n of them.
        prior: Of the network. Its cameras have frame 0 as their frame, lengths in scene units.
        mend: Mends what the images tell, see `RefineCameras`.

    Returns:
        The same with the ray latents of those n frames and stills, and these marked as known.
    """
    if (
        prior is None
        or given.reference_images is None
        or len(image_frames) < 2
        or 0 not in image_frames
    ):
        return given
    order = sorted(range(len(image_frames)), key=image_frames.__getitem__)
    in_order = given.reference_images[:, :, order].to(prior.std.device)
    told = prior(in_order, (given.rays.shape[-2], given.rays.shape[-1])).to(given.rays)
    log_depth = given.reference_log_depth
    if mend is not None:
        told, depth = mend(order, in_order, told)
        if depth is not None:
            log_depth = torch.full((len(order), *depth.shape), torch.nan)
            log_depth[order[0]] = depth
    rays, rays_known = given.rays.clone(), given.rays_known.clone()
    at = torch.tensor([image_frames[k] for k in order])
    rays[:, :, at.to(rays.device)], rays_known[at] = told, True
    return replace(
        given,
        rays=rays,
        rays_known=rays_known,
        reference_rays=rays[:, :, torch.tensor(list(image_frames)).to(rays.device)],
        reference_rays_known=torch.ones(len(image_frames), dtype=torch.bool),
        reference_log_depth=log_depth,
    )


def with_rays(
    given: Conditioning, rays: Float[Tensor, "batch c frames hr wr"], image_frames: Sequence[int]
) -> Conditioning:
    """Take a clip's rays as known, and with them the cameras of its images.

    Args:
        given: Of images, see `condition_on_images`.
        rays: Latents of the clip's rays.
        image_frames: Frame of each image.
    """
    index = torch.tensor(list(image_frames), device=rays.device)
    return replace(
        given,
        rays=rays,
        rays_known=torch.ones(rays.shape[2], dtype=torch.bool),
        reference_rays=rays[:, :, index],
        reference_rays_known=torch.ones(len(index), dtype=torch.bool),
    )
