"""Sizes of a model before it is loaded: from its configs and the headers of its weight files."""

import json
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLWan
from safetensors import safe_open
from torch import nn

from rays_as_pixels.errors import InputError
from rays_as_pixels.model.checkpoints import DEFAULT_MODEL
from rays_as_pixels.model.clip_lengths import TEMPORAL_STRIDE
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.model.wan.convert import WAN_SHAPES, shape_config

_WAN_SIZES = ((480, 832), (720, 1280))
# Parameters of Wan's text encoder, UMT5-XXL (hidden 4096, 24 layers), and of its word embedding,
# the largest layer.
UMT5_XXL, UMT5_EMBEDDING = 5_680_910_336, 256_384 * 4096


@dataclass(frozen=True, eq=False)
class ModelShapes:
    """Sizes of everything in a pipeline.

    Attributes:
        name: Of the model.
        transformer: Config of the joint network.
        vae: Config of the autoencoder.
        text_parameters: Weights of the text encoder; 0 without one.
        text_largest: Weights of its largest layer, which leaf offloading holds at once.
        num_frames: Clip length it was trained at.
        max_frames: Longest clip it takes.
        sizes: (height, width) it was trained at.
        stored_bytes: Of all weight files; 0 where there are none.
    """

    name: str
    transformer: dict[str, Any]
    vae: dict[str, Any]
    text_parameters: int = 0
    text_largest: int = 0
    num_frames: int = 49
    max_frames: int = 81
    sizes: tuple[tuple[int, int], ...] = _WAN_SIZES
    stored_bytes: int = 0

    @classmethod
    def from_preset(cls, name: str) -> "ModelShapes":
        """Return the shapes of a model by a short name.

        Args:
            name: `mini`, the model that comes with the project; `1.3B` or `14B`, Wan 2.1's public
                sizes with rays added, of which none need exist.

        Raises:
            InputError: No such preset.
        """
        if name == "mini":
            return cls.from_folder(DEFAULT_MODEL, name=name)
        if name not in WAN_SHAPES:
            raise InputError(
                f"preset must be mini, 1.3B or 14B; got {name!r}. Name a model folder or "
                "org/name instead."
            )
        text_parameters, text_largest = UMT5_XXL, UMT5_EMBEDDING
        return cls(name, shape_config(name), {}, text_parameters, text_largest)

    @classmethod
    def from_folder(
        cls,
        folder: Path,
        *,
        name: str | None = None,
        text: dict[str, tuple[int, ...]] | None = None,
    ) -> "ModelShapes":
        """Read configs and headers of a pipeline folder; no weight is read.

        Args:
            folder: With at least the configs.
            name: Of the model; the folder's if None.
            text: Shapes of the text encoder's weights, where the folder lacks them.
        """
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        text = _weight_shapes(folder / "text_encoder") if text is None else text
        counts = [prod(shape) for shape in text.values()]
        return cls(
            name or folder.name,
            json.loads((folder / "transformer" / "config.json").read_text(encoding="utf-8")),
            json.loads((folder / "vae" / "config.json").read_text(encoding="utf-8")),
            text_parameters=sum(counts),
            text_largest=max(counts, default=0),
            num_frames=int(index.get("num_frames", 49)),
            max_frames=int(index.get("max_frames", 81)),
            sizes=tuple((int(s[0]), int(s[1])) for s in index.get("sizes", _WAN_SIZES)),
            stored_bytes=sum(file.stat().st_size for file in folder.glob("*/*.safetensors")),
        )

    @cached_property
    def network(self) -> RaysAsPixelsTransformer3DModel:
        """The joint network, with shapes and no data."""
        with torch.device("meta"):
            return RaysAsPixelsTransformer3DModel.from_config(self.transformer)

    @cached_property
    def autoencoder(self) -> Any:
        """The autoencoder, with shapes and no data."""
        with torch.device("meta"):
            return AutoencoderKLWan.from_config(self.vae)

    @cached_property
    def transformer_parameters(self) -> int:
        """Weights of the joint network."""
        return count_parameters(self.network)

    @cached_property
    def vae_parameters(self) -> int:
        """Weights of the autoencoder."""
        return count_parameters(self.autoencoder)

    @property
    def temporal_stride(self) -> int:
        """Video frames per latent frame, after the first."""
        return int(self.vae.get("scale_factor_temporal", TEMPORAL_STRIDE))


def count_parameters(module: nn.Module) -> int:
    """Return the number of weights of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


def _weight_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Read the shapes in the headers of a component's safetensors files; {} without any."""
    shapes: dict[str, tuple[int, ...]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - no dict
                shapes[name] = tuple(opened.get_slice(name).get_shape())
    return shapes
