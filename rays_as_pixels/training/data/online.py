"""Clips rendered and encoded on a GPU while training goes on, each used a few times.

Rendering a clip costs about what a step of training on it does. So clips stay for a while, encoded,
in the device's memory, and batches are drawn among them. On a GPU another process renders
(`BackgroundPrefetcher`), so that training need not wait.
"""

from collections.abc import Iterator
from copy import deepcopy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.raxels import raxels_from_cameras
from rays_as_pixels.model.autoencoder import RAXEL_LIMIT, LatentCodec
from rays_as_pixels.training.auxiliary import cell_motion, pose_params
from rays_as_pixels.training.config import TrainingConfig
from rays_as_pixels.training.data.augment import flipped, random_flip
from rays_as_pixels.training.data.latents import (
    FIELDS,
    LatentStore,
    encoded,
    random_reference_frames,
)
from rays_as_pixels.training.data.pool import DepthClipSource, cell_disparity, median_depth
from rays_as_pixels.training.data.prefetch import BackgroundPrefetcher
from rays_as_pixels.training.objective import CleanBatch
from rays_as_pixels.worlds import WorldClips, WorldOptions, render_clips

_SEED_RANGE = 1 << 30
_SHARP_SHARE = 0.5  # of the batches are rendered with 2x supersampling
_AHEAD = 4  # batches rendered before one is drawn
_SHARP_COST = 4  # times as much memory as one without, so they are smaller by that
_DYNAMIC_SHARE = 0.15  # of the batches are worlds with many objects that move by themselves


def _rendered(
    config: TrainingConfig,
    generator: torch.Generator,
    device: torch.device,
    *,
    plain: int,
    sharp: int,
) -> WorldClips:
    """Render `plain` clips, or `sharp` clips with 2x supersampling."""
    choice = int(torch.randint(len(config.sizes), (), generator=generator))
    height, width = config.sizes[choice]
    long = float(torch.rand((), generator=generator)) < config.long_clip_share
    frames = 2 * config.num_frames - 1 if long else config.num_frames
    fine = float(torch.rand((), generator=generator)) < _SHARP_SHARE
    count = sharp if fine else plain
    first = int(torch.randint(_SEED_RANGE - count, (), generator=generator))
    many = float(torch.rand((), generator=generator)) < _DYNAMIC_SHARE
    return render_clips(
        list(range(first, first + count)),
        split="train",
        num_frames=frames,
        height=height,
        width=width,
        device=device,
        options=WorldOptions(
            supersample=2 if fine else 1, dynamic_objects="many" if many else "random"
        ),
    )


def online_clips(
    config: TrainingConfig, batch: int, *, seed: int, device: torch.device
) -> DepthClipSource:
    """Render batches of (video, cameras, disparity) for ever."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        clips = _rendered(config, generator, device, plain=batch, sharp=batch)
        yield flipped(
            clips.video,
            clips.cameras,
            cell_disparity(clips.depth),
            median_depth(clips.depth),
            **random_flip(generator),
        )


def encoded_clips(
    config: TrainingConfig, codec: LatentCodec, seed: int, device: torch.device
) -> Iterator[LatentStore]:
    """Render and encode `config.render_clips` clips at a time for ever, 3 reference images each."""
    generator = torch.Generator().manual_seed(seed)
    nn.Module.to(codec.autoencoder, device)
    plain = config.render_clips
    while True:
        clips = _rendered(
            config, generator, device, plain=plain, sharp=max(1, plain // _SHARP_COST)
        )
        video, cameras, disparity = flipped(
            clips.video,
            clips.cameras,
            cell_disparity(clips.depth),
            median_depth(clips.depth),
            **random_flip(generator),
        )
        latents = encoded(codec, video, cameras, disparity, generator=generator)
        if latents is not None:
            yield latents


def encoded_clips_on_cpu(
    config: TrainingConfig, codec: LatentCodec, seed: int, device: torch.device
) -> Iterator[LatentStore]:
    """Make `encoded_clips` for another process, in the CPU's memory."""
    for clips in encoded_clips(config, codec, seed, device):
        yield clips.to(torch.device("cpu"))


def online_batches(
    config: TrainingConfig,
    codec: LatentCodec,
    *,
    seed: int,
    device: torch.device,
    in_background: bool | None = None,
) -> Iterator[CleanBatch]:
    """Render and encode clips, and draw batches with 0, 1 or 2 reference images for ever.

    Args:
        config: Of how many clips are rendered, cached and drawn.
        codec: What encodes.
        seed: Of the draws.
        device: Where clips are rendered and kept.
        in_background: Render in another process. If training is faster than it, clips are drawn up
            to twice as often as the configuration says. None for where the device is no CPU.
    """
    generator = torch.Generator().manual_seed(seed)
    size = config.transformer
    cache = RecentClips(config.cached_clips)
    if in_background is None:
        in_background = device.type != "cpu"
    process = None
    if in_background:
        own_codec = deepcopy(codec)
        own_codec.autoencoder.cpu()
        process = BackgroundPrefetcher(encoded_clips_on_cpu, config, own_codec, seed, device)
    here = encoded_clips(config, codec, seed, device)
    encoded_count, drawn = 0, _AHEAD * config.render_clips * config.clip_uses
    try:
        while True:
            while encoded_count * config.clip_uses <= drawn:
                late = not len(cache) or 2 * encoded_count * config.clip_uses <= drawn
                clips = next(here) if process is None else process.take(wait=late)
                if clips is None:
                    break
                cache.add(clips.to(device))
                encoded_count += len(clips.latents)
            reference_images = random_reference_frames(size.tasks.estimate, generator)
            yield cache.draw(size.batch_size, reference_images, generator)
            drawn += size.batch_size
    finally:
        if process is not None:
            process.close()


class RecentClips:
    """The last clips that were encoded, on the device that encoded them.

    Args:
        capacity: Clips of one image size and length that are kept; the oldest make room.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._stores: dict[tuple[int, ...], LatentStore] = {}
        self._count: dict[tuple[int, ...], int] = {}

    def __len__(self) -> int:
        return sum(min(count, self._capacity) for count in self._count.values())

    def add(self, clips: LatentStore) -> None:
        """Keep clips of one image size and length."""
        size = tuple(clips.latents.shape[2:])
        if size not in self._stores:
            fields = (getattr(clips, name) for name in FIELDS)
            self._stores[size] = LatentStore(
                *(one.new_empty((self._capacity, *one.shape[1:])) for one in fields)
            )
        before = self._count.get(size, 0)
        device = clips.latents.device
        where = (before + torch.arange(len(clips.latents), device=device)) % self._capacity
        for name in FIELDS:
            getattr(self._stores[size], name)[where] = getattr(clips, name)
        self._count[size] = before + len(clips.latents)

    def draw(self, count: int, reference_images: Tensor, generator: torch.Generator) -> CleanBatch:
        """Return `count` clips of one size and length, with repetition, and reference images."""
        sizes = list(self._stores)
        counts = [min(self._count[size], self._capacity) for size in sizes]
        share = torch.tensor(counts, dtype=torch.float32)
        choice = int(torch.multinomial(share, 1, generator=generator))
        store = self._stores[sizes[choice]]
        index = torch.randint(counts[choice], (count,), generator=generator)
        device = store.latents.device
        return store.batch(index.to(device), reference_images.to(device))


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
    """Encode clips with 0, 1 or 2 reference images; those whose raxels do not fit are left out.

    Args:
        video: In [0, 1].
        cameras: (B, F), frame 0 the identity, in scene units.
        disparity: 1 / depth at the cells' centres, nan where it is not known.
        config: Of how many frames there are and how often there are reference images.
        codec: What encodes.
        generator: Source of the draw of reference images.

    Returns:
        The batch; None if no clip's raxels fit.
    """
    raxels = raxels_from_cameras(cameras)
    fits = (raxels.abs().amax(dim=(1, 2, 3, 4)) < RAXEL_LIMIT).nonzero().squeeze(-1)
    if not len(fits):
        return None
    video, raxels, cameras = video[fits], raxels[fits], cameras[fits]
    share = config.transformer.tasks.estimate
    frames = random_reference_frames(share, generator, of=config.num_frames)
    latents = codec.encode_video(video)
    reference_images = [codec.encode_video(video[:, f : f + 1]) for f in frames.tolist()]
    reference_latents = (
        torch.cat(reference_images, dim=2) if reference_images else latents[:, :, :0]
    )
    return CleanBatch(
        latents,
        codec.encode_raxels(raxels),
        reference_latents,
        frames.to(video.device).float().expand(len(video), -1),
        cell_motion(cameras, disparity[fits], codec.temporal_stride),
        pose_params(cameras),
    )
