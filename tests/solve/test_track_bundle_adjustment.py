"""Bundle adjustment finds the cameras that tracks were made with, and keeps firm guesses."""

import pytest
import torch

from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.model.camera_prior.global_motion import cell_centers
from rays_as_pixels.solve.bundle import BundleState, PriorPrecision
from rays_as_pixels.solve.track_bundle_adjustment import Tracks, bundle_adjust

CENTERS = cell_centers(6, 10).double()
BATCH, FRAMES, CELLS = 3, 5, 60


def truth(seed: int = 0) -> BundleState:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    def after_frame_0(size: int) -> torch.Tensor:
        return torch.nn.functional.pad(draw(BATCH, FRAMES - 1, size), (0, 0, 1, 0))

    return BundleState(
        rotation_from_vector(0.1 * after_frame_0(3)),
        0.15 * after_frame_0(3),
        0.05 * after_frame_0(1)[..., 0],
        0.1 * draw(BATCH, 2),
        torch.tensor([0]),
        0.3 * draw(BATCH, 1, CELLS),
    ).in_scene_units()


def at_rest(log_focal: torch.Tensor) -> BundleState:
    zero = torch.zeros(BATCH, FRAMES, 3, dtype=torch.float64)
    return BundleState(
        rotation_from_vector(zero),
        zero,
        zero[..., 0],
        log_focal,
        torch.tensor([0]),
        zero.new_zeros(BATCH, 1, CELLS),
    )


def precision(frames: float, log_focal: float, depth: float) -> PriorPrecision:
    one = torch.ones(BATCH, FRAMES - 1, CELLS, dtype=torch.float64)
    return PriorPrecision(frames * one[..., :7], log_focal * one[:, 0, 0], depth * one[:, :1])


def tracks(state: BundleState) -> Tracks:
    seen = state.project(CENTERS).image[:, 1:, 0]
    return Tracks(CENTERS, seen, torch.ones(BATCH, FRAMES - 1, CELLS, dtype=torch.float64))


def angle_deg(a: BundleState, b: BundleState) -> torch.Tensor:
    return torch.rad2deg((a.world_from_cam - b.world_from_cam).norm(dim=(-2, -1)) / 2**0.5)


def test_exact_tracks_give_the_cameras_that_made_them():
    state = truth()
    guess = at_rest(state.log_focal)
    found = bundle_adjust(guess, precision(1e-3, 1e3, 1e-3), tracks(state), steps=20)
    found = found.in_scene_units()
    assert angle_deg(found, state).max() < 0.05
    torch.testing.assert_close(found.center, state.center, rtol=0.02, atol=2e-3)
    torch.testing.assert_close(found.log_depth, state.log_depth, rtol=0.05, atol=0.02)


def test_a_track_that_is_off_hardly_matters():
    state = truth(1)
    given = tracks(state)
    wrong = given.seen.clone()
    wrong[:, :, ::10] += 0.3
    given = Tracks(CENTERS, wrong, given.weight)
    found = bundle_adjust(state, precision(1.0, 1e3, 1.0), given, steps=4)
    assert angle_deg(found, state).max() < 0.2


def test_tracks_of_no_weight_are_not_used_and_leave_finite_derivatives():
    state = truth(1)
    given = tracks(state)
    wrong, weight = given.seen.clone(), given.weight.clone()
    wrong[:, :, ::10] += 0.003
    weight[:, :, ::10] = 0
    found = bundle_adjust(
        state, precision(1.0, 1e3, 1.0), Tracks(CENTERS, wrong, weight.requires_grad_())
    )
    assert angle_deg(found, state).max() < 1e-4
    found.center.square().sum().backward()
    assert weight.grad is not None and weight.grad.isfinite().all()


@pytest.mark.parametrize("firm", [True, False])
def test_a_guess_is_kept_as_far_as_its_prior_is_firm(firm):
    state = truth(2)
    guess = at_rest(torch.zeros(BATCH, 2, dtype=torch.float64))
    prior = precision(1e9, 1e9, 1e9) if firm else precision(1.0, 1.0, 1.0)
    found = bundle_adjust(guess, prior, tracks(state))
    assert bool(angle_deg(found, guess).max() < 0.1) is firm
