"""What the network is told at the start: which latents of video, rays and stills are known."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rays_as_pixels.model.autoencoder import latent_frames
from rays_as_pixels.model.camera_prior.camera_prior import CameraPrior
from rays_as_pixels.model.transformer.joint_state import SOURCE
from rays_as_pixels.pipeline.sampler import Given

# The images' numbers in the order of their frames, their latents, and the rays they tell, in; rays
# and the logarithm of the depth of each pixel of the first, or None, out.
Mend = Callable[[list[int], Tensor, Tensor], tuple[Tensor, Tensor | None]]


def only_video(latents: Float[Tensor, "b c t h w"], *, frames: int) -> Given:
    """All of the video is known and nothing of its rays: estimate."""
    batch, channels, _, height, width = latents.shape
    return Given(
        video=latents,
        video_known=torch.ones(latents.shape[2], dtype=torch.bool),
        rays=latents.new_zeros(batch, channels, frames, height // 2, width // 2),
        rays_known=torch.zeros(frames, dtype=torch.bool),
    )


def only_images(
    stills: Float[Tensor, "1 c n h w"],
    image_frames: Sequence[int],
    *,
    frames: int,
    rays: Float[Tensor, "1 c frames hr wr"] | None,
    cameras_known: Tensor,
    temporal_stride: int,
    log_depth: Float[Tensor, "n height width"] | None = None,
    still_rays: Float[Tensor, "1 c n hr wr"] | None = None,
    shown: Bool[Tensor, "n"] | None = None,
) -> Given:
    """Images are known as clean stills, and perhaps the rays of the whole clip.

    Args:
        stills: Latents of the images.
        image_frames: Frame of each; that of frame 0 is also the first latent frame.
        frames: Video frames of the clip.
        rays: Latents of the clip's rays (generate), or None where they are to be made (imagine).
        cameras_known: (n,) whether the camera of each image is known.
        temporal_stride: Video frames per latent frame of the autoencoder.
        log_depth: Of the images, see `Stills.log_depth`.
        still_rays: Latents of the images' rays; None for those of their frames.
        shown: (n,) whether an image is what its frame shows; None for all.
    """
    channels, height, width = stills.shape[1], *stills.shape[-2:]
    known = rays is not None
    if rays is None:
        rays = stills.new_zeros(1, channels, frames, height // 2, width // 2)
    index = torch.tensor(list(image_frames))
    times = latent_frames(frames, temporal_stride)
    video = stills.new_zeros(1, channels, times, height, width)
    video_known = torch.zeros(video.shape[2], dtype=torch.bool)
    at_first = list(image_frames).index(0) if 0 in image_frames else None
    if at_first is not None and (shown is None or bool(shown[at_first])):
        video[:, :, 0] = stills[:, :, at_first]
        video_known[0] = True
    return Given(
        video=video,
        video_known=video_known,
        rays=rays,
        rays_known=torch.full((frames,), known),
        stills=stills,
        still_rays=rays[:, :, index.to(rays.device)] if still_rays is None else still_rays,
        still_rays_known=cameras_known,
        still_frame=index.float(),
        still_kind=torch.full((len(index),), SOURCE),
        still_log_depth=log_depth,
    )


@torch.no_grad()
def with_cameras_told(
    given: Given,
    image_frames: Sequence[int],
    prior: CameraPrior | None,
    mend: Mend | None = None,
) -> Given:
    """Let the images of `only_images` tell their own cameras, as the frames of a clip do.

    Nothing changes without a camera prior, with one image, or with none at frame 0, from which
    cameras are told.

    Args:
        given: With stills (1, C, n, h, w) whose cameras are not known; stays as it is.
        image_frames: Frame of each still, n of them.
        prior: Of the network. Its cameras have frame 0 as their frame, lengths in scene units.
        mend: Mends what the images tell, see `Mend`.

    Returns:
        The same with the ray latents of those n frames and stills, and these marked as known.
    """
    if prior is None or given.stills is None or len(image_frames) < 2 or 0 not in image_frames:
        return given
    order = sorted(range(len(image_frames)), key=image_frames.__getitem__)
    in_order = given.stills[:, :, order].to(prior.spread.device)
    told = prior(in_order, (given.rays.shape[-2], given.rays.shape[-1])).to(given.rays)
    log_depth = given.still_log_depth
    if mend is not None:
        told, depth = mend(order, in_order, told)
        if depth is not None:
            log_depth = torch.full((len(order), *depth.shape), torch.nan)
            log_depth[order[0]] = depth
    rays, rays_known = given.rays.clone(), given.rays_known.clone()
    at = torch.tensor([image_frames[k] for k in order])
    rays[:, :, at.to(rays.device)], rays_known[at] = told, True
    return replace(
        given, rays=rays, rays_known=rays_known,
        still_rays=rays[:, :, torch.tensor(list(image_frames)).to(rays.device)],
        still_rays_known=torch.ones(len(image_frames), dtype=torch.bool),
        still_log_depth=log_depth,
    )  # fmt: skip


def with_rays(
    given: Given, rays: Float[Tensor, "batch c frames hr wr"], image_frames: Sequence[int]
) -> Given:
    """Take a clip's rays as known, and with them the cameras of its images.

    Args:
        given: Of images, see `only_images`.
        rays: Latents of the clip's rays.
        image_frames: Frame of each image.
    """
    index = torch.tensor(list(image_frames), device=rays.device)
    return replace(
        given, rays=rays, rays_known=torch.ones(rays.shape[2], dtype=torch.bool),
        still_rays=rays[:, :, index],
        still_rays_known=torch.ones(len(index), dtype=torch.bool),
    )  # fmt: skip
