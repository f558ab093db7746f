"""Baselines in hand numbers; scores keep every clip, seed, pair and failure."""

import math

import pytest
import rooms
import torch

from rays_as_pixels.evaluation.baselines import trivial as baselines
from rays_as_pixels.evaluation.clips import PATH_LENGTHS, EvalClip
from rays_as_pixels.evaluation.scores import PathResult, median, plain, score_path, summarise
from rays_as_pixels.evaluation.tasks.estimate import baseline_scores, score_clip


def straight(**size):
    return rooms.path(
        [[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 0, 0], [0, 10, 0], [0, 20, 0]], **size
    )


def test_identity_misses_exactly_the_true_rotation_of_every_pair():
    score = score_path(baselines.identity(straight()), straight(), clip="a", seed=0)
    assert sorted(score.pairs.rotation_deg.tolist()) == pytest.approx([10, 10, 20])
    assert score.pairs.translation_deg.tolist() == [90, 90, 90]
    assert score.r_err_rad == pytest.approx(math.radians(15))
    assert score.t_err == pytest.approx(0.75)  # (0.5 + 1) / 2 after division by 2
    # A 60 degree lens on 160 pixels has focal 138.56; the true one is 130.
    assert score.focal_error == pytest.approx(80 / math.tan(math.radians(30)) / 130 - 1)


def test_constant_velocity_repeats_the_first_step_in_the_moving_camera_frame():
    """Each step is 1 along its own +x after a 90 degree turn about y: the corners of a square.

    +x turned by +90 degrees about +y (down) points to -z, so the third camera is at (1, 0, -1).
    """
    truth = rooms.path([[0, 0, 0], [1, 0, 0], [5, 5, 5]], [[0, 0, 0], [0, 90, 0], [0, 0, 0]])
    cameras = baselines.constant_velocity_cameras(truth)
    expected = torch.tensor([[0, 0, 0], [1, 0, 0], [1, 0, -1]], dtype=torch.float64)
    torch.testing.assert_close(cameras.world_from_cam[:, :3, 3], expected)
    half_turn = torch.diag(torch.tensor([-1.0, 1, -1], dtype=torch.float64))
    torch.testing.assert_close(cameras.world_from_cam[2, :3, :3], half_turn)


def test_constant_velocity_is_exact_where_the_velocity_is_constant():
    pose = [torch.eye(4, dtype=torch.float64)]
    step = rooms.path([[0.1, -0.2, 0.3]], [[3, -5, 7]]).world_from_cam[0]
    for _ in range(4):
        pose.append(pose[-1] @ step)
    truth = rooms.path([[0, 0, 0]] * 5)
    truth = type(truth)(
        torch.stack(pose), truth.focal_px, truth.center_px, truth.height, truth.width
    )
    score = score_path(baselines.constant_velocity(truth), truth, clip="a", seed=0)
    assert score.pairs.rotation_deg.max() < 1e-6 and score.t_err < 1e-9


def test_summary_pools_pairs_counts_masks_and_names_clips_worse_than_identity():
    truth = straight()
    backwards = rooms.path(
        [[0, 0, 0], [-1, 0, 0], [-2, 0, 0]], [[0, 0, 0], [0, -10, 0], [0, -20, 0]]
    )
    identity = [score_path(baselines.identity(truth), truth, clip=c, seed=0) for c in "abc"]
    wrong = score_path(PathResult(backwards, 1.0), truth, clip="a", seed=0)
    right = score_path(PathResult(truth, 3.0, "half failed"), truth, clip="b", seed=0)
    row = summarise([wrong, right], identity)
    assert row["clips"] == 2 and row["pairs"] == 6 and row["failures"] == 1
    assert row["worse_than_identity"] == 1 and row["seconds"] == 2
    # Errors 20, 20, 40 of the first clip and 0, 0, 0 of the second, pooled.
    assert row["rotation_mean_deg"] == pytest.approx(80 / 6)
    assert row["rotation_median_deg"] == pytest.approx(10, abs=1e-5)
    assert row["rta15"] == pytest.approx(0.5)
    third = score_path(PathResult(truth, 0.0), truth, clip="c", seed=0)
    assert summarise([wrong, right, third], identity)["worse_than_identity"] == 1
    still = rooms.path([[0, 0, 0]] * 3)
    masked = summarise([score_path(PathResult(truth, 0.0), still, clip="a", seed=0), right])
    assert masked["pairs_masked"] == 3 and masked["rta15"] == 1, "undefined pairs are not scored"


def test_lengths_of_real_clips_are_not_compared_at_a_fixed_scale():
    truth = straight()
    video = torch.zeros(3, 3, 120, 160)
    real = EvalClip("r", video, 10.0, (0, 1, 2), truth, unit=PATH_LENGTHS)
    world = EvalClip("w", video, 10.0, (0, 1, 2), truth)
    doubled = PathResult(truth.scaled(2.0), 0.0)
    assert math.isnan(score_clip(doubled, real).t_err_fixed_scale)
    assert score_clip(doubled, world).t_err_fixed_scale == pytest.approx(1.5)
    assert score_clip(doubled, real).t_err < 1e-9
    assert score_clip(doubled, real).rpe_translation < 1e-6, "steps are compared at ATE's scale"
    assert set(baseline_scores([real])) == {"identity", "constant_velocity"}


def test_median_averages_the_middle_two_and_json_gets_no_nan():
    assert median(torch.tensor([1.0, 2.0, 4.0, math.nan, 9.0])) == 3
    assert math.isnan(median(torch.tensor([math.nan])))
    assert plain(math.nan) is None and plain(math.inf) is None and plain(2.0) == 2.0
