"""Train the network's motion features before the rest of it, which is four times as expensive.

A head on the features alone predicts how far every cell has moved (`auxiliary.cell_motion`). In 10
minutes of a CPU core they are trained on as many clips as the whole network would be in 40, and the
network starts with correspondences in place of having to find them.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn

from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.training.auxiliary import WithMotionHead, motion_head_loss
from rays_as_pixels.training.config import TransformerConfig
from rays_as_pixels.training.objective import CleanBatch
from rays_as_pixels.training.stages.stage_loop import StageLoop

_STATE = "motion-features"
_LEARNING_RATE = 3e-3
_NOISE_LEVEL, _NOISY_SHARE = 0.15, 0.3


class MotionFeaturesAndHead(nn.Module):
    """The parts of a network with motion head that this stage trains, under names of their own."""

    def __init__(self, with_head: WithMotionHead) -> None:
        super().__init__()
        assert with_head.transformer.motion_features is not None
        self.features, self.head = with_head.transformer.motion_features, with_head.early_head


def pretrain_motion_features(
    transformer: RaysAsPixelsTransformer3DModel,
    batches: Iterator[CleanBatch],
    config: TransformerConfig,
    folder: Path,
    *,
    accelerator: Accelerator,
    log: Callable[[str], None],
    seed: int = 0,
) -> None:
    """Train for the minutes of `config.pretraining`; continues from what is in `folder`."""
    model = MotionFeaturesAndHead(WithMotionHead(transformer))
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=_LEARNING_RATE, betas=(0.9, 0.99), weight_decay=1e-4
    )
    loop = StageLoop(
        _STATE,
        model,
        optimiser,
        folder,
        minutes=config.pretraining.motion_features_minutes,
        accelerator=accelerator,
        log=log,
    )
    generator = loop.generator(seed)
    for done in loop.steps():
        clean = next(batches)
        latents, (count, frames) = clean.latents, (len(clean.latents), clean.latents.shape[2])
        noisy = torch.rand(count, 1, generator=generator) < _NOISY_SHARE
        sigma = _NOISE_LEVEL * torch.rand(count, 1, generator=generator) * noisy
        sigma = sigma.expand(count, frames).to(latents.device)
        level = sigma[:, None, :, None, None]
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        predicted = model.features((1 - level) * latents + level * noise, sigma)
        loss = motion_head_loss(model.head(predicted), clean.motion, sigma)
        rate = min(1.0, (loop.step + 1) / 30) * max(0.02, min(1.0, (1 - done) / 0.6))
        loop.descend(loss, learning_rate=_LEARNING_RATE * rate)
        loop.report = f"motion {float(loss.detach()):.4f}"


def load_pretrained_features(with_head: WithMotionHead, folder: Path) -> bool:
    """Load what `pretrain_motion_features` has written to `folder`; tell whether there was any."""
    path = folder / f"{_STATE}-state.pt"
    if with_head.transformer.motion_features is None or not path.exists():
        return False
    state = torch.load(path, map_location="cpu", weights_only=True)
    MotionFeaturesAndHead(with_head).load_state_dict(state["model"])
    return True
