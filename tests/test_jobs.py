"""Jobs: their states, stopping them, and what of them survives."""

import json
import threading
import time
from dataclasses import replace

import pytest

from rays_as_pixels.errors import Cancelled, InputError
from rays_as_pixels.jobs.manager import JobManager
from rays_as_pixels.jobs.quota import Quota, expired
from rays_as_pixels.jobs.records import JobRecord, JobState, read_record

SOON = 10.0  # seconds; far more than any of these jobs takes


@pytest.fixture
def open_manager(tmp_path):
    managers = []

    def make(**options) -> JobManager:
        managers.append(JobManager(tmp_path / "jobs", **options))
        return managers[-1]

    yield make
    for manager in managers:
        manager.close()


def until_cancelled(context):
    """Work that steps until it is told to stop."""
    context.results["partial"] = "first.txt"
    (context.folder / "first.txt").write_text("kept")
    for step in range(10_000):
        context.progress("Stepping", step, 10_000)
        if context.cancel.wait(0.01):
            raise Cancelled
    raise AssertionError("nobody stopped this job")


def wait_until(condition) -> None:
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


def test_a_job_runs_reports_and_leaves_results_and_files(open_manager):
    manager = open_manager()

    def work(context):
        context.progress("Counting", 1, 2)
        (context.folder / "out.txt").write_text("42")
        return {"answer": 42}

    job = manager.submit("count", work, owner="ann", settings={"seed": 7})
    assert job.state in (JobState.QUEUED, JobState.RUNNING)
    job = manager.wait(job.id, timeout_sec=SOON)
    assert job.state is JobState.DONE and job.results == {"answer": 42}
    assert (job.stage, job.done, job.total) == ("Counting", 1, 2)
    assert job.settings == {"seed": 7} and job.duration_sec is not None
    assert (manager.folder(job.id) / "out.txt").read_text() == "42"


def test_jobs_of_one_device_run_one_after_the_other_in_order(open_manager):
    manager = open_manager(quota=Quota(owner_waiting=10))
    log, busy = [], threading.Lock()

    def work(context):
        assert busy.acquire(blocking=False), "two jobs ran at once"
        time.sleep(0.01)
        log.append(context.id)
        busy.release()

    jobs = [manager.submit("one", work) for _ in range(5)]
    for job in jobs:
        assert manager.wait(job.id, timeout_sec=SOON).state is JobState.DONE
    assert log == [job.id for job in jobs]


def test_two_devices_work_at_the_same_time(open_manager):
    manager = open_manager(devices=("cpu", "other"))
    meet = threading.Barrier(2, timeout=SOON)
    jobs = [
        manager.submit("meet", lambda _: meet.wait() and None, device=d) for d in manager.devices
    ]
    assert [manager.wait(job.id, timeout_sec=SOON).state for job in jobs] == [JobState.DONE] * 2


def test_a_running_job_stops_within_a_step_and_keeps_what_it_had(open_manager):
    manager = open_manager()
    job = manager.submit("long", until_cancelled)
    wait_until(lambda: manager.get(job.id).done > 2)
    started = time.monotonic()
    assert manager.cancel(job.id).cancelling
    job = manager.wait(job.id, timeout_sec=SOON)
    assert time.monotonic() - started < 1.0
    assert job.state is JobState.CANCELLED and job.results == {"partial": "first.txt"}
    assert (manager.folder(job.id) / "first.txt").read_text() == "kept"
    assert manager.cancel(job.id).state is JobState.CANCELLED, "stopping twice changes nothing"


def test_a_waiting_job_is_cancelled_at_once_and_never_runs(open_manager):
    manager = open_manager()
    first = manager.submit("long", until_cancelled)
    ran = threading.Event()
    second = manager.submit("never", lambda _: ran.set())
    third = manager.submit("third", lambda _: None)
    assert manager.queue_position(third.id) == 2
    assert manager.cancel(second.id).state is JobState.CANCELLED
    assert manager.queue_position(third.id) == 1
    manager.cancel(first.id)
    assert manager.wait(third.id, timeout_sec=SOON).state is JobState.DONE
    assert not ran.is_set()


def test_bad_input_fails_with_its_own_words_and_a_fault_keeps_its_traceback(open_manager):
    manager = open_manager()

    def refuse(_):
        raise InputError("size must be even; got 3. Crop it.")

    def crash(_):
        raise ZeroDivisionError("1/0")

    refused = manager.wait(manager.submit("a", refuse).id, timeout_sec=SOON)
    assert refused.state is JobState.FAILED
    assert refused.message == "size must be even; got 3. Crop it."
    assert not (manager.folder(refused.id) / "error.txt").exists()
    crashed = manager.wait(manager.submit("b", crash).id, timeout_sec=SOON)
    assert crashed.state is JobState.FAILED and "ZeroDivisionError" in crashed.message
    assert "in crash" in (manager.folder(crashed.id) / "error.txt").read_text()
    after = manager.wait(manager.submit("c", lambda _: {"ok": 1}).id, timeout_sec=SOON)
    assert after.state is JobState.DONE, "the worker must outlive a crash"


def test_a_result_that_cannot_be_written_down_fails_and_the_worker_lives(open_manager):
    manager = open_manager()
    job = manager.wait(manager.submit("nan", lambda _: {"x": float("nan")}).id, timeout_sec=SOON)
    assert job.state is JobState.FAILED
    after = manager.wait(manager.submit("c", lambda _: None).id, timeout_sec=SOON)
    assert after.state is JobState.DONE


def test_finished_jobs_survive_a_restart_and_unfinished_ones_are_called_interrupted(tmp_path):
    root = tmp_path / "jobs"
    manager = JobManager(root)
    done = manager.wait(manager.submit("ok", lambda _: {"answer": 1}).id, timeout_sec=SOON)
    manager.close()
    # What a killed process leaves behind: records that say queued and running.
    for number, state in enumerate(("queued", "running")):
        folder = root / f"{number:032x}"
        folder.mkdir()
        record = {"id": folder.name, "kind": "k", "owner": "", "device": "cpu", "state": state}
        (folder / "job.json").write_text(json.dumps(record | {"created_unix": 1.0}))
        (folder / "partial.mp4").write_text("x")
    (root / ("f" * 32)).mkdir()
    (root / ("f" * 32) / "job.json").write_text('{"half')
    again = JobManager(root)
    try:
        assert again.get(done.id) == done
        for number in range(2):
            job = again.get(f"{number:032x}")
            assert job.state is JobState.INTERRUPTED and "Start it again" in job.message
            assert read_record(again.folder(job.id)) == job, "the disk must say so too"
            assert (again.folder(job.id) / "partial.mp4").exists()
        assert len(again.records()) == 3, "a damaged record is passed over"
    finally:
        again.close()


def test_closing_interrupts_what_runs_and_what_waits(tmp_path):
    manager = JobManager(tmp_path)
    running = manager.submit("long", until_cancelled)
    waiting = manager.submit("next", lambda _: None)
    wait_until(lambda: manager.get(running.id).state is JobState.RUNNING)
    manager.close()
    for job in (running, waiting):
        assert read_record(tmp_path / job.id).state is JobState.INTERRUPTED
    with pytest.raises(InputError, match="stopping"):
        manager.submit("late", lambda _: None)


def test_one_workspace_serves_one_manager(tmp_path):
    manager = JobManager(tmp_path)
    with pytest.raises(InputError, match="in use"):
        JobManager(tmp_path)
    manager.close()
    JobManager(tmp_path).close()


def test_the_time_left_follows_from_measured_steps():
    base = JobRecord("0" * 32, "k", "", "cpu", JobState.RUNNING, 0.0)
    assert base.remaining_sec is None
    after = replace(base, stage="s", done=5, total=20, stage_first=1, stage_sec=8.0)
    assert after.remaining_sec == pytest.approx(30.0)  # 8 s for 4 steps, 15 to go
    assert replace(after, state=JobState.DONE).remaining_sec is None


@pytest.mark.parametrize("job_id", ["", "../../etc/passwd", "A" * 32, "0" * 31, "0" * 33, None])
def test_ids_that_are_none_are_refused(open_manager, job_id):
    with pytest.raises(InputError, match="32 hexadecimal digits"):
        open_manager().get(job_id)


def test_an_unknown_job_is_called_cleaned_up(open_manager):
    with pytest.raises(InputError, match="cleaned up"):
        open_manager().get("0" * 32)


def test_a_visitor_may_not_fill_the_queue(open_manager):
    manager = open_manager(quota=Quota(owner_waiting=2, waiting=3))
    jobs = [manager.submit("long", until_cancelled, owner="ann") for _ in range(2)]
    with pytest.raises(InputError, match="2 or fewer at a time"):
        manager.submit("long", until_cancelled, owner="ann")
    jobs.append(manager.submit("long", until_cancelled, owner="bob"))
    with pytest.raises(InputError, match="queue must hold 3"):
        manager.submit("long", until_cancelled, owner="cy")
    for job in reversed(jobs):
        manager.cancel(job.id)


def test_the_oldest_finished_jobs_go_when_the_quota_is_full(open_manager):
    manager = open_manager(quota=Quota(total_bytes=25_000, owner_bytes=25_000))

    def work(context):
        (context.folder / "big").write_bytes(b"0" * 10_000)

    jobs = []
    for _ in range(4):
        jobs.append(manager.wait(manager.submit("big", work, owner="ann").id, timeout_sec=SOON))
    wait_until(lambda: len(manager.records()) == 2)
    assert [job.id for job in manager.records()] == [jobs[3].id, jobs[2].id]
    assert not manager.folder(jobs[0].id).exists()


def test_quota_counts_per_visitor_and_by_age():
    def job(number: int, owner: str, finished: float) -> JobRecord:
        return JobRecord(
            f"{number:032x}", "k", owner, "cpu", JobState.DONE, 0.0, finished_unix=finished
        )

    quota = Quota(total_bytes=100, owner_bytes=30, keep_sec=50.0)
    jobs = [(job(1, "ann", 95.0), 20), (job(2, "ann", 96.0), 20), (job(3, "bob", 90.0), 30)]
    jobs.append((job(4, "bob", 10.0), 0))
    gone = expired(jobs, quota, now=100.0)
    assert gone == [f"{4:032x}", f"{1:032x}"]


def test_a_job_that_is_not_finished_is_not_deleted(open_manager):
    manager = open_manager()
    job = manager.submit("long", until_cancelled)
    with pytest.raises(InputError, match="Stop it first"):
        manager.delete(job.id)
    manager.cancel(job.id)
    manager.wait(job.id, timeout_sec=SOON)
    manager.delete(job.id)
    assert not manager.folder(job.id).exists() and manager.records() == []


def test_an_unknown_device_is_refused(open_manager):
    with pytest.raises(InputError, match="device must be one of cpu"):
        open_manager().submit("k", lambda _: None, device="tpu")


def test_inputs_are_in_the_jobs_folder_before_it_runs_even_if_the_original_goes(
    open_manager, tmp_path
):
    manager = open_manager()
    blocker = manager.submit("long", until_cancelled)
    original = tmp_path / "upload.mp4"
    original.write_bytes(b"video")

    def work(context):
        return {name: (context.folder / name).read_text() for name in ("in.mp4", "ask.json")}

    job = manager.submit("read", work, inputs={"in.mp4": original, "ask.json": b"{}"})
    original.unlink()
    manager.cancel(blocker.id)
    job = manager.wait(job.id, timeout_sec=SOON)
    assert job.results == {"in.mp4": "video", "ask.json": "{}"}


def test_an_input_that_cannot_be_copied_refuses_the_job_and_leaves_nothing(open_manager, tmp_path):
    manager = open_manager()
    with pytest.raises(InputError, match=r"in\.mp4 must be readable"):
        manager.submit("read", lambda _: None, inputs={"in.mp4": tmp_path / "gone.mp4"})
    assert manager.records() == []
    assert [path.name for path in manager.root.iterdir()] == [".lock"]
