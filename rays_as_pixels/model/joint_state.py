"""Input and output of the network: latents of a clip, of its rays and of single images."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rays_as_pixels.model.clip_lengths import TEMPORAL_STRIDE

SOURCE, SPARSE_TARGET, CLIP = 0, 1, 2  # kinds of images; the first two are reference images
MIN_SIGMA = 0.02  # a clean ray token's velocity is not used; this keeps it finite


@dataclass(frozen=True)
class ReferenceImages:
    """Single images beside the video, anywhere on the clip's time axis.

    Attributes:
        latents: (B, C, S, h, w) image latents, clean for sources, noisy for sparse targets.
        sigma: (B, S) their noise levels.
        ray_latents: (B, C, S, hr, wr) their raxel latents.
        ray_sigma: (B, S) noise levels of those; 1 where the camera is not known.
        frame: (B, S) video frame number each belongs to.
        kind: (B, S) SOURCE or SPARSE_TARGET.
        log_depth: (B, S, height, width) logarithm of each pixel's depth, in
            scene units along the camera's axis, NaN where not known; None where nowhere.
    """

    latents: Float[Tensor, "batch c s h w"]
    sigma: Float[Tensor, "batch s"]
    ray_latents: Float[Tensor, "batch c s hr wr"]
    ray_sigma: Float[Tensor, "batch s"]
    frame: Float[Tensor, "batch s"]
    kind: Int[Tensor, "batch s"]
    log_depth: Float[Tensor, "batch s height width"] | None = None


@dataclass(frozen=True)
class JointState:
    """Input of the network: the clip's latents, its rays' latents, and reference images.

    Attributes:
        latents: (B, C, T, h, w) video latents at noise level `sigma`.
        sigma: (B, T) noise level per latent frame, 0 clean to 1 noise.
        ray_latents: (B, C, F, hr, wr) raxel latents at noise level `ray_sigma`.
        ray_sigma: (B, F) noise level per video frame.
        reference_images: Single images, or None.
    """

    latents: Float[Tensor, "batch c t h w"]
    sigma: Float[Tensor, "batch t"]
    ray_latents: Float[Tensor, "batch c frames hr wr"]
    ray_sigma: Float[Tensor, "batch frames"]
    reference_images: ReferenceImages | None = None


@dataclass(frozen=True)
class JointVelocity:
    """d x_t / d t of every latent in a JointState, same shapes.

    Attributes:
        video: Of the clip's latents.
        rays: Of its rays' latents.
        reference_images: Of single images, or None.
        reference_rays: Of their rays, or None.
        features: (B, N, width) video tokens after each block, where they were asked for.
        log_depth: Logarithm of the depths of frame 0's cells, in scene units, where the camera
            prior alone gives the rays; else None.
    """

    video: Float[Tensor, "batch c t h w"]
    rays: Float[Tensor, "batch c frames hr wr"]
    reference_images: Float[Tensor, "batch c s h w"] | None
    reference_rays: Float[Tensor, "batch c s hr wr"] | None
    features: tuple[Tensor, ...] = ()
    log_depth: Float[Tensor, "batch h w"] | None = None


@dataclass(frozen=True)
class LatentImages:
    """One stream's images in the order of its tokens: reference images first, then the clip.

    Attributes:
        latents: (B, C, N, h, w).
        sigma: (B, N) noise levels.
        frame: (B, N) video frame number each belongs to.
        kind: (B, N) SOURCE, SPARSE_TARGET or CLIP.
    """

    latents: Float[Tensor, "batch c n h w"]
    sigma: Float[Tensor, "batch n"]
    frame: Float[Tensor, "batch n"]
    kind: Int[Tensor, "batch n"]

    def followed_by(self, others: "LatentImages") -> "LatentImages":
        """Return these images and then others."""
        return LatentImages(
            torch.cat([self.latents, others.latents], dim=2),
            torch.cat([self.sigma, others.sigma], dim=1),
            torch.cat([self.frame, others.frame], dim=1),
            torch.cat([self.kind, others.kind], dim=1),
        )


def velocity_of_sample(sample: Tensor, noisy: Tensor, sigma: Tensor) -> Tensor:
    """Return (x_t - x_0) / t, the velocity of x_t = (1 - t) x_0 + t x_1."""
    return (noisy - sample) / sigma.clamp_min(MIN_SIGMA)[:, None, :, None, None].type_as(sample)


def latent_time(frame: Float[Tensor, "*n"], stride: int = TEMPORAL_STRIDE) -> Float[Tensor, "*n"]:
    """Map a video frame's number to latent-frame units.

    Latent 0 is frame 0; with stride 4, latent j > 0 covers frames 4j-3 to 4j, whose mean is
    4j - 1.5.
    """
    later = (frame + (stride - 1) / 2) / stride
    return torch.where(frame > 0, later, torch.zeros_like(later))


def frame_of_latent(latents: int, stride: int = TEMPORAL_STRIDE) -> Float[Tensor, "t"]:
    """Return the mean video frame number that each latent frame covers."""
    index = torch.arange(latents, dtype=torch.float32)
    return torch.where(index > 0, stride * index - (stride - 1) / 2, index)


def images_in_token_order(
    state: JointState, temporal_stride: int
) -> tuple[LatentImages, LatentImages]:
    """Return the images of the video stream and of the ray stream.

    Args:
        state: What the network gets.
        temporal_stride: Video frames per latent frame, after the first.
    """
    given, device = state.reference_images, state.latents.device
    frame = frame_of_latent(state.latents.shape[2], temporal_stride).to(device)
    ray_frame = torch.arange(state.ray_latents.shape[2], device=device, dtype=torch.float32)
    images = _clip(state.latents, state.sigma, frame)
    ray_images = _clip(state.ray_latents, state.ray_sigma, ray_frame)
    if given is None:
        return images, ray_images
    before = LatentImages(given.latents, given.sigma, given.frame, given.kind)
    ray_before = LatentImages(given.ray_latents, given.ray_sigma, given.frame, given.kind)
    return before.followed_by(images), ray_before.followed_by(ray_images)


def _clip(latents: Tensor, sigma: Tensor, frame: Float[Tensor, "n"]) -> LatentImages:
    frames = frame.expand(len(latents), -1)
    return LatentImages(latents, sigma, frames, torch.full_like(frames, CLIP, dtype=torch.int64))
