"""Peak of reading cameras from raxel latents, which happens on the CPU but for the encoder."""

from typing import Any

import torch
from torch import Tensor

from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.raxels import RASTER_STRIDE, raxels_from_cameras
from rays_as_pixels.memory.tracker import META, peak_bytes
from rays_as_pixels.model.autoencoder import SPATIAL_STRIDE, LatentCodec
from rays_as_pixels.model.camera_readout import read_cameras
from rays_as_pixels.solve.bundle import BundleState
from rays_as_pixels.solve.patches import PatchGrid
from rays_as_pixels.solve.photometric_bundle_adjustment import (
    adjust_photometrically,
    host_frames_of,
)


class _PricedCodec(LatentCodec):
    """Takes as many bytes as an encoding of raxels does, without encoding.

    Args:
        channels: Of the latents.
        encoding: Bytes of an encoding beside its input.
    """

    def __init__(self, channels: int, encoding: int) -> None:
        self._channels, self._encoding = channels, encoding

    def encode_raxels(self, raxels: Tensor) -> Any:
        torch.empty(self._encoding, device=META, dtype=torch.uint8)  # let go at once
        batch, frames, _, height, width = raxels.shape
        grid = height // SPATIAL_STRIDE, width // SPATIAL_STRIDE
        return torch.empty(batch, self._channels, frames, *grid, device=META)

    def decode_raxels(self, latents: Tensor) -> Any:
        batch, _, frames, height, width = latents.shape
        size = SPATIAL_STRIDE * height, SPATIAL_STRIDE * width
        return torch.empty(batch, frames, 3, *size, device=META)


def reading_bytes(latents: torch.Size, *, encoding: int) -> int:
    """Return the most bytes held beside the ray latents while their cameras are read on a CPU.

    The decoding of raxels is left out.

    Args:
        latents: Shape (B, C, F, h, w) of the ray latents.
        encoding: Bytes that encoding all their raxels takes beside these.
    """
    codec = _PricedCodec(latents[1], encoding)
    given = torch.empty(latents, device=META)
    return peak_bytes(lambda: read_cameras(codec, given), held=[given], device_type="cpu")


def adjusting_bytes(frames: int, size: tuple[int, int]) -> int:
    """Return the most bytes held while a path is fitted to the frames it belongs to, of a size."""
    video = torch.empty(frames, 3, *size, device=META)
    patches = PatchGrid.over(video)
    double = {"device": META, "dtype": torch.float64}
    hosts = host_frames_of(frames)
    guess = BundleState(
        torch.empty(frames, 3, 3, **double),
        torch.empty(frames, 3, **double),
        torch.empty(frames, **double),
        torch.empty(2, **double),
        hosts.to(META),
        torch.empty(len(hosts), len(patches.centers), **double),
    )
    return peak_bytes(
        lambda: adjust_photometrically(video, guess, patches, shared_focal=False),
        held=[video],
        device_type="cpu",
    )


def drawing_bytes(frames: int, raster: tuple[int, int]) -> int:
    """Return the most bytes held while a path is drawn as raxels of a size."""
    double = {"device": META, "dtype": torch.float64}
    height, width = (RASTER_STRIDE * side for side in raster)

    def draw() -> Tensor:
        pose = torch.empty(frames, 4, 4, **double)
        focal, center = (torch.empty(frames, 2, **double) for _ in range(2))
        return raxels_from_cameras(Cameras(pose, focal, center, height, width))[None].float()

    return peak_bytes(draw, device_type="cpu")
