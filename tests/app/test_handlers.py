"""What the events do, with a real (untrained, tiny) pipeline behind them."""

import json
from dataclasses import replace

import pytest
import torch
from gradio.utils import get_upload_folder
from rays_as_pixels.app.page.handlers import Handlers
from waiting import wait_until

from rays_as_pixels.app.editor import document_from_preset, document_from_trajectory
from rays_as_pixels.app.jobs import loop_rounds, tasks
from rays_as_pixels.app.jobs.kinds import job_kinds
from rays_as_pixels.app.jobs.manager import JobManager
from rays_as_pixels.app.jobs.records import JobState
from rays_as_pixels.app.server.session import LockedSession
from rays_as_pixels.errors import InputError
from rays_as_pixels.media.video import write_image
from rays_as_pixels.pipeline.defaults import GENERATE_STEPS, IMAGINE_STEPS
from tests.app.forms import ESTIMATE, GENERATE, LOOP, PLAN, SOON, finished

pytestmark = pytest.mark.usefixtures("uploads_here")


def view_of(updates: dict) -> dict:
    return json.loads(updates["view"])


def test_the_page_opens_with_an_example_and_its_frames(handlers):
    updates = handlers.open_page({})
    session = updates["session"]
    assert session.example == "1-slide" and session.plan["num_frames"] == 5
    assert "5 frames: 0, 2, 4, 6, 8" in updates["facts"] and "evenly" in updates["facts"]
    assert session.paths["truth"].positions[-1, 0].item() == pytest.approx(0.4)
    assert updates["view"] is not None and handlers.manager.records() == []


def test_steps_left_alone_follow_what_is_made_and_chosen_ones_stay(handlers, opened):
    imagined = handlers.choose_along(opened, "imagine", GENERATE_STEPS)
    assert imagined["generate_steps"] == IMAGINE_STEPS and imagined["imagine_fps"]["visible"]
    back = handlers.choose_along(imagined["session"], "edited", IMAGINE_STEPS)
    assert back["generate_steps"] == GENERATE_STEPS and not back["imagine_fps"]["visible"]
    for session, along, chosen in (
        (opened, "imagine", 11),
        (imagined["session"], "edited", 11),
        (back["session"], "estimated", IMAGINE_STEPS),  # from path to path
        (imagined["session"], "imagine", GENERATE_STEPS),
    ):
        assert "generate_steps" not in handlers.choose_along(session, along, chosen)


def test_trimming_and_rates_choose_the_frames_that_the_model_gets(handlers, opened):
    updates = handlers.trim(opened, {"start_sec": 0.2, "end_sec": 0.75}, PLAN)
    assert updates["session"].plan == {"start_sec": 0.2, "end_sec": 0.75, "num_frames": 5}
    assert "5 frames: 2, 3, 4, 6, 7" in updates["facts"] or "Trimmed" in updates["facts"]
    assert updates["start"] == "0.2"
    by_rate = handlers.plan(opened, PLAN | {"by": "rate", "rate": 5.0})
    assert "5 frames: 0, 2, 4, 6, 8" in by_rate["facts"]
    session = by_rate["session"]
    session, _ = finished(handlers, handlers.estimate(session, ESTIMATE))
    assert session.paths["estimated"].source_frame == (0, 2, 4, 6, 8)


def test_an_uploaded_video_replaces_the_example(handlers, opened, examples, uploads_here):
    copy = uploads_here / "mine.mp4"
    copy.write_bytes(examples[0].clip.read_bytes())
    updates = handlers.take_files(opened, [str(copy)])
    session = updates["session"]
    assert session.source == str(copy) and session.example == "" and session.paths == {}
    assert updates["view"] is None and updates["clip"]["visible"]
    assert session.visitor == opened.visitor


def test_several_images_become_one_video(handlers, opened, uploads_here, sliding_video):
    names = []
    for k in range(6):
        names.append(str(uploads_here / f"photo-{k}.png"))
        write_image(names[-1], sliding_video[k])
    updates = handlers.take_files(opened, names)
    assert updates["session"].plan["num_frames"] == 5 and not updates["session"].still
    (uploads_here / "notes.png").write_text("no picture at all")
    with pytest.raises(InputError, match="must be"):
        handlers.take_files(opened, [names[0], str(uploads_here / "notes.png")])


def test_one_image_is_filmed_along_a_drawn_path_without_any_estimate(
    handlers, opened, uploads_here
):
    write_image(uploads_here / "photo.png", torch.rand(3, 90, 40))
    session = handlers.take_files(opened, str(uploads_here / "photo.png"))["session"]
    assert session.still
    with pytest.raises(InputError, match="got one image"):
        handlers.estimate(session, ESTIMATE)
    document = document_from_preset("dolly-in", num_frames=5, fps=5, height=48, width=64)
    session = handlers.commit_edit(session, document)["session"]
    finished(handlers, handlers.generate(session, GENERATE))


def test_an_estimate_shows_path_frames_facts_and_what_can_be_downloaded(handlers, opened):
    session = handlers.plan(opened, PLAN)["session"]
    submitted = handlers.estimate(session, ESTIMATE)
    assert submitted["seed"] == 7 and submitted["browser"]["job"] == submitted["session"].job
    session, shown = finished(handlers, submitted)
    assert "estimated" in session.paths and session.overlay == "truth"
    assert len(session.paths["truth"]) == 5, "the true cameras of the same frames"
    assert "5 frames: 0, 2, 4, 6, 8" in shown["path_facts"] and "seed 7" in shown["path_facts"]
    assert shown["clip"]["value"].endswith("clip.mp4")
    assert ("Estimated path", "path:estimated") in shown["dl_what"]["choices"]
    assert session.browser()["estimate"] == session.estimate != ""
    assert handlers.finish(session, session.job) == {}, "results are shown once"


def test_the_same_seed_estimates_the_same_path_and_an_unlocked_one_is_new(handlers, opened):
    session = handlers.plan(opened, PLAN)["session"]
    paths = []
    for _ in range(2):
        after, _ = finished(handlers, handlers.estimate(session, ESTIMATE))
        paths.append(after.paths["estimated"].cameras.world_from_cam)
    torch.testing.assert_close(paths[0], paths[1], atol=0, rtol=0)
    updates = handlers.estimate(session, ESTIMATE | {"locked": False})
    record = handlers.manager.wait(updates["session"].job, timeout_sec=SOON)
    assert record.settings["seed"] == updates["seed"] != 7, "the seed shown must be the one used"


def test_what_the_editor_confirms_is_what_the_model_gets(handlers, calm):
    document = document_from_trajectory(calm.paths["estimated"], num_keyframes=5)
    document["keyframes"][-1]["position"][1] = -0.5  # end half a unit higher
    updates = handlers.commit_edit(calm, document)
    session = updates["session"]
    path = session.paths["edited"]
    assert path.positions[-1, 1].item() == pytest.approx(-0.5)
    assert session.main == "estimated" and session.overlay == "edited"
    submitted = handlers.generate(session, GENERATE)
    folder = handlers.manager.folder(submitted["session"].job)
    wanted = json.loads((folder / "wanted.json").read_text())
    poses = torch.tensor([frame["world_from_cam"] for frame in wanted["frames"]])
    torch.testing.assert_close(poses, path.cameras.world_from_cam.float(), atol=1e-6, rtol=0)
    finished(handlers, submitted)


def test_a_path_beyond_the_training_range_is_named_before_the_run(handlers, estimated):
    document = document_from_preset(
        "pan-left", num_frames=5, fps=5, height=48, width=64, amount=90.0
    )
    updates = handlers.commit_edit(estimated, document)
    assert "degrees away from frame 0" in updates["edit_warnings"]
    assert "rap-warn" in updates["edit_warnings"]
    preview = handlers.preview_edit(updates["session"], document)
    assert preview["parallax"]["value"].endswith(".mp4")


def test_a_video_is_generated_compared_listed_and_loaded_again(handlers, edited):
    session, shown = finished(handlers, handlers.generate(edited, GENERATE | {"seed": 3}))
    assert shown["compare"]["a"]["file"]["path"].endswith("clip.mp4")
    assert shown["compare"]["b"]["file"]["path"].endswith("video.mp4")
    assert shown["compare"]["frames"] == 5
    first = session.result
    session, shown = finished(handlers, handlers.generate(session, GENERATE | {"seed": 4}))
    listed = {item["id"]: item for item in shown["history"]}
    assert listed[session.result]["shown"] and listed[first]["can_compare"]
    assert "seed 3" in listed[first]["detail"] and "Edited path" in listed[first]["detail"]
    compared = handlers.use_result(session, {"id": first, "action": "compare"})
    assert first in compared["compare"]["a"]["file"]["path"]
    loaded = handlers.use_result(session, {"id": first, "action": "load"})
    assert loaded["generate_seed"] == 3 and loaded["session"].result == first
    assert loaded["session"].edit["num_frames"] == 5
    gone = handlers.use_result(loaded["session"], {"id": first, "action": "delete"})
    assert first not in {item["id"] for item in gone["history"]} and gone["compare"] is None
    with pytest.raises(InputError, match="kept"):
        handlers.use_result(session, {"id": first, "action": "load"})


def test_a_video_is_imagined_from_the_first_frame(handlers, estimated):
    session, shown = finished(
        handlers, handlers.generate(estimated, GENERATE | {"along": "imagine"})
    )
    assert session.main == "imagined" and len(session.paths["imagined"]) == 5
    assert shown["compare"]["a"] is None


def test_the_loop_shows_its_numbers_in_total_per_frame_and_from_round_to_round(handlers, calm):
    session, shown = finished(handlers, handlers.run_loop(calm, LOOP | {"rounds": 2}))
    words = shown["loop_numbers"]
    for word in ("R_err", "T_err", "PSNR", "rad", "dB", "Rotation error", "seed 7"):
        assert word in words
    assert session.main == "looped" and session.overlay == "again"
    folder = handlers.manager.folder(session.loop)
    report = json.loads((folder / tasks.REPORT).read_text())
    done = len(report["rounds"])
    assert all(len(item["psnr_db_by_frame"]) == 5 for item in report["rounds"])
    assert done == 2 or ("Round 2 could not begin" in words and report["stopped"])
    assert (folder / loop_rounds.video_name(done - 1)).is_file()


@pytest.mark.parametrize(
    ("demo", "has_psnr"), [("stabilise", False), ("reverse", True), ("dolly_zoom", False)]
)
def test_a_loop_demonstration_takes_one_click(handlers, calm, demo, has_psnr):
    form = {key: value for key, value in LOOP.items() if key != "path"}
    session, _ = finished(handlers, getattr(handlers, f"demo_{demo}")(calm, form))
    report = json.loads((handlers.manager.folder(session.loop) / tasks.REPORT).read_text())
    assert report["path"] == demo
    assert (report["rounds"][0]["psnr_db"] is not None) is has_psnr
    path = session.paths["looped"].cameras.world_from_cam
    torch.testing.assert_close(path[0], torch.eye(4, dtype=path.dtype), atol=1e-9, rtol=0)
    if demo == "reverse":
        like = calm.paths["estimated"].reanchored(4).cameras.world_from_cam
        torch.testing.assert_close(path[-1], like[0], atol=1e-6, rtol=0)


def test_a_stopped_video_keeps_what_there_was(handlers, edited):
    submitted = handlers.generate(edited, GENERATE | {"steps": 200})
    session = submitted["session"]

    def stepping() -> bool:
        record = handlers.manager.get(session.job)
        assert not record.state.is_final, record
        return record.done >= 3

    wait_until(stepping, every_sec=0.001, seen=lambda: handlers.manager.get(session.job))
    handlers.stop(session)
    record = handlers.manager.wait(session.job, timeout_sec=SOON)
    assert record.state is JobState.CANCELLED
    assert "Stopped" in handlers.tick(session)["job_bar"]
    shown = handlers.finish(session, session.job)
    assert shown["compare"]["b"]["file"]["path"].endswith("partial.mp4")
    assert "Unfinished" in shown["result_facts"]


def test_a_reloaded_page_finds_its_results_again_and_another_visitor_does_not(handlers, estimated):
    kept = estimated.browser()
    updates = handlers.open_page(kept)
    assert "estimated" in updates["session"].paths and updates["session"].example == ""
    again = handlers.estimate(updates["session"], ESTIMATE)
    assert handlers.manager.wait(again["session"].job, timeout_sec=SOON).state is JobState.DONE
    stranger = handlers.open_page(kept | {"visitor": "0" * 32})
    assert stranger["session"].estimate != estimated.estimate
    before = len(handlers.manager.records(owner=estimated.visitor))
    with pytest.raises(InputError, match="kept"):
        handlers.use_result(
            replace(estimated, visitor="0" * 32), {"id": estimated.estimate, "action": "delete"}
        )
    assert len(handlers.manager.records(owner=estimated.visitor)) == before


def test_results_survive_a_restart_of_the_server(handlers, estimated, model, examples, tmp_path):
    kept = estimated.browser()
    handlers.manager.close()
    manager = JobManager(tmp_path / "jobs", job_kinds(model.get))
    try:
        fresh = Handlers(manager, model, examples)
        assert "estimated" in fresh.open_page(kept)["session"].paths
        held = LockedSession()
        assert fresh.act(held, kept, "zh", lambda _: {})["view"] is not None
        assert held.session.visitor == estimated.visitor and "estimated" in held.session.paths
    finally:
        manager.close()


@pytest.mark.parametrize(
    "kept",
    [
        None,
        "x",
        3,
        {},
        {"visitor": "../etc"},
        {"job": 5, "estimate": ["a"]},
        {"job": "f" * 32},
        {"estimate": "example:../../etc/estimate"},
        {"estimate": "example:nowhere/estimate"},
    ],
)
def test_anything_a_browser_may_have_kept_opens_the_page(handlers, kept):
    updates = handlers.open_page(kept)
    assert len(updates["session"].visitor) == 32 and updates["session"].job == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "Denoising steps must be a whole number from 1 to 200; got 0"),
        ({"steps": 10**9}, "from 1 to 200"),
        ({"steps": "5"}, "whole number"),
        ({"steps": float("nan")}, "whole number"),
        ({"runs": 1000}, "Runs to average"),
        ({"seed": -1}, "Seed must be a whole number"),
    ],
)
def test_bad_estimate_settings_are_refused_before_any_job(handlers, opened, change, message):
    with pytest.raises(InputError, match=message):
        handlers.estimate(opened, ESTIMATE | change)
    assert handlers.manager.records() == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": 10}, "frames must be 2 to 9; got 10. Use"),
        ({"frames": True}, "frames must be 2 to 9; got True"),
        ({"start": "soon"}, "Start \\(s\\) must be a number"),
        ({"end": "-3"}, "End \\(s\\) must be a number"),
        ({"by": "magic"}, "must be one of count, rate"),
        ({"by": "rate", "rate": 0}, "Rate"),
        ({"by": "rate", "rate": 1.0}, "2 frames or more; got 1"),
    ],
)
def test_a_bad_choice_of_frames_is_refused(handlers, opened, change, message):
    with pytest.raises(InputError, match=message):
        handlers.plan(opened, PLAN | change)


def test_a_path_typed_by_a_visitor_is_not_read(handlers, opened, tmp_path):
    secret = tmp_path / "secret.png"
    write_image(secret, torch.rand(3, 48, 64))
    with pytest.raises(InputError, match="uploaded here"):
        handlers.take_files(opened, str(secret))
    with pytest.raises(InputError, match="uploaded here"):
        handlers.generate(
            opened, GENERATE | {"along": "imagine", "images": "own", "own": str(secret)}
        )


def test_every_format_can_be_downloaded(handlers, edited):
    for name in ("native", "bundle", "colmap", "blender", "nerfstudio", "da3"):
        updates = handlers.prepare_download(edited, "path:edited", name)
        place = updates["dl_button"]["value"]
        assert place.startswith(get_upload_folder()) and updates["dl_notes"]
    with pytest.raises(InputError, match="must be one of"):
        handlers.prepare_download(edited, "path:../x", "native")
    with pytest.raises(InputError, match="must be one of"):
        handlers.prepare_download(edited, "path:edited", "exe")
