"""Write a joint network's weights from Wan's, shard by shard: never all of them in memory."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from rays_as_pixels.errors import CheckpointError
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.model.wan.convert import EMPTY_TEXT, ZERO_NAMES, empty_network, joint_names

_STEM = "diffusion_pytorch_model"
_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_REMEDY = "Fetch the Wan model again."


@dataclass(frozen=True)
class Piece:
    """One weight to be written, and how to make it when its turn comes."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    make: Callable[[], Tensor]

    @property
    def nbytes(self) -> int:
        """Size on disk."""
        return torch.Size(self.shape).numel() * self.dtype.itemsize


def weight_files(folder: Path) -> list[Path]:
    """Return a transformer folder's weight files, all of those that its index names.

    Raises:
        CheckpointError: One is missing, or there is none.
    """
    index = folder / f"{_STEM}.safetensors.index.json"
    if index.exists():
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    else:
        names = [f"{_STEM}.safetensors"]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(
            f"the transformer must have its weights as safetensors files; got none named "
            f"{missing[0]} in {folder}. {_REMEDY}"
        )
    return [folder / name for name in names]


def plan(
    files: list[Path],
    config: Mapping[str, Any],
    *,
    empty_text: Tensor,
    dtype: torch.dtype | None,
) -> list[Piece]:
    """List every weight of the joint network; reads headers only.

    Args:
        files: Wan's weight files.
        config: Of the joint network.
        empty_text: Embedding of the empty prompt.
        dtype: To cast to; None keeps each weight's own. What diffusers keeps in float32 is not
            cast.

    Raises:
        CheckpointError: A weight is missing, too many, of a wrong shape, or a file is damaged.
    """
    wanted = {k: tuple(v.shape) for k, v in empty_network(config).state_dict().items()}
    pieces: dict[str, Piece] = {}
    for file in files:
        for piece in _pieces_of(file, dtype):
            pieces[piece.name] = piece
    width = config["block_config"]["num_heads"] * config["block_config"]["head_dim"]
    for name in ZERO_NAMES:
        pieces[name] = _ready(name, torch.zeros(3, width, dtype=_common_dtype(pieces)))
    pieces[EMPTY_TEXT] = _ready(EMPTY_TEXT, empty_text)
    _check_fit(wanted, {name: piece.shape for name, piece in pieces.items()})
    return list(pieces.values())


def _ready(name: str, value: Tensor) -> Piece:
    return Piece(name, tuple(value.shape), value.dtype, lambda: value)


def _common_dtype(pieces: Mapping[str, Piece]) -> torch.dtype:
    return pieces["proj_out.weight"].dtype if "proj_out.weight" in pieces else torch.float32


def _pieces_of(file: Path, dtype: torch.dtype | None) -> list[Piece]:
    kept = RaysAsPixelsTransformer3DModel._keep_in_fp32_modules
    pieces = []
    try:
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - not a dict
                header = opened.get_slice(name)
                stored = _DTYPES.get(header.get_dtype())
                if stored is None:
                    raise CheckpointError(
                        f"weights must be float32, float16 or bfloat16; got {header.get_dtype()} "
                        f"for {name}. Convert an unquantised model."
                    )
                for target, change in joint_names(name):
                    cast = dtype is not None and not any(part in target for part in kept)
                    meta = change(torch.empty(header.get_shape(), device="meta"))
                    own = dtype if cast and dtype is not None else stored
                    make = _maker(file, name, change, own)
                    pieces.append(Piece(target, tuple(meta.shape), own, make))
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"weights must be whole safetensors files; got {file} with: {error}. {_REMEDY}"
        ) from error
    return pieces


def _maker(
    file: Path, name: str, change: Callable[[Tensor], Tensor], dtype: torch.dtype
) -> Callable[[], Tensor]:
    def make() -> Tensor:
        with safe_open(file, framework="pt") as opened:
            return change(opened.get_tensor(name)).to(dtype).contiguous()

    return make


def _check_fit(wanted: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]]) -> None:
    missing = sorted(wanted.keys() - found.keys())
    extra = sorted(found.keys() - wanted.keys())
    shapes = sorted(k for k in wanted.keys() & found.keys() if wanted[k] != found[k])
    if missing or extra or shapes:
        raise CheckpointError(
            f"Wan's weights must fit its config.json exactly; got {len(missing)} missing "
            f"({', '.join(missing[:3]) or 'none'}), {len(extra)} too many "
            f"({', '.join(extra[:3]) or 'none'}) and {len(shapes)} of another shape "
            f"({', '.join(shapes[:3]) or 'none'}). {_REMEDY}"
        )


def shards_of(pieces: list[Piece], max_shard_bytes: int) -> list[list[Piece]]:
    """Cut a plan, in order, into shards of at most so many bytes, or of one weight."""
    shards: list[list[Piece]] = [[]]
    filled = 0
    for piece in pieces:
        if shards[-1] and filled + piece.nbytes > max_shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append(piece)
        filled += piece.nbytes
    return shards


def write_weights(
    pieces: list[Piece],
    folder: Path,
    *,
    max_shard_bytes: int,
    progress: Callable[[int, int], None],
) -> None:
    """Make and write one shard after the other, and their index, as diffusers names them.

    Args:
        pieces: The plan.
        folder: Of the transformer; exists.
        max_shard_bytes: Also about the most memory that this takes.
        progress: Called with (shards written, shards in all).
    """
    shards = shards_of(pieces, max_shard_bytes)
    weight_map = {}
    for index, shard in enumerate(shards):
        name = f"{_STEM}-{index + 1:05d}-of-{len(shards):05d}.safetensors"
        if len(shards) == 1:
            name = f"{_STEM}.safetensors"
        save_file({p.name: p.make() for p in shard}, folder / name, metadata={"format": "pt"})
        weight_map |= {piece.name: name for piece in shard}
        progress(index + 1, len(shards))
    if len(shards) > 1:
        listed = {
            "metadata": {"total_size": sum(piece.nbytes for piece in pieces)},
            "weight_map": dict(sorted(weight_map.items())),
        }
        index_file = folder / f"{_STEM}.safetensors.index.json"
        index_file.write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")
