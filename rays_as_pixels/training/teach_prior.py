"""Teach the camera prior to read cameras from the motion of frames, before the network is trained.

Moments of a clip cost a hundred times what the head on them does. So clips are kept as their
moments once these are known, and every step learns from clips drawn among all that were seen.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from accelerate import Accelerator
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.model.camera_prior import CameraPrior, camera_numbers
from rays_as_pixels.training.objective import CleanBatch
from rays_as_pixels.training.stage_loop import StageLoop

_STATE = "prior"
_LEARNING_RATE = 1e-3
_WEIGHT_DECAY = 0.05
_BATCH = 64
_STEPS_PER_CLIP_BATCH = 8
_LENS_WEIGHT = 0.5
_SMOOTH = 0.2  # deviations; larger camera errors count in proportion, smaller ones as squares


class SeenClips:
    """Moments and cameras of clips, in memory: 2 kB a clip of 9 frames."""

    def __init__(self) -> None:
        self.moments: list[Tensor] = []
        self.numbers: list[Tensor] = []
        self.aspect: list[float] = []

    def __len__(self) -> int:
        return len(self.moments)

    def add(self, prior: CameraPrior, clean: CleanBatch) -> None:
        """Take the moments of a batch."""
        height, width = clean.latents.shape[-2:]
        self.moments += list(prior.motion(clean.latents).cpu())
        self.numbers += list(camera_numbers(clean.pose, height, width).cpu())
        self.aspect += [float(torch.tensor(width / height).log())] * len(clean.latents)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return moments, camera numbers and aspects of `count` of them, with repetition."""
        index = torch.randint(len(self), (count,), generator=generator).tolist()
        return (
            torch.stack([self.moments[i] for i in index]),
            torch.stack([self.numbers[i] for i in index]),
            torch.tensor([self.aspect[i] for i in index]),
        )


def teach_prior(
    prior: CameraPrior,
    batches: Iterator[CleanBatch],
    minutes: float,
    folder: Path,
    *,
    accelerator: Accelerator,
    log: Callable[[str], None],
    seed: int = 0,
) -> None:
    """Train for `minutes`, writing to `folder`; continues from what is there.

    Args:
        prior: Fitted by `motion_fit.fit_pictures` and `fit_camera_prior`.
        batches: Clips.
        minutes: Of training.
        folder: Of the run.
        accelerator: Device and processes.
        log: Called with one line of text at a time.
        seed: Of the draws.
    """
    learned = [p for name, p in prior.named_parameters() if not name.startswith("code.")]
    optimiser = torch.optim.AdamW(learned, lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    loop = StageLoop(
        _STATE, prior, optimiser, folder,
        minutes=minutes, accelerator=accelerator, log=log,
    )  # fmt: skip
    generator, seen = loop.generator(seed), SeenClips()
    for done in loop.steps():
        if loop.step % _STEPS_PER_CLIP_BATCH == 0 or not len(seen):
            seen.add(prior, next(batches))
        moments, numbers, aspect = (
            one.to(accelerator.device) for one in seen.draw(_BATCH, generator)
        )
        loss, degrees = camera_loss(prior.numbers(moments, aspect), numbers, prior.spread)
        rate = min(1.0, (loop.step + 1) / 100) * max(0.01, min(1.0, (1 - done) / 0.6))
        loop.descend(loss, learning_rate=_LEARNING_RATE * rate)
        loop.report = f"clips {len(seen)} camera {float(loss.detach()):.4f} deg {degrees:.3f}"


def camera_loss(
    told: Float[Tensor, "batch t 8"],
    truth: Float[Tensor, "batch t 8"],
    spread: Float[Tensor, "8"],
) -> tuple[Float[Tensor, ""], float]:
    """Return the error of cameras in deviations, and of rotations in mean degrees."""
    error = (told - truth) / spread
    row = torch.cat([error[:, 1:, :6].flatten(), _LENS_WEIGHT * error[..., 6:].flatten()])
    loss = nn.functional.smooth_l1_loss(row, torch.zeros_like(row), beta=_SMOOTH)
    off = (error * spread)[:, 1:, :3].detach().norm(dim=-1)
    return loss, float(torch.rad2deg(off).mean())
