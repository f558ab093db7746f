"""Peaks of the autoencoder's uses, whole, in slices or in tiles."""

from collections.abc import Callable
from functools import cache, lru_cache
from math import ceil

import torch

from rays_as_pixels.memory.settings import VaePieces, use_pieces
from rays_as_pixels.memory.shapes import ModelShapes
from rays_as_pixels.memory.tracker import META, Trace, continued, held_bytes, peak_of
from rays_as_pixels.model.autoencoder import SPATIAL_STRIDE, LatentCodec, latent_frames

FLOAT = 4
STEADY_FRAMES = (9, 13)  # from 9 frames on, each further group of 4 takes the same operations
STEADY_SLICES = (2, 3)
Size = tuple[int, int]


class CodecPeaks:
    """Most bytes held in each use of the autoencoder, with its input. Sizes are (height, width).

    Args:
        shapes: Of the model.
        device_type: cpu, cuda or mps.
    """

    def __init__(self, shapes: ModelShapes, device_type: str) -> None:
        self._device_type = device_type
        vae = shapes.autoencoder
        sliced = use_pieces(shapes.new_autoencoder(), VaePieces.SLICES)
        self._codec, self._sliced = (
            LatentCodec(each, raxel_mean=[0.0], raxel_std=[1.0]) for each in (vae, sliced)
        )
        self.channels = int(vae.config["z_dim"])
        self.stride = self._codec.temporal_stride
        self._patch = int(vae.config["patch_size"] or 1)
        self._tile, self._tile_step = vae.tile_sample_min_height, vae.tile_sample_stride_height
        self._encoded, self._decoded = cache(self._encode), cache(self._decode)
        self._encoded_images, self._decoded_images = (
            cache(self._encode_images),
            cache(self._decode_images),
        )

    def encode(self, frames: int, size: Size, pieces: VaePieces) -> int:
        """Of a clip."""
        tile, count = self._tiles(size, pieces, self._patch)
        peak = _extended(lambda n: self._encoded(n, tile), frames, STEADY_FRAMES)
        return peak + (2 * pixel_bytes(frames, size) if count > 1 else 0)

    def decode(self, frames: int, size: Size, pieces: VaePieces, *, clips: int) -> int:
        """Of clips."""
        tile, count = self._tiles(size, pieces)
        batch = clips if pieces is VaePieces.WHOLE else 1
        peak = _extended(lambda n: self._decoded(n, tile, batch), frames, STEADY_FRAMES)
        if count > 1:
            kept = count * pixel_bytes(frames, tile)
            peak = max(
                peak + kept - pixel_bytes(frames, tile), kept + 3 * pixel_bytes(frames, size)
            )
        return _one_by_one(peak, pixel_bytes(frames, size), clips // batch)

    def encode_images(self, images: int, size: Size, pieces: VaePieces) -> int:
        """Of raxel images, each a clip of its own."""
        if pieces is VaePieces.WHOLE:
            return peak_of(self._encoded_images(images, size, False))
        tile, count = self._tiles(size, pieces, self._patch)
        if count == 1:
            return _extended(lambda n: self._encoded_images(n, size, True), images, STEADY_SLICES)
        beside = pixel_bytes(images, size) - pixel_bytes(1, tile)
        return 2 * beside + peak_of(self._encoded_images(1, tile, False))

    def decode_images(self, images: int, size: Size, pieces: VaePieces) -> int:
        """Of raxel images."""
        if pieces is VaePieces.WHOLE:
            return peak_of(self._decoded_images(images, size, False))
        tile, count = self._tiles(size, pieces)
        if count == 1:
            return _extended(lambda n: self._decoded_images(n, size, True), images, STEADY_SLICES)
        peak = peak_of(self._decoded_images(1, tile, False))
        peak += (count - 1) * pixel_bytes(1, tile)
        return _one_by_one(peak, pixel_bytes(1, size), images)

    def _tiles(self, size: Size, pieces: VaePieces, unit: int = 1) -> tuple[Size, int]:
        """Return the size of a tile and the number of tiles; `unit` is what tiles are counted in.

        Decoding counts them in pixels, encoding in the patches that go into the network.
        """
        most, step = self._tile * unit, self._tile_step * unit
        if pieces is not VaePieces.TILES or max(size) <= most:
            return size, 1
        tile = min(size[0], most), min(size[1], most)
        return tile, ceil(size[0] / step) * ceil(size[1] / step)

    def _encode(self, frames: int, size: Size) -> Trace:
        return self._trace(
            lambda codec: codec.encode_video(torch.empty(1, frames, 3, *size, device=META))
        )

    def _decode(self, frames: int, size: Size, clips: int) -> Trace:
        times = latent_frames(frames, self.stride)
        shape = clips, self.channels, times, *_grid(size)
        return self._trace(lambda codec: codec.decode_video(torch.empty(shape, device=META)))

    def _encode_images(self, images: int, size: Size, sliced: bool) -> Trace:
        shape = 1, images, 3, *size
        return self._trace(
            lambda codec: codec.encode_raxels(torch.empty(shape, device=META)), sliced=sliced
        )

    def _decode_images(self, images: int, size: Size, sliced: bool) -> Trace:
        shape = 1, self.channels, images, *_grid(size)
        return self._trace(
            lambda codec: codec.decode_raxels(torch.empty(shape, device=META)), sliced=sliced
        )

    def _trace(self, run: Callable[[LatentCodec], object], *, sliced: bool = False) -> Trace:
        codec = self._sliced if sliced else self._codec
        vae = codec.autoencoder
        held = [*vae.parameters(), *vae.buffers()]
        return held_bytes(lambda: run(codec), held=held, device_type=self._device_type)


@lru_cache(maxsize=8)
def codec_peaks(shapes: ModelShapes, device_type: str) -> CodecPeaks:
    """Return the peaks of a model's autoencoder, the same for all tasks, which share the work."""
    return CodecPeaks(shapes, device_type)


def pixel_bytes(images: int, size: Size) -> int:
    """Return the bytes of images in float32."""
    return images * 3 * size[0] * size[1] * FLOAT


def _grid(size: Size) -> Size:
    return size[0] // SPATIAL_STRIDE, size[1] // SPATIAL_STRIDE


def _extended(trace: Callable[[int], Trace], count: int, steady: tuple[int, int]) -> int:
    """Return the peak for `count` frames or slices from the traces of few."""
    low, high = steady
    if count <= high:
        return peak_of(trace(count))
    return continued(trace(low), trace(high), (count - high) // (high - low))


def _one_by_one(peak: int, result: int, count: int) -> int:
    """Add up clips or images: each in turn, with the results kept and then joined."""
    if count == 1:
        return peak
    return max(peak + (count - 1) * result, 2 * count * result)
