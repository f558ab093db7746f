"""What the events do, with a real (untrained, tiny) pipeline behind them."""

import json
from dataclasses import replace

import gradio as gr
import pytest
import torch

from rays_as_pixels.errors import CheckpointError, InputError
from rays_as_pixels.jobs.manager import JobManager
from rays_as_pixels.jobs.records import JobState
from rays_as_pixels.media.video import write_image
from rays_as_pixels.ui import text
from rays_as_pixels.ui.handlers import Handlers
from rays_as_pixels.ui.model_holder import ModelFacts, ModelHolder
from rays_as_pixels.ui.session import Session, session_from_browser

SOON = 60.0
ESTIMATE = {
    "frames": 5,
    "start": "",
    "end": "",
    "steps": 1,
    "runs": 1,
    "shared_focal": False,
    "seed": 7,
    "locked": True,
}
GENERATE = {
    "path_choice": text.PATH_EDITED,
    "image": None,
    "steps": 2,
    "guidance": 1.0,
    "seed": 7,
    "locked": True,
}
PRESET = {"name": "arc-right", "amount": 20, "pivot": 1.0, "num_keys": 4, "frames": 5}
LOOP = {"steps": 2, "estimate_steps": 1, "seed": 7, "locked": True}


def finished(handlers: Handlers, updates: dict) -> tuple[Session, dict]:
    """Wait for the submitted job and return the session and updates of the next tick."""
    session = updates["session"]
    record = handlers.manager.wait(session.job, timeout_sec=SOON)
    assert record.state is JobState.DONE, record.message
    shown = handlers.tick(session)
    return shown["session"], shown


@pytest.fixture
def video(examples) -> str:
    return str(examples[0].clip)


@pytest.fixture
def estimated(handlers, video) -> Session:
    session = handlers.open_page({})["session"]
    return finished(handlers, handlers.estimate(session, ESTIMATE | {"video": video}))[0]


def test_an_example_brings_its_video_and_draws_its_true_path(handlers, examples):
    updates = handlers.pick_example(Session(), 0)
    assert updates["video"] == str(examples[0].clip)
    figure = json.loads(updates["plot"])
    path = next(trace for trace in figure["data"] if trace.get("meta") == "path")
    assert path["name"] == "True path" and path["x"][-1] == pytest.approx(0.4)
    after = handlers.forget_truth(updates["session"])
    assert after["plot"] is None and "truth" not in after["session"].paths


def test_an_estimate_shows_path_frames_raxels_facts_and_files(handlers, video):
    session = handlers.open_page({})["session"]
    submitted = handlers.estimate(session, ESTIMATE | {"video": video})
    assert submitted["seed"] == 7 and submitted["browser"]["job"] == submitted["session"].job
    session, shown = finished(handlers, submitted)
    figure = json.loads(shown["plot"])
    parts = {trace.get("meta") for trace in figure["data"]}
    assert {"frusta", "path", "images", "ground"} <= parts
    assert figure["layout"]["meta"]["time_sec"] == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8])
    assert (
        "9 frames" in shown["clip_facts"]
        and "Used: 5 frames (0, 2, 4, 6, 8)" in shown["clip_facts"]
    )
    names = [path.rsplit("/", 1)[1] for path in shown["downloads"]["value"]]
    assert names == ["trajectory.json", "path.html", "clip.mp4"]
    assert len(shown["table"]) == 5 and len(shown["table"][0]) == 8
    assert session.browser()["estimate"] == session.estimate != ""
    assert "plot" not in handlers.tick(session), "results are shown once"


def test_the_same_seed_estimates_the_same_path_and_an_unlocked_one_is_new(handlers, video):
    paths = []
    for _ in range(2):
        session = handlers.open_page({})["session"]
        session, _ = finished(handlers, handlers.estimate(session, ESTIMATE | {"video": video}))
        paths.append(session.paths["estimated"].cameras.world_from_cam)
    torch.testing.assert_close(paths[0], paths[1], atol=0, rtol=0)
    seeds = set()
    for _ in range(3):
        updates = handlers.estimate(Session(), ESTIMATE | {"video": video, "locked": False})
        seeds.add(updates["seed"])
        record = handlers.manager.wait(updates["session"].job, timeout_sec=SOON)
        assert record.settings["seed"] == updates["seed"], "the seed shown must be the one used"
    assert len(seeds) == 3


def test_a_preset_becomes_the_edited_path_and_fills_the_table(handlers, estimated):
    updates = handlers.use_preset(estimated, PRESET)
    path = updates["session"].paths["edited"]
    like = estimated.paths["estimated"]
    assert len(path) == len(like) == 5
    assert (path.cameras.height, path.cameras.width) == (48, 64)
    torch.testing.assert_close(path.cameras.hfov_rad[0], like.cameras.hfov_rad[0])
    assert updates["session"].overlay == "edited" and len(updates["table"]) == 4
    assert updates["path_choice"] == text.PATH_EDITED
    assert "turns 20.0 deg in all" in updates["edit_facts"]
    assert "other-path" in updates["plot"]


def test_the_table_redraws_the_path_the_model_gets(handlers, estimated):
    rows = handlers.use_preset(estimated, PRESET)["table"]
    rows[-1][2] = -0.5  # end half a unit higher
    updates = handlers.apply_table(estimated, rows, 5)
    path = updates["session"].paths["edited"]
    assert path.positions[-1, 1].item() == pytest.approx(-0.5)
    submitted = handlers.generate(updates["session"], GENERATE)
    wanted = json.loads(
        (handlers.manager.folder(submitted["session"].job) / "wanted.json").read_text()
    )
    assert wanted["frames"][-1]["world_from_cam"][1][3] == pytest.approx(-0.5)
    finished(handlers, submitted)


def test_editing_can_start_from_the_estimated_path(handlers, estimated):
    updates = handlers.start_from_estimate(estimated, 5)
    edited, like = updates["session"].paths["edited"], estimated.paths["estimated"]
    # Rows hold thousandths, and every frame is a keyframe here.
    torch.testing.assert_close(edited.positions, like.positions, atol=1e-3, rtol=0)


def test_a_video_is_generated_along_the_edited_path(handlers, estimated):
    session = handlers.use_preset(estimated, PRESET)["session"]
    session, shown = finished(handlers, handlers.generate(session, GENERATE))
    assert shown["generated"]["value"].endswith("video.mp4")
    assert len(session.paths["generated"]) == 5


def test_a_photo_of_another_shape_takes_the_path_with_its_field_of_view(
    handlers, estimated, tmp_path
):
    session = handlers.use_preset(estimated, PRESET)["session"]
    write_image(tmp_path / "photo.png", torch.rand(3, 90, 40))
    form = GENERATE | {"image": str(tmp_path / "photo.png")}
    session, _ = finished(handlers, handlers.generate(session, form))


def test_the_loop_shows_its_numbers_and_both_paths(handlers, estimated):
    session, shown = finished(handlers, handlers.run_loop(estimated, LOOP))
    for word in ("R_err", "T_err", "PSNR", "rad", "dB"):
        assert word in shown["loop_numbers"]
    assert session.overlay == "again" and session.main == "estimated"
    names = [path.rsplit("/", 1)[1] for path in shown["downloads"]["value"]]
    assert {"report.json", "reestimated.json", "video.mp4"} <= set(names)


def test_a_video_is_imagined_from_one_image(handlers, tmp_path):
    write_image(tmp_path / "photo.png", torch.rand(3, 48, 64))
    form = {"image": str(tmp_path / "photo.png"), "frames": 5, "fps": 10.0, "steps": 2}
    form |= {"guidance": 1.0, "seed": 1, "locked": True}
    session = handlers.open_page({})["session"]
    session, shown = finished(handlers, handlers.imagine(session, form))
    assert shown["imagined"]["value"].endswith("video.mp4") and session.main == "imagined"


def test_a_running_job_can_be_stopped(handlers, estimated):
    session = handlers.use_preset(estimated, PRESET)["session"]
    submitted = handlers.generate(session, GENERATE | {"steps": 200})
    handlers.stop(submitted["session"])
    record = handlers.manager.wait(submitted["session"].job, timeout_sec=SOON)
    assert record.state is JobState.CANCELLED
    bar = handlers.tick(submitted["session"])["job_bar"]
    assert "Stopped" in bar


def test_a_reloaded_page_finds_its_results_again_and_another_visitor_does_not(handlers, estimated):
    kept = estimated.browser()
    updates = handlers.open_page(kept)
    assert updates["session"].paths["estimated"] is not None
    assert '"frusta"' in updates["plot"]
    stranger = handlers.open_page(kept | {"visitor": "0" * 32})
    assert "plot" not in stranger and stranger["session"].estimate == ""
    bar = handlers.stop(replace(estimated, visitor="0" * 32))["job_bar"]
    assert text.JOB_IDLE in bar


def test_results_survive_a_restart_of_the_server(handlers, estimated, model, examples, tmp_path):
    kept = estimated.browser()
    handlers.manager.close()
    manager = JobManager(tmp_path / "jobs")
    try:
        updates = Handlers(manager, model, examples).open_page(kept)
        assert '"frusta"' in updates["plot"]
    finally:
        manager.close()


@pytest.mark.parametrize(
    "kept",
    [None, "x", 3, {}, {"visitor": "../etc"}, {"job": 5, "estimate": ["a"]}, {"job": "f" * 32}],
)
def test_anything_a_browser_may_have_kept_opens_the_page(handlers, kept):
    updates = handlers.open_page(kept)
    assert len(updates["session"].visitor) == 32 and updates["session"].job == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"video": None}, "video must be chosen"),
        ({"video": "/nowhere.mp4"}, "video must be chosen"),
        ({"frames": 6}, "4k\\+1 from 5 to 9; got 6"),
        ({"frames": 4.5}, "4k\\+1"),
        ({"frames": 13}, "got 13"),
        ({"frames": True}, "4k\\+1"),
        ({"steps": 0}, "Denoising steps must be a whole number from 1 to 200; got 0"),
        ({"steps": 10**9}, "from 1 to 200"),
        ({"steps": "5"}, "whole number"),
        ({"steps": float("nan")}, "whole number"),
        ({"runs": 1000}, "Runs to average"),
        ({"seed": -1}, "Seed must be a whole number"),
        ({"start": "soon"}, "Start \\(s\\) must be a number"),
        ({"end": "-3"}, "End \\(s\\) must be a number"),
    ],
)
def test_bad_estimate_settings_are_refused_before_any_job(handlers, video, change, message):
    with pytest.raises(InputError, match=message):
        handlers.estimate(Session(), {**ESTIMATE, "video": video} | change)
    assert handlers.manager.records() == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "warp"}, "Preset must be one of"),
        ({"amount": 1000}, "Amount must be a number from 0 to"),
        ({"amount": None}, "got nothing"),
        ({"pivot": 0}, "Distance of the subject"),
        ({"num_keys": 1}, "Keyframes must be a whole number from 2 to 5"),
        ({"frames": 7}, "4k\\+1"),
    ],
)
def test_bad_preset_settings_are_refused(handlers, change, message):
    with pytest.raises(InputError, match=message):
        handlers.use_preset(Session(), PRESET | change)


def test_steps_out_of_order_say_which_comes_first(handlers):
    with pytest.raises(InputError, match="Use a preset in '2 Edit'"):
        handlers.generate(Session(), GENERATE)
    with pytest.raises(InputError, match="Press 'Estimate camera path' in '1 Video'"):
        handlers.generate(Session(), GENERATE | {"path_choice": text.PATH_ESTIMATED})
    with pytest.raises(InputError, match="Press 'Estimate camera path'"):
        handlers.run_loop(Session(), LOOP)
    with pytest.raises(InputError, match="Press 'Estimate camera path'"):
        handlers.start_from_estimate(Session(), 5)
    with pytest.raises(InputError, match="Compare with must be one of"):
        handlers.choose_overlay(Session(), "estimated")
    with pytest.raises(InputError, match="Path must be one of"):
        handlers.generate(Session(), GENERATE | {"path_choice": "secret"})
    with pytest.raises(InputError, match="one of the 1 shown; got 7"):
        handlers.pick_example(Session(), 7)


def test_a_file_that_is_no_video_fails_with_the_readers_own_words(handlers, tmp_path):
    fake = tmp_path / "fake.mp4"
    fake.write_text("this is text")
    submitted = handlers.estimate(Session(), ESTIMATE | {"video": str(fake)})
    record = handlers.manager.wait(submitted["session"].job, timeout_sec=SOON)
    assert record.state is JobState.FAILED and "fault of the program" not in record.message
    assert record.message.split(".")[0] in handlers.tick(submitted["session"])["job_bar"]


def test_without_a_model_the_page_opens_and_says_what_to_do(manager, examples, video):
    def missing():
        raise CheckpointError("model must be there; got none. Train one.")

    holder = ModelHolder(missing, ModelFacts("none", "cpu"))
    handlers = Handlers(manager, holder, examples)
    holder.start_loading().join()
    updates = handlers.open_page({})
    assert "Train one." in updates["status"] and "No model" in updates["status"]
    submitted = handlers.estimate(updates["session"], ESTIMATE | {"video": video})
    record = manager.wait(submitted["session"].job, timeout_sec=SOON)
    assert record.state is JobState.FAILED and record.message.endswith("Train one.")


def test_names_from_outside_cannot_become_markup(manager, pipeline):
    facts = ModelFacts("<script>", "<b>", "<img src=x>")
    handlers = Handlers(manager, ModelHolder(lambda: pipeline, facts), [])
    status = handlers.open_page({})["status"]
    assert "<script>" not in status and "<img" not in status and "&lt;script&gt;" in status


def test_choosing_a_preset_states_its_unit_and_range(handlers):
    updates = handlers.choose_preset(Session(), "dolly-in")
    assert updates["amount"]["label"] == "Amount (scene units)"
    assert handlers.choose_preset(Session(), "pan-left")["amount"]["label"] == "Amount (deg)"
    assert isinstance(updates["pivot"], dict) and gr.update(visible=False) == updates["pivot"]


def test_a_malformed_visitor_id_is_replaced():
    assert session_from_browser({"visitor": "abc"}).visitor != "abc"
    assert session_from_browser({"visitor": "a" * 32}).visitor == "a" * 32
