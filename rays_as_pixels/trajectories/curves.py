"""Piecewise cubic curves over uneven knots: Hermite, PCHIP, Catmull-Rom, Kochanek-Bartels, Bezier.

A curve has n keys and n-1 segments. `gap` is a segment's length in the curve's parameter; a gap of
0 marks two keys at one place, where the curve rests.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.trajectories.keyframes import Keyframe, SplineOptions


def hermite(
    ends: tuple[Tensor, Tensor], slopes: tuple[Tensor, Tensor], weight: Float[Tensor, "n"]
) -> Tensor:
    """Return the cubic with the given end values and end slopes (by weight) at weight 0 to 1."""
    w = weight.reshape(-1, *([1] * (ends[0].ndim - 1)))
    rise = w**2 * (3 - 2 * w)
    start_slope, end_slope = w * (1 - w) ** 2, w**2 * (w - 1)
    return ends[0] + rise * (ends[1] - ends[0]) + start_slope * slopes[0] + end_slope * slopes[1]


def rates(steps: Float[Tensor, "m *d"], gap: Float[Tensor, "m"]) -> Float[Tensor, "m *d"]:
    """Divide the change over each segment by its gap; 0 where the gap is 0."""
    wide = gap.reshape(-1, *([1] * (steps.ndim - 1)))
    return torch.where(wide > 0, steps / torch.where(wide > 0, wide, 1.0), 0.0)


def sides(values: Float[Tensor, "m *d"], *, closed: bool) -> tuple[Tensor, Tensor]:
    """Return for every key the value of the segment before it and of the one after it.

    The ends of an open curve have one side only and use it twice, as if the first and last
    segment went on straight.
    """
    first, last = values[:1], values[-1:]
    before = torch.cat([last if closed else first, values])
    after = torch.cat([values, first if closed else last])
    return before, after


def side_weights(gap: Float[Tensor, "m"], *, closed: bool) -> tuple[Tensor, Tensor]:
    """Return how much the rate before and after each key counts: the nearer side counts more."""
    before, after = sides(gap, closed=closed)
    total = before + after
    share = torch.where(total > 0, after / torch.where(total > 0, total, 1.0), 0.5)
    return share, 1 - share


def catmull_rom_rates(
    steps: Float[Tensor, "m d"], gap: Float[Tensor, "m"], *, closed: bool
) -> Float[Tensor, "n d"]:
    """Return the non-uniform Catmull-Rom tangent at every key, per unit of the parameter."""
    before, after = sides(rates(steps, gap), closed=closed)
    weight_before, weight_after = side_weights(gap, closed=closed)
    return weight_before[:, None] * before + weight_after[:, None] * after


def pchip_rates(
    steps: Float[Tensor, "m"], gap: Float[Tensor, "m"], *, closed: bool
) -> Float[Tensor, "n"]:
    """Return the tangents of the monotone cubic through the keys (Fritsch and Butland 1984).

    Inside, the weighted harmonic mean of both sides' rates, 0 at a turning point; at the ends of
    an open curve the three-point formula, held back so that the curve stays monotone.
    """
    rate = rates(steps, gap)
    before, after = sides(rate, closed=closed)
    gap_before, gap_after = sides(gap, closed=closed)
    weight_before = 2 * gap_after + gap_before
    weight_after = gap_after + 2 * gap_before
    same_way = before * after > 0
    safe_before, safe_after = (torch.where(same_way, side, 1.0) for side in (before, after))
    mean = (weight_before + weight_after) / (
        weight_before / safe_before + weight_after / safe_after
    )
    slopes = torch.where(same_way, mean, 0.0)
    if closed:
        return slopes
    if len(rate) == 1:
        return torch.cat([rate, rate])
    slopes[0] = _end_rate(gap[0], gap[1], rate[0], rate[1])
    slopes[-1] = _end_rate(gap[-1], gap[-2], rate[-1], rate[-2])
    return slopes


def _end_rate(near_gap: Tensor, far_gap: Tensor, near: Tensor, far: Tensor) -> Tensor:
    total = near_gap + far_gap
    if total == 0:
        return near
    slope = ((2 * near_gap + far_gap) * near - near_gap * far) / total
    if slope.sign() != near.sign():
        return torch.zeros_like(near)
    if near.sign() != far.sign() and slope.abs() > 3 * near.abs():
        return 3 * near
    return slope


def centre_slopes(
    keys: Sequence[Keyframe],
    centre: Float[Tensor, "n 3"],
    gap: Float[Tensor, "m"],
    options: SplineOptions,
) -> tuple[Tensor, Tensor]:
    """Return the slopes by weight at the start and at the end of every segment, in scene units."""
    steps = centre.diff(dim=0)
    if options.position == "linear":
        return steps, steps
    if options.position == "tcb":
        out_rate, in_rate = _tcb_rates(keys, steps, gap, closed=options.closed)
    else:
        out_rate = in_rate = catmull_rom_rates(steps, gap, closed=options.closed)
    out_slope, in_slope = gap[:, None] * out_rate[:-1], gap[:, None] * in_rate[1:]
    if options.position == "bezier":
        for index in range(len(steps)):
            handle_out, handle_in = keys[index].handle_out, keys[index + 1].handle_in
            if handle_out is not None:
                out_slope[index] = 3 * centre.new_tensor(handle_out)
            if handle_in is not None:
                in_slope[index] = -3 * centre.new_tensor(handle_in)
    return out_slope, in_slope


def _tcb_rates(
    keys: Sequence[Keyframe], steps: Tensor, gap: Tensor, *, closed: bool
) -> tuple[Tensor, Tensor]:
    """Kochanek and Bartels 1984, Eqs. 8 and 9, on uneven knots; 0, 0, 0 is Catmull-Rom."""
    before, after = sides(rates(steps, gap), closed=closed)
    weight_before, weight_after = side_weights(gap, closed=closed)
    before, after = weight_before[:, None] * before, weight_after[:, None] * after
    shape = torch.tensor([key.tcb for key in keys], dtype=torch.float64)
    tension, continuity, bias = shape[:, :1], shape[:, 1:2], shape[:, 2:]
    slack = 1 - tension
    out_rate = (
        slack * (1 + continuity) * (1 + bias) * before
        + slack * (1 - continuity) * (1 - bias) * after
    )
    in_rate = (
        slack * (1 - continuity) * (1 + bias) * before
        + slack * (1 + continuity) * (1 - bias) * after
    )
    return out_rate, in_rate
