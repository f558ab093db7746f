"""Clips rendered and encoded batch by batch, for a GPU: no clip is ever seen twice."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.raxels import raxels_from_cameras
from rays_as_pixels.model.codec import RAXEL_LIMIT, LatentCodec
from rays_as_pixels.training.auxiliary import cell_motion, pose_numbers
from rays_as_pixels.training.config import TrainingConfig
from rays_as_pixels.training.motion_codec import MotionSource
from rays_as_pixels.training.objective import CleanBatch
from rays_as_pixels.training.pool import cell_disparity, median_depth
from rays_as_pixels.training.ways import drawn_way, shown
from rays_as_pixels.worlds import WorldClips, render_clips

_SEED_RANGE = 1 << 30


def _rendered(
    config: TrainingConfig, batch: int, generator: torch.Generator, device: torch.device
) -> WorldClips:
    choice = int(torch.randint(len(config.sizes), (), generator=generator))
    height, width = config.sizes[choice]
    first = int(torch.randint(_SEED_RANGE - batch, (), generator=generator))
    return render_clips(
        list(range(first, first + batch)), split="train", num_frames=config.num_frames,
        height=height, width=width, device=device,
    )  # fmt: skip


def online_clips(
    config: TrainingConfig, batch: int, *, seed: int, device: torch.device
) -> MotionSource:
    """Render batches of (video, cameras, disparity) for ever."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        clips = _rendered(config, batch, generator, device)
        yield shown(
            clips.video, clips.cameras, cell_disparity(clips.depth), median_depth(clips.depth),
            **drawn_way(generator),
        )  # fmt: skip


@torch.no_grad()
def online_batches(
    config: TrainingConfig, codec: LatentCodec, *, seed: int, device: torch.device
) -> Iterator[CleanBatch]:
    """Render, augment and encode batches for ever, with 0, 1 or 2 stills each."""
    generator = torch.Generator().manual_seed(seed)
    size = config.transformer
    while True:
        clips = _rendered(config, size.batch_size, generator, device)
        video, cameras, disparity = shown(
            clips.video, clips.cameras, cell_disparity(clips.depth), median_depth(clips.depth),
            **drawn_way(generator),
        )  # fmt: skip
        batch = encoded_batch(
            video, cameras, disparity, config=config, codec=codec, generator=generator
        )
        if batch is not None:
            yield batch


@torch.no_grad()
def encoded_batch(
    video: Float[Tensor, "batch frames 3 height width"],
    cameras: Cameras,
    disparity: Float[Tensor, "batch frames h w"],
    *,
    config: TrainingConfig,
    codec: LatentCodec,
    generator: torch.Generator,
) -> CleanBatch | None:
    """Encode clips, with 0, 1 or 2 stills each; those whose raxels do not fit are left out.

    Args:
        video: In [0, 1].
        cameras: (B, F), frame 0 the identity, in scene units.
        disparity: 1 / depth at the cells' centres, nan where it is not known.
        config: Says how many frames there are and how often there are stills.
        codec: What encodes.
        generator: Source of the draw of stills.

    Returns:
        The batch; None if no clip's raxels fit.
    """
    raxels = raxels_from_cameras(cameras)
    fits = (raxels.abs().amax(dim=(1, 2, 3, 4)) < RAXEL_LIMIT).nonzero().squeeze(-1)
    if not len(fits):
        return None
    video, raxels, cameras = video[fits], raxels[fits], cameras[fits]
    draw = float(torch.rand((), generator=generator))
    share = config.transformer.estimate_share
    count = 0 if draw < share else (1 if draw < share + 0.3 else 2)
    frames = torch.randperm(config.num_frames, generator=generator)[:count]
    if count and float(torch.rand((), generator=generator)) < 0.6:
        frames = torch.cat([torch.zeros(1, dtype=torch.int64), frames[frames != 0]])[:count]
    latents = codec.encode_video(video)
    stills = [codec.encode_video(video[:, f : f + 1]) for f in frames.tolist()]
    still_latents = torch.cat(stills, dim=2) if stills else latents[:, :, :0]
    return CleanBatch(
        latents, codec.encode_raxels(raxels), still_latents,
        frames.to(video.device).float().expand(len(video), -1),
        cell_motion(cameras, disparity[fits], codec.temporal_stride), pose_numbers(cameras),
    )  # fmt: skip
