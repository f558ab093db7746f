"""Noise levels of the sampler, given explicitly.

`FlowMatchEulerDiscreteScheduler.set_timesteps(2)` alone would step 1, ~0, 0: one step in effect. So
sigmas are always passed: n + 1 levels evenly from 1 to 0, or shifted towards noise, as Stable
Diffusion 3 does (2403.03206, equation 23).
"""

import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from rays_as_pixels.errors import InputError
from rays_as_pixels.pipeline.defaults import ESTIMATE_STEPS, GENERATE_STEPS

MAX_STEPS = 1000


def new_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """Build a flow-matching Euler scheduler without shift."""
    return FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=1.0)


def explicit_sigmas(num_inference_steps: int, shift: float = 1.0) -> list[float]:
    """Return the noise level at the start of each step: linspace(1, 0, n + 1)[:-1], shifted.

    Args:
        num_inference_steps: n.
        shift: A level s becomes shift s / (1 + (shift - 1) s): above 1 more steps are noisy.

    Raises:
        InputError: The number of steps is not from 1 to 1000.
    """
    if not isinstance(num_inference_steps, int) or not 1 <= num_inference_steps <= MAX_STEPS:
        raise InputError(
            f"num_inference_steps must be a whole number from 1 to {MAX_STEPS}; got "
            f"{num_inference_steps!r}. Use {ESTIMATE_STEPS} to estimate and {GENERATE_STEPS} to "
            "generate."
        )
    level = torch.linspace(1, 0, num_inference_steps + 1)[:-1]
    return (shift * level / (1 + (shift - 1) * level)).tolist()


def set_sigmas(
    scheduler: FlowMatchEulerDiscreteScheduler,
    num_inference_steps: int,
    device: torch.device,
    *,
    shift: float = 1.0,
) -> None:
    """Prepare a scheduler for a run with explicit sigmas, which its own shift moves further."""
    scheduler.set_timesteps(sigmas=explicit_sigmas(num_inference_steps, shift), device=device)
