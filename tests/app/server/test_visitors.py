"""Many visitors at once, and one who changes their mind: nobody waits for nothing."""

import json
import threading

import av
import pytest
import torch
from gradio_client import Client, handle_file
from running_server import Server, Visitor, visiting
from waiting import wait_until

from rays_as_pixels.media.video import write_image, write_video
from rays_as_pixels.model.checkpoints import DEFAULT_MODEL

VISITORS = 20
LONG = 200  # steps, more than any other test asks for
SLACK_SEC = 2.0  # from the end of a job until its record is on the disk and the next one starts

PATIENT = {"timeout": 300.0}  # the client's own 5 s are little for a busy machine

# gradio_client leaves sockets and a temporary folder to the garbage collector.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(400)]


def shade(number: int) -> float:
    return 0.1 + 0.8 * number / (VISITORS - 1)


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> list:
    """One video per visitor, each of its own shade of grey, with a little texture."""
    folder = tmp_path_factory.mktemp("videos")
    generator = torch.Generator().manual_seed(0)
    paths = []
    for number in range(VISITORS):
        noise = 0.05 * torch.rand(5, 3, 32, 32, generator=generator) - 0.025
        path = folder / f"visitor-{number}.mp4"
        write_video(path, (shade(number) + noise).clamp(0, 1), fps=10.0)
        paths.append(path)
    return paths


class OneVisitor(threading.Thread):
    """A gradio_client that asks for the path of one video and notes what it is told."""

    def __init__(self, url: str, video, number: int, go: threading.Barrier) -> None:
        super().__init__(daemon=True)  # one that waits for ever must not keep the tests alive
        self.url, self.video, self.number, self.go = url, video, number, go
        self.updates: list[dict] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            client = Client(self.url, verbose=False, analytics_enabled=False, httpx_kwargs=PATIENT)
            self.go.wait(timeout=300)
            job = client.submit(
                handle_file(self.video), num_frames=5, steps=self.number + 1, api_name="/estimate"
            )
            for update in job:
                self.updates.append(update)
        except BaseException as error:  # told by the main thread
            self.error = error


def mean_shade(path) -> float:
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        return float(frame.to_ndarray(format="rgb24").mean()) / 255


@pytest.fixture
def in_the_way(server, tmp_path):
    """Begins a long job of somebody else: until it is stopped, everybody waits."""
    client = Client(server.url, verbose=False, analytics_enabled=False, httpx_kwargs=PATIENT)
    write_image(tmp_path / "image.png", torch.full((3, 48, 64), 0.5))
    path = client.predict("orbit", 5, 10.0, 64, 48, api_name="/make_path")
    jobs = []

    def begin():
        image, often = handle_file(tmp_path / "image.png"), {"rounds": 5, "estimate_steps": LONG}
        job = client.submit(image, path, steps=LONG, **often, api_name="/loop")
        jobs.append(job)

        def begun() -> list[dict]:
            assert not job.done(), job.exception()
            return long_ones(server)

        wait_until(begun, seen=server.records)
        return job

    yield begin
    for job in jobs:
        job.cancel()


def long_ones(server) -> list[dict]:
    return [one for one in server.records().values() if one["settings"].get("steps") == LONG]


def waiting(server) -> list[dict]:
    return [record for record in server.records().values() if record["state"] == "queued"]


def until_all(visitors, happened, **options) -> None:
    """Wait for what all visitors do together; the wait ends early if one of them fails."""
    wait_until(
        lambda: happened() or not all(visitor.is_alive() for visitor in visitors),
        seen=lambda: [visitor.error for visitor in visitors],
        **options,
    )
    assert [visitor.error for visitor in visitors] == [None] * VISITORS


def wrong_positions(visitor, own: dict, others: list[dict]) -> int:
    """Count the updates that name other numbers of jobs ahead than there really were."""
    ahead = [other for other in others if other["created_unix"] < own["created_unix"]]
    wrong = 0
    for update in visitor.updates:
        if update["state"] == "queued":
            moment = update["at_unix"]
            fewest = sum(other["finished_unix"] > moment for other in ahead)
            most = sum(other["finished_unix"] > moment - SLACK_SEC for other in ahead)
            wrong += not fewest - 1 <= update["jobs_ahead"] <= most
    return wrong


def check_own_results(server, visitor) -> None:
    """Nothing is mixed up: settings, frames and path are of the visitor's own video."""
    last = visitor.updates[-1]
    assert last["state"] == "done" and last["settings"]["steps"] == visitor.number + 1
    assert mean_shade(last["files"]["clip"]) == pytest.approx(shade(visitor.number), abs=0.02)
    kept = server.workspace / "jobs" / "files" / last["job"] / "trajectory.json"
    assert json.loads(kept.read_text()) == last["trajectory"]


@pytest.mark.slow
def test_twenty_visitors_at_once_wait_in_an_honest_queue_and_get_their_own_results(
    server, videos, in_the_way
):
    go = threading.Barrier(VISITORS + 1)
    visitors = [OneVisitor(server.url, videos[k], k, go) for k in range(VISITORS)]
    for visitor in visitors:
        visitor.start()
    # A toy's longest job takes seconds: it begins once all are at the door.
    until_all(visitors, lambda: go.n_waiting == VISITORS, within_sec=200)
    long_job = in_the_way()
    go.wait(timeout=60)
    until_all(visitors, lambda: len(waiting(server)) == VISITORS, within_sec=300, every_sec=0.2)
    long_job.cancel()
    for visitor in visitors:
        visitor.join(timeout=350)
    assert [visitor.error for visitor in visitors] == [None] * VISITORS

    records = server.records()
    jobs = {visitor.updates[-1]["job"] for visitor in visitors}
    assert len(jobs) == VISITORS
    mine = [record for job, record in records.items() if job in jobs]  # in order of submission
    wrong = 0
    for visitor in visitors:
        check_own_results(server, visitor)
        positions = [update["jobs_ahead"] for update in visitor.updates]
        assert positions == sorted(positions, reverse=True) and positions[-1] == 0
        own = records[visitor.updates[-1]["job"]]
        wrong += wrong_positions(visitor, own, [*mine, *long_ones(server)])
    assert len({record["owner"] for record in mine}) == VISITORS, "each is a visitor of their own"
    finished = [record["finished_unix"] for record in mine]
    assert finished == sorted(finished), "first come, first served"
    most = max(update["jobs_ahead"] for visitor in visitors for update in visitor.updates)
    assert wrong == 0 and most == VISITORS, "the last one waits for all others"


@pytest.fixture(scope="module")
def slow_server(tmp_path_factory):
    """The app with the shipped model: its jobs last long enough to be met."""
    server = Server(tmp_path_factory.mktemp("slow") / "workspace", DEFAULT_MODEL)
    yield server
    server.stop()


@pytest.fixture
def slow_visitor(slow_server):
    with visiting(slow_server) as visitor:
        yield visitor


@pytest.mark.slow
def test_a_stop_ends_the_job_long_before_its_last_step_and_keeps_what_it_had(
    slow_server, slow_visitor, clip_bytes
):
    server, visitor = slow_server, slow_visitor
    job = visitor.estimate(clip_bytes, steps=50, runs=8)
    server.wait_for(job, lambda record: record["done"] >= 2)
    visitor.click("stop")
    record = server.wait_for(job, lambda record: record["state"] in ("cancelled", "done"))
    assert record["state"] == "cancelled" and record["results"]["partial"] is True
    assert record["done"] < record["total"] and record["results"]["clip"] == "clip.mp4"


@pytest.mark.slow
def test_a_reloaded_page_shows_its_running_job_at_once(slow_server, slow_visitor, clip_bytes):
    server, visitor = slow_server, slow_visitor
    job = visitor.estimate(clip_bytes, steps=50, runs=8)
    again = Visitor(server.url, kept=visitor.kept)
    again.open()
    assert again.job()[0] == job and again.job()[1] in ("queued", "running"), "no poll was needed"
    again.click("stop")
    assert again.finished() == "cancelled"
    again.close()
