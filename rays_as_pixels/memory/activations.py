"""Peaks of a verb's phases without weights, from the real networks with shapes and no data."""

from collections.abc import Callable
from functools import cache
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn

from rays_as_pixels.memory.settings import VaePieces
from rays_as_pixels.memory.shapes import ModelShapes
from rays_as_pixels.memory.tracker import META, peak_bytes
from rays_as_pixels.memory.workload import Workload
from rays_as_pixels.model.codec import (
    SPATIAL_STRIDE,
    LatentCodec,
    latent_frames,
    posterior_of,
)
from rays_as_pixels.model.joint_transformer import JointState, Stills

FLOAT = 4
FIT_BYTES_PER_VALUE = 60  # reading cameras on a CPU: float64 temporaries per raxel value, measured
STEADY = (9, 13)  # from 9 frames on, each further group of 4 adds the same bytes
TEXT_LENGTH = 512


class Activations:
    """Peaks of a workload's phases in bytes.

    Args:
        shapes: Of the model.
        work: What is to be run.
        dtype: Of the transformer; the autoencoder runs in float32.
        device_type: cpu, cuda or mps.
    """

    def __init__(
        self, shapes: ModelShapes, work: Workload, dtype: torch.dtype, device_type: str
    ) -> None:
        self.shapes, self.work, self.dtype = shapes, work, dtype
        self.device_type = device_type
        self.codec = _Codec(shapes, device_type)
        self._network = cache(self._denoise)
        self.channels = int(shapes.autoencoder.config["z_dim"])
        self.stride = self.codec.stride
        self.height, self.width = work.height // SPATIAL_STRIDE, work.width // SPATIAL_STRIDE

    def of_task(self, pieces: VaePieces) -> dict[str, int]:
        """Return the peak of each phase of the task, by name, in order."""
        work, codec = self.work, self.codec
        size, ray_size = (work.height, work.width), (work.height // 2, work.width // 2)
        given = work.task in ("estimate", "loop")
        phases: dict[str, int] = {}
        if self.shapes.text_parameters and work.prompt:
            phases["read prompt"] = 0
        phases["encode"] = codec.encode(work.frames if given else 1, size, pieces)
        if work.task in ("generate", "loop"):
            phases["encode rays"] = codec.encode_images(work.frames, ray_size, pieces)
        phases["denoise"] = self._network(0 if work.task == "estimate" else work.images)
        if work.task != "estimate":
            phases["decode video"] = codec.decode(work.frames, size, pieces, clips=work.seeds)
        if work.task != "generate":
            images = work.frames * work.seeds
            phases["decode rays"] = codec.decode_images(images, ray_size, pieces)
            if self.device_type == "cpu":
                values = 3 * work.frames * ray_size[0] * ray_size[1]
                phases["read cameras"] = FIT_BYTES_PER_VALUE * values
        return phases

    def _denoise(self, stills: int) -> int:
        network = self.shapes.thin_network(self.dtype)

        def run() -> object:
            held = self._loop_state(stills)
            return held, network(self._state(stills), self._text(network))

        return _peak(run, network, self.device_type)

    def _loop_state(self, stills: int) -> list[Tensor]:
        """Make what the sampler holds beside the network: given and noisy latents, the noise."""
        times = latent_frames(self.work.frames, self.stride)
        shapes = self._video_shape(times + stills), self._ray_shape(self.work.frames + stills)
        return [self._empty(shape, torch.float32) for shape in shapes for _ in range(2)]

    def _state(self, stills: int) -> JointState:
        batch, frames = self.work.seeds, self.work.frames
        times = latent_frames(frames, self.stride)

        def levels(count: int) -> Tensor:
            return torch.empty(batch, count, device=META)

        still = None
        if stills:
            still = Stills(
                latents=self._empty(self._video_shape(stills)),
                sigma=levels(stills),
                ray_latents=self._empty(self._ray_shape(stills)),
                ray_sigma=levels(stills),
                frame=levels(stills),
                kind=torch.zeros(batch, stills, device=META, dtype=torch.int64),
            )
        return JointState(
            latents=self._empty(self._video_shape(times)),
            sigma=levels(times),
            ray_latents=self._empty(self._ray_shape(frames)),
            ray_sigma=levels(frames),
            stills=still,
        )

    def _empty(self, shape: tuple[int, ...], dtype: torch.dtype | None = None) -> Tensor:
        return torch.empty(shape, device=META, dtype=dtype or self.dtype)

    def _video_shape(self, images: int) -> tuple[int, ...]:
        return (self.work.seeds, self.channels, images, self.height, self.width)

    def _ray_shape(self, images: int) -> tuple[int, ...]:
        return (self.work.seeds, self.channels, images, self.height // 2, self.width // 2)

    def _text(self, network: Any) -> Tensor | None:
        width = network.config["text_dim"]
        return None if width is None else self._empty((self.work.seeds, TEXT_LENGTH, width))


class _Codec:
    """Peaks of the autoencoder's uses. Sizes are (height, width) in pixels."""

    def __init__(self, shapes: ModelShapes, device_type: str) -> None:
        self._vae, self._device_type = shapes.autoencoder, device_type
        self._codec = LatentCodec(self._vae, raxel_mean=[0.0], raxel_std=[1.0])
        self._channels = int(self._vae.config["z_dim"])
        self.stride = self._codec.temporal_stride
        self._patch = int(self._vae.config["patch_size"] or 1)
        self._whole_encode, self._whole_decode = cache(self._encode), cache(self._decode)

    def encode(self, frames: int, size: tuple[int, int], pieces: VaePieces) -> int:
        """Of a clip."""
        tile, count = self._tiles(size, pieces, self._patch)
        peak = _extended(lambda n: self._whole_encode(n, tile), frames)
        return peak + (2 * _pixels(frames, size) if count > 1 else 0)

    def decode(self, frames: int, size: tuple[int, int], pieces: VaePieces, *, clips: int) -> int:
        """Of clips."""
        tile, count = self._tiles(size, pieces)
        peak = _extended(lambda n: self._whole_decode(n, tile), frames)
        if count > 1:
            kept = count * _pixels(frames, tile)
            peak = max(peak + kept - _pixels(frames, tile), kept + 3 * _pixels(frames, size))
        return _together(peak, _pixels(frames, size), clips, pieces)

    def encode_images(self, images: int, size: tuple[int, int], pieces: VaePieces) -> int:
        """Of raxel images, each a clip of its own."""
        tile, _ = self._tiles(size, pieces, self._patch)
        given = 2 * _pixels(images, size)
        if pieces is VaePieces.WHOLE:
            return given + self._images(images, size)
        return given + self._images(1, tile)

    def decode_images(self, images: int, size: tuple[int, int], pieces: VaePieces) -> int:
        """Of raxel images."""
        if pieces is VaePieces.WHOLE:
            return self._whole_decode(1, size, images)
        tile, count = self._tiles(size, pieces)
        peak = self._whole_decode(1, tile) + (count - 1) * _pixels(1, tile)
        return _together(peak, _pixels(1, size), images, pieces)

    def _tiles(
        self, size: tuple[int, int], pieces: VaePieces, unit: int = 1
    ) -> tuple[tuple[int, int], int]:
        """Return the size of a tile and the number of tiles; `unit` is what tiles are counted in.

        Decoding counts them in pixels, encoding in the patches that go into the network.
        """
        most = int(self._vae.tile_sample_min_height) * unit
        if pieces is not VaePieces.TILES or max(size) <= most:
            return size, 1
        step = int(self._vae.tile_sample_stride_height) * unit
        tile = min(size[0], most), min(size[1], most)
        return tile, ceil(size[0] / step) * ceil(size[1] / step)

    def _encode(self, frames: int, size: tuple[int, int]) -> int:
        def run() -> Tensor:
            return self._codec.encode_video(torch.empty(1, frames, 3, *size, device=META))

        return _peak(run, self._vae, self._device_type)

    def _decode(self, frames: int, size: tuple[int, int], images: int = 0) -> int:
        """Of one clip, or of images side by side in a batch."""
        grid = size[0] // SPATIAL_STRIDE, size[1] // SPATIAL_STRIDE

        def run() -> Tensor:
            if images:
                latents = torch.empty(1, self._channels, images, *grid, device=META)
                return self._codec.decode_raxels(latents)
            times = latent_frames(frames, self.stride)
            return self._codec.decode_video(
                torch.empty(1, self._channels, times, *grid, device=META)
            )

        return _peak(run, self._vae, self._device_type)

    def _images(self, images: int, size: tuple[int, int]) -> int:
        def run() -> Tensor:
            pixels = torch.empty(images, 3, 1, *size, device=META)
            return posterior_of(self._vae, pixels).mode()

        return _peak(run, self._vae, self._device_type) - _pixels(images, size)


def _pixels(images: int, size: tuple[int, int]) -> int:
    return images * 3 * size[0] * size[1] * FLOAT


def _extended(peak: Callable[[int], int], frames: int) -> int:
    """Follow the straight line on which the peaks of long clips lie."""
    low, high = STEADY
    if frames <= high:
        return peak(frames)
    return peak(high) + (peak(high) - peak(low)) * (frames - high) // (high - low)


def _together(peak: int, result: int, count: int, pieces: VaePieces) -> int:
    """Add up clips: all at once, or one by one with their results kept and then joined."""
    if pieces is VaePieces.WHOLE:
        return peak * count
    return max(peak + (count - 1) * result, (2 if count > 1 else 1) * count * result)


def _peak(run: Callable[[], object], module: nn.Module, device_type: str) -> int:
    held = [*module.parameters(), *module.buffers()]
    return peak_bytes(run, held=held, device_type=device_type)
