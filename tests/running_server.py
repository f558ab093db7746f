"""The app as its own process, and visitors who talk to it as a browser does."""

import contextlib
import json
import os
import re
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
from waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SEC = 150.0  # a busy machine may take long to import everything
API = "gradio_api"
UNFINISHED = ("queued", "running")


class Server:
    """`python -m rays_as_pixels app` in a process of its own.

    Args:
        workspace: Its data folder.
        model: Folder of the pipeline.
        options: More options of the command.
        env: More environment variables.
    """

    folder = ROOT

    def __init__(self, workspace: Path, model: Path, *options: str, env=None) -> None:
        self.workspace = workspace
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.log_file = workspace.parent / f"{workspace.name}-{self.port}.log"
        command = [sys.executable, "-m", "rays_as_pixels", "app", "--model", str(model)]
        command += ["--workspace-dir", str(workspace), "--port", str(self.port), *options]
        self._start(command, os.environ | {"OMP_NUM_THREADS": "1"} | (env or {}))

    def _start(self, command: list[str], env: dict[str, str]) -> None:
        started = time.monotonic()
        with self.log_file.open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env=env, stdout=log, stderr=log, start_new_session=True
            )
        try:
            wait_until(self._answers_or_ended, within_sec=PATIENCE_SEC, every_sec=0.1)
        except AssertionError as error:
            self.kill()
            raise AssertionError(f"it never answered: {self.log}") from error
        self.start_sec = time.monotonic() - started

    def records(self) -> dict[str, dict]:
        """Return what the database says of all jobs, by id, in the order of submission."""
        file = self.workspace / "jobs" / "jobs.sqlite3"
        with contextlib.closing(sqlite3.connect(file)) as database:
            rows = database.execute("SELECT id, record FROM jobs ORDER BY number").fetchall()
        return {job_id: json.loads(record) for job_id, record in rows}

    def wait_for(self, job: str, reached: Callable[[dict], bool]) -> dict:
        """Return a job's kept record once it is as wanted; the job must not end before."""

        def found() -> dict | None:
            record = self.records()[job]
            if reached(record):
                return record
            assert record["state"] in UNFINISHED, f"it ended before: {record}"
            return None

        return wait_until(found, seen=lambda: self.records()[job])

    def _answers_or_ended(self) -> bool:
        assert self.process.poll() is None
        return self.answers()

    def answers(self) -> bool:
        try:
            return httpx.get(self.url + "config", timeout=5).status_code in (200, 401)
        except httpx.HTTPError:
            return False

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def kill(self) -> None:
        """End it without a warning, as a machine that loses its power does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


class Visitor:
    """One open page: calls the page's events over HTTP, whether or not they are shown as an API."""

    def __init__(self, url: str, kept: dict | None = None, **options) -> None:
        self.http = httpx.Client(base_url=url, timeout=PATIENCE_SEC, **options)
        self.session = secrets.token_hex(6)
        self.config = self.http.get("config").json()
        self.parts = {part["id"]: part for part in self.config["components"]}
        self.kept = kept or {}
        self.seen: dict[int, object] = {}

    def close(self) -> None:
        self.http.close()

    def part(self, elem_id: str) -> int:
        """Return the component with this id in the page."""
        return next(
            number for number, part in self.parts.items() if part["props"].get("elem_id") == elem_id
        )

    def event(self, target: "int | None", name: str) -> dict:
        """Return what the page calls on an event; target None is the page itself."""
        for each in self.config["dependencies"]:
            for found, trigger in each["targets"]:
                if trigger == name and (target is None or found == target):
                    return each
        raise AssertionError(f"no event {name} of {target}")

    def of_type(self, kind: str) -> int:
        return next(number for number, part in self.parts.items() if part["type"] == kind)

    def defaults(self, event: dict) -> list:
        """Return what a browser sends: what was shown last, or the component's first value."""
        values = []
        for number in event["inputs"]:
            part = self.parts[number]
            if part["type"] == "browserstate":
                values.append(self.kept)
            elif part["type"] == "state":
                values.append(None)
            else:
                values.append(self.seen.get(number, part["props"].get("value")))
        return values

    def call(self, event: dict, data: list | None = None, *, event_data=None) -> dict:
        """Call an event through the queue and return its last message."""
        body = {
            "data": self.defaults(event) if data is None else data,
            "fn_index": event["id"],
            "session_hash": self.session,
            "event_data": event_data,
            "trigger_id": event["targets"][0][0] if event["targets"] else None,
        }
        joined = self.http.post(f"{API}/queue/join", json=body)
        if joined.status_code != 200:
            return {"success": False, "status": joined.status_code, "text": joined.text}
        wanted = joined.json()["event_id"]
        done = None
        address = f"{API}/queue/data?session_hash={self.session}"
        with self.http.stream("GET", address) as stream:
            for line in stream.iter_lines():
                if not line.startswith("data:"):
                    continue
                message = json.loads(line[5:])
                if message["msg"] == "process_completed" and message["event_id"] == wanted:
                    done = message
                if message["msg"] == "close_stream":
                    break
        assert done is not None, "the queue forgot the call"
        if done["success"]:
            self._remember(event, done["output"]["data"])
        return done

    def _remember(self, event: dict, values: list) -> None:
        for number, value in zip(event["outputs"], values, strict=False):
            shown = value
            if isinstance(value, dict) and value.get("__type__") == "update":
                if "value" not in value:
                    continue
                shown = value["value"]
            if self.parts[number]["type"] == "browserstate":
                self.kept = shown
            else:
                self.seen[number] = shown

    def call_api(self, name: str, data: list) -> dict:
        """Call a named endpoint."""
        named = [each for each in self.config["dependencies"] if each["api_name"] == name]
        return self.call(named[0], data)

    def open(self) -> dict:
        return self.call(self.event(None, "load"))

    def click(self, elem_id: str, *, sliders: tuple[int, ...] = ()) -> dict:
        """Click a button; `sliders` are the values of its first sliders, in their order."""
        event = self.event(self.part(elem_id), "click")
        data = self.defaults(event)
        places = [k for k, n in enumerate(event["inputs"]) if self.parts[n]["type"] == "slider"]
        for place, value in zip(places, sliders, strict=False):
            data[place] = value
        return self.call(event, data)

    def estimate(self, clip: bytes, *, steps: int = 2, runs: int = 1) -> str:
        """Upload a video and start to estimate its chosen frames' path; returns the job's id."""
        taken = self.take(clip)
        assert taken["success"], taken
        self.seen[self.part("frames-of-path")] = "chosen"
        answer = self.click("estimate", sliders=(steps, runs))
        assert answer["success"], answer
        return self.kept["job"]

    def finished(self) -> str:
        """Wait for the job that the page watches and return its state."""

        def final() -> bool:
            assert self.tick()["success"]
            return self.job()[1] not in UNFINISHED

        if self.job()[1] in UNFINISHED:
            wait_until(final, within_sec=PATIENCE_SEC, every_sec=0.1, seen=self.job)
        return self.job()[1]

    def upload(self, name: str, content: bytes) -> httpx.Response:
        return self.http.post(f"{API}/upload", files={"files": (name, content)})

    def take(self, content: bytes) -> dict:
        """Upload a video and let the page take it."""
        path = json.loads(self.upload("clip.mp4", content).text)[0]
        return self.choose(path)

    def choose(self, path: str) -> dict:
        """Claim that a file was uploaded, as a page does once it was."""
        event = self.event(self.part("video-file"), "upload")
        data = self.defaults(event)
        data[event["inputs"].index(self.part("video-file"))] = [file_of(path)]
        return self.call(event, data)

    def tick(self) -> dict:
        return self.call(self.event(self.of_type("timer"), "tick"))

    def job(self) -> tuple[str, str]:
        """Return id and state of the job the page watches, as its job bar says."""
        bar = str(self.seen.get(self.part("job-bar"), ""))
        found = re.search(r'data-job="(\w+)"[^>]*data-state="(\w+)"', bar)
        return found.groups() if found else ("", "")


def file_of(path: str) -> dict:
    """Return what a browser sends for an uploaded file."""
    return {"path": path, "orig_name": "clip.mp4", "meta": {"_type": "gradio.FileData"}}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def visiting(server: Server) -> Iterator[Visitor]:
    """Open the page of a server, and close it at the end."""
    visitor = Visitor(server.url)
    visitor.open()
    yield visitor
    visitor.close()
