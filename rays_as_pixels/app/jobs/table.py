"""The table of all jobs: in memory at once, in an SQLite database about once a second.

The database lies beside the folder of files, not in it: a record names the visitor it belongs to,
and a traceback names places on this machine, while anyone who knows a job's id can fetch its files.
"""

import contextlib
import json
import shutil
import sqlite3
import threading
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import BaseModel, TypeAdapter, ValidationError

from rays_as_pixels.app.jobs.records import JobRecord, JobState
from rays_as_pixels.errors import InputError

INTERRUPTED = "The program was stopped while this ran. Start it again."
SAVE_EVERY_SEC = 1.0
DATABASE = "jobs.sqlite3"
# `number` is the order of submission: unlike a clock it never goes back, and it is never reused.
_SCHEMA = """CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    record TEXT NOT NULL,
    request TEXT NOT NULL,
    traceback TEXT NOT NULL DEFAULT ''
)"""
_RECORD = TypeAdapter(JobRecord)


@dataclass
class Live:
    """What of an unfinished job lives only in this process.

    Attributes:
        cancel: Set when the job should stop.
        finished: Set when its record is final.
        results: What the work has so far.
        stage_started: When the stage began, on the monotonic clock, in seconds.
        reported: When the work last reported its progress, on the same clock.
        saved: When the record was last written, on the same clock.
    """

    cancel: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)
    results: dict[str, Any] = field(default_factory=dict)
    stage_started: float = 0.0
    reported: float = 0.0
    saved: float = 0.0


class JobTable:
    """The records and requests of all jobs; one program at a time may open a table.

    A job that ran when the program ended becomes interrupted; one that waited waits on.

    Args:
        root: Folder of the database and of the jobs' files, made if need be.

    Attributes:
        lock: Taken while records are read or changed together.
        files: The folder of the jobs' files, one folder for each.
        records: By id, in the order of submission.
        live: Of the jobs that were not finished when this process began, or came later.

    Raises:
        InputError: The folder cannot be made, is in use, or holds a damaged database.
    """

    def __init__(self, root: Path) -> None:
        self.lock = threading.RLock()
        self.records: dict[str, JobRecord] = {}
        self.live: dict[str, Live] = {}
        self.files = root / "files"
        try:
            self.files.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"workspace must be a folder that can be made; got {root} "
                f"({error.strerror}). Choose another folder."
            ) from error
        self._folder_lock = FileLock(root / ".lock", thread_local=False)
        try:
            self._folder_lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(
                f"workspace must be used by one running app; got {root}, which is in use. "
                "Stop the other app or choose another folder."
            ) from error
        # Every access holds self.lock, so that one connection serves all threads. Each statement
        # is its own transaction: a kill leaves the row as it was before or after.
        self._database = sqlite3.connect(
            root / DATABASE, check_same_thread=False, isolation_level=None
        )
        try:
            self._database.execute(_SCHEMA)
            rows = self._database.execute("SELECT id, record FROM jobs ORDER BY number").fetchall()
        except sqlite3.DatabaseError as error:
            self.release()
            raise InputError(
                f"{root / DATABASE} must be a database of jobs; got '{error}'. "
                "Move the file away, or choose another workspace."
            ) from error
        self._recover(rows)

    def _recover(self, rows: list[tuple[str, str]]) -> None:
        """Take in what an earlier process left, and delete folders that belong to no job."""
        for job_id, text in rows:
            try:
                record = _RECORD.validate_json(text)
            except ValidationError:  # of another version: row and files stay, for a person
                continue
            self.records[job_id] = record
            if record.state is JobState.RUNNING:
                self.live[job_id] = Live(results=record.results | {"partial": True})
                self.finish(record, JobState.INTERRUPTED, INTERRUPTED)
            elif record.state is JobState.QUEUED:
                self.live[job_id] = Live()
            (self.files / job_id).mkdir(exist_ok=True)
        kept = {job_id for job_id, _ in rows}
        # Jobs of the time before the database are not read, but their files are not deleted.
        kept |= {path.stem for path in (self.files.parent / "records").glob("*.json")}
        for folder in self.files.iterdir():
            if folder.is_dir() and folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def waiting(self) -> list[JobRecord]:
        """Return the jobs that are queued or run, in the order of submission."""
        return [record for record in self.records.values() if not record.state.is_final]

    def add(self, record: JobRecord, request: BaseModel) -> None:
        """Take in a new job.

        Raises:
            InputError: It cannot be written.
        """
        with self.lock:
            try:
                self._database.execute(
                    "INSERT INTO jobs (id, record, request) VALUES (?, ?, ?)",
                    (record.id, _json(record), request.model_dump_json()),
                )
            except sqlite3.Error as error:
                raise InputError(
                    f"the disk must take a new job; got '{error}'. "
                    "Delete files that are no longer needed."
                ) from error
            self.live[record.id] = Live()
            self.records[record.id] = record

    def request_json(self, job_id: str) -> str:
        """Return the request of a job as JSON."""
        with self.lock:
            query = "SELECT request FROM jobs WHERE id = ?"
            return self._database.execute(query, (job_id,)).fetchone()[0]

    def traceback(self, job_id: str) -> str:
        """Return the traceback of a job that met a fault, "" for any other."""
        with self.lock:
            query = "SELECT traceback FROM jobs WHERE id = ?"
            row = self._database.execute(query, (job_id,)).fetchone()
        return row[0] if row else ""

    def set_traceback(self, job_id: str, text: str) -> None:
        """Keep the traceback of a job that met a fault."""
        with self.lock:
            self._database.execute("UPDATE jobs SET traceback = ? WHERE id = ?", (text, job_id))

    def put(self, record: JobRecord) -> JobRecord:
        """Replace a job's record.

        Raises:
            TypeError: JSON cannot hold it; likewise ValueError.
        """
        with self.lock:
            self._write(record)
            self.records[record.id] = record
        return record

    def delete(self, job_id: str) -> None:
        """Delete a job: first its row, so that a folder that a kill leaves belongs to no job."""
        with self.lock:
            with contextlib.suppress(sqlite3.Error):  # a full disk: its files must go all the more
                self._database.execute("DELETE FROM jobs WHERE id = ?", (job_id,))
            del self.records[job_id]
            self.live.pop(job_id, None)
        shutil.rmtree(self.files / job_id, ignore_errors=True)

    def finish(self, record: JobRecord, state: JobState, message: str = "") -> JobRecord:
        """Make a record final, with the results that its work has so far.

        Raises:
            TypeError: JSON cannot hold its results; likewise ValueError.
        """
        with self.lock:
            live = self.live[record.id]
            final = self.put(
                replace(
                    _with_stage(record, live),
                    state=state,
                    message=message,
                    results=dict(live.results),
                    preview="" if state is JobState.DONE else record.preview,
                    finished_unix=time.time(),
                    cancelling=False,
                )
            )
            live.finished.set()
        return final

    def report(self, job_id: str, stage: str, done: int, total: int) -> None:
        """Note how far a job is."""
        now = time.monotonic()
        with self.lock:
            record, live = self.records[job_id], self.live[job_id]
            if stage != record.stage:
                record = replace(_with_stage(record, live), stage=stage, stage_first=done)
                live.stage_started = now
            live.reported = now
            record = replace(record, done=done, total=total, stage_sec=now - live.stage_started)
            self._save_soon(record, live, now)

    def show_preview(self, job_id: str, name: str, step: int, total: int) -> None:
        """Note the latest picture of a job's unfinished work."""
        with self.lock:
            record, live = self.records[job_id], self.live[job_id]
            live.results["preview"] = name
            record = replace(record, preview=name, preview_step=step, preview_total=total)
            self._save_soon(record, live, time.monotonic())

    def release(self) -> None:
        """Let another program use the folder."""
        with self.lock:
            self._database.close()
        self._folder_lock.release()

    def _save_soon(self, record: JobRecord, live: Live, now: float) -> None:
        """Keep a running job's record in memory, and on disk about once a second."""
        self.records[record.id] = record
        if now - live.saved >= SAVE_EVERY_SEC:
            live.saved = now
            with contextlib.suppress(TypeError, ValueError):  # reported once the work ends
                self._write(replace(record, results=dict(live.results)))

    def _write(self, record: JobRecord) -> None:
        text = _json(record)
        with contextlib.suppress(sqlite3.Error):  # a full disk: memory is right all the same
            self._database.execute("UPDATE jobs SET record = ? WHERE id = ?", (text, record.id))


def _json(record: JobRecord) -> str:
    return json.dumps(asdict(record), allow_nan=False)


def _with_stage(record: JobRecord, live: Live) -> JobRecord:
    """Add the stage that ends now, with its duration, to those that are finished."""
    if not record.stage or not live.stage_started:
        return record
    seconds = round(time.monotonic() - live.stage_started, 4)
    steps = record.done - record.stage_first
    return replace(record, stages=[*record.stages, [record.stage, steps, seconds]])
