"""What of the jobs survives the end of the program, however it ends."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from job_helpers import SOON, submit, until_cancelled
from waiting import wait_until

from rays_as_pixels.app.jobs.context import JobKind
from rays_as_pixels.app.jobs.manager import JobManager
from rays_as_pixels.app.jobs.records import JobState
from rays_as_pixels.app.validation import StrictModel
from rays_as_pixels.errors import InputError

ROOT = Path(__file__).resolve().parents[3]


class CountTo(StrictModel):
    """A request with something in it."""

    number: int


def count(job, request):
    """Return the number asked for, and what lies in the job's folder."""
    return {"number": request.number, "files": sorted(path.name for path in job.folder.iterdir())}


COUNT = {"count": JobKind(CountTo, count)}


def in_database(root: Path) -> sqlite3.Connection:
    """Open the database as another program would."""
    return sqlite3.connect(root / "jobs.sqlite3", isolation_level=None)


def rewrite(root: Path, job_id: str, **values) -> None:
    """Change the record that a closed manager left."""
    with closing(in_database(root)) as database:
        (text,) = database.execute("SELECT record FROM jobs WHERE id = ?", (job_id,)).fetchone()
        text = json.dumps(json.loads(text) | values)
        database.execute("UPDATE jobs SET record = ? WHERE id = ?", (text, job_id))


def test_finished_jobs_survive_a_restart_and_running_ones_become_interrupted(tmp_path):
    manager = JobManager(tmp_path, {})
    done = manager.wait(submit(manager, "ok", lambda _: {"answer": 1}).id, timeout_sec=SOON)
    broken = manager.wait(submit(manager, "ok", lambda _: {"clip": "a.mp4"}).id, timeout_sec=SOON)
    (manager.folder(broken.id) / "a.mp4").write_text("x")
    manager.close()
    rewrite(tmp_path, broken.id, state="running", cancelling=True)  # as a kill leaves it
    for _ in range(2):  # the second start finds what the first one wrote
        again = JobManager(tmp_path, {})
        again.resume()
        assert again.get(done.id) == done
        job = again.get(broken.id)
        assert job.state is JobState.INTERRUPTED and "Start it again" in job.message
        assert job.results == {"clip": "a.mp4", "partial": True} and not job.cancelling
        assert (again.folder(job.id) / "a.mp4").exists()
        assert again.records() == [job, done], "newest first"
        again.close()


def test_a_record_that_cannot_be_read_is_passed_over_and_its_files_stay(tmp_path):
    manager = JobManager(tmp_path, {})
    jobs = [manager.wait(submit(manager, "k", lambda _: None).id, timeout_sec=SOON) for _ in "abc"]
    manager.close()
    rewrite(tmp_path, jobs[0].id, state="on holiday")
    rewrite(tmp_path, jobs[1].id, created_unix="yesterday")
    again = JobManager(tmp_path, {})
    assert again.records() == [jobs[2]]
    assert all(again.folder(job.id).is_dir() for job in jobs)
    again.close()


def test_a_damaged_database_is_refused_and_no_file_is_deleted(tmp_path):
    manager = JobManager(tmp_path, {})
    job = manager.wait(submit(manager, "k", lambda _: None).id, timeout_sec=SOON)
    manager.close()
    (tmp_path / "jobs.sqlite3").write_bytes(b"no database " * 1000)
    for _ in range(2):  # the refusal lets the folder go
        with pytest.raises(InputError, match=r"must be a database of jobs.*Move the file away"):
            JobManager(tmp_path, {})
    assert manager.folder(job.id).is_dir()


def test_only_files_that_belong_to_no_job_go_at_the_start(tmp_path):
    manager = JobManager(tmp_path, {})
    manager.close()
    orphan, former = manager.folder("b" * 32), manager.folder("c" * 32)
    for folder in (orphan, former):
        folder.mkdir()
        (folder / "input.mp4").write_text("the program died before it wrote the record")
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / f"{former.name}.json").write_text("{}")  # of an older program
    JobManager(tmp_path, {}).close()
    assert not orphan.exists() and (former / "input.mp4").exists()


def test_closing_interrupts_what_runs_and_leaves_what_waits_to_the_next_process(tmp_path):
    manager = JobManager(tmp_path, dict(COUNT))
    running = submit(manager, "long", until_cancelled)
    waiting = [
        manager.submit("count", CountTo(number=number), inputs={"in.txt": b"x"}, owner="ann")
        for number in (1, 2)
    ]
    stopped = manager.submit("count", CountTo(number=3))
    wait_until(lambda: manager.get(running.id).state is JobState.RUNNING)
    manager.close()
    with pytest.raises(InputError, match="stopping"):
        submit(manager, "late", lambda _: None)
    again = JobManager(tmp_path, COUNT, devices=("another",))
    assert again.get(running.id).state is JobState.INTERRUPTED
    assert [again.get(job.id) for job in waiting] == waiting
    assert again.queue_position(waiting[1].id).ahead == 1
    again.cancel(stopped.id)
    again.resume()
    for number, queued in enumerate(waiting, start=1):
        job = again.wait(queued.id, timeout_sec=SOON)
        assert job.state is JobState.DONE and job.owner == "ann" and job.device == "another"
        assert job.results == {"number": number, "files": ["in.txt"]}
    assert again.get(stopped.id).state is JobState.CANCELLED
    again.close()


def test_a_waiting_job_that_the_next_program_does_not_know_is_not_run(tmp_path):
    manager = JobManager(tmp_path, dict(COUNT))
    running = submit(manager, "long", until_cancelled)
    waiting = manager.submit("count", CountTo(number=1))
    wait_until(lambda: manager.get(running.id).state is JobState.RUNNING)
    manager.close()
    again = JobManager(tmp_path, {"count": JobKind(StrictModel, count)})  # knows no number
    again.resume()
    job = again.get(waiting.id)
    assert job.state is JobState.INTERRUPTED and "updated" in job.message
    again.close()


def test_jobs_keep_the_order_of_submission_whatever_the_clock_says(tmp_path):
    manager = JobManager(tmp_path, {})
    jobs = [manager.wait(submit(manager, "k", lambda _: None).id, timeout_sec=SOON) for _ in "abc"]
    manager.close()
    for job, created_unix in zip(jobs, (30.0, 10.0, 20.0), strict=True):
        rewrite(tmp_path, job.id, created_unix=created_unix)
    again = JobManager(tmp_path, {})
    assert [job.id for job in again.records()] == [job.id for job in jobs[::-1]]
    again.close()


def test_one_workspace_serves_one_manager(tmp_path):
    manager = JobManager(tmp_path, {})
    with pytest.raises(InputError, match="in use"):
        JobManager(tmp_path, {})
    manager.close()
    JobManager(tmp_path, {}).close()


VICTIM = """
import sys, threading
from test_job_restart import COUNT, CountTo
from job_helpers import submit
from rays_as_pixels.app.jobs.manager import JobManager
manager = JobManager(sys.argv[1], dict(COUNT))
done = manager.wait(submit(manager, "ok", lambda _: {"answer": 1}, owner="ann").id)
def work(job):
    (job.folder / "first.txt").write_text("kept")
    job.results["file"] = "first.txt"
    job.progress("Stepping", 1, 10)
    print(done.id, job.id, waiting.id, flush=True)
    threading.Event().wait()
ready = threading.Event()
running = submit(manager, "long", lambda job: (ready.wait(), work(job)), owner="ann")
waiting = manager.submit("count", CountTo(number=7), inputs={"in.txt": b"x"}, owner="bob")
ready.set()
threading.Event().wait()
"""


def test_a_kill_loses_nothing_that_was_finished_and_a_waiting_job_runs_after_it(tmp_path):
    command = [sys.executable, "-c", VICTIM, str(tmp_path)]
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests", Path(__file__).parent)))
    env = os.environ | {"PYTHONPATH": paths}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        done, running, waiting = process.stdout.readline().split()
        process.send_signal(signal.SIGKILL)
    manager = JobManager(tmp_path, COUNT)
    assert manager.get(done).results == {"answer": 1}
    job = manager.get(running)
    assert job.state is JobState.INTERRUPTED and job.done == 1
    assert job.results == {"file": "first.txt", "partial": True}
    assert (manager.folder(running) / "first.txt").read_text() == "kept"
    assert manager.get(waiting).state is JobState.QUEUED
    manager.resume()
    job = manager.wait(waiting, timeout_sec=SOON)
    assert job.state is JobState.DONE and job.results == {"number": 7, "files": ["in.txt"]}
    assert [job.id for job in manager.records(owner="bob")] == [waiting]
    manager.close()
