"""Running a verb for a job: here, and as in a process that ZeroGPU gives a GPU."""

import pickle
import threading

import pytest
import torch
from job_helpers import SOON
from waiting import wait_until

from rays_as_pixels.app.jobs import previews, tasks, verbs
from rays_as_pixels.app.jobs.input_files import TARGET_TRAJECTORY, image_name
from rays_as_pixels.app.jobs.kinds import job_kinds
from rays_as_pixels.app.jobs.records import JobState
from rays_as_pixels.app.jobs.requests import GenerateRequest
from rays_as_pixels.app.jobs.verbs import (
    JobCallbacks,
    VerbCall,
    call_events,
    call_verb,
    gpu_seconds,
    relay_events,
)
from rays_as_pixels.errors import Cancelled, InputError
from rays_as_pixels.media.video import probe_video, write_image
from rays_as_pixels.pipeline.options import ImagineOptions
from rays_as_pixels.trajectories.formats.native import native_text
from rays_as_pixels.trajectories.presets import PRESETS, make_preset


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(previews, "MIN_INTERVAL_SEC", 0.0)


def image(toy) -> torch.Tensor:
    return torch.rand(3, *toy.sizes[0], generator=torch.Generator().manual_seed(1))


def imagine(toy, *, steps: int) -> VerbCall:
    return VerbCall("imagine", {"images": image(toy), "options": ImagineOptions(steps)}, seed=5)


class Recorder:
    """Callbacks that note what they are called with, and stop the run at a step."""

    def __init__(self, *, stop_at: int | None = None) -> None:
        self.events = []
        self.cancel = threading.Event()
        self.stop_at = stop_at
        self.callbacks = JobCallbacks(
            self._progress, self._note("picture"), self._note("partial"), self.cancel
        )

    def _note(self, name):
        return lambda *values: self.events.append((name, values))

    def _progress(self, stage, done, total):
        self.events.append(("progress", (stage, done, total)))
        if stage == "imagine" and done == self.stop_at:
            self.cancel.set()

    def names(self) -> set:
        return {name for name, _ in self.events}


def through_a_pipe(stream):
    """Pass on what arrives as another process would get it."""
    for item in stream:
        yield pickle.loads(pickle.dumps(item))


def test_a_call_on_the_other_side_gives_what_it_gives_here(toy):
    here, there = Recorder(), Recorder()
    call = imagine(toy, steps=5)
    wanted = call_verb(toy, call, here.callbacks)
    sent = pickle.loads(pickle.dumps(call))
    got = relay_events(through_a_pipe(call_events(toy, sent)), there.callbacks)
    torch.testing.assert_close(got.video, wanted.video, atol=0, rtol=0)
    assert [item for item in there.events if item[0] == "progress"] == [
        item for item in here.events if item[0] == "progress"
    ]
    assert there.names() == {"progress", "picture"}


def test_a_stop_reaches_the_other_side_and_ends_its_thread(toy):
    recorder = Recorder(stop_at=2)
    with pytest.raises(Cancelled):
        relay_events(call_events(toy, imagine(toy, steps=150)), recorder.callbacks)
    steps = [values[1] for name, values in recorder.events if values and values[0] == "imagine"]
    assert max(steps) <= 4, "a step or two may be on their way already"
    assert not [thread for thread in threading.enumerate() if thread.name == "verb"]


def test_a_refusal_and_a_fault_of_the_other_process_stay_distinct(toy):
    bad = VerbCall("imagine", {"images": image(toy), "num_frames": 1}, seed=0)
    with pytest.raises(InputError, match="num_frames"):
        relay_events(through_a_pipe(call_events(toy, bad)), Recorder().callbacks)
    broken = VerbCall("imagine", {"images": image(toy), "no_such": 1}, seed=0)
    with pytest.raises(RuntimeError, match="no_such"):
        relay_events(through_a_pipe(call_events(toy, broken)), Recorder().callbacks)


def test_a_process_that_dies_is_no_result():
    with pytest.raises(RuntimeError, match="ended without a result"):
        relay_events(iter([("progress", ("x", 0, 1))]), Recorder().callbacks)


def test_a_gpu_that_is_refused_says_what_to_do():
    import gradio as gr  # noqa: PLC0415

    def refused():
        raise gr.Error("You have exceeded your quota")
        yield

    with pytest.raises(InputError, match=r"exceeded your quota.*Sign in"):
        relay_events(refused(), Recorder().callbacks)


def test_the_gpu_time_asked_for_follows_the_measured_time():
    def asked(expected):
        return gpu_seconds(VerbCall("imagine", {}, 0, expected_sec=expected))

    assert asked(None) == verbs.DEFAULT_GPU_SEC
    assert asked(0.1) == verbs.MIN_GPU_SEC
    assert asked(40.0) == 65


def test_off_zerogpu_nothing_is_wrapped(monkeypatch):
    for value in ("", "0", "false"):
        monkeypatch.setenv("SPACES_ZERO_GPU", value)
        assert not verbs.on_zero_gpu()
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert verbs.on_zero_gpu()
    monkeypatch.setattr(verbs, "_zero_gpu_calls", [])
    with pytest.raises(InputError, match="before the app starts"):
        verbs._zero_gpu_call()


# Whole jobs


def generate_job(manager, toy, tmp_path, *, steps: int, load=None):
    height, width = toy.sizes[0]
    count = toy.num_frames
    path = make_preset(next(iter(PRESETS)), num_frames=count, fps=8.0, height=height, width=width)
    picture = tmp_path / "image.png"
    write_image(picture, image(toy))
    manager.kinds |= job_kinds(load or (lambda: toy))
    inputs = {image_name(0): picture, TARGET_TRAJECTORY: native_text(path).encode()}
    return manager.submit(
        "generate", GenerateRequest(steps=steps), inputs=inputs, cost=float(steps * count)
    )


def test_a_stopped_generation_keeps_its_last_picture_and_a_video(open_manager, toy, tmp_path):
    manager = open_manager()
    job = generate_job(manager, toy, tmp_path, steps=200)
    wait_until(lambda: manager.get(job.id).preview_step >= 16)
    preview = manager.preview(job.id)
    assert preview.total == 200 and preview.data_uri().startswith("data:image/jpeg;base64,/9j/")
    assert manager.get(job.id).remaining_sec > 0
    at_stop = manager.cancel(job.id)
    job = manager.wait(job.id, timeout_sec=SOON)
    assert job.done <= at_stop.done + 1, "the step that ran is the last one"
    assert job.state is JobState.CANCELLED and job.results["partial"] is True
    assert job.results["steps_done"] >= 16
    info = probe_video(manager.folder(job.id) / job.results["partial_video"])
    assert info.num_frames == toy.num_frames and info.fps == pytest.approx(8.0)
    assert (manager.folder(job.id) / job.results["preview"]).is_file()


def test_a_finished_generation_leaves_no_pictures_and_measures_its_stages(
    open_manager, toy, tmp_path
):
    manager = open_manager()
    assert manager.expected_sec("generate", cost=1.0) is None
    job = manager.wait(generate_job(manager, toy, tmp_path, steps=10).id, timeout_sec=60.0)
    assert job.state is JobState.DONE, job.message
    assert job.preview == "" and "preview" not in job.results and "pictures" not in job.results
    assert not list(manager.folder(job.id).glob("preview-*"))
    stages = {name: steps for name, steps, _ in job.stages}
    assert stages["generate video"] == 10 and tasks.LOADING in stages
    assert sum(stage[2] for stage in job.stages) == pytest.approx(job.duration_sec, abs=0.5)
    twice = manager.expected_sec("generate", cost=2 * job.cost)
    once = manager.expected_sec("generate", cost=job.cost)
    assert once < twice < 2 * once, "steps are scaled, the rest is not"
    assert manager.step_sec("generate video") > 0


def test_a_stop_while_the_model_loads_ends_before_the_first_step(open_manager, toy, tmp_path):
    manager = open_manager()
    loading, go_on = threading.Event(), threading.Event()

    def load():
        loading.set()
        go_on.wait(SOON)
        return toy

    job = generate_job(manager, toy, tmp_path, steps=200, load=load)
    assert loading.wait(SOON)
    manager.cancel(job.id)
    go_on.set()
    job = manager.wait(job.id, timeout_sec=SOON)
    assert job.state is JobState.CANCELLED and job.stage == tasks.LOADING
