"""Predict the most memory that a verb holds on its device, phase by phase."""

import re
from dataclasses import dataclass
from functools import cache, partial

import torch
from diffusers.hooks.layerwise_casting import DEFAULT_SKIP_MODULES_PATTERN
from torch import nn

from rays_as_pixels.memory.activations import Activations
from rays_as_pixels.memory.settings import FP8, MemorySetting, Offload
from rays_as_pixels.memory.shapes import ModelShapes, kept_in_float
from rays_as_pixels.memory.workload import Workload
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel

CUDA_RESERVE = 900_000_000  # context, libraries and their workspaces; an allowance
CUDA_FRAGMENTS = 0.06  # share of the activations that the allocator loses between them
FLOAT = 4


@dataclass(frozen=True)
class Phase:
    """One part of a verb: bytes of weights and of activations on the device at its peak."""

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
        reserve: Bytes of the device's own libraries and of gaps between tensors.
        host_bytes: Weights in the machine's memory beside the device.
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
class Weights:
    """Bytes of a model's weights between uses: in all, of all blocks and of the largest.

    `casting` is what the largest layer needs in full precision while it is used.
    """

    transformer: int
    blocks: int
    block: int
    vae: int
    text: int
    text_leaf: int
    casting: int


class Planner:
    """Predicts one workload under any setting; what does not depend on the setting is kept.

    Args:
        shapes: Of the model.
        work: What is to be run.
        dtype: Of the transformer and the text encoder; the autoencoder runs in float32.
        device_type: cpu, cuda or mps.

    Raises:
        InputError: The workload breaks a rule.
    """

    def __init__(
        self,
        shapes: ModelShapes,
        work: Workload,
        *,
        dtype: torch.dtype = torch.float32,
        device_type: str = "cuda",
    ) -> None:
        work.check(temporal_stride=shapes.temporal_stride)
        self.shapes, self.work, self.dtype = shapes, work, dtype
        self.device_type = device_type
        self._peaks = cache(Activations(shapes, work, dtype, device_type).of_task)
        self._weights = cache(partial(weight_bytes, shapes, dtype))

    def estimate(self, setting: MemorySetting) -> MemoryEstimate:
        """Predict the peak of the run from shapes alone."""
        peaks = self._peaks(setting.vae)
        weights = self._weights(MemorySetting(fp8=setting.fp8))  # no other part changes them
        phases = tuple(
            Phase(name, _resident(name, weights, setting), size) for name, size in peaks.items()
        )
        largest = max(phase.activations for phase in phases)
        reserve = CUDA_RESERVE + int(CUDA_FRAGMENTS * largest)
        everything = weights.transformer + weights.vae + weights.text
        host = everything if setting.offload is not Offload.NONE else 0
        return MemoryEstimate(setting, phases, 0 if self.device_type == "cpu" else reserve, host)


def weight_bytes(shapes: ModelShapes, dtype: torch.dtype, setting: MemorySetting) -> Weights:
    """Count the bytes of all weights in a precision."""
    network = shapes.network
    stored = _stored(network, dtype, fp8=setting.fp8)
    blocks = [_stored(block, dtype, fp8=setting.fp8) for block in network.blocks]
    layers = [sum(p.numel() for p in layer.parameters()) for layer in _cast_layers(network)]
    text = shapes.text_parameters * dtype.itemsize
    return Weights(
        transformer=stored,
        blocks=sum(blocks),
        block=max(blocks),
        vae=sum(p.numel() for p in shapes.autoencoder.parameters()) * FLOAT,
        text=text,
        text_leaf=shapes.text_largest * dtype.itemsize,
        casting=max(layers, default=0) * dtype.itemsize if setting.fp8 else 0,
    )


def _stored(module: nn.Module, dtype: torch.dtype, *, fp8: bool) -> int:
    size = 0
    cast = {id(p) for layer in _cast_layers(module) for p in layer.parameters()} if fp8 else set()
    for name, parameter in module.named_parameters():
        item = FP8.itemsize if id(parameter) in cast else dtype.itemsize
        item = FLOAT if kept_in_float(name) else item
        size += parameter.numel() * item
    return size


def _cast_layers(module: nn.Module) -> list[nn.Module]:
    """List the layers that layerwise casting keeps in 8 bits."""
    kind = RaysAsPixelsTransformer3DModel
    patterns = {
        *DEFAULT_SKIP_MODULES_PATTERN,
        *(kind._skip_layerwise_casting_patterns or ()),
        *(kind._keep_in_fp32_modules or ()),
    }
    return [
        layer
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv3d)
        and not any(re.search(pattern, name) for pattern in patterns)
    ]


def _resident(phase: str, weights: Weights, setting: MemorySetting) -> int:
    """Bytes of weights on the device during a phase."""
    casting = weights.casting if phase == "denoise" else 0
    if setting.offload is Offload.NONE:
        return weights.transformer + weights.vae + weights.text + casting
    if setting.offload is Offload.GROUP:
        # the autoencoder stays; of the network its first and last layers and two blocks, one of
        # them being fetched while the other computes
        if phase == "read prompt":
            return weights.vae + 2 * weights.text_leaf
        inside = weights.transformer - weights.blocks + 2 * weights.block
        return weights.vae + (inside + casting if phase == "denoise" else 0)
    # Components wait until the one before them in the pipeline's order is needed, so the text
    # encoder is still there while images are encoded, and the autoencoder while denoising.
    return {
        "read prompt": weights.text,
        "denoise": weights.transformer + weights.vae + casting,
        "encode": weights.text + weights.vae,
        "encode rays": weights.text + weights.vae,
    }.get(phase, weights.vae)
