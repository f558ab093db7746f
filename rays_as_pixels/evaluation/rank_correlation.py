"""Rank correlation, and the factor that calibrates standard deviations."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

ONE_SIGMA = 0.683  # share of errors that lie within a calibrated standard deviation


def ranks(values: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Return ranks from 0; equal values share the mean of theirs."""
    order = values.double().argsort(stable=True)
    position = torch.empty(len(values), dtype=torch.float64)
    position[order] = torch.arange(len(values), dtype=torch.float64)
    _, group = values.double().unique(return_inverse=True)
    total = torch.zeros(int(group.max()) + 1, dtype=torch.float64).index_add_(0, group, position)
    return (total / torch.bincount(group))[group]


def spearman(one: Float[Tensor, "n"], other: Float[Tensor, "n"]) -> float:
    """Return Spearman's rank correlation, in [-1, 1]; NaN where one of the two is constant."""
    a, b = (ranks(values) for values in (one, other))
    a, b = a - a.mean(), b - b.mean()
    size = float(a.norm() * b.norm())
    return float(a @ b) / size if size > 0 else math.nan


def calibration_factor(
    std: Float[Tensor, "n"], error: Float[Tensor, "n"], *, share: float = ONE_SIGMA
) -> float:
    """Return the factor for which `share` of the errors are at most factor times `std`."""
    ratio = error.double() / std.double().clamp_min(1e-9)
    return float(ratio.quantile(share))
