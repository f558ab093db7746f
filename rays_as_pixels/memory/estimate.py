"""Predict what a run needs: weights in their precision, activations by rule of thumb, a reserve.

The factors below were fitted to allocation traces of the networks on torch's meta device, from the
shipped model at 96 x 160 to Wan's shapes at 720 x 1280. docs/memory.md compares them with runs.
"""

from dataclasses import dataclass

import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.memory.settings import FP8, MemorySetting, Offload, VaePieces
from rays_as_pixels.memory.shapes import ModelShapes, count_parameters
from rays_as_pixels.model.autoencoder import SPATIAL_STRIDE
from rays_as_pixels.model.clip_lengths import TEMPORAL_STRIDE, check_frame_count, latent_frames

TASKS = ("estimate", "generate", "imagine", "loop")
CUDA_RESERVE = 900_000_000  # bytes of context and libraries; an allowance
ACTIVATION_RESERVE = 0.25  # share of the activations, for what the rules of thumb leave out
FLOAT = 4

# Feature maps of the autoencoder's full width that are held at once, by what it does.
_ENCODE, _DECODE_CLIP, _DECODE_IMAGES = 13, 16, 22
_PIXEL_COPIES = 4  # of a clip's pixels around the autoencoder
_KERNEL = 27  # 3 x 3 x 3, which the CPU's first convolution unfolds
_TOKEN_COPIES = 10  # of a token in a transformer block
# The camera and view priors compare all cells of neighbouring frames: bytes per frame.
_PRIOR_PER_PAIR, _PRIOR_PER_CELL = 38, 3600
_FIT_PER_FRAME, _FIT_PIXEL_COPIES = 3_000_000, 3  # photometric bundle adjustment, on the CPU


@dataclass(frozen=True)
class Workload:
    """What is to be run: the sizes on which memory depends.

    Attributes:
        task: estimate, generate, imagine or loop.
        frames: Video frames.
        height: Of the video, in pixels; a multiple of 16.
        width: Of the video, in pixels; a multiple of 16.
        seeds: Samples in one pass.
    """

    task: str
    frames: int
    height: int
    width: int
    seeds: int = 1

    def check(self, *, temporal_stride: int) -> None:
        """Refuse what no model with an autoencoder of this temporal stride can run.

        Raises:
            InputError: Unknown task, or a count or size that does not fit the autoencoder.
        """
        if self.task not in TASKS:
            raise InputError(
                f"task must be one of {', '.join(TASKS)}; got {self.task!r}. Pick one."
            )
        check_frame_count(self.frames, temporal_stride)
        step = 2 * SPATIAL_STRIDE
        if self.height % step or self.width % step or min(self.height, self.width) < step:
            raise InputError(
                f"height and width must be multiples of {step}; got {self.height} x {self.width}. "
                "Round them."
            )


@dataclass(frozen=True)
class Phase:
    """One part of a run: bytes of weights and of activations on the device at its peak."""

    name: str
    weights: int
    activations: int

    @property
    def total(self) -> int:
        """Bytes of both."""
        return self.weights + self.activations


@dataclass(frozen=True)
class MemoryEstimate:
    """What a run is predicted to need.

    Attributes:
        setting: How it is run.
        phases: In the order in which they happen.
        reserve: Bytes for the device's own libraries and for what the prediction leaves out.
        host_bytes: Weights in the machine's memory while they are not on the device.
    """

    setting: MemorySetting
    phases: tuple[Phase, ...]
    reserve: int
    host_bytes: int

    @property
    def largest(self) -> Phase:
        """The phase with the peak."""
        return max(self.phases, key=lambda phase: phase.total)

    @property
    def total(self) -> int:
        """Bytes that the device must have."""
        return self.largest.total + self.reserve


@dataclass(frozen=True)
class Planner:
    """Predicts one workload under any setting.

    Attributes:
        shapes: Of the model.
        work: What is to be run.
        dtype: Of the transformer and the text encoder; the autoencoder runs in float32.
        device_type: cpu, cuda or mps.

    Raises:
        InputError: The workload breaks a rule.
    """

    shapes: ModelShapes
    work: Workload
    dtype: torch.dtype = torch.float32
    device_type: str = "cuda"

    def __post_init__(self) -> None:
        """Refuse a workload that cannot be run."""
        self.work.check(temporal_stride=self.shapes.temporal_stride)

    def estimate(self, setting: MemorySetting) -> MemoryEstimate:
        """Predict the peak of the run in each phase, and its sum with the reserve."""
        found = self._activations(setting.vae)
        phases = tuple(
            Phase(name, self._weights(name, setting), size) for name, size in found.items()
        )
        reserve = int(ACTIVATION_RESERVE * max(found.values()))
        if self.device_type == "cuda":
            reserve += CUDA_RESERVE
        host = 0 if setting.offload is Offload.NONE else self._weights("all", MemorySetting())
        return MemoryEstimate(setting, phases, reserve, host)

    def _weights(self, phase: str, setting: MemorySetting) -> int:
        """Return the bytes of weights on the device during a phase; "all" for those of a model."""
        item, shapes = self.dtype.itemsize, self.shapes
        parameters = [count_parameters(block) for block in shapes.network.blocks]
        in_blocks = FP8.itemsize if setting.fp8 else item
        blocks = sum(parameters) * in_blocks
        rest = (shapes.transformer_parameters - sum(parameters)) * item
        vae, text = shapes.vae_parameters * FLOAT, shapes.text_parameters * item
        if setting.offload is Offload.NONE:
            return blocks + rest + vae + text
        if setting.offload is Offload.GROUP:
            # The autoencoder stays. Of the others two blocks or layers are on the device: one
            # computes while the next is fetched.
            if phase == "read prompt":
                return vae + 2 * shapes.text_largest * item
            return vae + (rest + 2 * parameters[0] * in_blocks if phase == "denoise" else 0)
        # A component stays until the next one in the pipeline's order is needed: the text encoder
        # while images are encoded, the autoencoder while denoising.
        denoising = blocks + rest + vae
        return {"read prompt": text, "encode": text + vae, "denoise": denoising}.get(phase, vae)

    def _activations(self, pieces: VaePieces) -> dict[str, int]:
        """Return the bytes of activations of each phase, in order."""
        task, seeds, frames = self.work.task, self.work.seeds, self.work.frames
        size = self.work.height, self.work.width
        ray_size = self.work.height // 2, self.work.width // 2
        pixels = _pixel_bytes(frames, size)
        raxels, clips = (frames, seeds) if pieces is VaePieces.WHOLE else (1, 1)
        encode = decode = 0
        if task in ("estimate", "loop"):
            batch = min(frames, TEMPORAL_STRIDE)
            encode = self._autoencode(_ENCODE, batch, size, pieces) + _PIXEL_COPIES * pixels
            if self.device_type == "cpu":
                channels = int(self.shapes.autoencoder.config["in_channels"])
                encode += batch * self._vae_cells(size) * _KERNEL * channels * FLOAT
        if task in ("generate", "loop"):
            encode = max(encode, self._autoencode(_ENCODE, raxels, ray_size, pieces) + pixels)
        if task in ("generate", "imagine"):
            encode = max(encode, self._autoencode(_ENCODE, 1, size, pieces))
        if task in ("generate", "imagine", "loop"):
            batch = clips * self.shapes.temporal_stride
            decode = self._autoencode(_DECODE_CLIP, batch, size, pieces) + 3 * seeds * pixels
        if task in ("estimate", "imagine", "loop"):
            images = clips * raxels
            rays = self._autoencode(_DECODE_IMAGES, images, ray_size, pieces) + 2 * pixels
            decode = max(decode, rays)
        phases = {"encode": encode, "denoise": self._denoise() + pixels, "decode": decode}
        if self.shapes.text_parameters:
            phases = {"read prompt": 0, **phases}
        if task in ("estimate", "loop") and self.device_type == "cpu":
            phases["fit cameras"] = _FIT_PER_FRAME * frames + _FIT_PIXEL_COPIES * pixels
        return phases

    @property
    def _vae_patch(self) -> int:
        return int(self.shapes.autoencoder.config["patch_size"] or 1)

    def _vae_cells(self, size: tuple[int, int]) -> int:
        """Return the cells of the autoencoder's largest feature maps for (height, width) pixels."""
        return size[0] * size[1] // self._vae_patch**2

    def _autoencode(self, maps: int, images: int, size: tuple[int, int], pieces: VaePieces) -> int:
        """Return the bytes of feature maps for so many images at once, or a tile of each."""
        if pieces is VaePieces.TILES:
            tile = self.shapes.autoencoder.tile_sample_min_height * self._vae_patch
            size = min(size[0], tile), min(size[1], tile)
        width = int(self.shapes.autoencoder.config["base_dim"])
        return maps * images * self._vae_cells(size) * width * FLOAT

    def _denoise(self) -> int:
        shapes, work = self.shapes, self.work
        cells = work.height // SPATIAL_STRIDE * (work.width // SPATIAL_STRIDE)
        _, patch_y, patch_x = shapes.network.sizes.video.patch_size
        video = latent_frames(work.frames, shapes.temporal_stride) * cells // (patch_y * patch_x)
        rays = work.frames * cells // 4 // shapes.network.sizes.rays.patch_size**2
        width = shapes.network.sizes.blocks.width
        blocks = _TOKEN_COPIES * (video + rays) * width * self.dtype.itemsize
        prior = work.frames * (_PRIOR_PER_PAIR * cells**2 + _PRIOR_PER_CELL * cells)
        has_prior = shapes.network.sizes.camera_prior is not None
        return work.seeds * max(blocks, prior if has_prior else 0)


def _pixel_bytes(images: int, size: tuple[int, int]) -> int:
    return images * 3 * size[0] * size[1] * FLOAT
