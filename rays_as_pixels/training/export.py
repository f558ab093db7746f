"""Put trained parts into a pipeline folder, and take them out again to go on training."""

import json
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan
from torch import Tensor

from rays_as_pixels.diffusion.schedule import new_scheduler
from rays_as_pixels.model.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.pipeline import RaysAsPixelsPipeline
from rays_as_pixels.training.config import TrainingConfig

MAX_SHARD = "15MB"


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
    transformer = RaysAsPixelsTransformer3DModel.from_config(pipeline.transformer.config)
    transformer.load_state_dict(weights)
    own = pipeline.transformer
    pipeline.register_modules(transformer=transformer.to(torch.bfloat16))
    try:
        pipeline.save_pretrained(partial, max_shard_size=MAX_SHARD)
    finally:
        pipeline.register_modules(transformer=own)
    (partial / "training.json").write_text(json.dumps(facts, indent=1) + "\n")
    for kept in ("README.md", "evaluation.json", "evaluation.md"):
        if (folder / kept).exists():
            shutil.copy(folder / kept, partial / kept)
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
