"""Uncertainty, dynamic objects, unposed images, long videos: tables, and worlds under them."""

import json
import math

import pytest
import torch
from tiny_pipe import SIZE, tiny_pipeline

from rays_as_pixels.errors import InputError
from rays_as_pixels.evaluation.clips import EvalClip, world_clips
from rays_as_pixels.evaluation.rank_correlation import calibration_factor, ranks, spearman
from rays_as_pixels.evaluation.tasks import long_video as long_videos
from rays_as_pixels.evaluation.tasks.run import evaluate
from rays_as_pixels.evaluation.tasks.runner import Settings
from rays_as_pixels.geometry.rotations import rotation_angle_rad
from rays_as_pixels.worlds import WorldOptions, render_clips
from rays_as_pixels.worlds.long_sequences import render_long_clip


@pytest.fixture(scope="module")
def clips() -> list[EvalClip]:
    return list(world_clips(1, num_frames=5, sizes=[SIZE]))


def tables(clips, task: str):
    settings = Settings(tasks=(task,), seeds=1, default_generate_steps=2, default_imagine_steps=2)
    result = evaluate(tiny_pipeline(), clips, settings, source="a world")
    assert json.dumps(result.to_dict(), allow_nan=False)
    assert result.markdown().startswith("# Evaluation")
    return result.tables


def test_ranks_share_the_mean_place_of_equal_values():
    assert ranks(torch.tensor([3.0, 1.0, 3.0, 0.0])).tolist() == [2.5, 1.0, 2.5, 0.0]


def test_rank_correlation_is_that_of_the_textbook():
    """Ten pairs worked out by hand: sum of squared rank differences 194, rho = 1 - 6*194/990."""
    one = torch.tensor([106.0, 100, 86, 101, 99, 103, 97, 113, 112, 110])
    other = torch.tensor([7.0, 27, 2, 50, 28, 29, 20, 12, 6, 17])
    assert spearman(one, other) == pytest.approx(1 - 6 * 194 / 990, abs=1e-12)
    assert spearman(one, one**3) == pytest.approx(1.0)
    assert spearman(one, -one) == pytest.approx(-1.0)
    assert math.isnan(spearman(one, torch.ones(10)))


def test_the_scale_of_an_uncertainty_leaves_the_stated_share_of_errors_below():
    generator = torch.Generator().manual_seed(0)
    std = torch.rand(4000, generator=generator, dtype=torch.float64) + 0.1
    error = 3 * std * torch.randn(4000, generator=generator, dtype=torch.float64).abs()
    # A normal error's one sigma holds 68.3 %: the scale must find the 3 it was made with.
    assert calibration_factor(std, error) == pytest.approx(3.0, rel=0.05)


@pytest.mark.slow
def test_many_objects_move_in_the_same_world_along_the_same_path():
    size = {"split": "heldout", "num_frames": 5, "height": 32, "width": 48}
    still = render_clips([0, 1], **size, options=WorldOptions(dynamic_objects="none"))
    many = render_clips([0, 1], **size, options=WorldOptions(dynamic_objects="many"))
    assert torch.equal(still.cameras.world_from_cam, many.cameras.world_from_cam)
    assert torch.equal(still.video[:, 0], many.video[:, 0]), "nothing has moved yet"
    assert not bool(still.moving.any()) and bool(many.moving.all())
    changed = (still.depth - many.depth)[:, 1:].abs() > 0.01 * still.depth[:, 1:]
    assert float(changed.float().mean()) > 0.02
    with pytest.raises(InputError, match="must be one of random, none, many; got 'crowd'"):
        render_clips([0], **size, options=WorldOptions(dynamic_objects="crowd"))


@pytest.mark.slow
def test_a_long_clip_looks_around_or_sways_before_one_view():
    turns = {}
    for kind in ("around", "sway"):
        clip = render_long_clip(1, num_frames=13, height=32, width=48, kind=kind)
        assert clip.video.shape == (13, 3, 32, 48)
        torch.testing.assert_close(clip.cameras.world_from_cam[0], torch.eye(4).double())
        turns[kind] = float(rotation_angle_rad(clip.cameras.world_from_cam[:, :3, :3]).max())
    assert turns["around"] > math.radians(90) > math.radians(45) > turns["sway"] > 0.1
    with pytest.raises(InputError, match="kind must be one of around, sway"):
        render_long_clip(1, num_frames=13, height=32, width=48, kind="up")


@pytest.mark.slow
def test_the_dynamic_objects_table_has_both_worlds_beside_the_baselines(clips):
    table = tables(clips, "dynamic-objects")["dynamic-objects"]
    assert [row["id"] for row in table.rows] == ["identity", "constant_velocity", "none", "many"]
    assert table.row("none")["rotation_mean_deg"] != table.row("many")["rotation_mean_deg"]


@pytest.mark.slow
def test_the_unposed_images_table_scores_the_images_cameras_alone(clips):
    table = tables(clips, "unposed-images")["unposed-images"]
    ids = {row["id"] for row in table.rows}
    assert {"identity-2", "imagine@2-2", "imagine@2-3", "imagine@2-5", "estimate-5"} <= ids
    assert [table.row(f"imagine@2-{n}")["pairs"] for n in (2, 3, 5)] == [1, 3, 10]
    # The true first motion is all there is with two images.
    assert table.row("constant_velocity-2")["rotation_mean_deg"] == pytest.approx(0, abs=1e-4)


@pytest.mark.slow
def test_the_uncertainty_tables_rank_every_signal_beside_trivial_ones(clips):
    found = tables(clips, "uncertainty")
    assert {"seeds-1", "seeds-4", "seeds-8", "flips-2", "flips-4"} < {
        row["id"] for row in found["averaging"].rows
    }
    ranking = found["uncertainty"]
    assert [row["id"] for row in ranking.rows][:2] == ["frame", "turn"]
    assert all(-1 <= row["rho"] <= 1 for row in ranking.rows)
    assert 0 <= ranking.row("flips-4")["covered"] <= 1


@pytest.mark.slow
def test_the_long_table_has_one_pass_the_chain_and_all_windows(clips, monkeypatch):
    monkeypatch.setattr(long_videos, "FRAMES", 12)
    monkeypatch.setattr(long_videos, "KINDS", {"sway": (10.0, 25.0)})
    table = tables(clips, "long-video")["long-video"]
    assert [row["id"] for row in table.rows] == [
        f"sway-{name}"
        for name in (
            "identity",
            "constant_velocity",
            "pass-native",
            "pass-most",
            "chain",
            "windows",
        )
    ]
    assert table.row("before-windows")["calls"] > table.row("before-chain")["calls"]


def test_tasks_of_rendered_worlds_refuse_real_clips(clips):
    real = EvalClip("real", clips[0].video, 10.0, tuple(range(5)), clips[0].cameras)
    with pytest.raises(InputError, match="rendered worlds for this task"):
        tables([real], "dynamic-objects")
