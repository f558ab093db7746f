"""Workers and whole runs that are killed while they work: nothing is lost, nothing is doubled."""

import contextlib
import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from rays_as_pixels.annotate.on_ray import has_ray
from tests.annotate.conftest import finish, start
from tests.optional import DATA

pq = pytest.importorskip("pyarrow.parquet", reason=DATA)

pytestmark = [  # starts several Python processes with torch, or Ray; half a minute when idle
    pytest.mark.slow,
    pytest.mark.timeout(900),
]
TIMEOUT_SEC = 420


def wait_for(process, found):
    """Return what `found` finds once it is there; the run must not end before."""
    end = time.monotonic() + TIMEOUT_SEC
    while time.monotonic() < end:
        if (value := found()) is not None:
            return value
        if process.poll() is not None:
            said = process.communicate()[1]
            if "ray must start on this machine" in said:
                pytest.skip(said.strip())
            raise AssertionError(f"the run ended with {process.returncode}: {said}")
        time.sleep(0.002)
    process.kill()
    raise AssertionError(f"nothing happened: {process.communicate()[1]}")


def worker_at_work(out, not_pid=None):
    """Return the process id of a worker that has begun a video and not finished it."""
    for path in (out / "attempts").glob("*.json"):
        try:
            pid = json.loads(path.read_text())["pid"]
        except (OSError, ValueError):  # finished just now
            continue
        if pid != not_pid:
            return pid
    return None


def kill(pid):
    """Kill a worker as the system does when memory runs out."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def assert_complete(files):
    rows = [row for path in files for row in pq.read_table(path).to_pylist()]
    count = Counter(row["video"] for row in rows)
    names = [*(f"video{k}.mp4" for k in range(5)), "inner/video5.mp4"]
    assert count == {**dict.fromkeys(names, 9), "broken.mp4": 1}
    keys = [(row["video"], row["clip"], row["frame"]) for row in rows]
    assert len(set(keys)) == len(keys)
    assert all(row["status"] == "ok" for row in rows if row["video"] != "broken.mp4")


@pytest.mark.parametrize("runner", ["local", "ray"])
def test_videos_of_a_killed_worker_are_done_by_another(videos, toy_folder, tmp_path, runner):
    if runner == "ray" and not has_ray():
        pytest.skip(DATA)
    out = tmp_path / "out"
    words = [videos, "--out", out, "--model", toy_folder, "--workers", 2, "--runner", runner]
    process = start(*words)
    first = wait_for(process, lambda: worker_at_work(out))
    kill(first)
    kill(wait_for(process, lambda: worker_at_work(out, not_pid=first)))
    files, said = finish(process, timeout=TIMEOUT_SEC)
    assert "7 videos: 6 with cameras, 1 failed; 0 were done before" in said
    assert_complete(files)
    (failure,) = json.loads((out / "failures.json").read_text())
    assert failure["video"] == "broken.mp4"


def test_a_run_that_is_killed_as_a_whole_goes_on_where_it_was(videos, toy_folder, tmp_path):
    out = tmp_path / "out"
    words = [videos, "--out", out, "--model", toy_folder, "--runner", "local"]
    process = start(*words)
    wait_for(process, lambda: next((out / "parts").glob("*.parquet"), None))
    process.kill()
    process.communicate()
    files, said = finish(start(*words), timeout=TIMEOUT_SEC)
    done_before = int(said.rsplit(" were done before", 1)[0].rsplit(" ", 1)[1])
    assert done_before >= 1
    assert_complete(map(Path, files))
