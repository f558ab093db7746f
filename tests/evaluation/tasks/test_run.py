"""The whole evaluation on a tiny real pipeline, and its arithmetic on answers that are known."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import rooms
import torch
from tiny_pipe import SIZE, tiny_pipeline

from rays_as_pixels.errors import InputError
from rays_as_pixels.evaluation.baselines.classical import BaselineFailure, ClassicalBaseline
from rays_as_pixels.evaluation.clips import PATH_LENGTHS
from rays_as_pixels.evaluation.regression_gate import compare_results, read_result
from rays_as_pixels.evaluation.tasks.controls import (
    estimate_controls,
    generate_controls,
    shuffled_order,
)
from rays_as_pixels.evaluation.tasks.generate import clips_for_video, generate_task
from rays_as_pixels.evaluation.tasks.run import evaluate
from rays_as_pixels.evaluation.tasks.runner import Runner, Settings
from rays_as_pixels.pipeline.options import EstimateOptions, RunOptions

QUICK = Settings(
    estimate_steps=(1, 2),
    generate_steps=(2,),
    default_generate_steps=2,
    default_imagine_steps=2,
    seeds=1,
    baselines=True,
)


def never(video, intrinsics):
    raise BaselineFailure("never")


FAILING = ClassicalBaseline("failing baseline", "torch", False, never, "always fails")


def small_clip(name="small", frames=5, **path):
    height, width = SIZE
    cameras = rooms.curved_path(frames, height=height, width=width, focal_px=40.0)
    return replace(rooms.room_clip(cameras), name=name, **path)


@pytest.fixture(scope="module")
def result():
    """All tasks on a clip with cameras and one without."""
    torch.set_num_threads(1)
    clips = [small_clip(), small_clip("blind", cameras=None, depth=None)]
    return evaluate(tiny_pipeline(), clips, QUICK, source="2 rooms", baselines=[FAILING])


def test_every_table_is_there_with_baselines_floor_and_failures(result):
    assert set(result.tables) == {
        "autoencoder",
        "estimate",
        "generate",
        "loop",
        "imagine",
        "controls_estimate",
        "controls_generate",
    }
    estimate = result.tables["estimate"]
    assert [row["id"] for row in estimate.rows] == [
        "identity",
        "constant_velocity",
        "failing baseline",
        "network@1",
        "model@1",
        "model@2",
    ]
    assert estimate.row("failing baseline")["failures"] == 1
    assert estimate.row("model@2")["clips"] == 1 and estimate.row("model@2")["pairs"] == 10
    generate = result.tables["generate"]
    assert {"copy_first_frame", "autoencoder", "true_video", "model@2"} == {
        row["id"] for row in generate.rows
    }
    assert result.tables["loop"].row("model")["clips"] == 2, "the clip without cameras counts"
    assert result.tables["imagine"].row("model")["clips"] == 2
    assert {"shuffled_shown", "shuffled_original", "still_video"} < {
        row["id"] for row in result.tables["controls_estimate"].rows
    }
    assert {"zeroed_rays", "wrong_intrinsics"} < {
        row["id"] for row in result.tables["controls_generate"].rows
    }


def test_an_untrained_model_loses_to_identity_in_the_same_table(result):
    estimate = result.tables["estimate"]
    ours, identity = estimate.row("model@2"), estimate.row("identity")
    assert ours["rotation_mean_deg"] > identity["rotation_mean_deg"]
    assert ours["worse_than_identity"] == 1


def test_the_true_noise_levels_are_printed(result):
    notes = " ".join(result.tables["estimate"].notes)
    assert "Noise levels of 1 step: 1, 0." in notes
    assert "Noise levels of 2 steps: 1, 0.5, 0." in notes


def test_json_and_markdown_hold_the_same_table_and_the_gate_reads_them(result, tmp_path):
    result.write(tmp_path)
    data = read_result(tmp_path / "evaluation.json")
    assert json.dumps(data, allow_nan=False)
    row = next(r for r in data["tables"]["estimate"]["rows"] if r["id"] == "identity")
    text = (tmp_path / "evaluation.md").read_text()
    assert f"| identity | {row['rotation_mean_deg']:.2f} |" in text
    for title in ("Autoencoder floor", "Estimate", "Generate", "Loop", "Imagine", "Controls"):
        assert f"## {title}" in text
    assert len([r for r in data["records"] if r["row"] == "model@2"]) == 2, "estimate and generate"
    comparison = compare_results(data, data)
    assert comparison.better == comparison.worse == (), "the same weights change nothing"
    generate = [line for line in comparison.lines if line.startswith("generate")]
    assert len(generate) == 2 and all("same" in line for line in generate)


class Oracle:
    """Answers with the true path, turned by a known angle; stands in for a perfect network."""

    sizes = (SIZE,)
    device = torch.device("cpu")

    def __init__(self, clips, turn_deg=0.0):
        self.clips, self.turn_deg = clips, turn_deg

    def estimate(self, video, **_):
        clip = next(c for c in self.clips if torch.equal(c.video[0], video[0]))
        error = rooms.path([[0, 0, 0]], [[0, self.turn_deg, 0]]).world_from_cam[0]
        pose = clip.cameras.world_from_cam.clone()
        pose[1:] = pose[1:] @ error
        cameras = replace(clip.cameras, world_from_cam=pose)
        path = replace(clip.trajectory(), cameras=cameras)
        return SimpleNamespace(trajectory=path, depth=None)

    def generate(self, image, trajectory, **_):
        clip = next(c for c in self.clips if torch.equal(c.video[0], image))
        moves = bool((trajectory.cameras.world_from_cam[-1] != torch.eye(4)).any())
        return SimpleNamespace(video=clip.video if moves else clip.video[:1].expand_as(clip.video))


def test_a_perfect_model_gets_perfect_numbers_and_a_turned_one_exactly_its_turn():
    clips = [small_clip()]
    settings = Settings(tasks=("estimate",), estimate_steps=(2,), seeds=1)
    perfect = evaluate(Oracle(clips), clips, settings).tables["estimate"].row("model@2")
    assert perfect["rotation_mean_deg"] < 1e-5 and perfect["mrra30"] == 1 == perfect["auc30"]
    assert perfect["t_err_fixed_scale"] < 1e-9 and perfect["focal_error"] == 0
    turned = evaluate(Oracle(clips, 10.0), clips, settings).tables["estimate"].row("model@2")
    # Of the 10 pairs only the 4 with frame 0 see the turn: the others are turned alike, about an
    # axis that their own relative rotation (at most 7 degrees) hardly moves.
    assert turned["rotation_mean_deg"] == pytest.approx(4, abs=0.6)
    assert turned["r_err_rad"] == pytest.approx(torch.deg2rad(torch.tensor(10.0)).item())


def test_controls_of_estimate_are_scored_against_what_was_shown_and_what_was_not():
    """The oracle always answers the original path, so only the rows with that truth are perfect."""
    other = small_clip("other")
    turned = rooms.path([[0, 0, 0]] * 5, [[0, 0, 9 * k] for k in range(5)])
    other = replace(
        other,
        video=other.video.flip(-1),
        cameras=replace(other.cameras, world_from_cam=turned.world_from_cam),
    )
    clips = [small_clip(), other]
    table, _ = estimate_controls(Runner(Oracle(clips), QUICK), clips, lambda *_: None)
    for row_id in ("model", "shuffled_original"):
        assert table.row(row_id)["rotation_mean_deg"] < 1e-5, row_id
    for row_id in ("shuffled_shown", "other_video", "still_video"):
        assert table.row(row_id)["rotation_mean_deg"] > 1, row_id
    assert table.row("identity_shuffled")["rotation_mean_deg"] == pytest.approx(
        table.row("identity")["rotation_mean_deg"]
    ), "the pairs are the same, in another order"


def test_shuffling_keeps_frame_0_and_really_shuffles():
    for seed in range(20):
        order = shuffled_order(5, seed=seed)
        assert order[0] == 0 and sorted(order) == list(range(5)) and order != sorted(order)


def test_imagined_paths_of_two_seeds_are_compared():
    settings = Settings(tasks=("imagine",), default_imagine_steps=1, seeds=2)
    row = evaluate(tiny_pipeline(), [small_clip()], settings).tables["imagine"].row("model")
    assert row["seeds"] == 2 and row["seed_turn_deg"] > 0 and row["turn_deg"] > 0


def test_still_rays_are_worse_than_true_rays_for_a_model_that_follows_them():
    clips = [small_clip()]
    runner = Runner(Oracle(clips), QUICK)
    table, _ = generate_controls(runner, clips, lambda *_: None)
    assert table.row("model")["psnr_db"] == 60
    assert table.row("zeroed_rays")["psnr_db"] == table.row("copy_first_frame")["psnr_db"] < 30


def test_a_refusal_of_the_model_is_a_counted_failure_with_the_identity_path():
    clip = small_clip()

    def refuse(*_, **__):
        raise InputError("video must be nice; got ugly. Try another.")

    pipe = SimpleNamespace(estimate=refuse, device=torch.device("cpu"), sizes=(SIZE,))
    settings = Settings(tasks=("estimate",), estimate_steps=(2,), seeds=2)
    table = evaluate(pipe, [clip], settings).tables["estimate"]
    assert table.row("model@2")["failures"] == 2
    assert table.row("model@2")["rotation_mean_deg"] == table.row("identity")["rotation_mean_deg"]


def test_real_clips_are_asked_for_a_motion_of_the_length_that_the_model_sees():
    world = small_clip()
    reach = world.cameras.world_from_cam[:, :3, 3].norm(dim=-1).max()
    real = replace(world, cameras=world.cameras.scaled(1 / reach), unit=PATH_LENGTHS)
    runner = Runner(Oracle([world]), QUICK)
    fitted = clips_for_video(runner, [real], lambda *_: None)[0]
    torch.testing.assert_close(fitted.cameras.world_from_cam, world.cameras.world_from_cam)


def test_a_clip_of_another_size_is_cropped_as_the_pipeline_crops_it():
    height, width = SIZE
    wide = rooms.room_clip(rooms.curved_path(5, height=2 * height, width=4 * width, focal_px=80.0))
    fitted = Runner(tiny_pipeline(), QUICK).fitted(wide)
    assert tuple(fitted.video.shape) == (5, 3, *SIZE) and fitted.depth is None
    assert fitted.cameras.focal_px[0].tolist() == pytest.approx([40, 40])
    assert fitted.cameras.center_px[0].tolist() == pytest.approx([width / 2, height / 2])


def test_wrong_settings_and_clips_without_cameras_are_refused():
    with pytest.raises(InputError, match=r"tasks must be some of .* got dance"):
        Settings(tasks=("dance",))
    with pytest.raises(InputError, match="1 or more"):
        Settings(seeds=0)
    blind = small_clip("blind", cameras=None, depth=None)
    with pytest.raises(InputError, match="known cameras"):
        evaluate(tiny_pipeline(), [blind], QUICK)
    with pytest.raises(InputError, match="at least one"):
        evaluate(tiny_pipeline(), [], QUICK)


def test_generating_with_depths_estimated_from_the_clip_has_a_row_of_its_own(toy, monkeypatch):
    height, width = toy.sizes[0]
    clip = rooms.room_clip(rooms.curved_path(5, height=height, width=width, focal_px=40.0))
    given, generate = [], toy.generate

    def noted(*args, image_depths, **options):
        given.append(image_depths)
        return generate(*args, image_depths=image_depths, **options)

    monkeypatch.setattr(toy, "generate", noted)
    runner = Runner(toy, replace(QUICK, generate_steps=(1,)))
    table, _ = generate_task(runner, [clip], lambda *_: None)
    assert [row["id"] for row in table.rows[-2:]] == ["model@1", "model_depths@1"]
    estimated = toy.estimate(
        clip.video,
        options=EstimateOptions(num_inference_steps=1),
        run=RunOptions(generator=runner.generator(0, 0)),
    )
    assert given[0] is None
    torch.testing.assert_close(given[1], [estimated.depth])
