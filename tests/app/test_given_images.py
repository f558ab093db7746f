"""Which images a video on the page is made from, and where each was taken."""

import pytest
import torch

from rays_as_pixels.app.editor import document_from_trajectory
from rays_as_pixels.app.jobs import tasks
from rays_as_pixels.app.jobs.input_files import (
    SOURCE_TRAJECTORY,
    TARGET_TRAJECTORY,
    read_source_clip,
)
from rays_as_pixels.app.page.events import displayed_estimate, source_frames, source_path
from rays_as_pixels.app.page.step_loop import run_reversed
from rays_as_pixels.trajectories.depth import depth_of_path
from rays_as_pixels.trajectories.formats.native import read_native

pytestmark = pytest.mark.usefixtures("uploads_here")


def test_a_first_keyframe_that_was_moved_is_filmed_from_where_it_is(page, driver, calm):
    document = document_from_trajectory(calm.paths["estimated"], num_keyframes=5)
    document["keyframes"][0]["position"][1] = -0.3
    updates = driver.commit_edit(calm, document)
    session = updates[page.session]
    assert "does not begin where the first frame was filmed" in updates[page.edit.warnings]
    estimated = calm.paths["estimated"].cameras.world_from_cam
    runs = [
        driver.generate(session),
        driver.loop(session, path="edited"),
    ]
    for submitted in runs:
        folder = driver.manager.folder(submitted[page.session].job)
        filmed = read_native(folder / SOURCE_TRAJECTORY).cameras.world_from_cam
        torch.testing.assert_close(filmed, estimated.to(filmed), atol=1e-9, rtol=0)
        assert read_native(folder / TARGET_TRAJECTORY).positions[0, 1].item() == pytest.approx(-0.3)
    session, _ = driver.finished(runs[0])
    made = read_native(driver.library.find(session.result, session.visitor).file(tasks.TRAJECTORY))
    assert made.positions[0, 1].item() == pytest.approx(-0.3)
    driver.finished(runs[1])
    own = source_path(session, session.paths["edited"], own_image=True)
    assert torch.equal(own.cameras.world_from_cam[0], torch.eye(4).to(own.cameras.world_from_cam))


def test_depths_found_with_the_path_and_the_whole_clip_go_to_videos(page, driver, edited):
    kept = depth_of_path(displayed_estimate(page, edited).folder / tasks.TRAJECTORY)
    assert kept is not None and kept.min() > 0
    loop = driver.loop(edited, path="edited")
    back = driver.loop(edited, run=run_reversed)
    video = driver.generate(edited)
    for submitted, expected in ((video, kept), (loop, kept), (back, None)):
        folder = driver.library.find(submitted[page.session].job, edited.visitor).folder
        found = depth_of_path(folder / TARGET_TRAJECTORY)
        assert (found is None) == (expected is None)
        assert expected is None or torch.equal(found, expected)
        assert read_source_clip(folder) is None
        driver.finished(submitted)
    whole = driver.generate(edited, images_choice="clip")
    session, shown = driver.finished(whole)
    assert "from the whole clip" in str(shown)
    source_clip = read_source_clip(driver.library.find(session.result, session.visitor).folder)
    assert torch.equal(source_clip.video, source_frames(page, edited))
    estimated = edited.paths["estimated"].cameras.world_from_cam
    torch.testing.assert_close(source_clip.trajectory.cameras.world_from_cam, estimated)


def test_other_frames_are_given_with_the_cameras_that_took_them(page, driver, edited):
    for path in ("estimated", "edited"):
        submitted = driver.generate(
            edited, path_choice=path, images_choice="chosen", image_frames=[4, 0, 2]
        )
        record = driver.manager.get(submitted[page.session].job)
        assert record.settings["image_frames"] == [0, 2, 4]
        folder = driver.manager.folder(record.id)
        assert len(read_native(folder / SOURCE_TRAJECTORY)) == 5
        driver.finished(submitted)
