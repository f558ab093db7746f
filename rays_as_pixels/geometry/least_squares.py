"""Non-linear least squares: the algebra that every fit of this package shares.

A fit minimises E(x) = 1/2 sum_i w_i r_i(x)^2 + 1/2 (x - x0)^T P (x - x0): residuals r with weights
w, and a Gaussian prior of precision P about a first guess x0. Gauss-Newton solves

    (J^T W J + P) dx = -(J^T W r + P (x - x0)),   J = dr/dx

for the step dx (Triggs et al. 2000, "Bundle adjustment: a modern synthesis", section 4.3). Outliers
are held down by weights that fall with the residual, recomputed at every step: iteratively
reweighted least squares (Hartley and Zisserman 2004, appendix A6.8).
"""

from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

State = TypeVar("State")
HUBER_SIGMAS = 1.345  # 95 % efficient for Gaussian errors (Huber 1964)
_MAD_TO_SIGMA = 1.4826  # standard deviation of a Gaussian over its median absolute deviation
_EASE, _RAISE = 0.3, 10.0  # factors on the damping after a step that is accepted, rejected
_DAMPING_RANGE = (1e-15, 1e6)


@dataclass(frozen=True)
class NormalEquations:
    """H dx = -g, for one step of Gauss-Newton.

    Attributes:
        hessian: H = J^T W J, Gauss's approximation of the second derivatives.
        gradient: g = J^T W r.
    """

    hessian: Float[Tensor, "*batch n n"]
    gradient: Float[Tensor, "*batch n"]

    @classmethod
    def of(
        cls,
        jacobian: Float[Tensor, "*batch rows n"],
        residual: Float[Tensor, "*batch rows"],
        weight: Float[Tensor, "*batch rows"] | None = None,
    ) -> "NormalEquations":
        """Build them from dr/dx, r and w."""
        weighted = jacobian if weight is None else jacobian * weight[..., None]
        gradient = (weighted.mT @ residual[..., None]).squeeze(-1)
        return cls(weighted.mT @ jacobian, gradient)

    def with_prior(
        self, precision: Float[Tensor, "*batch n"], offset: Float[Tensor, "*batch n"]
    ) -> "NormalEquations":
        """Add a Gaussian prior of diagonal precision; `offset` is x - x0."""
        hessian = self.hessian + torch.diag_embed(precision)
        return NormalEquations(hessian, self.gradient + precision * offset)

    def damped(self, damping: Float[Tensor, "*batch"] | float) -> "NormalEquations":
        """Add `damping` times the mean of H's diagonal to it (Levenberg 1944)."""
        size = damping * self.hessian.diagonal(dim1=-2, dim2=-1).mean(-1)
        eye = torch.eye(self.hessian.shape[-1]).to(self.hessian)
        return replace(self, hessian=self.hessian + size[..., None, None] * eye)

    def step(self) -> Float[Tensor, "*batch n"]:
        """Return dx = -H^-1 g; not finite where H is singular."""
        # `solve` would wait for a GPU each time to tell whether it succeeded.
        return -torch.linalg.solve_ex(self.hessian, self.gradient[..., None])[0].squeeze(-1)


@dataclass(frozen=True)
class BlockNormalEquations:
    """Normal equations of n shared unknowns and m blocks of b that meet these, but not each other.

    Points that many cameras see are such blocks, and so are the poses of frames with one lens. They
    are eliminated first (Schur complement; Triggs et al. 2000, section 6.1), which leaves n
    equations in place of n + m b:

        S = H - sum_k C_k^T B_k^-1 C_k,   S dx = -(g - sum_k C_k^T B_k^-1 h_k),
        dy_k = -B_k^-1 (h_k + C_k dx).

    Attributes:
        shared: H and g.
        blocks: B_k and h_k, batch (*batch, m).
        cross: C_k, second derivatives by a block's unknowns and the shared ones.
    """

    shared: NormalEquations
    blocks: NormalEquations
    cross: Float[Tensor, "*batch m b n"]

    def step(self) -> tuple[Float[Tensor, "*batch n"], Float[Tensor, "*batch m b"]]:
        """Return dx and dy."""
        by_shared = _solve_blocks(self.blocks.hessian, self.cross)  # B^-1 C
        rows, cross = by_shared.flatten(-3, -2).mT, self.cross.flatten(-3, -2)
        gradient = self.blocks.gradient
        reduced = NormalEquations(
            self.shared.hessian - rows @ cross,
            self.shared.gradient - (rows @ gradient.flatten(-2)[..., None]).squeeze(-1),
        )
        shared = reduced.step()
        moved = gradient + (cross @ shared[..., None]).view_as(gradient)
        return shared, -_solve_blocks(self.blocks.hessian, moved[..., None]).squeeze(-1)


def _solve_blocks(
    blocks: Float[Tensor, "*batch b b"], right: Float[Tensor, "*batch b k"]
) -> Float[Tensor, "*batch b k"]:
    if blocks.shape[-1] == 1:  # many times faster than as matrices
        return right / blocks
    return torch.linalg.solve_ex(blocks, right)[0]


def linear_least_squares(
    matrix: Float[Tensor, "rows n"], target: Float[Tensor, "rows k"], weight: Float[Tensor, "rows"]
) -> Float[Tensor, "n k"]:
    """Return x that minimises sum_i w_i |(matrix x - target)_i|^2, for k right-hand sides.

    Unknowns are scaled by the diagonal of the normal equations (Jacobi), so that one which tiny
    weights alone tell is solved for beside others of large ones.
    """
    weight = weight[:, None]
    normal, slope = matrix.mT @ (weight * matrix), matrix.mT @ (weight * target)
    scale = normal.diagonal().clamp_min(torch.finfo(normal.dtype).tiny).rsqrt()[:, None]
    return scale * torch.linalg.solve(scale * normal * scale.mT, scale * slope)


def cauchy_weight(
    squared: Float[Tensor, "*shape"], scale_squared: "Tensor | float"
) -> Float[Tensor, "*shape"]:
    """Return 1 / (1 + r^2 / c^2), a half where |r| = c (Cauchy; Hartley and Zisserman A6.8)."""
    return 1 / (1 + squared / scale_squared)


def huber_weight(
    size: Float[Tensor, "*batch n"], *, sigmas: float = HUBER_SIGMAS
) -> Float[Tensor, "*batch n"]:
    """Return 1 up to `sigmas` standard deviations, and the limit over |r| beyond (Huber 1964).

    The deviation is read from the median of the sizes |r|, which outliers do not move.
    """
    sigma = _MAD_TO_SIGMA * size.median(dim=-1, keepdim=True).values
    limit = (sigmas * sigma).clamp_min(torch.finfo(size.dtype).eps)
    return torch.where(size <= limit, torch.ones_like(size), limit / size.clamp_min(1e-30))


class DampedProblem(Protocol[State]):
    """What `levenberg_marquardt` asks of a problem with a batch of independent states."""

    def residual(self, state: State) -> Float[Tensor, "*batch n"]:
        """Return r."""
        ...

    def weight(self, residual: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:
        """Return robust weights w."""
        ...

    def step(
        self, state: State, residual: Tensor, weight: Tensor, damping: Float[Tensor, "*batch"]
    ) -> Float[Tensor, "*batch k"]:
        """Solve the damped normal equations."""
        ...

    def cost(self, residual: Tensor, weight: Tensor) -> Float[Tensor, "*batch"]:
        """Return what a step must not raise."""
        ...

    def retract(self, state: State, step: Float[Tensor, "*batch k"]) -> State:
        """Return the state moved by a step."""
        ...

    def where(self, better: Bool[Tensor, "*batch"], new: State, old: State) -> State:
        """Return the new state where it is better."""
        ...


def levenberg_marquardt(
    state: State,
    problem: DampedProblem[State],
    damping: Float[Tensor, "*batch"],
    *,
    iterations: int,
    tolerance: float,
) -> tuple[State, Float[Tensor, "*batch n"]]:
    """Minimise a robust sum of squares (Marquardt 1963; Hartley and Zisserman A6.2).

    A step that raises the cost, at the weights it was computed with, is undone and tried again with
    ten times the damping; each batch element has its own.

    Args:
        state: Where to start.
        problem: Its residuals, weights and steps.
        damping: To start with, as a share of the mean of H's diagonal.
        iterations: At most.
        tolerance: Ends once no number of any step is larger.

    Returns:
        The state and its residuals.
    """
    residual = problem.residual(state)
    for _ in range(iterations):
        weight = problem.weight(residual)
        step = problem.step(state, residual, weight, damping)
        trial = problem.retract(state, step)
        trial_residual = problem.residual(trial)
        better = problem.cost(trial_residual, weight) <= problem.cost(residual, weight)
        damping = torch.where(better, damping * _EASE, damping * _RAISE).clamp(*_DAMPING_RANGE)
        state = problem.where(better, trial, state)
        residual = torch.where(better[..., None], trial_residual, residual)
        if bool((step.abs().amax(-1) < tolerance).all()):
            break
    return state, residual
