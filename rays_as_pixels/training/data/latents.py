"""Latents of a pool's clips, kept in memory: the transformer's training data on a CPU.

Each rendered clip is used in one of four ways: as it is, mirrored, reversed in time, or both.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.files import atomic_write
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.raxels import raxels_from_cameras
from rays_as_pixels.model.autoencoder import RAXEL_LIMIT, LatentCodec
from rays_as_pixels.training.auxiliary import cell_motion, pose_params
from rays_as_pixels.training.data.augment import flipped, random_flip
from rays_as_pixels.training.data.pool import PoolClips
from rays_as_pixels.training.objective import CleanBatch

FIELDS = ("latents", "ray_latents", "reference_latents", "reference_frame", "motion", "pose")


@dataclass(frozen=True)
class LatentStore:
    """All latents of one image size, in half precision."""

    latents: Float[Tensor, "n c t h w"]
    ray_latents: Float[Tensor, "n c frames hr wr"]
    reference_latents: Float[Tensor, "n c s h w"]
    reference_frame: Float[Tensor, "n s"]
    motion: Float[Tensor, "n channels t h w"]
    pose: Float[Tensor, "n frames 8"]

    def save(self, path: Path) -> None:
        """Write the latents atomically."""
        with atomic_write(path) as partial:
            save_file({name: getattr(self, name).contiguous() for name in FIELDS}, partial)

    @classmethod
    def load(cls, path: Path) -> "LatentStore":
        """Read what `save` wrote."""
        tensors = load_file(path)
        return cls(*(tensors[name] for name in FIELDS))

    def to(self, device: torch.device) -> "LatentStore":
        """Return the latents on a device."""
        return LatentStore(*(getattr(self, name).to(device) for name in FIELDS))

    def batch(self, index: Tensor, reference_images: Tensor) -> CleanBatch:
        """Take clips `index`, with the reference images of columns `reference_images`."""
        return CleanBatch(
            self.latents[index].float(),
            self.ray_latents[index].float(),
            self.reference_latents[index][:, :, reference_images].float(),
            self.reference_frame[index][:, reference_images],
            self.motion[index].float(),
            self.pose[index],
        )


def _encode_shard(
    codec: LatentCodec, clips: PoolClips, generator: torch.Generator
) -> LatentStore | None:
    video, cameras, disparity = flipped(
        clips.video.to(torch.float32) / 255,
        clips.cameras,
        clips.disparity,
        clips.median_depth,
        **random_flip(generator),
    )
    return encoded(codec, video, cameras, disparity, generator=generator)


@torch.no_grad()
def encoded(
    codec: LatentCodec,
    video: Float[Tensor, "batch frames 3 height width"],
    cameras: Cameras,
    disparity: Float[Tensor, "batch frames h w"],
    *,
    generator: torch.Generator,
) -> LatentStore | None:
    """Encode clips with three reference images each: first, some and last frame.

    Clips whose raxels do not fit are left out.

    Args:
        codec: What encodes.
        video: In [0, 1].
        cameras: (B, F), frame 0 the identity, in scene units.
        disparity: 1 / depth at the cells' centres.
        generator: Source of the draw of reference images.

    Returns:
        The latents; None if no clip's raxels fit.
    """
    raxels = raxels_from_cameras(cameras)
    fits = (raxels.abs().amax(dim=(1, 2, 3, 4)) < RAXEL_LIMIT).nonzero().squeeze(-1)
    if not len(fits):
        return None
    video, raxels, cameras, disparity = video[fits], raxels[fits], cameras[fits], disparity[fits]
    latents = codec.encode_video(video)
    count, frames = video.shape[:2]
    frame = torch.stack(
        [
            torch.zeros(count),
            torch.randint(1, max(2, frames - 1), (count,), generator=generator).float(),
            torch.full((count,), float(frames - 1)),
        ],
        dim=1,
    ).to(video.device)
    row = torch.arange(count, device=video.device)
    reference_images = [latents[:, :, 0]] + [
        codec.encode_video(video[row, frame[:, k].long()][:, None])[:, :, 0] for k in (1, 2)
    ]
    motion = cell_motion(cameras, disparity, codec.temporal_stride)
    return LatentStore(
        latents.half(),
        codec.encode_raxels(raxels).half(),
        torch.stack(reference_images, 2).half(),
        frame,
        motion.half(),
        pose_params(cameras).float(),
    )


def encode_pool(
    codec: LatentCodec,
    paths: list[Path],
    cache: Path,
    log: Callable[[str], None],
) -> None:
    """Encode shards, each flipped in one of the four ways, into files of `cache`.

    What is there already stays, so that a continued run (or another process on other shards) finds
    it; delete the folder when the encoder changes.
    """
    cache.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(paths):
        generator = torch.Generator().manual_seed(int(path.stem.split("-")[1]))
        file = cache / path.name
        if not file.exists():
            store = _encode_shard(codec, PoolClips.read(path), generator)
            if store is not None:
                store.save(file)
        if number % 20 == 19:
            log(f"latents: {number + 1} of {len(paths)} shards")


class LatentCache:
    """The encoded clips of a folder, in memory; files that appear later join in.

    Args:
        folder: Where `encode_pool` writes, in this process or in another one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: set[Path] = set()
        self._by_size: dict[tuple[int, int], LatentStore] = {}

    @property
    def stores(self) -> list[LatentStore]:
        """One store per image size."""
        return list(self._by_size.values())

    @property
    def clips(self) -> int:
        """Number of encoded clips."""
        return sum(len(store.latents) for store in self.stores)

    def refresh(self) -> None:
        """Read the files that are new."""
        new = [path for path in sorted(self.folder.glob("*.safetensors")) if path not in self._read]
        self._read.update(new)
        groups: dict[tuple[int, int], list[LatentStore]] = {}
        for store in map(LatentStore.load, new):
            groups.setdefault((store.latents.shape[-2], store.latents.shape[-1]), []).append(store)
        for size, group in groups.items():
            parts = [*([self._by_size[size]] if size in self._by_size else []), *group]
            self._by_size[size] = LatentStore(
                *(torch.cat([getattr(part, name) for part in parts]) for name in FIELDS)
            )


def latent_batches(
    cache: LatentCache,
    batch_size: int,
    *,
    estimate_share: float,
    seed: int,
    refresh_every: int = 50,
) -> Iterator[CleanBatch]:
    """Draw batches for ever: one image size each, with 0, 1 or 2 reference images.

    Raises:
        InputError: The cache is empty.
    """
    generator = torch.Generator().manual_seed(seed)
    for number in itertools.count():
        if number % refresh_every == 0:
            cache.refresh()
            if not cache.stores:
                raise InputError(
                    f"the transformer needs encoded clips; got none in {cache.folder}. Run the "
                    "stages pool and latents first."
                )
        size = torch.tensor([float(len(s.latents)) for s in cache.stores])
        store = cache.stores[int(torch.multinomial(size, 1, generator=generator))]
        index = torch.randint(len(store.latents), (batch_size,), generator=generator)
        yield store.batch(index, random_reference_frames(estimate_share, generator))


def random_reference_frames(
    estimate_share: float, generator: torch.Generator, *, of: int = 3
) -> Tensor:
    """Draw which of `of` images are reference images of a batch: none (a share), one or two."""
    draw = float(torch.rand((), generator=generator))
    count = 0 if draw < estimate_share else (1 if draw < estimate_share + 0.3 else 2)
    order = torch.randperm(of, generator=generator)
    if float(torch.rand((), generator=generator)) < 0.6:  # most sources are first frames
        order = torch.cat([torch.zeros(1, dtype=torch.int64), order[order != 0]])
    return order[:count]
