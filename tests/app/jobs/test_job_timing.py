"""Times that are promised follow from times that were measured."""

from dataclasses import replace

import pytest

from rays_as_pixels.app.jobs import timing
from rays_as_pixels.app.jobs.records import JobRecord, JobState

RUNNING = JobRecord("0" * 32, "k", "", "cpu", JobState.RUNNING, 0.0)


def measured(number: int, *, steps: int, step_sec: float, other_sec: float) -> JobRecord:
    """Return a finished job of 1 s reading, `steps` steps, and a last stage."""
    stages = [["read", 1, 1.0], ["denoise", steps, steps * step_sec], ["write", 0, other_sec]]
    return JobRecord(
        f"{number:032x}",
        "k",
        "",
        "cpu",
        JobState.DONE,
        0.0,
        started_unix=10.0,
        finished_unix=10.0 + sum(stage[2] for stage in stages) + number,
        cost=float(steps),
        stages=stages,
    )


def test_the_time_left_follows_from_measured_steps():
    base = RUNNING
    assert base.remaining_sec is None
    after = replace(base, stage="s", done=5, total=20, stage_first=1, stage_sec=8.0)
    assert after.remaining_sec == pytest.approx(30.0)  # 8 s for 4 steps, 15 to go
    assert replace(after, state=JobState.DONE).remaining_sec is None


def test_a_longer_run_is_promised_more_time_for_its_steps_alone():
    jobs = [replace(measured(0, steps=10, step_sec=0.5, other_sec=2.0))]
    assert timing.expected_sec(jobs, "k", device="cpu", cost=10.0) == pytest.approx(8.0)
    assert timing.expected_sec(jobs, "k", device="cpu", cost=40.0) == pytest.approx(23.0)
    assert timing.expected_sec(jobs, "k", device="cpu", cost=0.0) == pytest.approx(8.0)


def test_nothing_is_promised_for_what_was_never_measured():
    jobs = [measured(0, steps=10, step_sec=0.5, other_sec=2.0)]
    assert timing.expected_sec(jobs, "other", device="cpu", cost=1.0) is None
    assert timing.expected_sec(jobs, "k", device="cuda", cost=1.0) is None
    failed = [replace(jobs[0], state=JobState.FAILED)]
    assert timing.expected_sec(failed, "k", device="cpu", cost=1.0) is None
    assert timing.step_sec(jobs, "other") is None


def test_one_slow_run_does_not_spoil_the_promise():
    jobs = [measured(k, steps=10, step_sec=0.1, other_sec=1.0) for k in range(4)]
    jobs.append(measured(4, steps=10, step_sec=9.0, other_sec=1.0))
    assert timing.expected_sec(jobs, "k", device="cpu", cost=10.0) < 8.0
    assert timing.step_sec(jobs, "denoise") == pytest.approx(0.1)


def test_the_time_left_of_a_whole_job_includes_what_comes_after_this_stage():
    before = measured(0, steps=10, step_sec=0.5, other_sec=2.0)
    job = replace(
        RUNNING,
        cost=10.0,
        stages=[["read", 1, 1.0]],
        stage="denoise",
        done=4,
        total=10,
        stage_sec=2.0,
    )
    assert timing.remaining_sec(job, []) == pytest.approx(3.0), "this stage alone"
    assert timing.remaining_sec(job, [before]) == pytest.approx(5.0)
    later = timing.remaining_sec(job, [before], since_report_sec=1.0)
    assert later == pytest.approx(4.0), "it counts down between two reports"
    other = replace(job, stages=[["fetch", 1, 1.0]])
    assert timing.remaining_sec(other, [before]) == pytest.approx(3.0), "not the same stages"
