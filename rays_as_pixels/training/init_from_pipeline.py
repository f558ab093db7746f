"""Train what a pipeline folder holds, whatever its size, such as what `convert-wan` made.

Network, autoencoder, frame count, sizes and raxel statistics are the folder's; the autoencoder
is not trained.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from diffusers import AutoencoderKLWan

from rays_as_pixels.errors import InputError
from rays_as_pixels.files import write_json
from rays_as_pixels.model.checkpoints import check_model_folder
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
from rays_as_pixels.training.config import TrainingConfig

_TEXT = ("tokenizer", "text_encoder")


def copy_autoencoder(config: TrainingConfig, source: Path | None, run: Path) -> TrainingConfig:
    """Put a folder's autoencoder and statistics into a run, and return its configuration.

    Raises:
        CheckpointError: The folder is no whole pipeline.
        InputError: There is no folder.
    """
    if source is None:
        raise InputError(
            f"--init-from must name a pipeline for --config {config.name}; got none. Make one with "
            "`convert-wan`."
        )
    check_model_folder(source)
    index = json.loads((source / "model_index.json").read_text(encoding="utf-8"))
    if not (run / "vae" / "config.json").exists():
        shutil.copytree(source / "vae", run / "vae", dirs_exist_ok=True)
        mean, std = index["raxel_latents_mean"], index["raxel_latents_std"]
        write_json(run / "raxel-statistics.json", {"mean": mean, "std": std})
    vae = json.loads((source / "vae" / "config.json").read_text(encoding="utf-8"))
    return replace(
        config,
        num_frames=index["num_frames"],
        sizes=tuple((size[0], size[1]) for size in index["sizes"]),
        autoencoder=replace(config.autoencoder, z_dim=vae["z_dim"]),
    )


def load_transformer(source: Path) -> RaysAsPixelsTransformer3DModel:
    """Load a folder's network in float32, to be trained with checkpointed blocks."""
    model = RaysAsPixelsTransformer3DModel.from_pretrained(
        source / "transformer", torch_dtype=torch.float32
    )
    model.enable_gradient_checkpointing()
    return model


def assemble_pipeline(
    source: Path, autoencoder: AutoencoderKLWan, transformer: RaysAsPixelsTransformer3DModel
) -> RaysAsPixelsPipeline:
    """Assemble a folder's pipeline around parts in training, without its text encoder."""
    pipeline = RaysAsPixelsPipeline.from_pretrained(
        source, vae=autoencoder, transformer=transformer, tokenizer=None, text_encoder=None
    )
    return cast(RaysAsPixelsPipeline, pipeline)


def copy_text_encoder(source: Path, exported: Path) -> None:
    """Copy tokenizer and text encoder of a folder, if it has them, into an exported one."""
    listed = json.loads((source / "model_index.json").read_text(encoding="utf-8"))
    index = json.loads((exported / "model_index.json").read_text(encoding="utf-8"))
    for name in _TEXT:
        if (listed.get(name) or [None])[0] is not None:
            shutil.copytree(source / name, exported / name, dirs_exist_ok=True)
            index[name] = listed[name]
    write_json(exported / "model_index.json", index)
