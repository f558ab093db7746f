"""Jobs: their states, stopping them, their places in the queue."""

import contextvars
import threading
import time

import pytest
from job_helpers import SOON, until_cancelled
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
    assert job.state is JobState.CANCELLED
    assert job.results == {"file": "first.txt", "partial": True}
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
    assert not (manager.root / "records" / f"{refused.id}.txt").exists()
    crashed = manager.wait(manager.submit("b", crash).id, timeout_sec=SOON)
    assert crashed.state is JobState.FAILED and "ZeroDivisionError" in crashed.message
    assert "in crash" in (manager.root / "records" / f"{crashed.id}.txt").read_text()
    after = manager.wait(manager.submit("c", lambda _: {"ok": 1}).id, timeout_sec=SOON)
    assert after.state is JobState.DONE, "the worker must outlive a crash"


def test_a_result_that_cannot_be_written_down_fails_and_the_worker_lives(open_manager):
    manager = open_manager()
    job = manager.wait(manager.submit("nan", lambda _: {"x": float("nan")}).id, timeout_sec=SOON)
    assert job.state is JobState.FAILED
    after = manager.wait(manager.submit("c", lambda _: None).id, timeout_sec=SOON)
    assert after.state is JobState.DONE


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
    assert not list(manager.files.iterdir())


def test_a_visitor_finds_their_own_jobs_only(open_manager):
    manager = open_manager()
    job = manager.submit("a", lambda _: None, owner="ann")
    assert manager.find(job.id, owner="ann") is not None
    for job_id, owner in ((job.id, "bob"), (job.id, ""), ("0" * 32, "ann"), (None, "ann"), (3, "")):
        assert manager.find(job_id, owner=owner) is None


def test_places_count_all_that_go_first_in_the_order_of_submission(open_manager):
    manager = open_manager()
    # It says nothing of its steps, so that nothing can be measured.
    running = manager.submit("long", lambda context: context.cancel.wait(60))
    waiting = [manager.submit("next", lambda _: None) for _ in range(3)]
    wait_until(lambda: manager.get(running.id).state is JobState.RUNNING)
    assert [manager.place(job.id).ahead for job in (running, *waiting)] == [0, 1, 2, 3]
    assert {manager.place(job.id).waiting for job in waiting} == {4}
    assert manager.place(waiting[0].id).wait_sec is None, "nothing was measured yet"
    manager.cancel(running.id)
    manager.wait(waiting[-1].id, timeout_sec=SOON)
    assert manager.place(waiting[-1].id).ahead == 0


def test_work_sees_the_context_variables_of_who_submitted_it(open_manager):
    """A GPU that is lent per visitor is asked for in the name of the request that submitted."""
    visitor = contextvars.ContextVar("visitor", default="nobody")
    manager = open_manager()
    jobs = {}
    for name in ("ann", "bob"):
        visitor.set(name)
        jobs[name] = manager.submit("who", lambda _: {"name": visitor.get()})
    for name, job in jobs.items():
        assert manager.wait(job.id, timeout_sec=SOON).results == {"name": name}


def test_a_full_disk_at_the_end_of_a_job_does_not_stop_the_worker(open_manager, monkeypatch):
    manager = open_manager()
    write = manager._store.write

    def full(record):
        if record.state is JobState.DONE and record.kind == "first":
            raise OSError(28, "No space left on device")
        write(record)

    monkeypatch.setattr(manager._store, "write", full)
    first = manager.wait(manager.submit("first", lambda _: None).id, timeout_sec=SOON)
    assert first.state is JobState.DONE
    second = manager.wait(manager.submit("second", lambda _: None).id, timeout_sec=SOON)
    assert second.state is JobState.DONE
