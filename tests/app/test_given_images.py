"""Which images a video on the page is made from, and where each was taken."""

import pytest
import torch

from rays_as_pixels.app.editor import document_from_trajectory
from rays_as_pixels.app.jobs import tasks
from rays_as_pixels.app.jobs.source_clip_files import read_footage
from rays_as_pixels.app.page.events import taken_along
from rays_as_pixels.trajectories.depth import depth_of_path
from rays_as_pixels.trajectories.formats.native import read_native
from tests.app.forms import GENERATE, LOOP, finished

pytestmark = pytest.mark.usefixtures("uploads_here")


def test_a_first_keyframe_that_was_moved_is_filmed_from_where_it_is(handlers, calm):
    document = document_from_trajectory(calm.paths["estimated"], num_keyframes=5)
    document["keyframes"][0]["position"][1] = -0.3
    updates = handlers.commit_edit(calm, document)
    session = updates["session"]
    assert "does not begin where the first frame was filmed" in updates["edit_warnings"]
    pose = calm.paths["estimated"].cameras.world_from_cam
    runs = [
        handlers.generate(session, GENERATE),
        handlers.run_loop(session, LOOP | {"path": "edited"}),
    ]
    for submitted in runs:
        folder = handlers.manager.folder(submitted["session"].job)
        taken = read_native(folder / tasks.TAKEN).cameras.world_from_cam
        torch.testing.assert_close(taken, pose.to(taken), atol=1e-9, rtol=0)
        assert read_native(folder / tasks.WANTED).positions[0, 1].item() == pytest.approx(-0.3)
    session, _ = finished(handlers, runs[0])
    made = read_native(
        handlers.library.find(session.result, session.visitor).file(tasks.TRAJECTORY)
    )
    assert made.positions[0, 1].item() == pytest.approx(-0.3)
    finished(handlers, runs[1])
    own = taken_along(session, session.paths["edited"], own=True)
    assert torch.equal(own.cameras.world_from_cam[0], torch.eye(4).to(own.cameras.world_from_cam))


def test_depths_found_with_the_path_and_the_whole_clip_go_to_videos(handlers, edited):
    kept = depth_of_path(handlers.estimate_of(edited).folder / tasks.TRAJECTORY)
    assert kept is not None and kept.min() > 0
    loop = handlers.run_loop(edited, LOOP | {"path": "edited"})
    back = handlers.demo_reverse(edited, LOOP)
    video = handlers.generate(edited, GENERATE)
    for submitted, expected in ((video, kept), (loop, kept), (back, None)):
        folder = handlers.library.find(submitted["session"].job, edited.visitor).folder
        found = depth_of_path(folder / tasks.WANTED)
        assert (found is None) == (expected is None)
        assert expected is None or torch.equal(found, expected)
        assert read_footage(folder) is None
        finished(handlers, submitted)
    whole = handlers.generate(edited, GENERATE | {"images": "clip"})
    session, shown = finished(handlers, whole)
    assert "from the whole clip" in str(shown)
    source_clip = read_footage(handlers.library.find(session.result, session.visitor).folder)
    assert torch.equal(source_clip.video, handlers.frames_for(edited))
    pose = edited.paths["estimated"].cameras.world_from_cam
    torch.testing.assert_close(source_clip.trajectory.cameras.world_from_cam, pose)


def test_other_frames_are_given_with_the_cameras_that_took_them(handlers, edited):
    for path in ("estimated", "edited"):
        form = GENERATE | {"along": path, "images": "chosen", "chosen": [4, 0, 2]}
        submitted = handlers.generate(edited, form)
        record = handlers.manager.get(submitted["session"].job)
        assert record.settings["image_frames"] == [0, 2, 4]
        folder = handlers.manager.folder(record.id)
        assert len(read_native(folder / tasks.TAKEN)) == 5
        finished(handlers, submitted)
