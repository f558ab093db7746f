"""Estimates of every frame on the page: a real (untrained, tiny) pipeline, real tracks."""

import json

import pytest
import torch

from rays_as_pixels.app import i18n
from rays_as_pixels.app.editor import document_from_trajectory
from rays_as_pixels.app.jobs import tasks
from rays_as_pixels.app.jobs.estimate_every_frame import POINTS, SAMPLED, THUMBNAILS
from rays_as_pixels.app.jobs.frame_files import load_frames
from rays_as_pixels.app.page import step_path
from rays_as_pixels.app.page.widgets import stage_words
from rays_as_pixels.media.video import read_clip, write_video
from rays_as_pixels.trajectories.formats.native import read_native_with_extra
from tests.solve.video.planar_scene import travelling

pytestmark = pytest.mark.usefixtures("uploads_here")
FRAMES = 14  # more than the toy makes at once


@pytest.fixture(scope="module")
def moving() -> torch.Tensor:
    """Frames of a camera that travels past three planes."""
    return torch.from_numpy(travelling(FRAMES).frames).movedim(-1, 1).float() / 255


@pytest.fixture
def found(page, driver, opened, uploads_here, moving):
    """The session and the updates after the estimate of every frame of that clip."""
    file = uploads_here / "moving.mp4"
    write_video(file, moving, fps=10.0)
    session = driver.take_files(opened, str(file))[page.session]
    return driver.finished(driver.estimate(session, frames="every"))


def test_every_frame_gets_a_camera_a_picture_and_points(page, driver, found):
    session, shown = found
    path, folder = session.paths["estimated"], driver.manager.folder(session.estimate)
    assert len(path) == FRAMES and path.source_frame == tuple(range(FRAMES))
    assert len(read_clip(folder / tasks.CLIP).video) == FRAMES
    assert (folder / THUMBNAILS).is_file() and (folder / POINTS).is_file()
    sampled = load_frames(folder / tasks.FRAMES)
    assert len(sampled) == len(session.sampled) == 9 == len(read_clip(folder / SAMPLED).video)
    extra = read_native_with_extra(folder / tasks.TRAJECTORY)[1]
    assert extra["held_out_score"] > 0.6 and extra["interpolated"] == []
    view = json.loads(shown[page.view.plot])
    assert view["frames"]["columns"] == FRAMES and view["cloud"]["total"] > 50
    assert session.overlay == "network" and len(session.paths["network"]) <= 9
    assert "every frame: 14, from 0 to 13" in shown[page.path.facts]
    assert "explains" in shown[page.path.facts] and "9 of these frames" in shown[page.path.facts]
    assert "denoising" not in shown[page.path.facts] and "seed" not in shown[page.path.facts]


def test_what_was_found_is_said_in_chinese_too(page, driver, found):
    session, _ = found
    shown = page.open(session.browser(), "zh")
    words = shown[page.path.facts]
    assert "每一帧：共 14 帧" in words and "时间上均匀分布" in words and "explains" not in words


def test_a_video_along_a_longer_path_has_frames_evenly_spaced_in_time(page, driver, found):
    session, _ = found
    document = document_from_trajectory(session.paths["estimated"], num_keyframes=5)
    document["keyframes"][-1]["position"][1] -= 0.1
    session = driver.commit_edit(session, document)[page.session]
    assert len(session.paths["edited"]) == FRAMES
    session, shown = driver.finished(driver.generate(session, images_choice="clip"))
    assert len(session.paths["generated"]) == 9
    assert "9 of the path&#x27;s 14 frames" in shown[page.generate.facts]
    assert shown[page.generate.compare]["a"]["file"]["path"].endswith(SAMPLED)
    wanted = session.paths["edited"].resampled(9).cameras.world_from_cam
    poses = session.paths["generated"].cameras.world_from_cam
    torch.testing.assert_close(poses, wanted.to(poses.dtype), atol=1e-4, rtol=0)


def test_the_loop_films_the_frames_whose_pictures_are_kept(page, driver, found):
    session, _ = found
    session, shown = driver.finished(driver.loop(session))
    assert len(session.paths["looped"]) == 9 and "PSNR" in shown[page.loop.numbers]


def test_all_frames_are_exported(page, driver, found):
    session, _ = found
    file = driver.prepare_download(session, "path:estimated", "native")[page.view.download_button]
    with open(file["value"], encoding="utf-8") as text:
        assert len(json.load(text)["frames"]) == FRAMES


def test_shots_of_a_clip_with_a_cut_are_named_and_can_be_had(
    page, driver, opened, uploads_here, moving
):
    file = uploads_here / "cut.mp4"
    write_video(file, torch.cat([moving[:9], 1 - moving[:12].flip(-1, -2)]), fps=10.0)
    session = driver.take_files(opened, str(file))[page.session]
    session, shown = driver.finished(driver.estimate(session, frames="every"))
    assert "This is shot 2 of 2" in shown[page.path.facts]
    assert "Cuts at frames 9" in shown[page.path.facts]
    assert session.paths["estimated"].source_frame == tuple(range(9, 21))
    names = dict(shown[page.view.download_what]["choices"])
    other = driver.prepare_download(session, names["Path of shot 1, 9 frames"], "native")
    with open(other[page.view.download_button]["value"], encoding="utf-8") as text:
        assert len(json.load(text)["frames"]) == 9


def test_settings_without_effect_are_hidden_for_every_frame(page, driver, opened):
    for choice, shown in (("chosen", True), ("every", False)):
        updates = step_path.choose_frames(page, opened, {page.path.frames: choice})
        assert updates[page.path.for_chosen]["visible"] is shown


def test_notes_and_stages_of_the_program_are_said_in_the_visitors_language():
    note = "3 of 40 frames see too little that others see: their cameras are interpolated."
    assert i18n.translated(note, "note_", "zh").startswith("40 帧中有 3 帧")
    assert i18n.translated(note, "note_", "en") == note
    assert i18n.translated("A note of another kind.", "note_", "zh") == "A note of another kind."
    assert stage_words("solve part 12: turning", "en") == "Solve part 12 of the path: turning"
    assert stage_words("solve part 3: global", "zh") == "求解路径第 3 段：全局重建"
    assert stage_words("solve: global, focal length 0.5", "zh") == (
        "求解路径：全局重建，焦距为长边的 0.5 倍"
    )
