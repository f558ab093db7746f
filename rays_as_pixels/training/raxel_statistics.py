"""Measure the latent statistics of raxels with a pipeline's own autoencoder.

Raxel latents are far smoother than video latents, so they are normalised by their own means and
deviations (paper, section "Raxels"). A pipeline made from Wan carries the video's until this has
run. The paths are those of the rendered worlds that training sees.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import AutoencoderKLWan
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.files import write_json
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.raxels import raxels_from_cameras
from rays_as_pixels.model.autoencoder import RAXEL_LIMIT, posterior_of
from rays_as_pixels.model.checkpoints import check_model_folder
from rays_as_pixels.worlds import WorldOptions, render_clips

_PIXELS = 16  # the worlds are drawn this small: only their cameras are used


@dataclass(frozen=True)
class RaxelSample:
    """How many raxels to look at.

    Attributes:
        clips: Camera paths.
        frames: Frames of each.
        seed: Of worlds and frames.
    """

    clips: int = 64
    frames: int = 4
    seed: int = 0


@torch.no_grad()
def measure_raxels(
    autoencoder: AutoencoderKLWan,
    sample: RaxelSample,
    *,
    num_frames: int,
    sizes: list[tuple[int, int]],
    progress: Callable[[int, int], None],
) -> dict[str, list[float]]:
    """Return mean and standard deviation of raxel latents per channel, as {"mean", "std"}.

    Args:
        autoencoder: Of the pipeline, on the device to use.
        sample: How many.
        num_frames: Length of the paths.
        sizes: (height, width) of the videos, in turn.
        progress: Called with (clips done, clips in all).

    Raises:
        InputError: No clip or no frame, or no raxel fits the autoencoder's range.
    """
    if sample.clips < 1 or not 1 <= sample.frames <= num_frames:
        raise InputError(
            f"clips must be 1 or more and frames from 1 to {num_frames}; got {sample.clips} and "
            f"{sample.frames}. Use 64 and 4."
        )
    # Sums instead of all latents: memory does not grow with the number of clips.
    count, total, squares = 0, torch.zeros(()).double(), torch.zeros(()).double()
    for image in _raxels(sample, num_frames, sizes, progress):
        pixels = (image[None, :, None] / 2).to(autoencoder.device, autoencoder.dtype)
        latents = posterior_of(autoencoder, pixels).mode()[0].flatten(1).cpu().double()
        count += latents.shape[1]
        total = total + latents.sum(1)
        squares = squares + (latents**2).sum(1)
    if count < 2:
        raise InputError(
            f"raxel values |d + o| must be at most {RAXEL_LIMIT:g} for some frame; got none of "
            f"{sample.clips} clips. Measure on more clips."
        )
    mean = total / count
    std = ((squares - count * mean**2) / (count - 1)).clamp_min(0).sqrt()
    if not bool((std > 0).all()):
        raise InputError(
            f"raxel latents must vary in every channel to be normalised; got {std.tolist()}. "
            "Check the autoencoder's weights."
        )
    return {"mean": mean.tolist(), "std": std.tolist()}


def _raxels(
    sample: RaxelSample,
    num_frames: int,
    sizes: list[tuple[int, int]],
    progress: Callable[[int, int], None],
) -> Iterator[Float[Tensor, "3 h w"]]:
    """Yield the raxel images of all clips."""
    generator = torch.Generator().manual_seed(sample.seed)
    for clip in range(sample.clips):
        height, width = sizes[clip % len(sizes)]
        yield from _some_raxels(
            sample.seed + clip, sample.frames, num_frames, generator, height=height, width=width
        )
        progress(clip + 1, sample.clips)


def _some_raxels(
    seed: int, count: int, num_frames: int, generator: torch.Generator, *, height: int, width: int
) -> Float[Tensor, "n 3 h w"]:
    """Raxels of random frames of one world's path; those out of range are left out."""
    clip = render_clips(
        [seed],
        split="train",
        num_frames=num_frames,
        height=_PIXELS,
        width=_PIXELS,
        options=WorldOptions(supersample=1, degraded=False),
    ).cameras
    frame = torch.randperm(num_frames, generator=generator)[:count]
    pair = torch.stack([torch.zeros_like(frame), frame], dim=1)
    focal = clip.focal_px[0, pair] * (width / _PIXELS)  # the same field of view, square pixels
    center = torch.tensor([width / 2, height / 2]).expand_as(focal)
    cameras = Cameras(clip.world_from_cam[0, pair], focal, center, height, width)
    raxels = raxels_from_cameras(cameras)[:, 1]
    return raxels[raxels.abs().amax(dim=(1, 2, 3)) < RAXEL_LIMIT]


def measure_folder(
    folder: Path,
    sample: RaxelSample,
    *,
    device: torch.device,
    progress: Callable[[int, int], None],
) -> dict[str, list[float]]:
    """Measure with a pipeline folder's autoencoder and write the result into its index.

    Raises:
        CheckpointError: The folder is no whole pipeline.
        InputError: See `measure_raxels`.
    """
    check_model_folder(folder)
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    autoencoder = AutoencoderKLWan.from_pretrained(folder / "vae", torch_dtype=torch.float32)
    cast(Any, autoencoder).to(device).eval()
    measured = measure_raxels(
        autoencoder,
        sample,
        num_frames=index["num_frames"],
        sizes=[(size[0], size[1]) for size in index["sizes"]],
        progress=progress,
    )
    index["raxel_latents_mean"], index["raxel_latents_std"] = measured["mean"], measured["std"]
    write_json(folder / "model_index.json", index)
    return measured
