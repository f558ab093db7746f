"""Bundle adjustment: cameras and depths that explain tracks of frame 0's cells.

Not in the paper. Gauss-Newton around a first guess (Triggs et al. 2000), whose guess, weights and
prior a network may predict, as in DROID-SLAM (Teed and Deng 2021, 2108.10869); here points are the
cells of frame 0, and few. All of it is differentiable.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.least_squares import cauchy_weight
from rays_as_pixels.solve.bundle import (
    BundleState,
    BundleStep,
    PriorPrecision,
    gauss_newton_step,
    linearise,
)

TRACK_UNIT = 0.004  # normalised by sqrt(H W); the standard deviation of a track of weight 1
_EFFECTIVE_TRACKS = 30.0  # neighbouring tracks err alike; a frame's count as so many independent
_CAUCHY_SCALE = 4.0  # TRACK_UNITs; an error that large counts half
_STEP_LIMIT = (0.3,) * 3 + (0.5,) * 3 + (0.3,)  # of a frame's rotation, centre, log focal ratio
_LOG_LIMIT = 0.5  # of one step of log focal and log depths


@dataclass(frozen=True)
class Tracks:
    """Where the other frames see what frame 0's cells show.

    Attributes:
        centers: Centres of frame 0's cells.
        seen: Where each frame after frame 0 sees them.
        weight: Of each track; 1 for one that is right to TRACK_UNIT, 0 for one not to be used.

    Image points are (x, y) from the principal point, normalised by sqrt(H W).
    """

    centers: Float[Tensor, "cells 2"]
    seen: Float[Tensor, "batch f1 cells 2"]
    weight: Float[Tensor, "batch f1 cells"]


def bundle_adjust(
    guess: BundleState, prior_precision: PriorPrecision, tracks: Tracks, *, steps: int = 2
) -> BundleState:
    """Move a guess towards what tracks say.

    Minimises sum_i w_i |u_i(x) - track_i|^2, robustly, plus (x - guess)^T P (x - guess).

    Args:
        guess: Where to start; frame 0 is the only host.
        prior_precision: P, of the guess.
        tracks: What is to be explained.
        steps: Of Gauss-Newton.
    """
    state, offset = guess, guess.no_step()
    limit = BundleStep(
        tracks.centers.new_tensor(_STEP_LIMIT),
        tracks.centers.new_tensor(_LOG_LIMIT),
        tracks.centers.new_tensor(_LOG_LIMIT),
    )
    targets = torch.arange(1, guess.center.shape[-2], device=guess.host_frames.device)
    for _ in range(steps):
        seen = state.project(tracks.centers, targets=targets)
        error = seen.image - tracks.seen[..., None, :, :]
        residuals = linearise(state, seen, error, _information(error, tracks))
        step = gauss_newton_step(residuals, state.host_frames, prior_precision, offset)
        step = step.clamped(limit)
        state, offset = state.retract(step), offset + step
    return state


def _information(
    error: Float[Tensor, "batch f1 1 cells 2"], tracks: Tracks
) -> Float[Tensor, "batch f1 1 cells 1 1"]:
    """Return one over each track's variance, robustly (Cauchy)."""
    squared = error.detach().square().sum(-1)
    robust = cauchy_weight(squared, (_CAUCHY_SCALE * TRACK_UNIT) ** 2)
    scale = _EFFECTIVE_TRACKS / (len(tracks.centers) * TRACK_UNIT**2)
    return (scale * tracks.weight[..., None, :] * robust)[..., None, None]
