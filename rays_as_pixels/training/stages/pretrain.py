"""What is set and trained before the rest of a new network: motion features and both priors."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor

from rays_as_pixels.model.autoencoder import LatentCodec
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.training.config import TransformerConfig
from rays_as_pixels.training.objective import CleanBatch
from rays_as_pixels.training.stages.fit_motion import (
    fit_camera_prior,
    fit_latent_flow,
    fit_pictures,
)
from rays_as_pixels.training.stages.fit_view_prior import fit_view_prior
from rays_as_pixels.training.stages.pretrain_motion_features import pretrain_motion_features
from rays_as_pixels.training.stages.train_camera_prior import LEARNING_RATE, train_camera_prior
from rays_as_pixels.training.stages.train_depth_head import train_depth_head

_FRAMES = 1500


def fit_by_least_squares(
    model: RaysAsPixelsTransformer3DModel,
    clips: Iterator[Tensor],
    batches: Iterator[CleanBatch],
    *,
    codec: LatentCodec,
    accelerator: Accelerator,
    log: Callable[[str], None],
) -> None:
    """Fit what follows from the autoencoder by least squares.

    Args:
        model: With motion features.
        clips: Videos (n, frames, 3, height, width) in [0, 1]; as many as needed are drawn.
        batches: Latents of clips.
        codec: Of the latents.
        accelerator: Processes; all end with the same.
        log: Called with one line of text at a time.
    """
    assert model.motion_features is not None
    frames: list[Tensor] = []
    for video in clips:
        if not frames or video.shape[-2:] == frames[0].shape[-2:]:
            frames.append(video[:, ::4].flatten(0, 1))
        if sum(map(len, frames)) >= _FRAMES:
            break
    flow, prior = model.motion_features.flow, model.camera_prior
    fit_latent_flow(flow, codec, torch.cat(frames), log)
    fitted: list[Tensor] = list(flow.parameters())
    if prior is not None:
        fit_pictures(prior.motion.pictures, codec, torch.cat(frames), log)
        fit_camera_prior(prior, batches, log)
        fitted += [*prior.code.parameters(), *prior.buffers()]
    if model.view_prior is not None:
        fit_view_prior(model.view_prior, codec, torch.cat(frames), batches, log)
        fitted += [*model.view_prior.buffers()]
    if accelerator.num_processes > 1:  # each has fitted to clips of its own
        for tensor in fitted:
            tensor.data = cast(Tensor, broadcast(tensor.data))


def pretrain(
    model: RaysAsPixelsTransformer3DModel,
    batches: Iterator[CleanBatch],
    config: TransformerConfig,
    folder: Path,
    *,
    accelerator: Accelerator,
    log: Callable[[str], None],
    seed: int,
    pretrained: bool = False,
) -> None:
    """Train the motion features, then the camera and the view prior, each for its minutes.

    Args:
        model: With motion features.
        batches: Latents of clips.
        config: Minutes and rates.
        folder: Of the run.
        accelerator: Device and processes.
        log: Called with one line of text at a time.
        seed: Of the draws.
        pretrained: Whether they have been trained before; the camera prior then trains at
            `camera_prior_learning_rate`.
    """
    common: dict[str, Any] = {"accelerator": accelerator, "log": log, "seed": seed}
    pretrain_motion_features(model, batches, config, folder, **common)
    if model.camera_prior is not None:
        train_camera_prior(
            model.camera_prior,
            batches,
            config.pretraining.camera_prior_minutes,
            folder,
            accelerator=accelerator,
            log=log,
            learning_rate=config.pretraining.camera_prior_learning_rate
            if pretrained
            else LEARNING_RATE,
        )
    if model.view_prior is not None:
        train_depth_head(
            model.view_prior, batches, config.pretraining.depth_head_minutes, folder, **common
        )
