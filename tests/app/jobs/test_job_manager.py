"""Jobs: their states, stopping them, their positions in the queue."""

import contextvars
import json
import threading
import time

import pytest
from job_helpers import SOON, submit, until_cancelled
from waiting import wait_until

from rays_as_pixels.app.jobs.quota import Quota
from rays_as_pixels.app.jobs.records import JobState
from rays_as_pixels.errors import InputError


def test_a_job_runs_reports_and_leaves_results_and_files(open_manager):
    manager = open_manager()

    def work(context):
        context.progress("Counting", 1, 2)
        (context.folder / "out.txt").write_text("42")
        return {"answer": 42}

    job = submit(manager, "count", work, owner="ann", notes={"seed": 7})
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

    jobs = [submit(manager, "one", work) for _ in range(5)]
    for job in jobs:
        assert manager.wait(job.id, timeout_sec=SOON).state is JobState.DONE
    assert log == [job.id for job in jobs]


def test_two_devices_work_at_the_same_time(open_manager):
    manager = open_manager(devices=("cpu", "other"))
    meet = threading.Barrier(2, timeout=SOON)
    jobs = [
        submit(manager, "meet", lambda _: meet.wait() and None, device=d) for d in manager.devices
    ]
    assert [manager.wait(job.id, timeout_sec=SOON).state for job in jobs] == [JobState.DONE] * 2


def test_a_running_job_stops_within_a_step_and_keeps_what_it_had(open_manager):
    manager = open_manager()
    job = submit(manager, "long", until_cancelled)
    wait_until(lambda: manager.get(job.id).done > 2)
    assert manager.cancel(job.id).cancelling
    job = manager.wait(job.id, timeout_sec=SOON)
    assert job.state is JobState.CANCELLED
    assert job.results == {"file": "first.txt", "partial": True}
    assert (manager.folder(job.id) / "first.txt").read_text() == "kept"
    assert manager.cancel(job.id).state is JobState.CANCELLED, "stopping twice changes nothing"


def test_a_waiting_job_is_cancelled_at_once_and_never_runs(open_manager):
    manager = open_manager()
    first = submit(manager, "long", until_cancelled)
    ran = threading.Event()
    second = submit(manager, "never", lambda _: ran.set())
    third = submit(manager, "third", lambda _: None)
    assert manager.queue_position(third.id).ahead == 2
    assert manager.cancel(second.id).state is JobState.CANCELLED
    assert manager.queue_position(third.id).ahead == 1
    manager.cancel(first.id)
    assert manager.wait(third.id, timeout_sec=SOON).state is JobState.DONE
    assert not ran.is_set()


def test_bad_input_fails_with_its_own_words_and_a_fault_keeps_its_traceback(open_manager):
    manager = open_manager()

    def refuse(_):
        raise InputError("size must be even; got 3. Crop it.")

    def crash(_):
        raise ZeroDivisionError("1/0")

    refused = manager.wait(submit(manager, "a", refuse).id, timeout_sec=SOON)
    assert refused.state is JobState.FAILED
    assert refused.message == "size must be even; got 3. Crop it."
    assert manager.traceback(refused.id) == ""
    crashed = manager.wait(submit(manager, "b", crash).id, timeout_sec=SOON)
    assert crashed.state is JobState.FAILED and "ZeroDivisionError" in crashed.message
    assert "in crash" in manager.traceback(crashed.id)
    after = manager.wait(submit(manager, "c", lambda _: {"ok": 1}).id, timeout_sec=SOON)
    assert after.state is JobState.DONE, "the worker must outlive a crash"


def test_a_result_that_cannot_be_written_down_fails_and_the_worker_lives(open_manager):
    manager = open_manager()
    job = manager.wait(submit(manager, "nan", lambda _: {"x": float("nan")}).id, timeout_sec=SOON)
    assert job.state is JobState.FAILED
    after = manager.wait(submit(manager, "c", lambda _: None).id, timeout_sec=SOON)
    assert after.state is JobState.DONE


def test_a_job_that_is_not_finished_is_not_deleted(open_manager):
    manager = open_manager()
    job = submit(manager, "long", until_cancelled)
    with pytest.raises(InputError, match="Stop it first"):
        manager.delete(job.id)
    manager.cancel(job.id)
    manager.wait(job.id, timeout_sec=SOON)
    manager.delete(job.id)
    assert not manager.folder(job.id).exists() and manager.records() == []


def test_an_unknown_device_is_refused(open_manager):
    with pytest.raises(InputError, match="device must be one of cpu"):
        submit(open_manager(), "k", lambda _: None, device="tpu")


def test_inputs_are_in_the_jobs_folder_before_it_runs_even_if_the_original_goes(
    open_manager, tmp_path
):
    manager = open_manager()
    blocker = submit(manager, "long", until_cancelled)
    original = tmp_path / "upload.mp4"
    original.write_bytes(b"video")

    def work(context):
        return {name: (context.folder / name).read_text() for name in ("in.mp4", "ask.json")}

    job = submit(manager, "read", work, inputs={"in.mp4": original, "ask.json": b"{}"})
    original.unlink()
    manager.cancel(blocker.id)
    job = manager.wait(job.id, timeout_sec=SOON)
    assert job.results == {"in.mp4": "video", "ask.json": "{}"}


def test_an_input_that_cannot_be_copied_refuses_the_job_and_leaves_nothing(open_manager, tmp_path):
    manager = open_manager()
    with pytest.raises(InputError, match=r"in\.mp4 must be readable"):
        submit(manager, "read", lambda _: None, inputs={"in.mp4": tmp_path / "gone.mp4"})
    assert manager.records() == []
    assert not list(manager.files.iterdir())


def test_a_visitor_finds_their_own_jobs_only(open_manager):
    manager = open_manager()
    job = submit(manager, "a", lambda _: None, owner="ann")
    assert manager.find(job.id, owner="ann") is not None
    for job_id, owner in ((job.id, "bob"), (job.id, ""), ("0" * 32, "ann"), (None, "ann"), (3, "")):
        assert manager.find(job_id, owner=owner) is None


def test_the_queue_position_counts_all_jobs_that_were_submitted_before(open_manager):
    manager = open_manager()
    # It says nothing of its steps, so that nothing can be measured.
    running = submit(manager, "long", lambda context: context.cancel.wait(60))
    waiting = [submit(manager, "next", lambda _: None) for _ in range(3)]
    wait_until(lambda: manager.get(running.id).state is JobState.RUNNING)
    assert [manager.queue_position(job.id).ahead for job in (running, *waiting)] == [0, 1, 2, 3]
    assert {manager.queue_position(job.id).waiting for job in waiting} == {4}
    assert manager.queue_position(waiting[0].id).wait_sec is None, "nothing was measured yet"
    manager.cancel(running.id)
    manager.wait(waiting[-1].id, timeout_sec=SOON)
    assert manager.queue_position(waiting[-1].id).ahead == 0


def test_work_sees_the_context_variables_of_who_submitted_it(open_manager):
    """A GPU that is lent per visitor is asked for in the name of the request that submitted."""
    visitor = contextvars.ContextVar("visitor", default="nobody")
    manager = open_manager()
    jobs = {}
    for name in ("ann", "bob"):
        visitor.set(name)
        jobs[name] = submit(manager, "who", lambda _: {"name": visitor.get()})
    for name, job in jobs.items():
        assert manager.wait(job.id, timeout_sec=SOON).results == {"name": name}


def test_a_full_disk_at_the_end_of_a_job_does_not_stop_the_worker(open_manager):
    manager = open_manager()
    database = manager._table._database
    begun, go_on = threading.Event(), threading.Event()

    def work(_):
        begun.set()
        go_on.wait(SOON)
        return {"text": "x" * 1_000_000}

    first = submit(manager, "first", work)
    assert begun.wait(SOON)
    with manager._lock:
        pages = database.execute("PRAGMA page_count").fetchone()[0]
        database.execute(f"PRAGMA max_page_count = {pages + 4}")
    go_on.set()
    first = manager.wait(first.id, timeout_sec=SOON)
    assert first.state is JobState.DONE and len(first.results["text"]) == 1_000_000
    (row,) = database.execute("SELECT record FROM jobs WHERE id = ?", (first.id,)).fetchone()
    assert json.loads(row)["state"] == "running", "the database could not take the result"
    second = manager.wait(submit(manager, "second", lambda _: None).id, timeout_sec=SOON)
    assert second.state is JobState.DONE
