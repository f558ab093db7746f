"""What the events do, with a real (untrained, tiny) pipeline behind them."""

import json
from dataclasses import replace

import pytest
import torch
from gradio.utils import get_upload_folder
from waiting import wait_until

from rays_as_pixels.app.editor import document_from_preset, document_from_trajectory
from rays_as_pixels.app.jobs import loop_rounds, tasks
from rays_as_pixels.app.jobs.input_files import TARGET_TRAJECTORY
from rays_as_pixels.app.jobs.kinds import job_kinds
from rays_as_pixels.app.jobs.manager import JobManager
from rays_as_pixels.app.jobs.records import JobState
from rays_as_pixels.app.page import step_loop
from rays_as_pixels.app.page.binding import run_event
from rays_as_pixels.app.page.layout import build_page
from rays_as_pixels.app.page.opening import show_unsent
from rays_as_pixels.app.server.session import LockedSession
from rays_as_pixels.errors import InputError
from rays_as_pixels.media.video import write_image
from rays_as_pixels.pipeline.defaults import GENERATE_STEPS, IMAGINE_STEPS
from tests.app.driver import SOON

pytestmark = pytest.mark.usefixtures("uploads_here")


def test_the_page_opens_with_an_example_and_its_frames(page, driver):
    updates = page.open({})
    session = updates[page.session]
    assert session.example == "1-slide" and session.plan["num_frames"] == 5
    assert (
        "5 frames: 0, 2, 4, 6, 8" in updates[page.video.facts]
        and "evenly" in updates[page.video.facts]
    )
    assert session.paths["truth"].positions[-1, 0].item() == pytest.approx(0.4)
    assert updates[page.view.plot] is not None and driver.manager.records() == []


def test_steps_left_alone_follow_what_is_made_and_chosen_ones_stay(page, driver, opened):
    imagined = driver.choose_path(opened, "imagine", GENERATE_STEPS)
    assert (
        imagined[page.generate.steps] == IMAGINE_STEPS
        and imagined[page.generate.imagine_fps]["visible"]
    )
    back = driver.choose_path(imagined[page.session], "edited", IMAGINE_STEPS)
    assert (
        back[page.generate.steps] == GENERATE_STEPS
        and not back[page.generate.imagine_fps]["visible"]
    )
    for session, along, chosen in (
        (opened, "imagine", 11),
        (imagined[page.session], "edited", 11),
        (back[page.session], "estimated", IMAGINE_STEPS),  # from path to path
        (imagined[page.session], "imagine", GENERATE_STEPS),
    ):
        assert page.generate.steps not in driver.choose_path(session, along, chosen)


def test_trimming_and_rates_choose_the_frames_that_the_model_gets(page, driver, opened):
    updates = driver.trim(opened, {"start_sec": 0.2, "end_sec": 0.75})
    assert updates[page.session].plan == {"start_sec": 0.2, "end_sec": 0.75, "num_frames": 5}
    assert (
        "5 frames: 2, 3, 4, 6, 7" in updates[page.video.facts]
        or "Trimmed" in updates[page.video.facts]
    )
    assert updates[page.video.start] == "0.2"
    by_rate = driver.choose_frames(opened, by="rate", rate=5.0)
    assert "5 frames: 0, 2, 4, 6, 8" in by_rate[page.video.facts]
    session = by_rate[page.session]
    session, _ = driver.finished(driver.estimate(session))
    assert session.paths["estimated"].source_frame == (0, 2, 4, 6, 8)


def test_an_uploaded_video_replaces_the_example(page, driver, opened, examples, uploads_here):
    copy = uploads_here / "mine.mp4"
    copy.write_bytes(examples[0].clip.read_bytes())
    updates = driver.take_files(opened, [str(copy)])
    session = updates[page.session]
    assert session.source == str(copy) and session.example == "" and session.paths == {}
    assert updates[page.view.plot] is None and updates[page.view.clip]["visible"]
    assert session.visitor == opened.visitor


def test_several_images_become_one_video(page, driver, opened, uploads_here, sliding_video):
    names = []
    for k in range(6):
        names.append(str(uploads_here / f"photo-{k}.png"))
        write_image(names[-1], sliding_video[k])
    updates = driver.take_files(opened, names)
    assert updates[page.session].plan["num_frames"] == 5 and not updates[page.session].still
    (uploads_here / "notes.png").write_text("no picture at all")
    with pytest.raises(InputError, match="must be"):
        driver.take_files(opened, [names[0], str(uploads_here / "notes.png")])


def test_one_image_is_filmed_along_a_drawn_path_without_any_estimate(
    page, driver, opened, uploads_here
):
    write_image(uploads_here / "photo.png", torch.rand(3, 90, 40))
    session = driver.take_files(opened, str(uploads_here / "photo.png"))[page.session]
    assert session.still
    with pytest.raises(InputError, match="got one image"):
        driver.estimate(session)
    document = document_from_preset("dolly-in", num_frames=5, fps=5, height=48, width=64)
    session = driver.commit_edit(session, document)[page.session]
    driver.finished(driver.generate(session))


def test_an_estimate_shows_path_frames_facts_and_what_can_be_downloaded(page, driver, opened):
    session = driver.choose_frames(opened)[page.session]
    submitted = driver.estimate(session)
    assert (
        submitted[page.path.seed] == 7
        and submitted[page.browser]["job"] == submitted[page.session].job
    )
    session, shown = driver.finished(submitted)
    assert "estimated" in session.paths and session.overlay == "truth"
    assert len(session.paths["truth"]) == 5, "the true cameras of the same frames"
    assert "5 frames: 0, 2, 4, 6, 8" in shown[page.path.facts]
    assert "seed" not in shown[page.path.facts], "a camera prior answered, which takes no seed"
    assert shown[page.view.clip]["value"].endswith("clip.mp4")
    assert ("Estimated path", "path:estimated") in shown[page.view.download_what]["choices"]
    assert session.browser()["estimate"] == session.estimate != ""
    again = driver.show_finished(session, session.job)
    assert set(again) == {page.edit.editor}, "results are shown once"


def test_the_same_seed_estimates_the_same_path_and_an_unlocked_one_is_new(page, driver, opened):
    session = driver.choose_frames(opened)[page.session]
    paths = []
    for _ in range(2):
        after, _ = driver.finished(driver.estimate(session))
        paths.append(after.paths["estimated"].cameras.world_from_cam)
    torch.testing.assert_close(paths[0], paths[1], atol=0, rtol=0)
    updates = driver.estimate(session, lock=False)
    record = driver.manager.wait(updates[page.session].job, timeout_sec=SOON)
    assert record.settings["seed"] == updates[page.path.seed] != 7, (
        "the seed shown must be the one used"
    )


def test_what_the_editor_confirms_is_what_the_model_gets(page, driver, calm):
    document = document_from_trajectory(calm.paths["estimated"], num_keyframes=5)
    document["keyframes"][-1]["position"][1] = -0.5  # end half a unit higher
    updates = driver.commit_edit(calm, document)
    session = updates[page.session]
    path = session.paths["edited"]
    assert path.positions[-1, 1].item() == pytest.approx(-0.5)
    assert session.main == "estimated" and session.overlay == "edited"
    submitted = driver.generate(session)
    folder = driver.manager.folder(submitted[page.session].job)
    target = json.loads((folder / TARGET_TRAJECTORY).read_text())
    poses = torch.tensor([frame["world_from_cam"] for frame in target["frames"]])
    torch.testing.assert_close(poses, path.cameras.world_from_cam.float(), atol=1e-6, rtol=0)
    driver.finished(submitted)


def test_a_path_beyond_the_training_range_is_named_before_the_run(page, driver, estimated):
    document = document_from_preset(
        "pan-left", num_frames=5, fps=5, height=48, width=64, amount=90.0
    )
    updates = driver.commit_edit(estimated, document)
    assert "leaves what the model was trained on" in updates[page.edit.warnings]
    answer = page.edit.editor.confirm(document)
    assert any("degrees away from frame 0" in one["message"] for one in answer["warnings"])
    preview = driver.preview_edit(updates[page.session], document)
    assert preview[page.edit.parallax]["value"].endswith(".mp4")


def test_a_video_is_generated_compared_listed_and_loaded_again(page, driver, edited):
    session, shown = driver.finished(driver.generate(edited, seed=3))
    assert shown[page.generate.compare]["a"]["file"]["path"].endswith("clip.mp4")
    assert shown[page.generate.compare]["b"]["file"]["path"].endswith("video.mp4")
    assert shown[page.generate.compare]["frames"] == 5
    first = session.result
    session, shown = driver.finished(driver.generate(session, seed=4))
    listed = {item["id"]: item for item in shown[page.generate.history]}
    assert listed[session.result]["shown"] and listed[first]["can_compare"]
    assert "seed 3" in listed[first]["detail"] and "Edited path" in listed[first]["detail"]
    compared = driver.use_result(session, first, "compare")
    assert first in compared[page.generate.compare]["a"]["file"]["path"]
    loaded = driver.use_result(session, first, "load")
    assert loaded[page.generate.seed] == 3 and loaded[page.session].result == first
    assert loaded[page.session].edit["num_frames"] == 5
    gone = driver.use_result(loaded[page.session], first, "delete")
    assert (
        first not in {item["id"] for item in gone[page.generate.history]}
        and gone[page.generate.compare] is None
    )
    with pytest.raises(InputError, match="kept"):
        driver.use_result(session, first, "load")


def test_a_video_is_imagined_from_the_first_frame(page, driver, estimated):
    session, shown = driver.finished(driver.generate(estimated, path_choice="imagine"))
    assert session.main == "imagined" and len(session.paths["imagined"]) == 5
    assert shown[page.generate.compare]["a"] is None


def test_the_loop_shows_its_numbers_in_total_per_frame_and_from_round_to_round(page, driver, calm):
    session, shown = driver.finished(driver.loop(calm, rounds=2))
    words = shown[page.loop.numbers]
    for word in ("R_err", "T_err", "PSNR", "rad", "dB", "Rotation difference", "seed 7"):
        assert word in words
    assert session.main == "looped" and session.overlay == "again"
    folder = driver.manager.folder(session.loop)
    report = json.loads((folder / tasks.REPORT).read_text())
    done = len(report["rounds"])
    assert all(len(item["psnr_db_by_frame"]) == 5 for item in report["rounds"])
    assert done == 2 or ("Round 2 could not begin" in words and report["stopped"])
    assert (folder / loop_rounds.video_name(done - 1)).is_file()


@pytest.mark.parametrize(
    ("demo", "demonstrate", "has_psnr"),
    [
        ("stabilise", step_loop.run_stabilised, False),
        ("reverse", step_loop.run_reversed, True),
        ("dolly_zoom", step_loop.run_dolly_zoom, False),
    ],
)
def test_a_loop_demonstration_takes_one_click(driver, calm, demo, demonstrate, has_psnr):
    session, _ = driver.finished(driver.loop(calm, run=demonstrate))
    report = json.loads((driver.manager.folder(session.loop) / tasks.REPORT).read_text())
    assert report["path"] == demo
    assert (report["rounds"][0]["psnr_db"] is not None) is has_psnr
    path = session.paths["looped"].cameras.world_from_cam
    torch.testing.assert_close(path[0], torch.eye(4, dtype=path.dtype), atol=1e-9, rtol=0)
    if demo == "reverse":
        like = calm.paths["estimated"].reanchored(4).cameras.world_from_cam
        torch.testing.assert_close(path[-1], like[0], atol=1e-6, rtol=0)


def test_a_stopped_video_keeps_what_there_was(page, driver, edited):
    submitted = driver.generate(edited, steps=200)
    session = submitted[page.session]

    def stepping() -> bool:
        record = driver.manager.get(session.job)
        assert not record.state.is_final, record
        return record.done >= 3

    wait_until(stepping, every_sec=0.001, seen=lambda: driver.manager.get(session.job))
    driver.stop(session)
    record = driver.manager.wait(session.job, timeout_sec=SOON)
    assert record.state is JobState.CANCELLED
    assert "Stopped" in driver.poll(session)[page.header.job_bar]
    shown = driver.show_finished(session, session.job)
    assert shown[page.generate.compare]["b"]["file"]["path"].endswith("partial.mp4")
    assert "Unfinished" in shown[page.generate.facts]


def test_a_reloaded_page_finds_its_results_again_and_another_visitor_does_not(
    page, driver, estimated
):
    kept = estimated.browser()
    updates = page.open(kept)
    assert "estimated" in updates[page.session].paths and updates[page.session].example == ""
    again = driver.estimate(updates[page.session])
    assert driver.manager.wait(again[page.session].job, timeout_sec=SOON).state is JobState.DONE
    stranger = page.open(kept | {"visitor": "0" * 32})
    assert stranger[page.session].estimate != estimated.estimate
    before = len(driver.manager.records(owner=estimated.visitor))
    with pytest.raises(InputError, match="kept"):
        driver.use_result(replace(estimated, visitor="0" * 32), estimated.estimate, "delete")
    assert len(driver.manager.records(owner=estimated.visitor)) == before


def test_results_survive_a_restart_of_the_server(driver, estimated, model, examples, tmp_path):
    kept = estimated.browser()
    driver.manager.close()
    manager = JobManager(tmp_path / "jobs", job_kinds(model.get))
    try:
        fresh = build_page(manager, model, examples=examples)[1]
        assert "estimated" in fresh.open(kept)[fresh.session].paths
        held = LockedSession()
        outputs = fresh.view_outputs
        sent = run_event(fresh, held, lambda _: {}, kept=kept, lang="zh", outputs=outputs)
        assert sent[fresh.view.plot] is not None and fresh.path.facts not in sent
        assert sent[fresh.refresh], "a further event sends what this one could not"
        assert "使用" in show_unsent(fresh, held)[fresh.path.facts]
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
def test_anything_a_browser_may_have_kept_opens_the_page(page, kept):
    updates = page.open(kept)
    assert len(updates[page.session].visitor) == 32 and updates[page.session].job == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "Denoising steps must be 1 or more; got 0"),
        ({"steps": 10**9}, "Denoising steps must be 200 or less; got 1000000000"),
        ({"steps": "5"}, "whole number"),
        ({"steps": float("nan")}, "whole number"),
        ({"runs": 1000}, "Runs to average must be 16 or less; got 1000"),
        ({"flips": 3}, "uncertainty\\) must be 1, 2 or 4; got 3"),
        ({"seed": -1}, "Seed must be 0 or more; got -1"),
    ],
)
def test_bad_estimate_settings_are_refused_before_any_job(driver, opened, change, message):
    with pytest.raises(InputError, match=message):
        driver.estimate(opened, **change)
    assert driver.manager.records() == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": 10}, "frames must be 2 to 9; got 10. Use"),
        ({"frames": True}, "frames must be 2 to 9; got True"),
        ({"start": "soon"}, "Start \\(s\\) must be a finite number; got 'soon'"),
        ({"end": "-3"}, "End \\(s\\) must be 0 or more; got -3"),
        ({"by": "magic"}, "must be one of count, rate"),
        ({"by": "rate", "rate": 0}, "Rate"),
        ({"by": "rate", "rate": 1.0}, "2 frames or more; got 1"),
    ],
)
def test_a_bad_choice_of_frames_is_refused(driver, opened, change, message):
    with pytest.raises(InputError, match=message):
        driver.choose_frames(opened, **change)


def test_a_path_typed_by_a_visitor_is_not_read(driver, opened, tmp_path):
    secret = tmp_path / "secret.png"
    write_image(secret, torch.rand(3, 48, 64))
    with pytest.raises(InputError, match="uploaded here"):
        driver.take_files(opened, str(secret))
    with pytest.raises(InputError, match="uploaded here"):
        driver.generate(opened, path_choice="imagine", images_choice="own", own_image=str(secret))


def test_every_format_can_be_downloaded(page, driver, edited):
    for name in ("native", "bundle", "colmap", "blender", "nerfstudio", "da3"):
        updates = driver.prepare_download(edited, "path:edited", name)
        place = updates[page.view.download_button]["value"]
        assert place.startswith(get_upload_folder()) and updates[page.view.download_notes]
    with pytest.raises(InputError, match="must be one of"):
        driver.prepare_download(edited, "path:../x", "native")
    with pytest.raises(InputError, match="must be one of"):
        driver.prepare_download(edited, "path:edited", "exe")
