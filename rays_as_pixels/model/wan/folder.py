"""Make a joint pipeline's folder of a Wan 2.1 text-to-video folder in diffusers' format."""

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers import __version__ as diffusers_version
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import CheckpointError, InputError
from rays_as_pixels.model.autoencoder import SPATIAL_STRIDE
from rays_as_pixels.model.checkpoints import PIPELINE_CLASS, TRANSFORMER, read_json
from rays_as_pixels.model.clip_lengths import TEMPORAL_STRIDE
from rays_as_pixels.model.root_module import write_root_module
from rays_as_pixels.model.transformer.text import encode_prompts
from rays_as_pixels.model.wan.convert import Counts, count_parameters, joint_config
from rays_as_pixels.model.wan.stream import plan, weight_files, write_weights

TEXT_LENGTH = 512  # Wan's
_COPIED = ("*.json", "*.safetensors", "*.model", "*.txt")
_REMEDY = "Name a Wan 2.1 text-to-video model in diffusers' format."


@dataclass(frozen=True)
class ConvertOptions:
    """What the converted pipeline should be.

    Attributes:
        num_frames: Clip length, the paper's by default.
        max_frames: Longest clip, Wan's by default.
        sizes: (height, width) in pixels.
        dtype: Of the transformer; None keeps Wan's.
        max_shard_bytes: Largest weight file, and about the most memory the conversion takes.
        text_encoder: Whether to carry tokenizer and text encoder along. Without them the result
            still knows the empty prompt, and takes embeddings.
    """

    num_frames: int = 49
    max_frames: int = 81
    sizes: tuple[tuple[int, int], ...] = ((480, 832), (832, 480))
    dtype: torch.dtype | None = None
    max_shard_bytes: int = 5_000_000_000
    text_encoder: bool = True

    def with_sizes(self, sizes: Sequence[tuple[int, int]]) -> "ConvertOptions":
        """Return the same for other sizes."""
        return replace(self, sizes=tuple(sizes))


@dataclass(frozen=True)
class WanSource:
    """The configs of a Wan folder, checked.

    Attributes:
        folder: The folder.
        index: Its model_index.json.
        vae: The autoencoder's configuration.
        joint: Configuration of the joint network to be made.
        flow_shift: Shift of its noise levels.
    """

    folder: Path
    index: dict[str, Any]
    vae: dict[str, Any]
    joint: dict[str, Any]
    flow_shift: float

    @classmethod
    def read(cls, folder: Path) -> "WanSource":
        """Read the configs.

        Raises:
            CheckpointError: `folder` is not a whole Wan 2.1 text-to-video pipeline.
        """
        index = _checked_index(folder)
        vae = read_json(folder / "vae" / "config.json", _REMEDY)
        joint = joint_config(
            read_json(folder / "transformer" / "config.json", _REMEDY), text_len=TEXT_LENGTH
        )
        _check_vae(vae, joint)
        return cls(folder, index, vae, joint, _flow_shift(folder))

    def files(self, *, text_encoder: bool) -> list[Path]:
        """List the files that are carried along as they are."""
        names = ["vae", *(["tokenizer", "text_encoder"] if text_encoder else [])]
        return [
            file
            for name in names
            for pattern in _COPIED
            for file in sorted((self.folder / name).glob(pattern))
        ]


def convert_wan(
    source: Path, out: Path, options: ConvertOptions, *, progress: Callable[[str, int, int], None]
) -> Counts:
    """Write the folder `out`, whole or not at all.

    Raises:
        CheckpointError: `source` is not a whole Wan 2.1 text-to-video pipeline.
        InputError: `out` is not empty, the disk is too small, or a size does not fit.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"out must be a new or empty folder; got {out}. Choose another name.")
    wan = WanSource.read(source)
    _check_sizes(options, wan.joint)
    progress("embed the empty prompt", 0, 1)
    empty = embed_empty_prompt(
        source, length=TEXT_LENGTH, width=wan.joint["conditioning_config"]["text_dim"]
    )
    progress("embed the empty prompt", 1, 1)
    pieces = plan(
        weight_files(source / "transformer"),
        wan.joint,
        empty_text=empty.to(options.dtype or torch.float32),
        dtype=options.dtype,
    )
    files = wan.files(text_encoder=options.text_encoder)
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "transformer").mkdir(parents=True)
    try:
        _check_space(partial, [p.nbytes for p in pieces] + [f.stat().st_size for f in files])
        write_weights(
            pieces,
            partial / "transformer",
            max_shard_bytes=options.max_shard_bytes,
            progress=lambda done, total: progress("write transformer", done, total),
        )
        for done, file in enumerate(files, start=1):
            target = partial / file.parent.name / file.name
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(file, target)
            progress("copy the other parts", done, len(files))
        _write_configs(partial, wan, options)
        if out.exists():
            out.rmdir()
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return count_parameters(wan.joint)


def _write_configs(folder: Path, wan: WanSource, options: ConvertOptions) -> None:
    """Write the transformer's config, the schedulers and model_index.json."""
    own = {"_class_name": TRANSFORMER[1], "_diffusers_version": diffusers_version}
    _write_json(folder / "transformer" / "config.json", {**own, **wan.joint})
    for name in ("scheduler", "ray_scheduler"):
        FlowMatchEulerDiscreteScheduler(shift=wan.flow_shift).save_pretrained(folder / name)
    scheduler = ["diffusers", "FlowMatchEulerDiscreteScheduler"]
    text = ("tokenizer", "text_encoder")
    _write_json(
        folder / "model_index.json",
        {
            "_class_name": PIPELINE_CLASS,
            "_diffusers_version": diffusers_version,
            "vae": ["diffusers", "AutoencoderKLWan"],
            "transformer": list(TRANSFORMER),
            "scheduler": scheduler,
            "ray_scheduler": scheduler,
            **{name: wan.index[name] if options.text_encoder else [None, None] for name in text},
            # Until they are measured (`measure-raxels`), raxels have the video's statistics.
            "raxel_latents_mean": wan.vae["latents_mean"],
            "raxel_latents_std": wan.vae["latents_std"],
            "num_frames": options.num_frames,
            "max_frames": options.max_frames,
            "sizes": [list(size) for size in options.sizes],
        },
    )
    write_root_module(folder)


def embed_empty_prompt(
    source: Path, *, length: int, width: int
) -> Float[Tensor, "{length} {width}"]:
    """Return the embedding of the empty prompt, reading the encoder layer by layer from the disk.

    Raises:
        CheckpointError: Tokenizer or text encoder cannot be read, or it has another width.
        ModuleNotFoundError: The package transformers is not installed.
    """
    from transformers import AutoTokenizer, UMT5EncoderModel  # noqa: PLC0415 - optional and slow

    try:
        tokenizer = AutoTokenizer.from_pretrained(source / "tokenizer")
        with tempfile.TemporaryDirectory() as scratch:
            encoder = UMT5EncoderModel.from_pretrained(
                source / "text_encoder",
                device_map=_from_disk(source / "text_encoder"),
                offload_folder=scratch,
                use_safetensors=True,
            )
            embeds = encode_prompts(
                tokenizer, encoder.eval(), [""], length=length, device=torch.device("cpu")
            )
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"tokenizer and text_encoder must be readable; got {type(error).__name__} for "
            f"{source}: {' '.join(str(error).split())[:200]}. Fetch the Wan model again."
        ) from error
    if embeds.shape[-1] != width:
        raise CheckpointError(
            f"the text encoder must give the {width} channels that the transformer reads; got "
            f"{embeds.shape[-1]}. {_REMEDY}"
        )
    return embeds[0].detach()


def _from_disk(folder: Path) -> dict[str, str]:
    """Leave every block of the encoder on the disk until it is needed."""
    layers = int(read_json(folder / "config.json", _REMEDY)["num_layers"])
    blocks = {f"encoder.block.{n}": "disk" for n in range(layers)}
    return {
        "shared": "disk",
        "encoder.embed_tokens": "disk",
        **blocks,
        "encoder.final_layer_norm": "cpu",
    }


def _checked_index(source: Path) -> dict[str, Any]:
    if not source.is_dir():
        raise CheckpointError(f"source must be a folder; got {source}, which is none. {_REMEDY}")
    index = read_json(source / "model_index.json", _REMEDY)
    if index.get("_class_name") != "WanPipeline" or (index.get("transformer_2") or [None])[0]:
        raise CheckpointError(
            f"source must be a WanPipeline with one transformer; got a "
            f"{index.get('_class_name')!r} in {source}. {_REMEDY}"
        )
    for name in ("transformer", "vae", "scheduler", "tokenizer", "text_encoder"):
        if (index.get(name) or [None])[0] is None or not (source / name).is_dir():
            raise CheckpointError(
                f"source must hold the part {name!r}; got {source} without it. {_REMEDY}"
            )
    return index


def _check_vae(vae: dict[str, Any], config: dict[str, Any]) -> None:
    strides = (vae.get("scale_factor_temporal", 4), vae.get("scale_factor_spatial", 8))
    has_statistics = bool(vae.get("latents_mean")) and bool(vae.get("latents_std"))
    if (
        vae.get("_class_name") != "AutoencoderKLWan"
        or strides != (TEMPORAL_STRIDE, SPATIAL_STRIDE)
        or vae.get("z_dim") != config["video_config"]["channels"]
        or not has_statistics
    ):
        raise CheckpointError(
            f"vae must be Wan 2.1's, with strides {TEMPORAL_STRIDE} and {SPATIAL_STRIDE}, "
            f"{config['video_config']['channels']} channels and their statistics; got "
            f"{vae.get('_class_name')!r} with {strides} and {vae.get('z_dim')}. {_REMEDY}"
        )


def _check_sizes(options: ConvertOptions, config: dict[str, Any]) -> None:
    side = 2 * SPATIAL_STRIDE * config["ray_config"]["patch_size"]  # rays have half the raster
    for height, width in options.sizes:
        if height % side or width % side or min(height, width) < side:
            raise InputError(
                f"size must be a multiple of {side} pixels on both sides; got {height} x {width}. "
                f"Use {max(1, height // side) * side} x {max(1, width // side) * side}."
            )
    for name in ("num_frames", "max_frames"):
        count = getattr(options, name)
        if count % TEMPORAL_STRIDE != 1 or count < 5 or count < options.num_frames:
            raise InputError(
                f"{name} must be {TEMPORAL_STRIDE}k+1, at least 5 and num_frames; got {count}. "
                "Use 49 and 81, the paper's and Wan's."
            )


def _flow_shift(source: Path) -> float:
    scheduler = read_json(source / "scheduler" / "scheduler_config.json", _REMEDY)
    shift = scheduler.get("flow_shift", scheduler.get("shift"))
    if not isinstance(shift, int | float) or isinstance(shift, bool) or shift <= 0:
        raise CheckpointError(
            f"scheduler must give its flow_shift or shift; got {shift!r}. {_REMEDY}"
        )
    return float(shift)


def _check_space(folder: Path, sizes: list[int]) -> None:
    needed, free = sum(sizes), shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"the disk must have {needed / 1e9:.1f} GB free for the result; got {free / 1e9:.1f} "
            "GB. Free some, write elsewhere, or use --dtype bfloat16 or --no-text-encoder."
        )


def _write_json(file: Path, value: dict[str, Any]) -> None:
    file.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
