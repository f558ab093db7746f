"""What of the jobs survives the end of the program, however it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from job_helpers import SOON, until_cancelled
from waiting import wait_until

from rays_as_pixels.app.jobs.manager import JobManager
from rays_as_pixels.app.jobs.records import JobState, read_record
from rays_as_pixels.errors import InputError

ROOT = Path(__file__).resolve().parents[3]


def test_finished_jobs_survive_a_restart_and_unfinished_ones_are_called_interrupted(tmp_path):
    root = tmp_path / "jobs"
    manager = JobManager(root)
    done = manager.wait(manager.submit("ok", lambda _: {"answer": 1}).id, timeout_sec=SOON)
    manager.close()
    # What a killed process leaves behind: records that say queued and running.
    records = root / "records"
    for number, state in enumerate(("queued", "running")):
        job_id = f"{number:032x}"
        record = {"id": job_id, "kind": "k", "owner": "", "device": "cpu", "state": state}
        record |= {"created_unix": 1.0, "results": {"clip": "clip.mp4"}, "cancelling": True}
        (records / f"{job_id}.json").write_text(json.dumps(record))
        manager.folder(job_id).mkdir()
        (manager.folder(job_id) / "clip.mp4").write_text("x")
    again = JobManager(root)
    try:
        assert again.get(done.id) == done
        for number in range(2):
            job = again.get(f"{number:032x}")
            assert job.state is JobState.INTERRUPTED and "Start it again" in job.message
            assert job.results == {"clip": "clip.mp4", "partial": True} and not job.cancelling
            assert read_record(records / f"{job.id}.json") == job, "the disk must say so too"
            assert (again.folder(job.id) / "clip.mp4").exists()
        assert len(again.records()) == 3
    finally:
        again.close()


@pytest.mark.parametrize(
    "text",
    [
        '{"half',
        "[]",
        '{"id": "ID", "kind": "k", "owner": "", "device": "d", "state": "done"}',
        '{"id": "ID", "kind": 7, "owner": "", "device": "d", "state": "done", "created_unix": 1}',
        '{"id": "ID", "kind": "k", "owner": "", "device": "d", "state": "done",'
        ' "created_unix": "yesterday"}',
        '{"id": "ID", "kind": "k", "owner": "", "device": "d", "state": "done",'
        ' "created_unix": 1, "preview": "../../secret"}',
        '{"id": "00000000000000000000000000000000", "kind": "k", "owner": "", "device": "d",'
        ' "state": "done", "created_unix": 1}',
        "[" * 100_000,
    ],
)
def test_a_damaged_record_is_passed_over_and_its_files_stay_for_a_person(tmp_path, text):
    manager = JobManager(tmp_path)
    manager.close()
    job_id = "a" * 32
    (tmp_path / "records" / f"{job_id}.json").write_text(text.replace("ID", job_id))
    manager.folder(job_id).mkdir()
    again = JobManager(tmp_path)
    assert again.records() == [] and again.folder(job_id).is_dir()
    again.close()


def test_files_that_belong_to_no_job_go_at_the_start(tmp_path):
    manager = JobManager(tmp_path)
    manager.close()
    orphan = manager.folder("b" * 32)
    orphan.mkdir()
    (orphan / "input.mp4").write_text("the program died before it wrote the record")
    (tmp_path / "records" / f".{'c' * 32}.json.part").write_text("half")
    JobManager(tmp_path).close()
    assert not orphan.exists() and not list((tmp_path / "records").iterdir())


def test_closing_interrupts_what_runs_and_what_waits(tmp_path):
    manager = JobManager(tmp_path)
    running = manager.submit("long", until_cancelled)
    waiting = manager.submit("next", lambda _: None)
    wait_until(lambda: manager.get(running.id).state is JobState.RUNNING)
    manager.close()
    for job in (running, waiting):
        assert read_record(tmp_path / "records" / f"{job.id}.json").state is JobState.INTERRUPTED
    with pytest.raises(InputError, match="stopping"):
        manager.submit("late", lambda _: None)


def test_one_workspace_serves_one_manager(tmp_path):
    manager = JobManager(tmp_path)
    with pytest.raises(InputError, match="in use"):
        JobManager(tmp_path)
    manager.close()
    JobManager(tmp_path).close()


VICTIM = """
import sys, time
from rays_as_pixels.app.jobs.manager import JobManager
manager = JobManager(sys.argv[1])
done = manager.wait(manager.submit("ok", lambda _: {"answer": 1}, owner="ann").id)
def work(job):
    (job.folder / "first.txt").write_text("kept")
    job.results["file"] = "first.txt"
    for step in range(10_000):
        job.progress("Stepping", step, 10_000)
        time.sleep(0.01)
running = manager.submit("long", work, owner="ann")
waiting = manager.submit("next", lambda _: None, owner="bob")
time.sleep(1.3)  # records of running jobs are written about once a second
print(done.id, running.id, waiting.id, flush=True)
time.sleep(60)
"""


def test_a_kill_loses_nothing_that_was_finished_and_keeps_partial_results(tmp_path):
    command = [sys.executable, "-c", VICTIM, str(tmp_path)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        done, running, waiting = process.stdout.readline().split()
        process.send_signal(signal.SIGKILL)
    started = time.monotonic()
    manager = JobManager(tmp_path)
    restart_sec = time.monotonic() - started
    assert manager.get(done).results == {"answer": 1}
    job = manager.get(running)
    assert job.state is JobState.INTERRUPTED and job.done > 0
    assert job.results == {"file": "first.txt", "partial": True}
    assert (manager.folder(running) / "first.txt").read_text() == "kept"
    assert manager.get(waiting).state is JobState.INTERRUPTED
    assert [job.id for job in manager.records(owner="bob")] == [waiting]
    assert restart_sec < 2.0
    manager.close()
