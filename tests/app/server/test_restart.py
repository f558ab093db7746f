"""The server is killed in the middle of a job and started again on the same folder."""

import pytest
from running_server import Server, Visitor

from rays_as_pixels.model.checkpoints import DEFAULT_MODEL


@pytest.fixture
def start(tmp_path):
    """Start the app on one folder, as often as wanted.

    With the shipped model: a record of a running job is written once a second, and a toy's job can
    be through its steps between two of them.
    """
    servers = []

    def started() -> Server:
        servers.append(Server(tmp_path / "workspace", DEFAULT_MODEL))
        return servers[-1]

    yield started
    for server in servers:
        server.stop()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_after_a_kill_finished_results_are_there_the_broken_job_says_so_and_the_waiting_one_runs(
    start, clip_bytes
):
    server = start()
    workspace = server.workspace
    ann, bob = Visitor(server.url), Visitor(server.url)
    ann.open()
    bob.open()
    finished = ann.estimate(clip_bytes)
    assert ann.finished() == "done"
    broken = bob.estimate(clip_bytes, steps=50, runs=8)
    waiting = ann.estimate(clip_bytes)
    server.wait_for(broken, lambda record: record["done"] >= 2)
    results = server.records()[finished]["results"]
    files = {
        path.name: path.read_bytes() for path in (workspace / "jobs/files" / finished).iterdir()
    }
    server.kill()
    ann.close()
    bob.close()

    again = start()
    print(f"started again in {again.start_sec:.1f} s")
    records = again.records()
    assert records[finished]["state"] == "done" and records[finished]["results"] == results
    assert files == {
        path.name: path.read_bytes() for path in (workspace / "jobs/files" / finished).iterdir()
    }
    assert records[broken]["state"] == "interrupted"
    assert "stopped while this ran" in records[broken]["message"]
    assert records[broken]["results"]["clip"] == "clip.mp4", "what it had is kept"
    again.wait_for(waiting, lambda record: record["state"] == "done")
    back = Visitor(again.url, kept=bob.kept)
    back.open()
    assert back.job() == (broken, "interrupted")
    assert back.estimate(clip_bytes) != broken
    assert back.finished() == "done", "and work goes on"
    back.close()
    kept = ann.kept | {"job": finished, "estimate": finished}
    back = Visitor(again.url, kept=kept)
    back.open()
    assert back.kept["estimate"] == finished and back.job() == (finished, "done")
    back.close()
