"""Wan 2.1 text-to-video as the start of a joint network: configuration, key map, parameter counts.

The video branch has Wan's names and weights. The ray branch starts as a copy of the video branch's
norms, which in Wan are time modulations, and of its feed-forwards; it shares its attention. The
cross-modal branch starts with the self-attention's shift and scale, so that the shared projections
see what they were trained on, and with its output gates at zero, so that the video's velocity is
Wan's. (Paper, section "Network": Wan 2.1 14B and a ray branch of 6B.)
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import WanTransformer3DModel
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import CheckpointError
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel

WAN_ROPE_THETA = 10000.0
WAN_SHAPES: dict[str, dict[str, Any]] = {
    "1.3B": {"num_attention_heads": 12, "ffn_dim": 8960, "num_layers": 30},
    "14B": {"num_attention_heads": 40, "ffn_dim": 13824, "num_layers": 40},
}
PAPER_BILLIONS = {"14B": {"video branch": 14.0, "ray branch": 6.0}}

Change = Callable[[Tensor], Tensor]


def unchanged(weight: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Copy a weight as it is."""
    return weight


def closed_table(table: Float[Tensor, "1 6 width"]) -> Float[Tensor, "1 3 width"]:
    """Take shift and scale of the self-attention's modulation and close the gate."""
    return torch.cat([table[:, :2], torch.zeros_like(table[:, :1])], dim=1)


def closed_rows(rows: Float[Tensor, "six_widths ..."]) -> Float[Tensor, "three_widths ..."]:
    """Do the same to the projection that gives all six modulations from a noise level."""
    width = len(rows) // 6
    return torch.cat([rows[: 2 * width], torch.zeros_like(rows[:width])])


# Names in Wan. {n}: a block; {p}: weight or bias; {i}: 1 or 2; {x}: q, k or v.
WAN_NAMES = (
    "patch_embedding.{p}",
    "condition_embedder.time_embedder.linear_{i}.{p}",
    "condition_embedder.time_proj.{p}",
    "condition_embedder.text_embedder.linear_{i}.{p}",
    "blocks.{n}.scale_shift_table",
    "blocks.{n}.attn{i}.to_{x}.{p}",
    "blocks.{n}.attn{i}.to_out.0.{p}",
    "blocks.{n}.attn{i}.norm_{x}.weight",
    "blocks.{n}.norm2.{p}",
    "blocks.{n}.ffn.net.0.proj.{p}",
    "blocks.{n}.ffn.net.2.{p}",
    "scale_shift_table",
    "proj_out.{p}",
)
# What else a Wan weight becomes: (name in Wan, name in the joint network, change).
RAY_NAMES: tuple[tuple[str, str, Change], ...] = (
    ("patch_embedding.{p}", "ray_patch_embedding.{p}", unchanged),
    ("condition_embedder.time_proj.{p}", "ray_time_proj.{p}", unchanged),
    ("condition_embedder.time_proj.{p}", "cross_time_proj.{p}", closed_rows),
    ("condition_embedder.time_proj.{p}", "ray_cross_time_proj.{p}", closed_rows),
    ("blocks.{n}.scale_shift_table", "blocks.{n}.ray_scale_shift_table", unchanged),
    ("blocks.{n}.scale_shift_table", "blocks.{n}.cross_scale_shift_table", closed_table),
    ("blocks.{n}.scale_shift_table", "blocks.{n}.ray_cross_scale_shift_table", closed_table),
    ("blocks.{n}.ffn.net.0.proj.{p}", "blocks.{n}.ray_ffn.net.0.proj.{p}", unchanged),
    ("blocks.{n}.ffn.net.2.{p}", "blocks.{n}.ray_ffn.net.2.{p}", unchanged),
    ("scale_shift_table", "ray_scale_shift_table", unchanged),
    ("proj_out.{p}", "ray_proj_out.{p}", unchanged),
)
# What has no origin in Wan: zero, so that stills and clip start alike, and the empty prompt.
ZERO_NAMES = ("kind_embedding", "ray_kind_embedding")
EMPTY_TEXT = "empty_text"

_PARTS = {"n": r"(?P<n>\d+)", "p": "(?P<p>weight|bias)", "i": "(?P<i>[12])", "x": "(?P<x>[qkv])"}


def _compiled(name: str) -> re.Pattern[str]:
    pieces = re.split(r"\{(\w)\}", name)
    pattern = "".join(_PARTS[p] if k % 2 else re.escape(p) for k, p in enumerate(pieces))
    return re.compile(pattern)


_WAN_PATTERNS = {name: _compiled(name) for name in WAN_NAMES}


def joint_names(name: str) -> list[tuple[str, Change]]:
    """Return the joint network's weights that come from a weight of Wan, and how.

    Raises:
        CheckpointError: Wan 2.1 text-to-video has no such weight.
    """
    for wan, pattern in _WAN_PATTERNS.items():
        match = pattern.fullmatch(name)
        if match is not None:
            parts = match.groupdict()
            rays = [(joint.format(**parts), how) for old, joint, how in RAY_NAMES if old == wan]
            return [(name, unchanged), *rays]
    raise CheckpointError(
        f"weights must be those of Wan 2.1 text-to-video; got {name!r}, which it has not. Convert "
        "a T2V checkpoint: image-to-video ones fix the frame order."
    )


_WANTED = {
    "qk_norm": "rms_norm_across_heads",
    "image_dim": None,
    "added_kv_proj_dim": None,
    "pos_embed_seq_len": None,
}


def joint_config(wan: Mapping[str, Any], *, text_len: int) -> dict[str, Any]:
    """Return the joint network's configuration for a Wan transformer's config.json.

    Args:
        wan: The configuration; what it leaves out has diffusers' default.
        text_len: Rows of the empty prompt's embedding.

    Raises:
        CheckpointError: It is not a Wan 2.1 text-to-video transformer.
    """
    if wan.get("_class_name") != "WanTransformer3DModel":
        raise CheckpointError(
            f"transformer must be a WanTransformer3DModel; got {wan.get('_class_name')!r}. "
            "Name a Wan 2.1 text-to-video model in diffusers' format."
        )
    full = {**_wan_defaults(), **wan}
    wrong = [name for name, value in _WANTED.items() if full.get(name) != value]
    patch = tuple(full["patch_size"])
    if full["out_channels"] not in (None, full["in_channels"]):
        wrong.append("out_channels")
    if patch[0] != 1 or patch[1] != patch[2]:
        wrong.append("patch_size")
    if wrong:
        raise CheckpointError(
            f"transformer must be that of Wan 2.1 text-to-video; got {wrong[0]} = "
            f"{full[wrong[0]]!r}. Name a T2V model, not an image-to-video or Wan 2.2 one."
        )
    return {
        "video_config": {"channels": full["in_channels"], "patch_size": list(patch)},
        "ray_config": {"patch_size": patch[1], "prediction": "velocity"},
        "block_config": {
            "num_layers": full["num_layers"],
            "num_heads": full["num_attention_heads"],
            "head_dim": full["attention_head_dim"],
            "ffn_dim": full["ffn_dim"],
            "cross_attn_norm": full["cross_attn_norm"],
            "eps": full["eps"],
            "share_attention": True,
        },
        "rope_config": {"theta": WAN_ROPE_THETA, "extent": None},
        "conditioning_config": {
            "freq_dim": full["freq_dim"],
            "text_dim": full["text_dim"],
            "text_len": text_len,
        },
    }


def _wan_defaults() -> dict[str, Any]:
    parameters = inspect.signature(WanTransformer3DModel.__init__).parameters
    return {name: p.default for name, p in parameters.items() if name != "self"}


def empty_network(config: Mapping[str, Any]) -> RaysAsPixelsTransformer3DModel:
    """Build the network without memory for its weights."""
    with torch.device("meta"):
        return RaysAsPixelsTransformer3DModel(**dict(config))


@dataclass(frozen=True)
class Counts:
    """Parameters by part; `video` is all that Wan has, `rays` all that is added."""

    parts: dict[str, int]

    @property
    def video(self) -> int:
        """Of the video branch, which is Wan."""
        return sum(n for name, n in self.parts.items() if name.startswith("video"))

    @property
    def rays(self) -> int:
        """Of everything that Wan does not have."""
        return sum(self.parts.values()) - self.video

    def table(self, size: str = "") -> str:
        """Return the counts as lines of text, beside the paper's where it gives any."""
        paper = PAPER_BILLIONS.get(size, {})
        unit, name_of_unit = (1e9, "billions") if self.video > 1e8 else (1e3, "thousands")
        rows = [f"{'parameters':<34}{name_of_unit:>10}{'paper' if paper else '':>8}"]
        for name, count in self.parts.items():
            rows.append(f"  {name:<32}{count / unit:>10.3f}")
        totals = {"video branch": self.video, "ray branch": self.rays}
        totals["all"] = sum(totals.values())
        beside = {**paper, "all": sum(paper.values())} if paper else {}
        for name, count in totals.items():
            given = f"{beside[name]:>8.0f}" if name in beside else ""
            rows.append(f"{name:<34}{count / unit:>10.3f}{given}")
        return "\n".join(rows)

    def size(self) -> str:
        """Name the published Wan size that has this many parameters; "" for none."""
        for name in WAN_SHAPES:
            if count_parameters(shape_config(name)).parts == self.parts:
                return name
        return ""


def count_parameters(config: Mapping[str, Any]) -> Counts:
    """Count a joint network's parameters by part, without memory for them."""
    parts = dict.fromkeys(_PART_OF.values(), 0)
    for name, parameter in empty_network(config).named_parameters():
        part = next(part for pattern, part in _PART_OF.items() if re.search(pattern, name))
        parts[part] += parameter.numel()
    return Counts(dict(sorted(parts.items(), key=lambda item: item[0].startswith("rays"))))


# The first pattern found in a parameter's name says which part it belongs to.
_PART_OF = {
    r"cross_scale_shift|cross_time_proj": "rays: cross-modal modulation",
    r"ray_ffn": "rays: feed-forward",
    r"ray_scale_shift|^ray_time_proj": "rays: time modulation",
    r"^ray_|kind_embedding": "rays: in and out",
    r"\.attn1\.": "video: attention",
    r"\.attn2\.|\.norm2\.": "video: text attention",
    r"\.ffn\.": "video: feed-forward",
    r"": "video: the rest",
}


def shape_config(size: str) -> dict[str, Any]:
    """Return the joint configuration at the shape of a published Wan 2.1 T2V model."""
    wan = {"_class_name": "WanTransformer3DModel", "text_dim": 4096, **WAN_SHAPES[size]}
    return joint_config(wan, text_len=512)
