"""Steps of least squares against dense solutions, and weights against their formulas."""

import pytest
import torch

from rays_as_pixels.geometry.least_squares import (
    BlockNormalEquations,
    NormalEquations,
    cauchy_weight,
    huber_weight,
    levenberg_marquardt,
    linear_least_squares,
)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_a_step_solves_a_linear_problem_at_once():
    """y = 2 + 3 t through (0, 2), (1, 5), (2, 8), from the guess (0, 0)."""
    jacobian = torch.tensor([[1.0, 0], [1, 1], [1, 2]], dtype=torch.float64)
    residual = -torch.tensor([2.0, 5.0, 8.0], dtype=torch.float64)
    step = NormalEquations.of(jacobian, residual).step()
    torch.testing.assert_close(step, torch.tensor([2.0, 3.0], dtype=torch.float64))


def test_a_prior_weighs_as_one_more_measurement():
    """One measurement says 4 with precision 1, the prior 1 with precision 2: the mean is 2."""
    one = torch.ones(1, 1, dtype=torch.float64)
    equations = NormalEquations.of(one, torch.tensor([-4.0], dtype=torch.float64))
    prior = torch.tensor([2.0], dtype=torch.float64), torch.tensor([-1.0], dtype=torch.float64)
    torch.testing.assert_close(equations.with_prior(*prior).step(), 2 * one[0])


def test_damping_is_a_share_of_the_mean_of_the_diagonal():
    hessian = torch.diag(torch.tensor([1.0, 3.0], dtype=torch.float64))
    damped = NormalEquations(hessian, hessian[0]).damped(0.5)
    expected = torch.diag(torch.tensor([2.0, 4.0], dtype=torch.float64))
    torch.testing.assert_close(damped.hessian, expected)


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("batch", [(), (2,)])
def test_eliminating_blocks_gives_the_step_of_the_dense_equations(batch, size):
    shared, count = 5, 4
    jacobian = drawn(*batch, 40, shared + count * size)
    for block in range(count):  # a row knows one block alone
        rows = torch.arange(40) % count != block
        jacobian[..., rows, shared + block * size : shared + (block + 1) * size] = 0
    dense = NormalEquations.of(jacobian, drawn(*batch, 40, seed=1))
    hessian, gradient = dense.hessian, dense.gradient
    own = [slice(shared + k * size, shared + (k + 1) * size) for k in range(count)]
    equations = BlockNormalEquations(
        NormalEquations(hessian[..., :shared, :shared], gradient[..., :shared]),
        NormalEquations(
            torch.stack([hessian[..., one, one] for one in own], -3),
            torch.stack([gradient[..., one] for one in own], -2),
        ),
        torch.stack([hessian[..., one, :shared] for one in own], -3),
    )
    step, blocks = equations.step()
    torch.testing.assert_close(torch.cat([step, blocks.flatten(-2)], -1), dense.step())


def test_what_tiny_weights_alone_tell_is_solved_for_beside_what_large_ones_tell():
    matrix = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    target = torch.tensor([[2.0], [4.0], [5.0]], dtype=torch.float64)
    weight = torch.tensor([1e12, 1e12, 1e-25], dtype=torch.float64)
    found = linear_least_squares(matrix, target, weight)
    torch.testing.assert_close(found, torch.tensor([[3.0], [5.0]], dtype=torch.float64))


def test_linear_least_squares_weighs_rows():
    """Three measurements of one number, 0, 0 and 6; the last counts twice: 12 / 4."""
    matrix, target = torch.ones(3, 1), torch.tensor([[0.0], [0.0], [6.0]])
    found = linear_least_squares(matrix, target, torch.tensor([1.0, 1.0, 2.0]))
    torch.testing.assert_close(found, torch.tensor([[3.0]]))


def test_weights_are_a_half_at_cauchys_scale_and_fall_beyond_hubers_limit():
    torch.testing.assert_close(
        cauchy_weight(torch.tensor([0.0, 4.0, 12.0]), 4.0), torch.tensor([1.0, 0.5, 0.25])
    )
    size = torch.tensor([0.0, 1.0, 1.0, 1.0, 10.0])  # the limit is 1.345 * 1.4826 = 1.994
    expected = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.19941])
    torch.testing.assert_close(huber_weight(size), expected, rtol=1e-4, atol=0)


class Exponentials:
    """Find k of exp(-k t) from its values, for several k at once."""

    time = torch.linspace(0, 2, 20, dtype=torch.float64)

    def __init__(self, values: torch.Tensor) -> None:
        self.values, self.costs = values, []

    def residual(self, state):
        return torch.exp(-state[:, None] * self.time) - self.values

    def weight(self, residual):
        return torch.ones_like(residual)

    def step(self, state, residual, weight, damping):
        jacobian = -self.time * torch.exp(-state[:, None] * self.time)
        return NormalEquations.of(jacobian[..., None], residual, weight).damped(damping).step()

    def cost(self, residual, weight):
        cost = (weight * residual**2).sum(-1)
        self.costs.append(cost)
        return cost

    def retract(self, state, step):
        return state + step[:, 0]

    def where(self, better, new, old):
        return torch.where(better, new, old)


def test_levenberg_marquardt_finds_what_gauss_newton_would_overshoot():
    truth = torch.tensor([0.1, 1.0, 4.0], dtype=torch.float64)
    problem = Exponentials(torch.exp(-truth[:, None] * Exponentials.time))
    start = torch.tensor([3.0, 4.0, 0.0], dtype=torch.float64)
    damping = torch.full_like(start, 1e-6)
    found, residual = levenberg_marquardt(start, problem, damping, iterations=50, tolerance=1e-12)
    torch.testing.assert_close(found, truth, rtol=0, atol=1e-8)
    assert residual.abs().max() < 1e-8
    tried, kept = torch.stack(problem.costs[::2]), torch.stack(problem.costs[1::2])
    assert (tried > kept).any(), "a step that was undone"
    assert (kept.diff(dim=0) <= 0).all()
