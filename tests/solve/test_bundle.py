"""Jacobians are those of finite differences; steps find the cameras that images were made with."""

from dataclasses import replace

import pytest
import torch

from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.solve.bundle import (
    FRAME_PARAMS,
    BundleState,
    BundleStep,
    PriorPrecision,
    Residuals,
    gauss_newton_step,
    linearise,
    reversed_travel,
)

FRAMES = 4
SEVERAL_HOSTS, FIRST_HOST = torch.tensor([0, 2, 3]), torch.tensor([0])
POINTS = torch.tensor([[x, y] for x in (-0.4, -0.1, 0.3) for y in (-0.3, 0.05, 0.2)]).double()


def a_state(hosts: torch.Tensor, batch: tuple[int, ...] = ()) -> BundleState:
    """Cameras that turn, move and zoom, frame 0 at rest, and points one to three units away."""
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*batch, *shape, generator=generator, dtype=torch.float64)

    moves = (torch.arange(FRAMES) > 0).double()
    return BundleState(
        rotation_from_vector(0.1 * moves[:, None] * drawn(FRAMES, 3)),
        0.1 * moves[:, None] * drawn(FRAMES, 3),
        0.05 * moves * drawn(FRAMES),
        0.12 + 0.03 * drawn(2),
        hosts,
        0.5 + 0.3 * drawn(len(hosts), len(POINTS)),
    )


def image(state: BundleState) -> torch.Tensor:
    return state.project(POINTS).image


def residuals(state: BundleState, truth: torch.Tensor) -> Residuals:
    """Errors of all points in all frames but their own."""
    own = torch.arange(FRAMES)[:, None] == state.host_frames
    information = torch.eye(2, dtype=torch.float64) * ~own[:, :, None, None, None]
    return linearise(state, state.project(POINTS), image(state) - truth, information)


def precision(state: BundleState, frames: float, log_focal: float, depth: float) -> PriorPrecision:
    ones = state.no_step()
    return PriorPrecision(ones.frames + frames, ones.log_focal + log_focal, ones.log_depth + depth)


def test_a_point_is_projected_where_a_hand_calculation_puts_it():
    """At (0.4, 0) and depth 2 with f = 0.8: X = (1, 0, 2). From (0.5, 0, 1) it is at (0.5, 0, 1),
    through twice the focal length 1.6 at u = 0.8.
    """
    state = BundleState(
        torch.eye(3, dtype=torch.float64).repeat(2, 1, 1),
        torch.tensor([[0, 0, 0], [0.5, 0, 1]], dtype=torch.float64),
        torch.tensor([1.0, 2.0], dtype=torch.float64).log(),
        torch.full((2,), 0.8, dtype=torch.float64).log(),
        FIRST_HOST,
        torch.full((1, 1), 2.0, dtype=torch.float64).log(),
    )
    seen = state.project(torch.tensor([[0.4, 0.0]], dtype=torch.float64))
    expected = torch.tensor([[0.4, 0.0], [0.8, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(seen.image[:, 0, 0], expected)
    torch.testing.assert_close(seen.depth[:, 0, 0], torch.tensor([2.0, 1.0]).double())


@pytest.mark.parametrize("hosts", [FIRST_HOST, SEVERAL_HOSTS], ids=["one host", "three hosts"])
@pytest.mark.parametrize("batch", [(), (2,)], ids=["one clip", "two clips"])
def test_jacobians_are_those_of_finite_differences(hosts, batch):
    state, size = a_state(hosts, batch), 1e-6
    here = image(state)
    found = residuals(state, here)
    other = (torch.arange(FRAMES)[:, None] != hosts)[..., None, None]

    def slope(step: BundleStep) -> torch.Tensor:
        return torch.where(other, (image(state.retract(step)) - here) / size, 0.0)

    def assert_slope(expected: torch.Tensor, step: BundleStep) -> None:
        torch.testing.assert_close(expected, slope(step), rtol=1e-4, atol=1e-4)

    for frame in range(1, FRAMES):
        for number in range(FRAME_PARAMS):
            step = state.no_step()
            step.frames[..., frame - 1, number] = size
            expected = torch.zeros_like(here)
            expected[..., frame, :, :, :] += found.by_target[..., frame, :, :, :, number]
            at = (frame == hosts).nonzero()[:, 0]
            if found.by_host is not None:
                expected[..., at, :, :] += found.by_host[..., at, :, :, number]
            assert_slope(expected, step)
    step = state.no_step()
    assert_slope(found.by_log_focal, replace(step, log_focal=step.log_focal + size))
    assert_slope(found.by_log_depth, replace(step, log_depth=step.log_depth + size))


def test_one_host_and_several_give_the_same_step_where_the_others_say_nothing():
    state = a_state(SEVERAL_HOSTS)
    truth = image(state)
    moved = state.retract(replace(state.no_step(), frames=state.no_step().frames + 0.02))
    found = residuals(moved, truth)
    first = torch.tensor([1.0, 0.0, 0.0]).double()[:, None, None]
    silent = Residuals(
        found.targets,
        found.error,
        found.information * first[..., None],
        found.by_target,
        found.by_host,
        found.by_log_focal,
        found.by_log_depth,
    )
    several = gauss_newton_step(
        silent, SEVERAL_HOSTS, precision(state, 1.0, 1.0, 1.0), state.no_step()
    )
    alone = replace(moved, host_frames=FIRST_HOST, log_depth=moved.log_depth[:1])
    one = gauss_newton_step(
        residuals(alone, truth[:, :1]),
        FIRST_HOST,
        precision(alone, 1.0, 1.0, 1.0),
        alone.no_step(),
    )
    torch.testing.assert_close(several.frames, one.frames)
    torch.testing.assert_close(several.log_focal, one.log_focal)
    torch.testing.assert_close(several.log_depth[:1], one.log_depth)


@pytest.mark.parametrize("hosts", [FIRST_HOST, SEVERAL_HOSTS], ids=["one host", "three hosts"])
def test_exact_images_bring_cameras_and_depths_back(hosts):
    truth = a_state(hosts)
    there = image(truth)
    step = truth.no_step()
    step.frames[:, :6] += 0.02
    state = truth.retract(BundleStep(step.frames, step.log_focal + 0.02, step.log_depth + 0.05))
    prior = precision(state, 1e-6, 1e-6, 1e-6)
    prior.frames[:, 6] = 1e6  # zooms are known
    for _ in range(12):
        change = gauss_newton_step(residuals(state, there), hosts, prior, state.no_step())
        state = state.retract(change)
    torch.testing.assert_close(state.world_from_cam, truth.world_from_cam, rtol=0, atol=1e-4)
    torch.testing.assert_close(state.log_focal, truth.log_focal, rtol=0, atol=1e-3)
    unit = (state.log_depth - truth.log_depth).mean()  # one video shows no scale
    torch.testing.assert_close(state.center * (-unit).exp(), truth.center, rtol=0, atol=1e-3)
    torch.testing.assert_close(image(state), there, rtol=0, atol=1e-5)
    torch.testing.assert_close(state.world_from_cam[0], torch.eye(3).double())


def test_a_firm_prior_keeps_the_guess_and_pulls_back_what_left_it():
    truth = a_state(SEVERAL_HOSTS)
    state = replace(truth, center=truth.center + 0.05 * (torch.arange(FRAMES) > 0)[:, None])
    firm, there = precision(state, 1e12, 1e12, 1e12), image(truth)
    step = gauss_newton_step(residuals(state, there), SEVERAL_HOSTS, firm, state.no_step())
    assert max(float(one.abs().max()) for one in vars(step).values()) < 1e-8
    offset = replace(state.no_step(), frames=state.no_step().frames + 0.05)
    step = gauss_newton_step(residuals(state, there), SEVERAL_HOSTS, firm, offset)
    torch.testing.assert_close(step.frames, -offset.frames, rtol=0, atol=1e-8)


def test_scene_units_make_the_median_depth_of_the_first_host_one_and_keep_all_images():
    state = a_state(SEVERAL_HOSTS, (2,))
    scaled = state.in_scene_units()
    assert scaled.log_depth[:, 0].median(-1).values.abs().max() < 1e-12
    torch.testing.assert_close(image(scaled), image(state))


def test_reversed_travel_shows_nearly_the_same_and_is_its_own_inverse():
    state = a_state(FIRST_HOST)
    shallow = replace(
        state,
        center=0.3 * state.center,
        log_depth=0.05 * torch.randn(1, len(POINTS), generator=torch.Generator().manual_seed(1)),
    )
    other = reversed_travel(shallow)
    moved = (image(shallow)[:, 0] - POINTS).norm(dim=-1)[1:].mean()
    assert (image(other) - image(shallow)).norm(dim=-1).mean() < 0.12 * moved
    torch.testing.assert_close(other.center, -shallow.center)
    back = reversed_travel(other)
    torch.testing.assert_close(back.world_from_cam, shallow.world_from_cam)
    torch.testing.assert_close(back.log_depth, shallow.log_depth)
