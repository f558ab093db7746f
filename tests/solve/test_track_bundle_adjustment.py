"""Adjustment finds the cameras and depths that tracks were made with, and keeps trusted guesses."""

import pytest
import torch

from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.model.camera_prior.global_motion import cell_places
from rays_as_pixels.solve import track_bundle_adjustment as track_adjustment
from rays_as_pixels.solve.track_bundle_adjustment import (
    PriorPrecision,
    TrackedScene,
    Tracks,
    adjusted,
)

PLACE = cell_places(6, 10).double()
BATCH, FRAMES, CELLS = 3, 4, 60


def truth(seed: int = 0) -> TrackedScene:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return TrackedScene(
        rotation_from_vector(0.1 * draw(BATCH, FRAMES, 3)),
        0.15 * draw(BATCH, FRAMES, 3),
        0.05 * draw(BATCH, FRAMES),
        0.1 * draw(BATCH, 2),
        0.3 * draw(BATCH, CELLS),
    ).in_scene_units()


def at_rest() -> TrackedScene:
    zero = torch.zeros(BATCH, FRAMES, 3, dtype=torch.float64)
    return TrackedScene(
        rotation_from_vector(zero), zero, zero[..., 0], zero[:, 0, :2], zero.new_zeros(BATCH, CELLS)
    )


def trust(frames: float, lens: float, depth: float) -> PriorPrecision:
    one = torch.ones(BATCH, FRAMES, CELLS, dtype=torch.float64)
    return PriorPrecision(frames * one[..., :7], lens * one[:, 0, 0], depth * one[:, 0])


def angle(a: TrackedScene, b: TrackedScene) -> torch.Tensor:
    return torch.rad2deg((a.rotation - b.rotation).norm(dim=(-2, -1)) / 2**0.5)


def test_the_change_of_tracks_is_that_of_finite_differences():
    scene, h = truth(), 1e-6
    seen = scene.seen(PLACE)
    _, by_frame, by_lens, by_depth = track_adjustment._linearised(scene, PLACE, seen)
    zero = torch.zeros(BATCH, FRAMES, 7, dtype=torch.float64), seen.new_zeros(BATCH)
    still = seen.new_zeros(BATCH, CELLS)
    for number in range(7):
        step = zero[0].clone()
        step[..., number] = h
        slope = (scene.moved(step, zero[1], still).seen(PLACE) - seen) / h
        torch.testing.assert_close(by_frame[..., number], slope, rtol=1e-4, atol=1e-4)
    slope = (scene.moved(zero[0], zero[1] + h, still).seen(PLACE) - seen) / h
    torch.testing.assert_close(by_lens, slope, rtol=1e-4, atol=1e-4)
    slope = (scene.moved(zero[0], zero[1], still + h).seen(PLACE) - seen) / h
    torch.testing.assert_close(by_depth, slope, rtol=1e-4, atol=1e-4)


def test_exact_tracks_give_the_cameras_that_made_them():
    scene = truth()
    weight = torch.ones(BATCH, FRAMES, CELLS, dtype=torch.float64)
    guess = TrackedScene(
        at_rest().rotation, at_rest().center, at_rest().zoom, scene.lens, at_rest().log_depth
    )
    found = adjusted(
        guess, trust(1e-3, 1e3, 1e-3), Tracks(PLACE, scene.seen(PLACE), weight), steps=20
    )
    found = found.in_scene_units()
    assert angle(found, scene).max() < 0.05
    torch.testing.assert_close(found.center, scene.center, rtol=0.02, atol=2e-3)
    torch.testing.assert_close(found.log_depth, scene.log_depth, rtol=0.05, atol=0.02)


def test_a_track_that_is_off_hardly_matters():
    scene = truth(1)
    seen = scene.seen(PLACE)
    wrong = seen.clone()
    wrong[:, :, ::10] += 0.3
    weight = torch.ones(BATCH, FRAMES, CELLS, dtype=torch.float64)
    found = adjusted(scene, trust(1.0, 1e3, 1.0), Tracks(PLACE, wrong, weight), steps=4)
    assert angle(found, scene).max() < 0.2


@pytest.mark.parametrize("held", [True, False])
def test_a_guess_is_kept_as_far_as_it_is_trusted(held):
    scene, guess = truth(2), at_rest()
    weight = torch.ones(BATCH, FRAMES, CELLS, dtype=torch.float64)
    much = trust(1e9, 1e9, 1e9) if held else trust(1.0, 1.0, 1.0)
    found = adjusted(guess, much, Tracks(PLACE, scene.seen(PLACE), weight))
    assert bool(angle(found, guess).max() < 0.1) is held
