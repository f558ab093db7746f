"""Easing: how far along a move one is after a share of its time, both from 0 to 1."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError

Curve = Callable[[Tensor], Tensor]


def _mirrored(ease_in: Curve) -> Curve:
    """Turn a slow start into a slow stop."""
    return lambda t: 1 - ease_in(1 - t)


def _both_ends(ease_in: Curve) -> Curve:
    """Turn a slow start into a slow start and a slow stop."""
    return lambda t: torch.where(t < 0.5, ease_in(2 * t) / 2, 1 - ease_in(2 - 2 * t) / 2)


def _sine_in(t: Tensor) -> Tensor:
    return 2 * torch.sin(t * math.pi / 4) ** 2  # 1 - cos(t pi / 2)


def _quad_in(t: Tensor) -> Tensor:
    return t**2


def _cubic_in(t: Tensor) -> Tensor:
    return t**3


EASINGS: dict[str, Curve] = {
    "linear": lambda t: t,
    "hold": lambda t: (t >= 1).to(t.dtype),  # stay, then cut to the next key
    "sine-in": _sine_in,
    "sine-out": _mirrored(_sine_in),
    "sine-in-out": _both_ends(_sine_in),
    "quad-in": _quad_in,
    "quad-out": _mirrored(_quad_in),
    "quad-in-out": _both_ends(_quad_in),
    "cubic-in": _cubic_in,
    "cubic-out": _mirrored(_cubic_in),
    "cubic-in-out": _both_ends(_cubic_in),
    "smoother": lambda t: t**3 * (10 - 15 * t + 6 * t**2),  # speed and acceleration 0 at both ends
}


def ease(time_share: Float[Tensor, "*n"], name: str) -> Float[Tensor, "*n"]:
    """Return the share of the move that is done after `time_share` of its time.

    Args:
        time_share: Between 0 and 1.
        name: A key of `EASINGS`.

    Raises:
        InputError: The name is not known, or a share lies outside 0 to 1.
    """
    if name not in EASINGS:
        raise InputError(
            f"easing must be one of {', '.join(EASINGS)}; got {name!r}. Use 'linear' for none."
        )
    if not bool(((time_share >= 0) & (time_share <= 1)).all()):
        raise InputError(
            f"time_share must lie between 0 and 1; got {time_share.min().item():g} to "
            f"{time_share.max().item():g}. Divide the time by the length of the move."
        )
    return EASINGS[name](time_share)
