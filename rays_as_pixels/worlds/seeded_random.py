"""Random numbers that depend on a clip's seed alone, not on its batch or device.

A counter-based generator: each number is a hash of (seed, draw counter, position), so the same seed
gives the same world on a CPU and on a GPU, alone or among a thousand others.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

_MASK = 0xFFFFFFFF


def _mixed(x: Int[Tensor, "*n"]) -> Int[Tensor, "*n"]:
    """Scramble 32-bit integers held in int64 (Wellons' lowbias32 constants)."""
    x = x & _MASK
    x = ((x ^ (x >> 16)) * 0x21F0AAAD) & _MASK
    x = ((x ^ (x >> 15)) * 0x735A2D97) & _MASK
    return x ^ (x >> 15)


class SeededRandom:
    """One stream of draws per clip; every call advances all streams together."""

    def __init__(self, seeds: Sequence[int], *, device: "torch.device | str" = "cpu") -> None:
        self.device = torch.device(device)
        self._seed = _mixed(torch.tensor(list(seeds), dtype=torch.int64, device=self.device))
        self._counter = 0

    @property
    def batch(self) -> int:
        """Number of clips B."""
        return len(self._seed)

    def _integers(self, *shape: int) -> Int[Tensor, "batch *shape"]:
        self._counter += 1
        count = math.prod(shape)
        index = torch.arange(count, dtype=torch.int64, device=self.device)
        stream = _mixed(self._seed + self._counter * 0x9E3779B1)
        mixed = _mixed(stream[:, None] ^ _mixed(index + 0x85EBCA6B)[None])
        return mixed.reshape(self.batch, *shape)

    def uniform(self, low: float, high: float, *shape: int) -> Float[Tensor, "batch *shape"]:
        """Draw float32 numbers from [low, high)."""
        return low + (high - low) * self._integers(*shape).to(torch.float32) / 2**32

    def log_uniform(self, low: float, high: float, *shape: int) -> Float[Tensor, "batch *shape"]:
        """Draw numbers whose logarithm is uniform over [log low, log high)."""
        return self.uniform(math.log(low), math.log(high), *shape).exp()

    def normal(self, *shape: int) -> Float[Tensor, "batch *shape"]:
        """Draw from a standard normal distribution (Box-Muller)."""
        radius = (-2 * self.uniform(1e-9, 1.0, *shape).clamp_min(1e-9).log()).sqrt()
        return radius * (2 * math.pi * self.uniform(0.0, 1.0, *shape)).cos()

    def integers(self, high: int, *shape: int) -> Int[Tensor, "batch *shape"]:
        """Draw whole numbers from 0 to high - 1."""
        return self._integers(*shape) % high

    def chance(self, probability: float, *shape: int) -> Tensor:
        """Draw booleans that are True with the given probability."""
        return self.uniform(0.0, 1.0, *shape) < probability

    def choice(self, values: Sequence[int], *shape: int) -> Int[Tensor, "batch *shape"]:
        """Draw from a list of whole numbers, equally likely."""
        table = torch.tensor(list(values), dtype=torch.int64, device=self.device)
        return table[self.integers(len(values), *shape)]
