"""Where a run's clips come from: real data, a pool on disk, or worlds rendered when needed."""

import time
from collections.abc import Iterator

import torch

from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.model.autoencoder import LatentCodec
from rays_as_pixels.training.data.latents import LatentCache, latent_batches
from rays_as_pixels.training.data.online import online_batches, online_clips
from rays_as_pixels.training.data.pool import pool_batches
from rays_as_pixels.training.data.real import real_batches, real_clips
from rays_as_pixels.training.distributed import own_seed
from rays_as_pixels.training.objective import CleanBatch
from rays_as_pixels.training.run_context import RunContext


def posed_clips(context: RunContext, batch: int) -> Iterator[tuple[torch.Tensor, Cameras]]:
    """Draw batches of videos (batch, frames, 3, height, width) in [0, 1] and cameras for ever."""
    config, options, device = context.config, context.options, context.accelerator.device
    seed = own_seed(options.seed, context.accelerator)
    if options.data:
        source = real_clips(config, options.data, batch, seed=seed, device=device, log=context.log)
    elif config.pool_clips:
        source = pool_batches(context.folder / "pool", batch, seed=seed)
    else:
        source = online_clips(config, batch, seed=seed, device=device)
    return ((video, cameras) for video, cameras, _ in source)


def clean_batches(context: RunContext, codec: LatentCodec) -> Iterator[CleanBatch]:
    """Draw batches of latents for the transformer for ever."""
    config, options, device = context.config, context.options, context.accelerator.device
    seed = own_seed(options.seed, context.accelerator)
    if options.data:
        return real_batches(config, codec, options.data, seed=seed, device=device, log=context.log)
    if not config.pool_clips:
        return online_batches(config, codec, seed=seed, device=device)
    cache = LatentCache(context.folder / "latents")
    cache.refresh()
    context.log(f"latents: {cache.clips} clips")
    return latent_batches(
        cache,
        config.transformer.batch_size,
        estimate_share=config.transformer.tasks.estimate,
        seed=seed + int(time.time()) % 100_000,  # a continued run draws other batches
    )
