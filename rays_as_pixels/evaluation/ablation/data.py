"""The clips of an ablation: rendered and encoded once, the same for every variant."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor

from rays_as_pixels.evaluation.ablation.representations import Representation, raw_latents
from rays_as_pixels.files import atomic_write
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.raxels import raxels_from_cameras
from rays_as_pixels.model.autoencoder import RAXEL_LIMIT, LatentCodec
from rays_as_pixels.training.auxiliary import cell_motion, pose_params
from rays_as_pixels.training.data.augment import flipped
from rays_as_pixels.training.data.pool import PoolClips
from rays_as_pixels.training.objective import CleanBatch

_SHOWN = ("latents", "motion", "world_from_cam", "focal_px", "center_px")


@dataclass(frozen=True)
class EncodedClips:
    """Training clips without their ray latents, which depend on the variant.

    Attributes:
        latents: (N, C, T, h, w) of the video, normalised.
        motion: (N, channels, T, h, w), see `training.auxiliary.cell_motion`.
        cameras: (N, F).
    """

    latents: Float[Tensor, "n c t h w"]
    motion: Float[Tensor, "n channels t h w"]
    cameras: Cameras


@torch.no_grad()
def encode_shards(
    codec: LatentCodec, shards: list[Path], folder: Path, log: Callable[[str], None]
) -> list[Path]:
    """Encode the video of pool shards that are not yet in `folder`; return all files there.

    Every other shard is shown mirrored, every other pair backwards. Clips whose raxels do not fit
    the autoencoder's range are left out, as in training; the log says how many.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files, left_out = [], 0
    for number, path in enumerate(shards):
        file = folder / path.name
        files.append(file)
        if file.exists():
            continue
        clips = PoolClips.read(path)
        video, cameras, disparity = flipped(
            clips.video.float() / 255,
            clips.cameras,
            clips.disparity,
            clips.median_depth,
            mirror=bool(number & 1),
            backwards=bool(number & 2),
        )
        size = raxels_from_cameras(cameras).abs().amax(dim=(1, 2, 3, 4))
        fits = (size < RAXEL_LIMIT).nonzero().squeeze(-1)
        left_out += len(video) - len(fits)
        video, cameras, disparity = video[fits], cameras[fits], disparity[fits]
        with atomic_write(file) as partial:
            save_file(
                {
                    "latents": codec.encode_video(video).half(),
                    "motion": cell_motion(cameras, disparity, codec.temporal_stride).half(),
                    "world_from_cam": cameras.world_from_cam.contiguous(),
                    "focal_px": cameras.focal_px.contiguous(),
                    "center_px": cameras.center_px.contiguous(),
                },
                partial,
            )
        if number % 10 == 9:
            log(f"latents: {number + 1} of {len(shards)} shards, {left_out} clips out of range")
    return files


def read_encoded(files: list[Path], *, height: int, width: int) -> EncodedClips:
    """Load what `encode_shards` wrote, of one image size."""
    parts = [load_file(path) for path in files]
    whole = {name: torch.cat([part[name] for part in parts]) for name in _SHOWN}
    cameras = Cameras(whole["world_from_cam"], whole["focal_px"], whole["center_px"], height, width)
    return EncodedClips(whole["latents"], whole["motion"], cameras)


def encode_rays(
    codec: LatentCodec, kind: Representation, cameras: Cameras
) -> Float[Tensor, "n c frames h w"]:
    """Encode the cameras of all clips in one representation, in half precision, not normalised."""
    rows = torch.arange(len(cameras.focal_px)).split(64)
    return torch.cat([raw_latents(codec, kind, cameras[index]).half() for index in rows])


def batches(
    clips: EncodedClips, rays: Float[Tensor, "n c frames h w"], batch_size: int, *, seed: int
) -> Iterator[CleanBatch]:
    """Draw batches for ever, without stills; `rays` are normalised."""
    generator = torch.Generator().manual_seed(seed)
    pose = pose_params(clips.cameras).float()
    channels, size = clips.latents.shape[1], clips.latents.shape[-2:]
    while True:
        index = torch.randint(len(rays), (batch_size,), generator=generator)
        yield CleanBatch(
            latents=clips.latents[index].float(),
            ray_latents=rays[index].float(),
            reference_latents=torch.zeros(batch_size, channels, 0, *size),
            reference_frame=torch.zeros(batch_size, 0),
            motion=clips.motion[index].float(),
            pose=pose[index],
        )
