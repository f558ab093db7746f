"""A pool of rendered training clips on disk, for machines where rendering is the bottleneck.

Shards of safetensors, each written atomically: a killed run resumes with the next.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor

from rays_as_pixels.files import atomic_write
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.model.autoencoder import SPATIAL_STRIDE
from rays_as_pixels.training.data.augment import flipped, random_flip
from rays_as_pixels.worlds import WorldOptions, render_clips

SHARD_CLIPS = 64
# Videos in [0, 1], cameras in scene units, and 1 / depth at the centre of each latent cell.
DepthClipSource = Iterator[
    tuple[Float[Tensor, "batch frames 3 H W"], Cameras, Float[Tensor, "batch frames h w"]]
]


@dataclass(frozen=True)
class PoolSpec:
    """What a pool holds.

    Attributes:
        clips: Number of clips.
        num_frames: Frames per clip.
        sizes: (height, width) in pixels, taken in turn by shard.
        first_seed: Seed of the first clip; the rest count up.
        sharp_every: Every so many shards are rendered with 2x supersampling, the others with none,
            which takes a fifth of the time.
        dynamic_objects: "random", "none" or "many".
    """

    clips: int
    num_frames: int
    sizes: Sequence[tuple[int, int]]
    first_seed: int = 0
    sharp_every: int = 4
    dynamic_objects: str = "random"


def _shard_path(folder: Path, index: int) -> Path:
    return folder / f"shard-{index:05d}.safetensors"


def build_pool(folder: Path, spec: PoolSpec, *, device: str = "cpu") -> Iterator[tuple[int, int]]:
    """Render the shards that are missing, yielding (shards done, shards in all) after each."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = -(-spec.clips // SHARD_CLIPS)
    for index in range(shards):
        path = _shard_path(folder, index)
        if not path.exists():
            size = spec.sizes[index % len(spec.sizes)]
            sharp = index % spec.sharp_every == 0
            start = spec.first_seed + index * SHARD_CLIPS
            parts = [
                _render_part(range(first, first + 4), spec, size=size, sharp=sharp, device=device)
                for first in range(start, start + SHARD_CLIPS, 4)
            ]
            shard = {k: torch.cat([part[k] for part in parts]).contiguous() for k in parts[0]}
            with atomic_write(path) as partial:
                save_file(shard, partial)
        yield index + 1, shards


def _render_part(
    seeds: range, spec: PoolSpec, *, size: tuple[int, int], sharp: bool, device: str
) -> dict[str, Tensor]:
    clips = render_clips(
        list(seeds),
        split="train",
        num_frames=spec.num_frames,
        height=size[0],
        width=size[1],
        device=device,
        options=WorldOptions(supersample=2 if sharp else 1, dynamic_objects=spec.dynamic_objects),
    )
    return {
        "video": (clips.video * 255).round().to(torch.uint8).cpu(),
        "world_from_cam": clips.cameras.world_from_cam.cpu(),
        "focal_px": clips.cameras.focal_px.cpu(),
        "center_px": clips.cameras.center_px.cpu(),
        "median_depth": median_depth(clips.depth).cpu(),
        "disparity": cell_disparity(clips.depth).cpu(),
    }


def median_depth(
    depth: Float[Tensor, "batch frames height width"],
) -> Float[Tensor, "batch frames"]:
    """Return the median depth of each frame; that of frame 0 is the scene unit."""
    return depth.flatten(2).median(dim=-1).values


def cell_disparity(
    depth: Float[Tensor, "batch frames height width"],
) -> Float[Tensor, "batch frames h w"]:
    """Return 1 / depth at the centre of each latent cell: the mean of its four middle pixels."""
    half = SPATIAL_STRIDE // 2
    middle = (1 / depth).unfold(2, SPATIAL_STRIDE, SPATIAL_STRIDE)
    middle = middle.unfold(3, SPATIAL_STRIDE, SPATIAL_STRIDE)
    return middle[..., half - 1 : half + 1, half - 1 : half + 1].mean(dim=(-2, -1))


@dataclass(frozen=True)
class PoolClips:
    """One shard.

    Attributes:
        video: (B, F, 3, H, W) uint8.
        cameras: (B, F), frame 0 the identity, in scene units.
        median_depth: (B, F) of each frame.
        disparity: (B, F, H/8, W/8) 1 / depth at the centre of each latent cell.
    """

    video: Tensor
    cameras: Cameras
    median_depth: Tensor
    disparity: Tensor

    @classmethod
    def read(cls, path: Path) -> "PoolClips":
        """Load a finished shard."""
        tensors = load_file(path)
        video = tensors["video"]
        cameras = Cameras(
            tensors["world_from_cam"],
            tensors["focal_px"],
            tensors["center_px"],
            video.shape[-2],
            video.shape[-1],
        )
        return cls(video, cameras, tensors["median_depth"], tensors["disparity"])


def shard_paths(folder: Path) -> list[Path]:
    """Return the finished shards of a pool, in order."""
    return sorted(folder.glob("shard-*.safetensors"))


def pool_batches(folder: Path, batch: int, *, seed: int) -> DepthClipSource:
    """Draw batches of (video, cameras, disparity) from a pool for ever, one shard per batch."""
    generator = torch.Generator().manual_seed(seed)
    shards = [PoolClips.read(path) for path in shard_paths(folder)]
    while True:
        shard = shards[int(torch.randint(len(shards), (), generator=generator))]
        index = torch.randint(len(shard.video), (batch,), generator=generator)
        video = shard.video[index].to(torch.float32) / 255
        yield flipped(
            video,
            shard.cameras[index],
            shard.disparity[index],
            shard.median_depth[index],
            **random_flip(generator),
        )
