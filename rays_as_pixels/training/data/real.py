"""Clips of real data sets on the way into training: the same batches as rendered worlds give."""

from collections.abc import Callable, Iterator, Sequence

import torch

from rays_as_pixels.datasets import WindowRule, clip_batches, open_dataset
from rays_as_pixels.model.autoencoder import SPATIAL_STRIDE, LatentCodec
from rays_as_pixels.training.config import TrainingConfig
from rays_as_pixels.training.data.online import encoded_batch
from rays_as_pixels.training.data.pool import DepthClipSource
from rays_as_pixels.training.objective import CleanBatch


def real_clips(
    config: TrainingConfig,
    specs: Sequence[str],
    batch: int,
    *,
    seed: int,
    device: torch.device,
    log: Callable[[str], None],
) -> DepthClipSource:
    """Draw batches of (video, cameras, disparity) for ever; disparity is nan, being unknown.

    Args:
        config: Of the clips' length and sizes.
        specs: What `--data` names, see `datasets/spec.py`.
        batch: Clips per batch.
        seed: Of everything drawn.
        device: Where the batches go.
        log: Receives one line per sequence that is left out.

    Raises:
        InputError: A SPEC is wrong, or nothing of the data can be used.
    """
    dataset = open_dataset(specs)
    log(f"data: {len(dataset)} sequences in {', '.join(specs)}")
    rule = WindowRule(config.num_frames, tuple((h, w) for h, w in config.sizes))
    for video, cameras in clip_batches(dataset, rule, batch, seed=seed, say=log):
        height, width = (side // SPATIAL_STRIDE for side in video.shape[-2:])
        unknown = torch.full((*video.shape[:2], height, width), torch.nan, device=device)
        yield video.to(device), cameras.to(device=device), unknown


def real_batches(
    config: TrainingConfig,
    codec: LatentCodec,
    specs: Sequence[str],
    *,
    seed: int,
    device: torch.device,
    log: Callable[[str], None],
) -> Iterator[CleanBatch]:
    """Draw and encode batches with 0, 1 or 2 reference images for ever; see `real_clips`."""
    generator = torch.Generator().manual_seed(seed)
    size = config.transformer.batch_size
    for clips in real_clips(config, specs, size, seed=seed, device=device, log=log):
        batch = encoded_batch(*clips, config=config, codec=codec, generator=generator)
        if batch is not None:
            yield batch
