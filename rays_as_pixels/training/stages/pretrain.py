"""What a new network is given before it is trained: how to see motion, and first estimates."""

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
from rays_as_pixels.training.stages.pretrain_motion_features import teach_features
from rays_as_pixels.training.stages.train_camera_prior import LEARNING_RATE, teach_prior
from rays_as_pixels.training.stages.train_depth_head import teach_view

_FRAMES = 1500


def fit_motion_parts(
    model: RaysAsPixelsTransformer3DModel,
    clips: Iterator[Tensor],
    batches: Iterator[CleanBatch],
    *,
    codec: LatentCodec,
    accelerator: Accelerator,
    log: Callable[[str], None],
) -> None:
    """Set what follows from the codec by least squares.

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


def teach_motion_parts(
    model: RaysAsPixelsTransformer3DModel,
    batches: Iterator[CleanBatch],
    size: TransformerConfig,
    folder: Path,
    *,
    accelerator: Accelerator,
    log: Callable[[str], None],
    seed: int,
    taught: bool = False,
) -> None:
    """Train the motion features, then the camera and the view prior, each for its minutes.

    Args:
        model: With motion features.
        batches: Latents of clips.
        size: Minutes and rates.
        folder: Of the run.
        accelerator: Device and processes.
        log: Called with one line of text at a time.
        seed: Of the draws.
        taught: Whether they have been taught before; the camera prior then learns more slowly.
    """
    common: dict[str, Any] = {"accelerator": accelerator, "log": log, "seed": seed}
    teach_features(model, batches, size, folder, **common)
    if model.camera_prior is not None:
        teach_prior(
            model.camera_prior,
            batches,
            size.prior_minutes,
            folder,
            accelerator=accelerator,
            log=log,
            learning_rate=size.prior_learning_rate if taught else LEARNING_RATE,
        )
    if model.view_prior is not None:
        teach_view(model.view_prior, batches, size.view_minutes, folder, **common)
