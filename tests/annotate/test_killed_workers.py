"""Workers and whole runs that are killed while they work: nothing is lost, nothing is doubled."""

import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.annotate.conftest import finish, start

pytestmark = [  # starts several Python processes with torch, or Ray
    pytest.mark.slow,
    pytest.mark.xfail(
        reason="never run to its end on an idle machine: see CHANGELOG, known faults"
    ),
]


def wait_for_worker(out, not_pid=None, timeout_sec=170):
    """Return the process id of a worker that is at work on a video."""
    end = time.monotonic() + timeout_sec
    while time.monotonic() < end:
        for path in (out / "attempts").glob("*.json"):
            try:
                pid = json.loads(path.read_text())["pid"]
            except (OSError, ValueError):
                continue
            if pid != not_pid:
                return pid
        time.sleep(0.002)
    raise AssertionError("no worker began a video")


def assert_complete(files):
    rows = [row for path in files for row in pq.read_table(path).to_pylist()]
    count = Counter(row["video"] for row in rows)
    names = [*(f"video{k}.mp4" for k in range(5)), "inner/video5.mp4"]
    assert count == {**dict.fromkeys(names, 10), "broken.mp4": 1}
    keys = [(row["video"], row["clip"], row["frame"]) for row in rows]
    assert len(set(keys)) == len(keys)
    assert all(row["status"] == "ok" for row in rows if row["video"] != "broken.mp4")


@pytest.mark.parametrize("runner", ["local", "ray"])
@pytest.mark.timeout(400)
def test_videos_of_a_killed_worker_are_done_by_another(videos, toy_folder, tmp_path, runner):
    out = tmp_path / "out"
    words = [videos, "--out", out, "--model", toy_folder, "--workers", 2, "--runner", runner]
    process = start(*words)
    first = wait_for_worker(out)
    os.kill(first, signal.SIGKILL)
    second = wait_for_worker(out, not_pid=first)
    os.kill(second, signal.SIGKILL)
    files, said = finish(process, timeout=300)
    assert "7 videos: 6 with cameras, 1 failed; 0 were done before" in said
    assert_complete(files)


@pytest.mark.timeout(400)
def test_a_run_that_is_killed_as_a_whole_goes_on_where_it_was(videos, toy_folder, tmp_path):
    out = tmp_path / "out"
    words = [videos, "--out", out, "--model", toy_folder, "--runner", "local"]
    process = start(*words)
    while not list((out / "parts").glob("*.parquet")) and process.poll() is None:
        time.sleep(0.002)
    process.kill()
    process.communicate()
    files, said = finish(start(*words))
    done_before = int(said.rsplit(" were done before", 1)[0].rsplit(" ", 1)[1])
    assert done_before >= 1
    assert_complete(map(Path, files))
