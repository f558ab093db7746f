"""Train the view prior's depths by what other frames of the clip look like through them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from accelerate import Accelerator
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.model.view_prior.view_prior import ViewPrior
from rays_as_pixels.training.objective import CleanBatch
from rays_as_pixels.training.stages.fit_motion import clips_of
from rays_as_pixels.training.stages.fit_view_prior import expected_view, measure_deviations
from rays_as_pixels.training.stages.stage_loop import StageLoop

_STATE = "depth-head"
_LEARNING_RATE = 1e-3
_FIRST_SHARE = 0.7  # of clips whose known frame is the first
_DEPTH_WEIGHT = 0.02
_MEASURED = 320  # clips
_SMOOTH = 0.03  # of pixel values; larger errors count nearly in proportion


def train_depth_head(
    view: ViewPrior,
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
        view: Set by `fit_view_prior`.
        batches: Clips.
        minutes: Of training.
        folder: Of the run.
        accelerator: Device and processes.
        log: Called with one line of text at a time.
        seed: Of the draws.
    """
    optimiser = torch.optim.AdamW(view.parameters(), lr=_LEARNING_RATE, weight_decay=0.01)
    loop = StageLoop(
        _STATE,
        view,
        optimiser,
        folder,
        minutes=minutes,
        accelerator=accelerator,
        log=log,
    )
    generator = loop.generator(seed)
    for done in loop.steps():
        clean = next(batches)
        count, frames = clean.latents.shape[0], clean.latents.shape[2]
        other = torch.randint(frames, (count,), generator=generator)
        first = torch.rand(count, generator=generator) < _FIRST_SHARE
        source = torch.where(first, 0, other).to(clean.latents.device)
        loss, error = reprojection_loss(view, clean, source)
        loss = loss + _DEPTH_WEIGHT * depth_loss(view, clean, source)
        rate = min(1.0, (loop.step + 1) / 30) * max(0.02, min(1.0, (1 - done) / 0.6))
        loop.descend(loss, learning_rate=_LEARNING_RATE * rate)
        loop.report = (
            f"reprojection {float(loss.detach()):.5f} PSNR {-10 * float(error.log10()):.2f}"
        )
    measure_deviations(view, list(clips_of(batches, _MEASURED)), log)


def reprojection_loss(
    view: ViewPrior, clean: CleanBatch, source: Tensor
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Return the robust and the squared error of pixels that are visible in the known frame.

    Args:
        view: The prior in training.
        clean: Clips.
        source: (B,) the frame of each clip that is known.
    """
    expected = expected_view(view, clean, known=True, source=source)
    pixels, truth = (
        view.pixels(one.transpose(1, 2).flatten(0, 1)) for one in (expected.latents, clean.latents)
    )
    seen = expected.seen.transpose(1, 2).flatten(0, 1)
    seen = torch.nn.functional.interpolate(seen, scale_factor=8.0)
    error = (pixels - truth) * seen
    total = seen.sum().clamp_min(1) * pixels.shape[1]
    robust = ((error / _SMOOTH).square() + 1).sqrt() - 1
    return _SMOOTH * robust.sum() / total, error.detach().square().sum() / total


def depth_loss(view: ViewPrior, clean: CleanBatch, source: Tensor) -> Float[Tensor, ""]:
    """Return the mean absolute error of the logarithm of depth, where it is known.

    Args:
        view: The prior in training.
        clean: Clips.
        source: (B,) the frame of each clip that is looked at.
    """
    row = torch.arange(len(source), device=source.device)
    predicted = view.depth(clean.latents[row, :, source])
    truth = -clean.motion[row, -1:, source].clamp_min(1e-3).log()
    return (predicted - truth).nan_to_num().abs().mean()
