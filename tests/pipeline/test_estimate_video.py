"""A camera for every frame: what is kept where the work is stopped, and how soon it stops."""

import threading

import numpy as np
import pytest
import torch

from rays_as_pixels.errors import Cancelled
from rays_as_pixels.media.video import write_video
from rays_as_pixels.pipeline.options import RunOptions
from tests.solve.video import planar_scene

FIRST, SECOND = 8, 8


@pytest.fixture(scope="module")
def two_shots(tmp_path_factory):
    """A video of two scenes, 8 frames each."""
    frames = [
        *planar_scene.travelling(FIRST).frames,
        *planar_scene.turning(SECOND).frames[:, :, ::-1],
    ]
    video = torch.from_numpy(np.ascontiguousarray(frames)).movedim(-1, 1).float() / 255
    file = tmp_path_factory.mktemp("shots") / "clip.mp4"
    write_video(file, video, fps=10.0)
    return file


def stopped_at(stage: str, done: int) -> RunOptions:
    cancel = threading.Event()

    def progress(name: str, number: int, _total: int) -> None:
        if name.startswith(stage) and number == done:
            cancel.set()

    return RunOptions(progress=progress, cancel=cancel)


def test_shots_that_are_solved_when_it_is_stopped_are_kept(toy, two_shots):
    found = toy.estimate_video(two_shots, run=stopped_at("track frames", FIRST + 3))
    (shot,) = found.shots
    assert found.is_stopped and len(shot.trajectory) == FIRST == len(shot.interpolated)
    assert found.notes[-1] == "Stopped: the first 8 of 16 frames have a camera."


def test_stopped_before_anything_is_solved_is_cancelled(toy, two_shots):
    with pytest.raises(Cancelled):
        toy.estimate_video(two_shots, run=stopped_at("solve: global", 0))


def test_all_shots_are_there_where_nobody_stops(toy, two_shots):
    heard = []
    run = RunOptions(on_path=lambda centers, total: heard.append((centers.shape, total)))
    found = toy.estimate_video(two_shots, run=run)
    assert heard == [((FIRST, 3), 16), ((SECOND, 3), 16)]
    assert not found.is_stopped
    assert [(shot.first_frame, len(shot.trajectory)) for shot in found.shots] == [(0, 8), (8, 8)]
