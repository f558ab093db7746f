"""What the transformer learns: noise levels per task, and the loss on velocities.

Independent noise levels for video and rays make one network do all tasks (UniDiffuser 2303.06555,
Diffusion Forcing 2407.01392).
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.model.joint_state import (
    SOURCE,
    SPARSE_TARGET,
    JointState,
    JointVelocity,
    ReferenceImages,
)
from rays_as_pixels.training.config import TaskShares, TransformerConfig

_LEVEL_FLOOR = 0.25  # x-prediction divides by the noise level; below this its weight stops growing


@dataclass(frozen=True)
class CleanBatch:
    """Normalised clean latents of a batch of clips.

    Attributes:
        latents: (B, C, T, h, w) video.
        ray_latents: (B, C, F, hr, wr) rays, one per video frame.
        reference_latents: (B, C, S, h, w) single frames, encoded alone; S may be 0.
        reference_frame: (B, S) which frames those are.
        motion: (B, channels, T, h, w) of `auxiliary.cell_motion`.
        pose: (B, F, 8) of `auxiliary.pose_params`.
    """

    latents: Float[Tensor, "batch c t h w"]
    ray_latents: Float[Tensor, "batch c frames hr wr"]
    reference_latents: Float[Tensor, "batch c s h w"]
    reference_frame: Float[Tensor, "batch s"]
    motion: Float[Tensor, "batch channels t h w"]
    pose: Float[Tensor, "batch frames 8"]


@dataclass(frozen=True)
class NoisyBatch:
    """A state to denoise and the velocity it should get."""

    state: JointState
    target: JointVelocity


def shifted_logit_normal(shape: tuple[int, ...], generator: torch.Generator, *, shift: float):
    """Draw noise levels: logistic of a normal, pushed towards 1 by `shift` (3 for video)."""
    level = torch.sigmoid(torch.randn(shape, generator=generator))
    return shift * level / (1 + (shift - 1) * level)


def _levels(
    tasks: TaskShares, batch: int, sources: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw (video, rays, source, source rays) noise levels, each (B,)."""

    def uniform() -> Tensor:
        return torch.rand(batch, generator=generator)

    independent = 1 - tasks.estimate - tasks.generate - tasks.joint
    share = torch.tensor(
        [
            0.0 if sources else tasks.estimate,
            tasks.generate if sources else 0.0,
            tasks.joint,
            independent,
        ]
    ).clamp_min(0)
    task = torch.multinomial(share / share.sum(), batch, replacement=True, generator=generator)
    late = shifted_logit_normal((batch,), generator, shift=3.0)
    uniform_video, uniform_rays = uniform(), uniform()
    slight = 0.15 * uniform() * (uniform() < 0.5)
    pure = uniform() < tasks.pure_noise
    ray_level = torch.where(pure, torch.ones(batch), uniform().sqrt())
    level = torch.where(uniform() < 0.2, torch.ones(batch), uniform_video)
    video = torch.stack([slight, late, level, uniform_video])
    rays = torch.stack([ray_level, slight, level, uniform_rays])
    row = torch.arange(batch)
    video, rays = video[task, row], rays[task, row]
    # Dropping rays or sources now and then is what guidance subtracts.
    rays = torch.where((task == 1) & (uniform() < 0.1), torch.ones(batch), rays)
    source = torch.where(uniform() < 0.1, torch.ones(batch), 0.1 * uniform() * (uniform() < 0.3))
    known = uniform() < 0.75
    source_rays = torch.where(known & (rays < 0.5), slight, torch.ones(batch))
    return video, rays, source, source_rays


def noisy_batch(
    clean: CleanBatch, config: TransformerConfig, generator: torch.Generator
) -> NoisyBatch:
    """Draw a task and noise for every clip of a batch."""
    batch, _, latents = clean.latents.shape[:3]
    frames = clean.ray_latents.shape[2]
    count = clean.reference_latents.shape[2]
    device = clean.latents.device
    video, rays, source, source_rays = _levels(config.tasks, batch, count, generator)
    sigma = video[:, None].expand(batch, latents).clone()
    ray_sigma = rays[:, None].expand(batch, frames).clone()
    if count:
        # An image of frame 0 is at hand as the clip's first latent too; learn to use both.
        first = (torch.rand(batch, generator=generator) < 0.5) & (
            clean.reference_frame[:, 0].cpu() == 0
        )
        sigma[:, 0] = torch.where(first & (source < 0.5), torch.zeros(batch), sigma[:, 0])
        # One reference image is the source; further ones are noisy and supervised: sparse targets.
        reference_sigma = torch.cat([source[:, None], video[:, None].expand(batch, count - 1)], 1)
        reference_ray_sigma = torch.cat(
            [source_rays[:, None], rays[:, None].expand(batch, count - 1)], 1
        )
        kind = torch.full((batch, count), SPARSE_TARGET)
        kind[:, 0] = SOURCE
        reference_rays = _rays_at(clean.ray_latents, clean.reference_frame)
        noisy_reference, reference_target = _noised(
            clean.reference_latents, reference_sigma.to(device), generator
        )
        noisy_reference_rays, reference_ray_target = _noised(
            reference_rays, reference_ray_sigma.to(device), generator
        )
        reference_images = ReferenceImages(
            noisy_reference,
            reference_sigma.to(device),
            noisy_reference_rays,
            reference_ray_sigma.to(device),
            clean.reference_frame,
            kind.to(device),
        )
    else:
        reference_images, reference_target, reference_ray_target = None, None, None
    noisy, target = _noised(clean.latents, sigma.to(device), generator)
    noisy_rays, ray_target = _noised(clean.ray_latents, ray_sigma.to(device), generator)
    state = JointState(noisy, sigma.to(device), noisy_rays, ray_sigma.to(device), reference_images)
    return NoisyBatch(
        state, JointVelocity(target, ray_target, reference_target, reference_ray_target)
    )


def _rays_at(ray_latents: Tensor, frame: Tensor) -> Tensor:
    index = frame.long()[:, None, :, None, None].expand(
        -1, ray_latents.shape[1], -1, *ray_latents.shape[-2:]
    )
    return ray_latents.gather(2, index)


def _noised(
    clean: Tensor, sigma: Float[Tensor, "batch s"], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return x_t = (1 - t) x_0 + t x_1 and its velocity x_1 - x_0 (paper, flow matching)."""
    if clean.device.type == "cpu":
        noise = torch.randn(clean.shape, generator=generator).to(clean)
    else:  # drawn where it is used: on a CPU that takes as long as a step of training on a GPU
        seed = int(torch.randint(1 << 62, (), generator=generator))
        own = torch.Generator(clean.device).manual_seed(seed)
        noise = torch.randn(clean.shape, generator=own, device=clean.device).to(clean)
    level = sigma[:, None, :, None, None].to(clean)
    return (1 - level) * clean + level * noise, noise - clean


@dataclass(frozen=True)
class LossTerms:
    """Mean loss per modality, for the log; `rays_pure` only over rays at noise level 1."""

    video: float
    rays: float
    rays_pure: float


def _image_loss(
    velocity: Tensor, target: Tensor, sigma: Tensor, *, floor: float, cosine_weight: float
) -> tuple[Tensor, Tensor]:
    """Return |v - u|^2 + cosine_weight (1 - cos(v, u)) per image (B, S), and which images count."""
    weight = (sigma / sigma.clamp_min(floor)) ** 2 if floor else torch.ones_like(sigma)
    error = ((velocity - target).float() ** 2).mean(dim=(1, 3, 4)) * weight
    cosine = torch.nn.functional.cosine_similarity(velocity.float(), target.float(), dim=1)
    loss = error + cosine_weight * (1 - cosine.mean(dim=(-2, -1))) * weight
    return loss, sigma > 0.02


def joint_loss(
    velocity: JointVelocity,
    batch: NoisyBatch,
    *,
    config: TransformerConfig,
) -> tuple[Float[Tensor, ""], LossTerms]:
    """Sum the losses of video and rays over what was noised.

    `config.weights.relative` weighs the error of each frame's clean rays relative to frame 0: the
    part of the rays that is motion, a tenth of their variance, the rest being the focal length.
    """
    ray_floor = _LEVEL_FLOOR if config.network.ray_prediction == "sample" else 0.0
    state, target = batch.state, batch.target
    terms = {}
    # A velocity holds reference images exactly when its state does.
    pairs: dict[str, tuple[Any, Any, Tensor, float]] = {
        "video": (velocity.video, target.video, state.sigma, 0.0),
        "rays": (velocity.rays, target.rays, state.ray_sigma, ray_floor),
    }
    if state.reference_images is not None:
        pairs["reference"] = (
            velocity.reference_images,
            target.reference_images,
            state.reference_images.sigma,
            0.0,
        )
        pairs["reference_rays"] = (
            velocity.reference_rays,
            target.reference_rays,
            state.reference_images.ray_sigma,
            ray_floor,
        )
    total = state.latents.new_zeros((), dtype=torch.float32)
    for name, (v, u, sigma, floor) in pairs.items():
        loss, counts = _image_loss(v, u, sigma, floor=floor, cosine_weight=config.weights.cosine)
        share = 0.3 if name.startswith("reference") else 1.0
        mean = (loss * counts).sum() / max(1, counts.numel())
        terms[name] = float(mean.detach()) / max(1e-6, float(counts.float().mean()))
        total = total + share * mean
    motion, pure = _motion_loss(velocity.rays, target.rays, state.ray_sigma)
    return total + config.weights.relative * motion, LossTerms(terms["video"], terms["rays"], pure)


def clean_ray_error(velocity: JointVelocity, batch: NoisyBatch) -> Float[Tensor, "b c frames h w"]:
    """Return predicted minus true clean ray latents: x_0 = x_t - t v."""
    level = batch.state.ray_sigma[:, None, :, None, None]
    return level * (batch.target.rays - velocity.rays)


def _motion_loss(velocity: Tensor, target: Tensor, sigma: Tensor) -> tuple[Tensor, float]:
    level = sigma[:, None, :, None, None]
    error = (level * (velocity - target)).float()  # x_0 - predicted x_0
    relative = error - error[:, :, :1]
    scale = 1 / sigma.clamp_min(_LEVEL_FLOOR)
    counts = (sigma > 0.02).float()
    per_frame = (relative**2).mean(dim=(1, 3, 4)) * scale**2
    pure = sigma >= 1
    level_one = (error.detach() ** 2).mean(dim=(1, 3, 4))[pure]
    return (per_frame * counts).mean(), float(level_one.mean()) if bool(pure.any()) else float(
        "nan"
    )
