"""Numbers a person can work out by hand, and evo as an independent oracle where it is installed."""

import math

import pytest
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry import camera_metrics
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.media import video_metrics
from tests.optional import DEV

EXACT = 1e-9  # float64 throughout, a handful of products


def turn_deg(x=0.0, y=0.0, z=0.0):
    return rotation_from_vector(torch.deg2rad(torch.tensor([x, y, z], dtype=torch.float64)))


def path(centres, rotations=None, focal_px=50.0):
    centre = torch.tensor(centres, dtype=torch.float64)
    eye = torch.eye(3, dtype=torch.float64)
    rotation = torch.stack([eye] * len(centre) if rotations is None else rotations)
    focal = torch.full((len(centre), 2), focal_px, dtype=torch.float64)
    return Cameras(rigid(rotation, centre), focal, torch.full_like(focal, 32.0), 64, 64)


def random_path(seed, frames=7):
    generator = torch.Generator().manual_seed(seed)
    vector = torch.randn(frames, 3, generator=generator, dtype=torch.float64)
    centre = torch.randn(frames, 3, generator=generator, dtype=torch.float64)
    return path(centre.tolist(), list(rotation_from_vector(vector)))


def moved_world(cameras, *, scale, seed=5):
    """The same path seen from another world frame at another scale."""
    generator = torch.Generator().manual_seed(seed)
    rotation = rotation_from_vector(torch.randn(3, generator=generator, dtype=torch.float64))
    pose = rigid(
        rotation @ cameras.world_from_cam[:, :3, :3],
        scale * cameras.world_from_cam[:, :3, 3] @ rotation.T + 3.0,
    )
    return Cameras(
        pose, cameras.focal_px, cameras.center_px, height=cameras.height, width=cameras.width
    )


def test_a_quarter_turn_is_90_degrees_and_no_turn_is_0():
    eye = torch.eye(3, dtype=torch.float64)
    assert camera_metrics.rotation_error_deg(eye, eye).item() == 0
    for turned in (turn_deg(x=90), turn_deg(y=-90), turn_deg(z=90)):
        assert camera_metrics.rotation_error_deg(turned, eye).item() == pytest.approx(90, abs=EXACT)
    assert camera_metrics.rotation_error_deg(
        turn_deg(y=170), turn_deg(y=-170)
    ).item() == pytest.approx(20)


def test_a_tiny_rotation_error_keeps_its_digits():
    error = camera_metrics.rotation_error_deg(turn_deg(y=1e-6), torch.eye(3, dtype=torch.float64))
    assert error.item() == pytest.approx(1e-6, rel=1e-6)


def test_two_equal_paths_have_no_error_in_any_number():
    truth = random_path(0)
    pairs = camera_metrics.pair_errors(truth, truth)
    assert pairs.rotation_deg.shape == (21,)  # 7 * 6 / 2
    assert pairs.rotation_deg.max() < 1e-6 and pairs.translation_deg.max() < 1e-6
    assert (
        camera_metrics.mrra(pairs) == camera_metrics.auc(pairs) == camera_metrics.rta(pairs, 1) == 1
    )
    frames = camera_metrics.frame_errors(truth, truth)
    assert frames.r_err_rad < 1e-9 and frames.t_err < EXACT
    assert camera_metrics.ate(truth, truth).rmse < EXACT
    assert camera_metrics.rpe(truth, truth).rotation_deg.max() < 1e-6
    assert camera_metrics.focal_error(truth, truth) == 0


def test_pairs_and_frames_ignore_the_world_frame_and_the_scale_of_the_estimate():
    truth = random_path(1)
    other = moved_world(truth, scale=0.37)
    pairs = camera_metrics.pair_errors(other, truth)
    assert pairs.rotation_deg.max() < 1e-6 and pairs.translation_deg.max() < 1e-6
    frames = camera_metrics.frame_errors(other, truth)
    assert frames.t_err < EXACT, "each path is divided by its own furthest distance"
    assert frames.t_err_fixed_scale > 0.1, "the fixed-scale variant must see the scale"
    aligned = camera_metrics.ate(other, truth)
    assert aligned.rmse < EXACT and aligned.scale == pytest.approx(1 / 0.37)
    assert camera_metrics.ate(other, truth, with_scale=False).rmse > 0.1


def test_a_hand_made_pair_gives_hand_worked_errors():
    """Truth: one step right. Estimate: half a step down and a roll of 10.5 degrees."""
    truth = path([[0, 0, 0], [1, 0, 0]])
    estimate = path([[0, 0, 0], [0, 0.5, 0]], [torch.eye(3).double(), turn_deg(z=10.5)])
    pairs = camera_metrics.pair_errors(estimate, truth)
    assert pairs.rotation_deg.tolist() == pytest.approx([10.5])
    assert pairs.translation_deg.tolist() == pytest.approx([90])
    assert camera_metrics.rra(pairs, 10.51) == 1 and camera_metrics.rra(pairs, 10.49) == 0
    # T = 11 ... 30 are the 20 of 30 thresholds above 10.5 degrees.
    assert camera_metrics.mrra(pairs) == pytest.approx(20 / 30)
    assert camera_metrics.auc(pairs) == 0, "the direction error of 90 degrees is above every bin"
    frames = camera_metrics.frame_errors(estimate, truth)
    assert frames.r_err_rad == pytest.approx(math.radians(10.5))
    assert frames.t_err == pytest.approx(math.sqrt(2))  # (1,0,0) against (0,1,0)
    assert frames.t_err_fixed_scale == pytest.approx(math.sqrt(1.25))


def test_relative_translations_are_compared_in_the_first_camera_of_the_pair():
    """A quarter turn at frame 0 of one path only turns its relative translation by 90 degrees."""
    eye = torch.eye(3, dtype=torch.float64)
    truth = path([[0, 0, 0], [1, 0, 0]], [eye, eye])
    turned = path([[0, 0, 0], [1, 0, 0]], [turn_deg(y=90), turn_deg(y=90)])
    assert camera_metrics.pair_errors(turned, truth).translation_deg.item() == pytest.approx(90)
    assert camera_metrics.pair_errors(turned, truth).rotation_deg.item() < 1e-6


def test_mrra_and_auc_count_hand_worked_shares():
    errors = camera_metrics.PairErrors(
        torch.tensor([0.5, 4.5, 90.0, 0.5]).double(),
        torch.tensor([0.5, 9.5, 0.5, math.nan]).double(),
        torch.tensor([True, True, True, False]),
    )
    # Below T: two pairs for T = 1..4, three for T = 5..30, of four.
    assert camera_metrics.mrra(errors) == pytest.approx((4 * 2 / 4 + 26 * 3 / 4) / 30)
    # max(e_R, e_t) = 0.5, 9.5, 90: one pair for T = 1..9, two for T = 10..30, of three.
    assert camera_metrics.auc(errors) == pytest.approx((9 * 1 / 3 + 21 * 2 / 3) / 30)
    assert camera_metrics.rta(errors, 5) == pytest.approx(2 / 3)
    assert errors.num_masked == 1


def test_pairs_without_a_true_baseline_are_masked_and_counted_not_scored():
    truth = path([[0, 0, 0], [0, 0, 0], [0, 0, 1]])
    estimate = path([[0, 0, 0], [1, 0, 0], [0, 0, 1]])
    pairs = camera_metrics.pair_errors(estimate, truth)
    assert pairs.num_masked == 1 and pairs.translation_deg.isnan().tolist() == [True, False, False]
    still = camera_metrics.pair_errors(estimate, path([[0, 0, 0]] * 3))
    assert (
        still.num_masked == 3
        and math.isnan(camera_metrics.auc(still))
        and math.isnan(camera_metrics.rta(still, 5))
    )
    assert camera_metrics.mrra(still) == 1, "rotations are still scored"


def test_an_estimate_that_stands_still_is_charged_as_a_blind_guess():
    truth = path([[0, 0, 0], [1, 0, 0], [2, 0, 0]])
    still = path([[0, 0, 0]] * 3)
    assert camera_metrics.pair_errors(still, truth).translation_deg.tolist() == [90, 90, 90]
    frames = camera_metrics.frame_errors(still, truth)
    assert frames.t_err == pytest.approx((0.5 + 1.0) / 2)
    assert camera_metrics.ate(still, truth).rmse == pytest.approx(math.sqrt(2 / 3))


def test_where_the_truth_stands_still_noise_is_not_blown_up_nor_aligned_away():
    truth = path([[0, 0, 0]] * 3)
    jitter = path([[0, 0, 0], [0.02, 0, 0], [0, 0.04, 0]])
    frames = camera_metrics.frame_errors(jitter, truth)
    assert not frames.moves and frames.t_err == pytest.approx(0.03)
    error = camera_metrics.ate(jitter, truth)
    assert error.aligned_by == "se3" and error.rmse > 0.01


def test_a_straight_path_gets_its_least_error_and_says_so():
    truth = path([[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 0, 3]])
    along = path([[0, 0, 0], [2, 0, 0], [4, 0, 0], [6, 0, 0]])
    error = camera_metrics.ate(along, truth)
    assert error.straight and error.rmse < 1e-7 and error.scale == pytest.approx(0.5)
    # Middle centres swapped: positions -1.5, .5, -.5, 1.5 against -1.5 -.5 .5 1.5: scale 4/5.
    swapped = path([[0, 0, 0], [0, 0, 2], [0, 0, 1], [0, 0, 3]])
    error = camera_metrics.ate(swapped, truth)
    assert error.scale == pytest.approx(0.8) and error.rmse == pytest.approx(
        math.sqrt((2 * 0.3**2 + 2 * 0.9**2) / 4)
    )


def test_the_least_distance_of_a_nearly_straight_path_is_continuous():
    bent = path([[0, 0, 0], [0, 0, 1], [0, 1e-3, 2], [0, 0, 3]])
    truth = path([[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 0, 3]])
    assert camera_metrics.ate(bent, truth).rmse < 1e-3


def test_rpe_sees_one_wrong_step_only_once():
    truth = path([[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0]])
    estimate = path([[0, 0, 0], [1, 0, 0], [2.5, 0, 0], [3.5, 0, 0]])
    assert camera_metrics.rpe(estimate, truth).translation.tolist() == pytest.approx([0, 0.5, 0])
    halved = path([[0, 0, 0], [0.5, 0, 0], [1, 0, 0], [1.5, 0, 0]])
    assert camera_metrics.rpe(halved, truth, scale=2.0).translation.max() < EXACT
    assert camera_metrics.rpe(halved, truth).translation.tolist() == pytest.approx([0.5] * 3)


def test_focal_error_is_relative_and_refuses_other_image_sizes():
    truth, estimate = path([[0, 0, 0]], focal_px=50), path([[0, 0, 0]], focal_px=55)
    assert camera_metrics.focal_error(estimate, truth) == pytest.approx(0.1)
    with pytest.raises(InputError, match="one image size"):
        camera_metrics.focal_error(estimate.resized(height=32, width=32), truth)


def test_paths_of_different_length_are_refused():
    with pytest.raises(InputError, match="Match the paths by time"):
        camera_metrics.pair_errors(random_path(0, 5), random_path(0, 6))
    with pytest.raises(InputError, match="2 or more frames"):
        camera_metrics.frame_errors(random_path(0, 1), random_path(0, 1))


def test_psnr_of_a_tenth_everywhere_is_20_db_and_a_mask_selects_pixels():
    image = torch.full((2, 3, 12, 12), 0.4)
    target = image.clone()
    target[0] += 0.1
    assert video_metrics.psnr_db(image, target)[0].item() == pytest.approx(20, abs=1e-4)
    assert video_metrics.psnr_db(image, target)[1].item() == math.inf
    half = image.clone()
    half[:, :, :, 6:] += 0.1
    mask = torch.zeros(2, 12, 12, dtype=torch.bool)
    mask[:, :, 6:] = True
    assert video_metrics.psnr_db(image, half)[0].item() == pytest.approx(20 + 3.0103, abs=1e-3)
    assert video_metrics.psnr_db(image, half, mask=mask)[0].item() == pytest.approx(20, abs=1e-4)
    assert video_metrics.psnr_db(image, half, mask=~mask)[0].item() == math.inf
    assert video_metrics.psnr_db(image, half, mask=torch.zeros_like(mask)).isnan().all()


def test_ssim_is_1_for_equal_images_and_matches_a_hand_worked_constant_pair():
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(3, 16, 20, generator=generator)
    assert video_metrics.ssim(image, image).item() == pytest.approx(1)
    # Constant images: only the luminance term, (2 ab + c1) / (a^2 + b^2 + c1).
    a, b = 0.2, 0.6
    expected = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
    flat = torch.full((3, 16, 16), a), torch.full((3, 16, 16), b)
    assert video_metrics.ssim(*flat).item() == pytest.approx(expected, abs=1e-5)
    assert video_metrics.ssim(image, 1 - image).item() < 0, "a negative is anti-correlated"
    with pytest.raises(InputError, match="11 pixels"):
        video_metrics.ssim(image[:, :10], image[:, :10])


def test_ssim_and_psnr_refuse_different_shapes_and_a_wrong_mask():
    image = torch.zeros(2, 3, 16, 16)
    with pytest.raises(InputError, match="same shape"):
        video_metrics.psnr_db(image, image[:1])
    with pytest.raises(InputError, match="mask must have shape"):
        video_metrics.ssim(image, image, mask=torch.ones(16, 16, dtype=torch.bool))


def test_evo_agrees_on_ate_and_rpe():
    evo_metrics = pytest.importorskip("evo.core.metrics", reason=DEV)
    from evo.core.trajectory import PosePath3D  # noqa: PLC0415

    truth, estimate = random_path(2, 9), random_path(3, 9)
    reference = PosePath3D(poses_se3=list(truth.world_from_cam.numpy()))
    other = PosePath3D(poses_se3=list(estimate.world_from_cam.numpy()))
    rpe = evo_metrics.RPE(evo_metrics.PoseRelation.rotation_angle_deg)
    rpe.process_data((reference, other))
    ours = camera_metrics.rpe(estimate, truth)
    assert ours.rotation_deg.tolist() == pytest.approx(list(rpe.error), abs=1e-5)
    rpe = evo_metrics.RPE(evo_metrics.PoseRelation.translation_part)
    rpe.process_data((reference, other))
    assert ours.translation.tolist() == pytest.approx(list(rpe.error), abs=EXACT)
    other.align(reference, correct_scale=True)
    ape = evo_metrics.APE(evo_metrics.PoseRelation.translation_part)
    ape.process_data((reference, other))
    rmse = ape.get_statistic(evo_metrics.StatisticsType.rmse)
    assert camera_metrics.ate(estimate, truth).rmse == pytest.approx(rmse, abs=EXACT)
