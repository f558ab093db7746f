"""What is known of a model before it is loaded: configs and headers of safetensors files."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import AutoencoderKLWan
from safetensors import safe_open
from torch import nn

from rays_as_pixels.errors import InputError
from rays_as_pixels.model.autoencoder import TEMPORAL_STRIDE
from rays_as_pixels.model.checkpoints import DEFAULT_MODEL
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel

_WAN = {
    "attention_head_dim": 128,
    "in_channels": 16,
    "patch_size": (1, 2, 2),
    "ray_patch_size": 2,
    "text_dim": 4096,
    "share_attention": True,
    "ray_prediction": "velocity",
    "rope_theta": 10000.0,
    "rope_extent": None,
}
_WAN_SIZES = ((480, 832), (720, 1280))
UMT5_XXL = 5_680_910_336  # parameters of Wan's text encoder (hidden 4096, 24 layers, 256,384 words)


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
        stored_bytes: Weight files of each component; empty where there are none.
    """

    name: str
    transformer: dict[str, Any]
    vae: dict[str, Any]
    text_parameters: int = 0
    text_largest: int = 0
    num_frames: int = 49
    max_frames: int = 81
    sizes: tuple[tuple[int, int], ...] = _WAN_SIZES
    stored_bytes: dict[str, int] = field(default_factory=dict)

    @property
    def temporal_stride(self) -> int:
        """Video frames per latent frame, after the first."""
        return int(self.vae.get("scale_factor_temporal", TEMPORAL_STRIDE))

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
        heads_layers_ffn = {"1.3B": (12, 30, 8960), "14B": (40, 40, 13824)}
        if name not in heads_layers_ffn:
            raise InputError(
                f"preset must be mini, 1.3B or 14B; got {name!r}. Name a model folder or "
                "org/name instead."
            )
        heads, layers, ffn = heads_layers_ffn[name]
        own = {"num_attention_heads": heads, "num_layers": layers, "ffn_dim": ffn}
        embedding = 256_384 * 4096
        return cls(name, {**_WAN, **own}, {}, text_parameters=UMT5_XXL, text_largest=embedding)

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
        text = weight_shapes(folder / "text_encoder") if text is None else text
        counts = [numel(shape) for shape in text.values()]
        return cls(
            name or folder.name,
            _config(folder / "transformer"),
            _config(folder / "vae"),
            text_parameters=sum(counts),
            text_largest=max(counts, default=0),
            num_frames=int(index.get("num_frames", 49)),
            max_frames=int(index.get("max_frames", 81)),
            sizes=tuple((int(s[0]), int(s[1])) for s in index.get("sizes", _WAN_SIZES)),
            stored_bytes={
                part: sum(file.stat().st_size for file in (folder / part).glob("*.safetensors"))
                for part in ("transformer", "vae", "text_encoder")
                if (folder / part).is_dir()
            },
        )

    @cached_property
    def network(self) -> RaysAsPixelsTransformer3DModel:
        """The whole joint network, with shapes and no data."""
        return _on_meta(RaysAsPixelsTransformer3DModel, self.transformer)

    def thin_network(self, dtype: torch.dtype) -> RaysAsPixelsTransformer3DModel:
        """Build the network with one block: without gradients all blocks hold the same at a time.

        Args:
            dtype: Of the weights; those that the class keeps in float32 stay so.
        """
        thin = _on_meta(RaysAsPixelsTransformer3DModel, {**self.transformer, "num_layers": 1})
        for name, parameter in thin.named_parameters():
            if not kept_in_float(name):
                parameter.data = parameter.data.to(dtype)
        return thin

    @cached_property
    def autoencoder(self) -> AutoencoderKLWan:
        """The autoencoder, with shapes and no data."""
        return _on_meta(AutoencoderKLWan, self.vae)

    def new_autoencoder(self) -> AutoencoderKLWan:
        """Build another one, to be set up freely."""
        return _on_meta(AutoencoderKLWan, self.vae)


def kept_in_float(name: str) -> bool:
    """Tell whether a weight stays in float32 whatever the precision of its network."""
    kept = RaysAsPixelsTransformer3DModel._keep_in_fp32_modules or []
    return not set(kept).isdisjoint(name.split("."))


def _config(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def _on_meta(kind: type[Any], config: dict[str, Any]) -> Any:
    with torch.device("meta"):
        return cast(nn.Module, kind.from_config(config)).eval()


def weight_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Read the shapes in the headers of a component's safetensors files; {} without any."""
    shapes: dict[str, tuple[int, ...]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - no dict
                shapes[name] = tuple(opened.get_slice(name).get_shape())
    return shapes


def numel(shape: tuple[int, ...]) -> int:
    """Return the number of elements of a shape."""
    count = 1
    for side in shape:
        count *= side
    return count
