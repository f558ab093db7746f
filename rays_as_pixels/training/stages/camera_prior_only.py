"""Train a finished pipeline's camera prior further: what a CPU can improve in an hour."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import torch
from accelerate import Accelerator

from rays_as_pixels.errors import InputError
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
from rays_as_pixels.training.config import TransformerConfig
from rays_as_pixels.training.export import load_raxel_statistics, save_pipeline
from rays_as_pixels.training.objective import CleanBatch
from rays_as_pixels.training.stages.train_camera_prior import train_camera_prior


def pipeline_with_prior(init_from: Path | None, run_folder: Path) -> Path:
    """Return the pipeline folder whose camera prior is trained and whose autoencoder encodes clips.

    Raises:
        InputError: None is given, or the run's clips were encoded by another one.
        CheckpointError: The folder is damaged.
    """
    if init_from is None:
        raise InputError(
            "the stage camera-prior needs a pipeline to start from; got none. "
            "Add --init-from checkpoints/raxel-mini."
        )
    known = run_folder / "raxel-statistics.json"
    if known.exists() and json.loads(known.read_text()) != load_raxel_statistics(init_from):
        raise InputError(
            f"clips must be encoded by the pipeline to start from; got those of another in "
            f"{run_folder}. Choose a new --run."
        )
    return init_from


def continue_camera_prior(
    init_from: Path,
    export_folder: Path,
    batches: Iterator[CleanBatch],
    config: TransformerConfig,
    run_folder: Path,
    *,
    accelerator: Accelerator,
    log: Callable[[str], None],
) -> None:
    """Train for `config.pretraining.camera_prior_minutes` over all runs, and write the pipeline.

    Args:
        init_from: Pipeline folder to begin with; all but its camera prior stays.
        export_folder: Where the new one goes.
        batches: Clips, encoded by that pipeline's autoencoder.
        config: Time and learning rate.
        run_folder: State of the run.
        accelerator: Device and processes.
        log: Called with one line of text at a time.

    Raises:
        InputError: The pipeline has no camera prior.
    """
    known = init_from / "training.json"
    facts = json.loads(known.read_text(encoding="utf-8")) if known.exists() else {}
    pipeline = RaysAsPixelsPipeline.from_pretrained(init_from)
    prior = pipeline.transformer.camera_prior
    if prior is None:
        raise InputError(
            f"the stage camera-prior needs a network with a camera prior; got {init_from} without. "
            "Train with a configuration that has motion features."
        )
    cast(torch.nn.Module, pipeline.transformer).to(accelerator.device)
    steps = train_camera_prior(
        prior,
        batches,
        config.pretraining.camera_prior_minutes,
        run_folder,
        learning_rate=config.pretraining.camera_prior_learning_rate,
        accelerator=accelerator,
        log=log,
    )
    if accelerator.is_main_process:
        facts |= {"prior_steps": steps, "prior_batch": config.batch_size}
        save_pipeline(
            pipeline, export_folder, weights=pipeline.transformer.state_dict(), facts=facts
        )
    accelerator.wait_for_everyone()
