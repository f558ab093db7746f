"""The job manager: one worker thread per device, one folder per job, states that survive a restart.

A job's work is a function of a `JobContext`; it writes its results into the context's folder,
reports progress and stops when told to. The page that submitted it may go away: whoever knows the
job's id can look at it, stop it, or fetch its results later.
"""

import contextlib
import queue
import secrets
import shutil
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rays_as_pixels.errors import Cancelled, InputError
from rays_as_pixels.jobs.folderlock import FolderLock
from rays_as_pixels.jobs.quota import Quota, check_room, expired, folder_bytes
from rays_as_pixels.jobs.records import (
    JobRecord,
    JobState,
    check_job_id,
    read_record,
    write_record,
)

INTERRUPTED = "The program was stopped while this ran. Start it again."
FAULT = (
    "A fault of the program, not of your input: {error}. Its log file error.txt has the details."
)
SAVE_EVERY_SEC = 1.0


@dataclass(frozen=True)
class JobContext:
    """What the work of a job gets to see.

    Attributes:
        id: The job's id.
        folder: The job's own folder; results go here.
        cancel: Set when the job should stop; the work then raises `Cancelled`.
        progress: Call as progress(stage, done, total).
        results: Names of files and numbers to keep even if the job is stopped half way.
    """

    id: str
    folder: Path
    cancel: threading.Event
    progress: Callable[[str, int, int], None]
    results: dict[str, Any]


Work = Callable[[JobContext], "dict[str, Any] | None"]


@dataclass
class _Live:
    """What of a job lives only in this process."""

    cancel: threading.Event
    finished: threading.Event
    stage_started: float = 0.0
    saved: float = 0.0


class JobManager:
    """Runs jobs one at a time per device and remembers them in a folder.

    Args:
        root: Folder of the jobs, made if need be; one manager at a time may use it.
        devices: Names of the devices, each of which gets a worker thread.
        quota: Limits on what is kept and on what may wait.

    Raises:
        InputError: The folder cannot be made or is in use by another manager.
    """

    def __init__(
        self, root: "str | Path", *, devices: Sequence[str] = ("cpu",), quota: Quota | None = None
    ) -> None:
        self.root = Path(root)
        self.quota = quota or Quota()
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"workspace must be a folder that can be made; got {self.root} "
                f"({error.strerror}). Choose another folder."
            ) from error
        self._folder_lock = FolderLock(self.root)
        self._lock = threading.RLock()
        self._records: dict[str, JobRecord] = {}
        self._live: dict[str, _Live] = {}
        self._closing = False
        self._recover()
        self._queues: dict[str, queue.Queue[tuple[str, Work] | None]] = {}
        self._threads: list[threading.Thread] = []
        for device in devices:
            self._queues[device] = queue.Queue()
            thread = threading.Thread(
                target=self._serve, args=(device,), name=f"jobs on {device}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    @property
    def devices(self) -> tuple[str, ...]:
        """Names of the devices, in the order given."""
        return tuple(self._queues)

    def submit(
        self,
        kind: str,
        work: Work,
        *,
        owner: str = "",
        device: str | None = None,
        settings: dict[str, Any] | None = None,
        inputs: "dict[str, Path | bytes] | None" = None,
    ) -> JobRecord:
        """Queue a job and return its record at once.

        Args:
            kind: What it does, in a word.
            work: Called in the device's thread; returns results, JSON types only.
            owner: Opaque id of the visitor.
            device: One of the manager's devices; the first by default.
            settings: What was asked for, JSON types only.
            inputs: Files copied, or bytes written, into the job's folder now, under these names.

        Raises:
            InputError: No such device, too many jobs waiting, the disk is full, an input cannot be
                copied, or the manager is closed.
        """
        device = next(iter(self._queues)) if device is None else device
        if device not in self._queues:
            raise InputError(
                f"device must be one of {', '.join(self._queues)}; got {device!r}. Use the first."
            )
        with self._lock:
            if self._closing:
                raise InputError("jobs must be submitted while the program runs; it is stopping. "
                                 "Start it again.")  # fmt: skip
            check_room(self.root, self._waiting(), owner, self.quota)
            job_id = secrets.token_hex(16)
            record = JobRecord(
                job_id, kind, owner, device, JobState.QUEUED, time.time(), settings=settings or {}
            )
            _fill(self.folder(job_id), inputs or {})
            self._live[job_id] = _Live(threading.Event(), threading.Event())
            self._store(record)
            self._queues[device].put((job_id, work))
        return record

    def get(self, job_id: str) -> JobRecord:
        """Return a job as it stands.

        Raises:
            InputError: No such job; it may have been cleaned up.
        """
        with self._lock:
            record = self._records.get(check_job_id(job_id))
        if record is None:
            raise InputError(
                f"job id must name a job that is kept; got {job_id}, which is not. "
                "It was cleaned up: start it again."
            )
        return record

    def folder(self, job_id: str) -> Path:
        """Return the folder of a job, where its results are."""
        return self.root / check_job_id(job_id)

    def records(self, *, owner: str | None = None) -> list[JobRecord]:
        """Return the jobs of one visitor, or all, newest first."""
        with self._lock:
            records = list(self._records.values())
        records.sort(key=lambda record: record.created_unix, reverse=True)
        return [record for record in records if owner is None or record.owner == owner]

    def queue_position(self, job_id: str) -> int:
        """Return how many jobs of its device go first; 0 when it runs or is finished."""
        record = self.get(job_id)
        if record.state is not JobState.QUEUED:
            return 0
        with self._lock:
            waiting = self._waiting()
        before = (other for other in waiting if other.device == record.device)
        return sum(1 for other in before if other.created_unix < record.created_unix)

    def cancel(self, job_id: str) -> JobRecord:
        """Ask a job to stop: at once if it waits, within a step of its work if it runs."""
        with self._lock:
            record = self.get(job_id)
            if record.state.is_final:
                return record
            self._live[job_id].cancel.set()
            if record.state is JobState.QUEUED:
                return self._finish(record, JobState.CANCELLED, message="Stopped before it began.")
            return self._store(replace(record, cancelling=True))

    def wait(self, job_id: str, *, timeout_sec: float | None = None) -> JobRecord:
        """Wait until a job is finished or the time is over, and return it as it stands then."""
        record = self.get(job_id)
        live = self._live.get(job_id)
        if live is not None and not record.state.is_final:
            live.finished.wait(timeout_sec)
        return self.get(job_id)

    def delete(self, job_id: str) -> None:
        """Forget a finished job and its files.

        Raises:
            InputError: It is not finished.
        """
        with self._lock:
            record = self.get(job_id)
            if not record.state.is_final:
                raise InputError(
                    f"a job must be finished to be deleted; got one that is {record.state}. "
                    "Stop it first."
                )
            del self._records[job_id]
            self._live.pop(job_id, None)
        shutil.rmtree(self.folder(job_id), ignore_errors=True)

    def clean_up(self) -> list[str]:
        """Delete what the quota does not allow to be kept; returns the ids that went."""
        with self._lock:
            finished = [record for record in self._records.values() if record.state.is_final]
        sizes = [(record, folder_bytes(self.folder(record.id))) for record in finished]
        gone = expired(sizes, self.quota)
        for job_id in gone:
            with contextlib.suppress(InputError):  # another worker's clean-up was faster
                self.delete(job_id)
        return gone

    def close(self, *, timeout_sec: float = 10.0) -> None:
        """Stop all work; what waits or runs becomes interrupted. The manager is then of no use."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
            for record in self._waiting():
                self._live[record.id].cancel.set()
                if record.state is JobState.QUEUED:
                    self._finish(record, JobState.INTERRUPTED, message=INTERRUPTED)
        for waiting in self._queues.values():
            waiting.put(None)
        deadline = time.monotonic() + timeout_sec
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._folder_lock.release()

    def _waiting(self) -> "list[JobRecord]":
        return [record for record in self._records.values() if not record.state.is_final]

    def _recover(self) -> None:
        for folder in sorted(self.root.iterdir()):
            record = read_record(folder) if folder.is_dir() else None
            if record is None:
                continue
            if not record.state.is_final:
                record = replace(
                    record,
                    state=JobState.INTERRUPTED,
                    message=INTERRUPTED,
                    finished_unix=time.time(),
                )
                write_record(record, folder)
            self._records[record.id] = record
        self.clean_up()

    def _store(self, record: JobRecord) -> JobRecord:
        self._records[record.id] = record
        write_record(record, self.folder(record.id))
        return record

    def _finish(
        self,
        record: JobRecord,
        state: JobState,
        *,
        message: str = "",
        results: dict[str, Any] | None = None,
    ) -> JobRecord:
        record = replace(
            record,
            state=state,
            message=message,
            results=results or {},
            finished_unix=time.time(),
            cancelling=False,
        )
        self._store(record)
        self._live[record.id].finished.set()
        return record

    def _serve(self, device: str) -> None:
        while (item := self._queues[device].get()) is not None:
            job_id, work = item
            with self._lock:
                record = self._records.get(job_id)
                if record is None or record.state is not JobState.QUEUED:
                    continue
                record = replace(record, state=JobState.RUNNING, started_unix=time.time())
                self._store(record)
            self._run(record, work)
            self.clean_up()

    def _run(self, record: JobRecord, work: Work) -> None:
        live = self._live[record.id]
        folder = self.folder(record.id)

        def report(stage: str, done: int, total: int) -> None:
            self._report(record.id, stage, done, total)

        results: dict[str, Any] = {}
        context = JobContext(record.id, folder, live.cancel, report, results)
        state, message = JobState.DONE, ""
        try:
            results |= work(context) or {}
        except Cancelled:
            state, message = JobState.CANCELLED, "Stopped, as you asked."
            if self._closing:
                state, message = JobState.INTERRUPTED, INTERRUPTED
        except InputError as error:
            state, message = JobState.FAILED, str(error)
        except Exception as error:  # a worker that died would leave every later job waiting
            (folder / "error.txt").write_text(traceback.format_exc(), encoding="utf-8")
            name = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            state, message = JobState.FAILED, FAULT.format(error=name[:300])
        with self._lock:
            try:
                self._finish(self._records[record.id], state, message=message, results=results)
            except (TypeError, ValueError) as error:  # results that JSON cannot hold
                message = FAULT.format(error=str(error)[:300])
                self._finish(self._records[record.id], JobState.FAILED, message=message)

    def _report(self, job_id: str, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        with self._lock:
            record, live = self._records[job_id], self._live[job_id]
            if stage != record.stage:
                live.stage_started = now
                record = replace(record, stage=stage, stage_first=done)
            record = replace(record, done=done, total=total, stage_sec=now - live.stage_started)
            self._records[job_id] = record
            if now - live.saved >= SAVE_EVERY_SEC:
                live.saved = now
                write_record(record, self.folder(job_id))


def _fill(folder: Path, inputs: "dict[str, Path | bytes]") -> None:
    folder.mkdir()
    for name, source in inputs.items():
        assert Path(name).name == name, f"{name!r} would lie outside the job's folder"
        try:
            if isinstance(source, bytes):
                (folder / name).write_bytes(source)
            else:
                shutil.copyfile(source, folder / name)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise InputError(
                f"{name} must be readable; got '{error.strerror}'. Upload it again."
            ) from error
