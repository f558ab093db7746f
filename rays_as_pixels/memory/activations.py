"""Peaks of a verb's phases without weights, from the real networks with shapes and no data.

Each verb is told here as `pipeline` runs it: what it keeps, and what works beside that.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from rays_as_pixels.memory.autoencoder import codec_peaks, pixel_bytes
from rays_as_pixels.memory.reading import adjusting_bytes, drawing_bytes, reading_bytes
from rays_as_pixels.memory.settings import VaePieces
from rays_as_pixels.memory.shapes import ModelShapes
from rays_as_pixels.memory.tracker import META, peak_bytes
from rays_as_pixels.memory.workload import Workload
from rays_as_pixels.model.autoencoder import SPATIAL_STRIDE, latent_frames
from rays_as_pixels.model.transformer.joint_state import JointState, ReferenceImages

TEXT_LENGTH = 512
ORDER = (
    "read prompt",
    "encode",
    "encode rays",
    "denoise",
    "decode video",
    "decode rays",
    "read cameras",
    "fit path to frames",
)
Phases = dict[str, int]


@dataclass(frozen=True)
class _Latents:
    """Of the video, its rays, stills and their rays, in float32 on the device."""

    video: Tensor
    rays: Tensor
    reference_images: Tensor
    reference_rays: Tensor

    @property
    def nbytes(self) -> int:
        return sum(value.nbytes for value in vars(self).values())


class Activations:
    """Peaks of a workload's phases in bytes.

    Args:
        shapes: Of the model.
        work: What is to be run.
        dtype: Of the transformer; the autoencoder and the loop run in float32.
        device_type: cpu, cuda or mps.
    """

    def __init__(
        self, shapes: ModelShapes, work: Workload, dtype: torch.dtype, device_type: str
    ) -> None:
        self.shapes, self.work, self.dtype = shapes, work, dtype
        self.device_type = device_type
        self.codec = codec_peaks(shapes, device_type)
        self._network = cache(self._denoise)
        self.size = work.height, work.width
        self.ray_size = work.height // 2, work.width // 2
        self.video = pixel_bytes(work.frames, self.size)

    def of_task(self, pieces: VaePieces) -> Phases:
        """Return the peak of each phase of the task, by name, in order."""
        verbs = {"estimate": self._estimate, "generate": self._generate, "imagine": self._imagine}
        if self.work.task == "loop":
            # beside the second estimate are the generated videos
            made = self._on_cpu(self.work.seeds * self.video)
            found = [self._estimate(pieces, kept=made), self._generate(pieces)]
        else:
            found = [verbs[self.work.task](pieces)]
        if self.shapes.text_parameters and self.work.prompt:
            found.append({"read prompt": 0})
        return {
            name: max(phases.get(name, 0) for phases in found)
            for name in ORDER
            if any(name in phases for phases in found)
        }

    def _estimate(self, pieces: VaePieces, kept: int = 0) -> Phases:
        frames, seeds = self.work.frames, self.work.seeds
        kept += self._on_cpu(self.video)  # the frames that the path is fitted to
        kept_video = kept + self.video
        rays, mean = (self._latents(0, batch).rays.nbytes for batch in (seeds, 1))
        # the mean of all seeds is read first, then, if there are several, each of them
        drawn = self._on_cpu(pixel_bytes(frames, self.ray_size))
        beside = rays if seeds == 1 else mean + drawn
        fitting = adjusting_bytes(frames, self.size) + self._latents(0, 1).video.nbytes
        return {
            "encode": kept + self.codec.encode(frames, self.size, pieces),
            "denoise": kept_video + self._network(0, seeds),
            **self._read(kept_video + beside, seeds, pieces),
            "fit path to frames": self._on_cpu(kept_video + rays + drawn + fitting),
        }

    def _generate(self, pieces: VaePieces) -> Phases:
        frames, seeds = self.work.frames, self.work.seeds
        images, others = self._given_images()
        given = self._latents(self.work.images, 1)
        drawn = self._on_cpu(drawing_bytes(frames, self.ray_size))
        coded = self.codec.encode_images(frames, self.ray_size, pieces)
        return {
            "encode": others + self.codec.encode(1, self.size, pieces),
            "encode rays": images + given.reference_images.nbytes + max(drawn, coded),
            "denoise": images + self._network(self.work.images, seeds),
            "decode video": images
            + given.nbytes
            + self._latents(0, seeds).rays.nbytes
            + self.codec.decode(frames, self.size, pieces, clips=seeds),
        }

    def _imagine(self, pieces: VaePieces) -> Phases:
        frames, seeds = self.work.frames, self.work.seeds
        images, others = self._given_images()
        made = self._latents(0, seeds)
        given = self._latents(self.work.images, 1)
        kept = images + given.nbytes
        again = given.video.nbytes + given.rays.nbytes + made.video.nbytes  # along the made path
        decoded = self.codec.decode(frames, self.size, pieces, clips=seeds)
        videos = self._on_cpu(seeds * self.video)
        return {
            "encode": others + self.codec.encode(1, self.size, pieces),
            "denoise": images + again + self._network(self.work.images, seeds),
            "decode video": kept + made.rays.nbytes + decoded,
            **self._read(kept + made.video.nbytes + videos, seeds, pieces),
        }

    def _read(self, kept: int, seeds: int, pieces: VaePieces) -> Phases:
        """Decode rays and read their cameras; off the CPU only the encoder of the fit counts."""
        images = seeds * self.work.frames
        rays = self._latents(0, seeds).rays
        encoding = self.codec.encode_images(images, self.ray_size, pieces)
        if self.device_type == "cpu":
            encoding -= pixel_bytes(images, self.ray_size)
            encoding = reading_bytes(rays.shape, encoding=encoding)
        return {
            "decode rays": kept + self.codec.decode_images(images, self.ray_size, pieces),
            "read cameras": kept + rays.nbytes + encoding,
        }

    def _on_cpu(self, size: int) -> int:
        """Return what the device holds of something that stays in the machine's memory."""
        return size if self.device_type == "cpu" else 0

    def _given_images(self) -> tuple[int, int]:
        """Bytes of the given images, and of those beside the one being encoded."""
        count = self.work.images
        return (
            self._on_cpu(pixel_bytes(count, self.size)),
            self._on_cpu(pixel_bytes(count - 1, self.size)),
        )

    def _denoise(self, reference_images: int, seeds: int) -> int:
        network = self.shapes.thin_network(self.dtype)
        held = [*network.parameters(), *network.buffers()]
        if reference_images:  # the video is noise, of which the prior is not asked
            network.camera_prior = None
        alone = network.camera_prior is not None  # a clear clip is not shown to the rest

        def run() -> object:
            # what is given and, for each seed, its noisy copy; stills have none
            given, noisy = (
                self._latents(reference_images, 1),
                self._latents(reference_images, seeds),
            )
            noisy = _Latents(noisy.video, noisy.rays, given.reference_images, noisy.reference_rays)
            state = self._state(noisy, seeds)
            if alone:
                return given, noisy, network.camera_prior_velocity(state)
            return given, noisy, network(state, self._text(network, seeds))

        return peak_bytes(
            run,
            held=held,
            device_type=self.device_type,
        )

    def _latents(self, reference_images: int, seeds: int) -> _Latents:
        height, width = (side // SPATIAL_STRIDE for side in self.size)
        times = latent_frames(self.work.frames, self.codec.stride)

        def of(images: int, *grid: int) -> Tensor:
            return torch.empty(seeds, self.codec.channels, images, *grid, device=META)

        return _Latents(
            video=of(times, height, width),
            rays=of(self.work.frames, height // 2, width // 2),
            reference_images=of(reference_images, height, width),
            reference_rays=of(reference_images, height // 2, width // 2),
        )

    def _state(self, noisy: _Latents, seeds: int) -> JointState:
        """Make the network's input; in the loop's precision it is the loop's own."""

        def levels(images: Tensor) -> Tensor:
            return torch.empty(seeds, images.shape[2], device=META)

        reference_images = None
        if noisy.reference_images.shape[2]:
            reference_images = ReferenceImages(
                latents=noisy.reference_images.to(self.dtype).expand(seeds, -1, -1, -1, -1),
                sigma=levels(noisy.reference_images),
                ray_latents=noisy.reference_rays.to(self.dtype),
                ray_sigma=levels(noisy.reference_images),
                frame=levels(noisy.reference_images),
                kind=levels(noisy.reference_images).to(torch.int64),
            )
        return JointState(
            latents=noisy.video.to(self.dtype),
            sigma=levels(noisy.video),
            ray_latents=noisy.rays.to(self.dtype),
            ray_sigma=levels(noisy.rays),
            reference_images=reference_images,
        )

    def _text(self, network: Any, seeds: int) -> Tensor | None:
        width = network.sizes.conditioning.text_dim
        if width is None:
            return None
        return torch.empty(seeds, TEXT_LENGTH, width, device=META, dtype=self.dtype)
