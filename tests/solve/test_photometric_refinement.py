import pytest
import torch

from rays_as_pixels.evaluation.clips import world_clips
from rays_as_pixels.geometry.camera_metrics import pair_errors, rotation_error_deg
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import rotation_from_vector, vector_from_rotation
from rays_as_pixels.solve.photometric_refinement import refine_photometrically

SIZE = (96, 160)
# A zooming and a turning clip that show the same things throughout.
SEEDS = (0, 15)


@pytest.fixture(scope="module", params=SEEDS)
def clip(request):
    (one,) = world_clips(1, num_frames=9, sizes=(SIZE,), first_seed=request.param)
    return one


def off_by_a_degree(cameras: Cameras) -> Cameras:
    """Turn, move and zoom all cameras but frame 0 a little, the later ones more."""
    generator = torch.Generator().manual_seed(0)
    far = torch.linspace(0, 1, len(cameras.focal_px), dtype=torch.float64)[:, None]
    turn = far * 0.03 * torch.randn(len(far), 3, generator=generator, dtype=torch.float64)
    move = far * 0.03 * torch.randn(len(far), 3, generator=generator, dtype=torch.float64)
    pose = cameras.world_from_cam
    moved = rigid(rotation_from_vector(turn) @ pose[:, :3, :3], pose[:, :3, 3] + move)
    return Cameras(
        moved, cameras.focal_px * 1.06, cameras.center_px, cameras.height, cameras.width
    ).relative_to(0)


def errors(found: Cameras, truth: Cameras) -> tuple[float, float, float]:
    """Mean degrees of rotation, scene units of position, and share of focal length."""
    angle = rotation_error_deg(found.world_from_cam[1:, :3, :3], truth.world_from_cam[1:, :3, :3])
    place = (found.world_from_cam[:, :3, 3] - truth.world_from_cam[:, :3, 3]).norm(dim=-1)
    focal = (found.focal_px / truth.focal_px).log().abs()
    return float(angle.mean()), float(place.mean()), float(focal.mean())


def test_cameras_that_are_off_by_a_degree_come_back_to_a_fifth_of_it(clip):
    truth = clip.cameras.to(dtype=torch.float64)
    guess = off_by_a_degree(truth)
    before = errors(guess, truth)
    fit = refine_photometrically(clip.video.float(), guess)
    after = errors(fit.cameras, truth)
    assert before[0] > 1
    assert after[0] < before[0] / 5, (before, after)
    assert after[1] < before[1] / 2, (before, after)
    assert after[2] < before[2], (before, after)
    assert 0.3 < fit.inlier_ratio <= 1
    assert fit.cameras.world_from_cam.dtype == torch.float64
    torch.testing.assert_close(fit.cameras.world_from_cam[0], torch.eye(4, dtype=torch.float64))
    rotation = fit.cameras.world_from_cam[:, :3, :3]
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3).double().expand(9, 3, 3))


def test_the_result_is_in_scene_units_and_the_same_for_larger_frames(clip):
    guess = off_by_a_degree(clip.cameras.to(dtype=torch.float64))
    fit = refine_photometrically(clip.video.float(), guess)
    assert fit.log_depth.median().abs() < 0.2
    larger = torch.nn.functional.interpolate(
        clip.video.float(), scale_factor=2, mode="bilinear", align_corners=False
    )
    again = refine_photometrically(larger, guess)
    turned, moved, zoomed = errors(again.cameras, fit.cameras)
    assert turned < 0.15
    assert moved < 0.02
    assert zoomed < 0.03
    assert (again.cameras.height, again.cameras.width) == SIZE


@pytest.mark.slow
def test_a_guess_that_explains_little_is_left_behind_in_several_rounds():
    (one,) = world_clips(1, num_frames=9, sizes=(SIZE,), first_seed=8)
    truth = one.cameras.to(dtype=torch.float64)
    turn = vector_from_rotation(truth.world_from_cam[:, :3, :3])
    twice = rigid(rotation_from_vector(2 * turn), 2 * truth.world_from_cam[:, :3, 3])
    guess = Cameras(twice, truth.focal_px, truth.center_px, *SIZE)
    assert errors(guess, truth)[0] > 10
    attempts = []
    found = refine_photometrically(
        one.video.float(), guess, before_round=lambda: attempts.append(1)
    )
    assert len(attempts) == 5
    once = refine_photometrically(one.video.float(), guess, max_rounds=1)
    assert errors(once.cameras, truth)[0] > 4 and once.inlier_ratio < 0.25
    assert errors(found.cameras, truth)[0] < 1 and found.inlier_ratio > 0.3


def test_a_path_found_the_wrong_way_round_is_turned():
    (one,) = world_clips(1, num_frames=9, sizes=(SIZE,), first_seed=7)
    truth = one.cameras.to(dtype=torch.float64)
    pose = truth.world_from_cam
    ahead = torch.nn.functional.normalize(pose.new_tensor([0, 0, 1]) + pose[:, :3, 3], dim=-1)
    away = torch.nn.functional.normalize(pose.new_tensor([0, 0, 1]) - pose[:, :3, 3], dim=-1)
    axis = torch.linalg.cross(away, ahead, dim=-1)  # turned and moved as if near were far
    turned = rotation_from_vector(axis) @ pose[:, :3, :3]
    guess = Cameras(rigid(turned, -pose[:, :3, 3]), truth.focal_px, truth.center_px, *SIZE)
    depth = torch.nn.functional.interpolate(one.depth[:1, None].log(), (9, 14), mode="area")
    found = refine_photometrically(one.video.float(), guess, -depth[0, 0])
    after = pair_errors(found.cameras, truth).translation_deg
    before = pair_errors(guess, truth).translation_deg
    assert before.nanmedian() > 120
    assert after.nanmedian() < 5


def test_given_depths_are_where_it_starts_and_others_are_tried():
    """Noise leaves the guess, and with it the depths it started from."""
    (one,) = world_clips(1, num_frames=9, sizes=(SIZE,), first_seed=0)
    guess = off_by_a_degree(one.cameras.to(dtype=torch.float64))
    noise = torch.rand(9, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    given = torch.linspace(-0.3, 0.4, 20).expand(12, 20)
    kept = refine_photometrically(noise, guess, given).log_depth
    own = torch.nn.functional.interpolate(given[None, None], kept.shape, mode="bilinear")[0, 0]
    torch.testing.assert_close(kept, own.double())
    tried = refine_photometrically(noise, guess).log_depth
    assert (tried - kept).abs().median() > 0.1
    fit = refine_photometrically(one.video.float(), guess, torch.zeros(12, 20))
    truth = one.cameras.to(dtype=torch.float64)
    assert errors(fit.cameras, truth)[0] < errors(guess, truth)[0] / 3


def test_a_lens_that_does_not_zoom_stays_one_for_all_frames(clip):
    guess = off_by_a_degree(clip.cameras.to(dtype=torch.float64))
    fixed = guess.focal_px[:1].expand_as(guess.focal_px)
    guess = Cameras(guess.world_from_cam, fixed, guess.center_px, guess.height, guess.width)
    fit = refine_photometrically(clip.video.float(), guess, shared_focal=True)
    focal = fit.cameras.focal_px
    torch.testing.assert_close(focal, focal[:1].expand_as(focal), rtol=1e-6, atol=0)
    assert not torch.allclose(focal, fixed, rtol=1e-4)


def test_frames_that_show_nothing_in_common_leave_the_guess(clip):
    guess = off_by_a_degree(clip.cameras.to(dtype=torch.float64))
    noise = torch.rand(9, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    fit = refine_photometrically(noise, guess)
    assert fit.inlier_ratio < 0.02
    torch.testing.assert_close(fit.cameras.world_from_cam, guess.world_from_cam)


@pytest.mark.parametrize("colour", [0.0, 0.5, 1.0])
def test_frames_without_anything_to_see_leave_the_guess_and_numbers_finite(clip, colour):
    guess = off_by_a_degree(clip.cameras.to(dtype=torch.float64))
    fit = refine_photometrically(torch.full((9, 3, *SIZE), colour), guess)
    torch.testing.assert_close(fit.cameras.world_from_cam, guess.world_from_cam)
