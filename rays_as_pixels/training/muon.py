"""Muon in float32, all matrices of a shape at once.

K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024); the step length
that matches AdamW's is that of Liu et al., "Muon is scalable for LLM training" (2502.16982, Eq. 4).

torch.optim.Muon iterates in bfloat16, one matrix at a time. On a core without AVX-512 BF16 that
took 1.39 s a step for the 24 matrices of six plain blocks of width 128, as long as forward and
backward of 32 clips together; this takes about 0.1 s. On a GPU one matrix at a time waits for
launches: 69 ms a step for 160 matrices.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic iteration, as torch.optim.Muon has them
_ITERATIONS = 5
_EPS = 1e-7


class Float32Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum; steps are as long as AdamW's (`match_rms_adamw`).

    State has torch.optim.Muon's names, so that runs can move between the two.

    Args:
        params: Matrices.
        lr: Learning rate.
        weight_decay: Share of the learning rate by which weights shrink.
        momentum: Of the moving average of gradients.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        *,
        lr: float,
        weight_decay: float = 0.01,
        momentum: float = 0.95,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Take one step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for members in self._by_shape(group["params"]).values():
                updates = [self._averaged(weight, group["momentum"]) for weight in members]
                turned = members[0].shape[0] > members[0].shape[1]
                stacked = torch.stack([update.mT if turned else update for update in updates])
                rate = group["lr"] * 0.2 * max(members[0].shape) ** 0.5
                for weight, update in zip(members, orthogonalised(stacked), strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    weight.add_(update.mT if turned else update, alpha=-rate)
        return loss

    def _by_shape(self, weights: list[Tensor]) -> dict[torch.Size, list[Tensor]]:
        groups: dict[torch.Size, list[Tensor]] = {}
        for weight in weights:
            if weight.grad is not None:
                groups.setdefault(weight.shape, []).append(weight)
        return groups

    def _averaged(self, weight: Tensor, momentum: float) -> Tensor:
        state = self.state[weight]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        assert weight.grad is not None
        average = state["momentum_buffer"].lerp_(weight.grad, 1 - momentum)
        return weight.grad.lerp(average, momentum)


def orthogonalised(matrices: Tensor) -> Tensor:
    """Bring the singular values of (N, rows, columns >= rows) matrices near 1, in their dtype.

    Newton-Schulz iteration X <- a X + (b X X^T + c (X X^T)^2) X, with Jordan's coefficients.
    """
    a, b, c = _COEFFICIENTS
    x = matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp_min(_EPS)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x
