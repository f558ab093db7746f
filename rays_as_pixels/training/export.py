"""Put trained parts into a pipeline folder, and take them out again to go on training."""

import json
import shutil
from pathlib import Path
from typing import cast

import torch
from diffusers import AutoencoderKLWan
from torch import Tensor

from rays_as_pixels.errors import CheckpointError
from rays_as_pixels.model.checkpoints import check_model_folder
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.pipeline.defaults import VIDEO_SHIFT
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
from rays_as_pixels.pipeline.schedule import new_scheduler
from rays_as_pixels.training.config import TrainingConfig

MAX_SHARD, MAX_SHARD_LARGE = "15MB", "5GB"
LARGE_NETWORK = 100_000_000  # parameters


def build_pipeline(
    config: TrainingConfig,
    autoencoder: AutoencoderKLWan,
    transformer: RaysAsPixelsTransformer3DModel,
    raxel_statistics: dict[str, list[float]],
) -> RaysAsPixelsPipeline:
    """Assemble trained parts."""
    return RaysAsPixelsPipeline(
        vae=autoencoder,
        transformer=transformer,
        scheduler=new_scheduler(),
        ray_scheduler=new_scheduler(),
        raxel_latents_mean=raxel_statistics["mean"],
        raxel_latents_std=raxel_statistics["std"],
        num_frames=config.num_frames,
        max_frames=2 * config.num_frames - 1,
        sizes=sorted(set(config.sizes)),
        video_shift=1.0 if transformer.view_prior is None else VIDEO_SHIFT,
    )


def save_pipeline(
    pipeline: RaysAsPixelsPipeline,
    folder: Path,
    *,
    weights: dict[str, Tensor],
    facts: dict[str, object],
) -> None:
    """Write a pipeline folder, the transformer in bfloat16, with the facts of its training.

    The folder appears whole: it is written beside its place and moved there.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    own = pipeline.transformer
    transformer = cast(torch.nn.Module, RaysAsPixelsTransformer3DModel.from_config(own.config))
    transformer.load_state_dict(weights)
    pipeline.register_modules(transformer=transformer.to(torch.bfloat16))
    try:
        count = sum(weight.numel() for weight in weights.values())
        shard = MAX_SHARD if count < LARGE_NETWORK else MAX_SHARD_LARGE
        pipeline.save_pretrained(partial, max_shard_size=shard)
    finally:
        pipeline.register_modules(transformer=own)
    for part in partial.glob("*/config.json"):  # diffusers notes where on this machine they were
        stored = json.loads(part.read_text(encoding="utf-8"))
        if stored.pop("_name_or_path", None) is not None:
            part.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")
    (partial / "training.json").write_text(json.dumps(facts, indent=1) + "\n")
    for kept in ("README.md", "evaluation.json", "evaluation.md"):
        if (folder / kept).exists():
            shutil.copy(folder / kept, partial / kept)
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)


def load_autoencoder_weights(autoencoder: AutoencoderKLWan, folder: Path) -> None:
    """Give a new autoencoder the weights of a pipeline folder.

    Raises:
        CheckpointError: The folder is damaged or its autoencoder has another size.
    """
    _copy_weights(autoencoder, load_autoencoder(folder), "vae", folder)


def load_autoencoder(folder: Path) -> AutoencoderKLWan:
    """Load the autoencoder of a pipeline folder in float32.

    Raises:
        CheckpointError: The folder is damaged.
    """
    check_model_folder(folder)
    return AutoencoderKLWan.from_pretrained(folder / "vae", torch_dtype=torch.float32)


def load_raxel_statistics(folder: Path) -> dict[str, list[float]]:
    """Read mean and deviation of a pipeline's raxel latents, by channel.

    Raises:
        CheckpointError: The folder is damaged.
    """
    check_model_folder(folder)
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    return {"mean": index["raxel_latents_mean"], "std": index["raxel_latents_std"]}


def load_transformer_weights(transformer: RaysAsPixelsTransformer3DModel, folder: Path) -> None:
    """Give a new transformer the weights of a pipeline folder.

    Raises:
        CheckpointError: The folder is damaged or its transformer has another size.
    """
    check_model_folder(folder)
    stored = RaysAsPixelsTransformer3DModel.from_pretrained(
        folder / "transformer", torch_dtype=torch.float32
    )
    _copy_weights(transformer, stored, "transformer", folder)


def _copy_weights(
    target: torch.nn.Module, source: torch.nn.Module, name: str, folder: Path
) -> None:
    wanted = {key: tuple(value.shape) for key, value in target.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in source.state_dict().items()}
    if wanted != found:
        raise CheckpointError(
            f"{name} to start from must have the size of the configuration; got another in "
            f"{folder}. Choose the configuration it was trained with (training.json), or start "
            "anew."
        )
    target.load_state_dict(source.state_dict())
