"""Comparing two paths: hand numbers, invariances, evo as an oracle, and the two commands."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from evo.core import metrics, trajectory
from path_edits import moved, rotated, shaken

from rays_as_pixels.cli.main import main
from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories import operations as ops
from rays_as_pixels.trajectories.compare import MAX_FRAMES, compare
from rays_as_pixels.trajectories.formats.native import write_native
from rays_as_pixels.trajectories.presets import make_preset


def preset(name, num_frames=17, **options):
    return make_preset(name, num_frames=num_frames, fps=10.0, height=48, width=64, **options)


def noisy(path, amount_deg=3.0, seed=1):
    return shaken(path, amount_deg, seed=seed)


def test_a_path_is_at_no_distance_from_itself():
    report = compare(preset("helix"), preset("helix"))
    numbers = report.to_dict()
    assert numbers.pop("frames") == 17
    assert numbers.pop("pairs") == 136
    assert numbers.pop("scale") == pytest.approx(1)
    # Arc cosines are taken by atan2, so equal rotations are 0 to float64 rounding, not to its root.
    assert all(abs(value) < 1e-9 for value in numbers.values()), numbers


def test_another_world_frame_and_scale_change_only_what_is_not_aligned():
    path = preset("helix")
    away = moved(ops.scale(rotated(path, (20, 50, -10)), 3.0), (1, 2, 3))
    report = compare(away, path)
    assert report.ate_sim3 < 1e-9
    assert report.scale == pytest.approx(1 / 3)
    assert report.ate_se3 > 0.1, "without scale the path stays three times too large"
    assert report.t_err < 1e-9
    assert report.t_err_fixed_scale > 0.1
    assert max(report.e_r_mean_deg, report.e_t_mean_deg, report.rpe_translation) < 1e-6


def test_a_pan_that_is_ten_degrees_short_is_off_by_the_numbers_worked_out_by_hand():
    """Two frames: one pair, one frame after 0, one step; all three see the same 10 degrees."""
    report = compare(preset("pan-right", 2, amount=20.0), preset("pan-right", 2, amount=30.0))
    for value in (report.e_r_mean_deg, report.e_r_median_deg, report.rpe_rotation_deg):
        assert value == pytest.approx(10.0)
    assert report.r_err_rad == pytest.approx(math.radians(10))
    assert (report.pairs, report.pairs_without_baseline) == (1, 1)
    assert math.isnan(report.e_t_mean_deg)
    assert math.isnan(report.e_t_median_deg)
    assert "0 pairs; 1 without a baseline left out" in report.table()
    assert report.to_dict()["e_t_mean_deg"] is None


def test_a_move_in_the_wrong_direction_costs_a_right_angle():
    report = compare(preset("truck-right", 3), preset("pedestal-up", 3))
    assert report.e_t_mean_deg == pytest.approx(90.0)
    assert report.straight
    assert "not unique" in report.table()


def test_the_focal_error_is_read_at_one_image_size_and_undefined_for_other_shapes():
    truth = preset("dolly-in", hfov_deg=60.0)
    doubled = truth.resized(height=96, width=128)
    assert compare(doubled, truth).focal_error == pytest.approx(0)
    wide = preset("dolly-in", hfov_deg=90.0)
    expected = 1 - math.tan(math.radians(30)) / math.tan(math.radians(45))
    assert compare(wide, truth).focal_error == pytest.approx(expected)
    assert math.isnan(compare(truth.resized(height=48, width=80), truth).focal_error)


def test_matching_by_time_reads_the_estimate_at_the_truths_times():
    fine = preset("helix", num_frames=161)
    coarse = ops.resample(fine, num_frames=17)
    report = compare(replace(fine, time_sec=fine.times_sec + 5.0), coarse, match="time")
    assert report.frames == 17
    assert report.ate_sim3 < 1e-9
    assert compare(fine[:81], coarse, match="time").frames == 9, "as far as both go"


def test_ate_and_rpe_are_evos():
    """Oracle: evo, Sim(3) and SE(3), delta 1 frame, on a path with noise in pose."""
    truth = preset("lemniscate", num_frames=33, amount=0.4)
    estimated = ops.scale(rotated(noisy(truth), (10, 20, 30)), 1.7)
    report = compare(estimated, truth)

    def evo_path(path):
        poses = list(path.cameras.world_from_cam.numpy())
        return trajectory.PoseTrajectory3D(poses_se3=poses, timestamps=np.arange(len(path)))

    reference = evo_path(truth)
    for with_scale, ours in ((True, report.ate_sim3), (False, report.ate_se3)):
        moved = evo_path(estimated)
        _, _, scale = moved.align(reference, correct_scale=with_scale)
        ape = metrics.APE(metrics.PoseRelation.translation_part)
        ape.process_data((reference, moved))
        assert ours == pytest.approx(ape.get_statistic(metrics.StatisticsType.rmse), rel=1e-9)
        if not with_scale:
            continue
        assert report.scale == pytest.approx(scale, rel=1e-9)
        for relation, value in (
            (metrics.PoseRelation.translation_part, report.rpe_translation),
            (metrics.PoseRelation.rotation_angle_deg, report.rpe_rotation_deg),
        ):
            rpe = metrics.RPE(relation, delta=1, delta_unit=metrics.Unit.frames)
            rpe.process_data((reference, moved))
            mean = rpe.get_statistic(metrics.StatisticsType.mean)
            assert value == pytest.approx(mean, rel=1e-6)


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: compare(preset("orbit", 9), preset("orbit", 8)), "same number of frames; got 9"),
        (lambda: compare(preset("orbit", 1), preset("orbit", 1)), "2 or more frames"),
        (lambda: compare(preset("orbit"), preset("orbit"), match="name"), "match must be frame"),
        (
            lambda: compare(*[preset("orbit", MAX_FRAMES + 1)] * 2),
            f"{MAX_FRAMES} frames or fewer",
        ),
    ],
)
def test_paths_that_do_not_fit_are_refused_with_the_rule(make, rule):
    with pytest.raises(InputError, match=rule):
        make()


@pytest.fixture
def files(tmp_path):
    truth = preset("slide-right", num_frames=9)
    paths = tmp_path / "estimated.json", tmp_path / "truth.json"
    for path, file in zip((noisy(truth), truth), paths, strict=True):
        write_native(path, file)
    return paths


def test_the_compare_command_prints_the_table_and_writes_the_same_numbers(files, tmp_path, capsys):
    out = tmp_path / "numbers.json"
    assert main(["compare", *map(str, files), "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    for name in ("ATE, Sim(3)", "RPE rotation", "e_R mean", "e_t mean", "R_err", "T_err"):
        assert name in printed
    numbers = json.loads(out.read_text(encoding="utf-8"))
    assert (numbers["a"], numbers["b"], numbers["frames"]) == ("estimated.json", "truth.json", 9)
    assert f"{numbers['e_r_mean_deg']:.6g}" in printed


def test_the_compare_command_says_what_is_wrong_and_writes_nothing(files, tmp_path, capsys):
    short = tmp_path / "short.json"
    write_native(preset("slide-right", num_frames=5), short)
    out = tmp_path / "numbers.json"
    assert main(["compare", str(files[0]), str(short), "--json", str(out)]) != 0
    assert "same number of frames; got 9 and 5" in capsys.readouterr().err
    assert not out.exists()
    assert main(["compare", str(files[0]), str(short), "--match", "time"]) == 0


def test_the_preview_command_writes_one_page_that_asks_nobody_for_anything(files, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["preview", str(files[0]), "--other", str(files[1]), "--out", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "estimated.json" in text
    assert "truth.json" in text
    assert "<script src=" not in text
    assert capsys.readouterr().out.strip() == str(page)


def test_the_preview_command_notes_where_a_path_leaves_the_training_range(tmp_path, capsys):
    far = tmp_path / "far.json"
    write_native(preset("truck-right", amount=3.0), far)
    assert main(["preview", str(far), "--out", str(tmp_path / "page.html")]) == 0
    assert "goes 3.00 times the scene's depth" in capsys.readouterr().err


def test_the_preview_command_refuses_a_page_that_is_no_page(files, tmp_path, capsys):
    assert main(["preview", str(files[0]), "--out", str(tmp_path / "page.txt")]) != 0
    assert "must end in .html" in capsys.readouterr().err
