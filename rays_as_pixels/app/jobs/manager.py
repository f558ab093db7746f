"""The job manager: one worker thread per device; jobs outlive the page and the program.

A job is a kind, a request and files. The kind names the function that does the work: it writes its
results into the job's folder, reports progress and stops when asked. The page that submitted it may
go away: whoever knows the job's id can look at it, stop it, or fetch its results later.
"""

import contextlib
import queue
import secrets
import sqlite3
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from rays_as_pixels.app.jobs import timing
from rays_as_pixels.app.jobs.context import JobContext, JobKind, Preview
from rays_as_pixels.app.jobs.folders import fill_folder, folder_bytes
from rays_as_pixels.app.jobs.quota import Quota, check_room, expired
from rays_as_pixels.app.jobs.records import JobRecord, JobState, check_job_id
from rays_as_pixels.app.jobs.table import INTERRUPTED, JobTable
from rays_as_pixels.errors import Cancelled, InputError

STOPPED, NOT_BEGUN = "Stopped, as you asked.", "Stopped before it began."
FAULT = "A fault of the program, not of your input: {error}. The server keeps the details."
OUTDATED = "The program was updated and cannot run this any more. Start it again."
CLEAN_EVERY_SEC = 600.0


@dataclass(frozen=True)
class QueuePosition:
    """A job's position in the queue of its device.

    Attributes:
        ahead: Jobs that go first, with the one that runs; 0 once it runs or is finished.
        waiting: Jobs that are queued or run on this device, with this one.
        wait_sec: Seconds until it starts, from measured jobs; None if one of those ahead is of a
            kind that was never measured.
    """

    ahead: int
    waiting: int
    wait_sec: float | None


class JobManager:
    """Runs jobs one at a time per device and keeps them in a folder.

    Args:
        root: Folder of the jobs, made if need be; one manager at a time may use it.
        kinds: The kinds of jobs by name.
        devices: Names of the devices, each of which gets a worker thread.
        quota: Limits on what is kept and on what may wait.

    Raises:
        InputError: The folder cannot be made or is in use by another manager.
    """

    def __init__(
        self,
        root: "str | Path",
        kinds: Mapping[str, JobKind],
        *,
        devices: Sequence[str] = ("cpu",),
        quota: Quota | None = None,
    ) -> None:
        self.root = Path(root)
        self.kinds = kinds
        self.quota = quota or Quota()
        self._table = JobTable(self.root)
        self._lock = self._table.lock
        self._closing = False
        self._left = self._table.waiting()  # by an earlier process
        self.clean_up()
        self._queues: dict[str, queue.Queue[tuple[str, BaseModel, Context] | None]] = {}
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

    @property
    def files(self) -> Path:
        """The folder of all jobs' files, the only one of this manager that a page may serve."""
        return self._table.files

    def resume(self) -> None:
        """Queue the jobs that waited when an earlier process ended, in their order."""
        with self._lock:
            left, self._left = self._left, []
            for record in left:
                if self._table.records.get(record.id) != record:  # cancelled meanwhile
                    continue
                try:
                    text = self._table.request_json(record.id)
                    request = self.kinds[record.kind].request.model_validate_json(text)
                except (KeyError, ValidationError):
                    self._table.finish(record, JobState.INTERRUPTED, OUTDATED)
                    continue
                device = record.device
                if device not in self._queues:  # the model runs elsewhere now
                    device = self.devices[0]
                    self._table.put(replace(record, device=device))
                self._queues[device].put((record.id, request, Context()))

    def submit(
        self,
        kind: str,
        request: BaseModel,
        *,
        owner: str = "",
        device: str | None = None,
        inputs: "Mapping[str, Path | bytes] | None" = None,
        cost: float = 0.0,
        notes: Mapping[str, Any] | None = None,
    ) -> JobRecord:
        """Queue a job and return its record at once.

        Args:
            kind: One of the manager's kinds; it runs with the context variables of this call.
            request: What to do, of the kind's class.
            owner: Opaque id of the visitor.
            device: One of the manager's devices; the first by default.
            inputs: Files copied, or bytes written, into the job's folder now, under these names.
            cost: How much work it is, in units that jobs of this kind share, for time estimates.
            notes: What else its settings should tell people, JSON types only.

        Raises:
            InputError: No such device, too many jobs waiting, the disk is full, an input cannot be
                copied, or the manager is closed.
        """
        assert isinstance(request, self.kinds[kind].request)
        device = self._known(device)
        with self._lock:
            if self._closing:
                raise InputError(
                    "jobs must be submitted while the program runs; it is stopping. Start it again."
                )
            check_room(self.root, self._table.waiting(), owner, self.quota)
            settings = request.model_dump(mode="json") | dict(notes or {})
            record = JobRecord(
                secrets.token_hex(16),
                kind,
                owner,
                device,
                JobState.QUEUED,
                time.time(),
                settings=settings,
                cost=cost,
            )
            fill_folder(self.folder(record.id), inputs or {})
            self._table.add(record, request)
            self._queues[device].put((record.id, request, copy_context()))
        return record

    def _known(self, device: str | None) -> str:
        device = self.devices[0] if device is None else device
        if device not in self._queues:
            raise InputError(
                f"device must be one of {', '.join(self._queues)}; got {device!r}. Use the first."
            )
        return device

    def get(self, job_id: str) -> JobRecord:
        """Return a job as it stands.

        Raises:
            InputError: No such job; it may have been cleaned up.
        """
        with self._lock:
            record = self._table.records.get(check_job_id(job_id))
        if record is None:
            raise InputError(
                f"job id must name a job that is kept; got {job_id}, which is not. "
                "It was cleaned up: start it again."
            )
        return record

    def find(self, job_id: object, *, owner: str) -> JobRecord | None:
        """Return a visitor's job; None if it is gone, another visitor's, or the id is no id."""
        if not isinstance(job_id, str):
            return None
        with self._lock:
            record = self._table.records.get(job_id)
        return record if record is not None and record.owner == owner else None

    def folder(self, job_id: str) -> Path:
        """Return the folder of a job, where its results are."""
        return self.files / check_job_id(job_id)

    def preview(self, job_id: str) -> Preview | None:
        """Return the latest picture of a job's unfinished work, None if there is none yet."""
        record = self.get(job_id)
        if not record.preview:
            return None
        path = self.folder(job_id) / record.preview
        return Preview(path, record.preview_step, record.preview_total)

    def records(self, *, owner: str | None = None) -> list[JobRecord]:
        """Return the jobs of one visitor, or all, newest first."""
        with self._lock:
            records = list(self._table.records.values())[::-1]
        return [record for record in records if owner is None or record.owner == owner]

    def queue_position(self, job_id: str) -> QueuePosition:
        """Return a job's position in its device's queue."""
        with self._lock:
            record = self.get(job_id)
            waiting = [other for other in self._table.waiting() if other.device == record.device]
            if record.state is not JobState.QUEUED:
                return QueuePosition(0, len(waiting), 0.0)
            # The dictionary keeps the order of submission; clocks may jump.
            ahead = waiting[: [other.id for other in waiting].index(job_id)]
            seconds = [self._needs_sec(other) for other in ahead]
        known = [each for each in seconds if each is not None]
        return QueuePosition(
            len(ahead), len(waiting), sum(known) if len(known) == len(ahead) else None
        )

    def remaining_sec(self, job_id: str) -> float | None:
        """Return the seconds until a job is finished, as measured; None if nothing was."""
        with self._lock:
            record, position = self.get(job_id), self.queue_position(job_id)
            own = 0.0 if record.state.is_final else self._needs_sec(record)
        return None if own is None or position.wait_sec is None else own + position.wait_sec

    def expected_sec(self, kind: str, *, cost: float = 0.0, device: str = "") -> float | None:
        """Return the seconds a new job would take once it runs; None if none like it was measured.

        Args:
            kind: Its kind, or what it is `timed_as`.
            cost: Its cost; 0 if not known.
            device: Its device; the first by default.
        """
        device = device or self.devices[0]
        return timing.expected_sec(self.records(), kind, device=device, cost=cost)

    def step_sec(self, stage: str) -> float | None:
        """Return the seconds per step of a stage in the latest jobs; None if none was measured."""
        return timing.step_sec(self.records(), stage)

    def traceback(self, job_id: str) -> str:
        """Return the traceback of a job that met a fault, "" for any other."""
        return self._table.traceback(check_job_id(job_id))

    def cancel(self, job_id: str) -> JobRecord:
        """Ask a job to stop: at once if it waits, within a step of its work if it runs."""
        with self._lock:
            record = self.get(job_id)
            if record.state.is_final:
                return record
            self._table.live[job_id].cancel.set()
            if record.state is JobState.QUEUED:
                return self._table.finish(record, JobState.CANCELLED, NOT_BEGUN)
            return self._table.put(replace(record, cancelling=True))

    def wait(self, job_id: str, *, timeout_sec: float | None = None) -> JobRecord:
        """Wait until a job is finished or the time is over, and return it as it stands then."""
        record = self.get(job_id)
        live = self._table.live.get(job_id)
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
            self._table.delete(job_id)

    def clean_up(self) -> list[str]:
        """Delete what the quota does not allow to be kept; returns the ids that went."""
        with self._lock:
            finished = [record for record in self._table.records.values() if record.state.is_final]
        sizes = [(record, folder_bytes(self.folder(record.id))) for record in finished]
        gone = expired(sizes, self.quota)
        for job_id in gone:
            with contextlib.suppress(InputError):  # another worker's clean-up was faster
                self.delete(job_id)
        return gone

    def close(self, *, timeout_sec: float = 10.0) -> None:
        """Stop all work. What runs becomes interrupted, what waits is left to the next process."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
            for record in self._table.waiting():
                if record.state is JobState.RUNNING:
                    self._table.live[record.id].cancel.set()
        for waiting in self._queues.values():
            waiting.put(None)
        deadline = time.monotonic() + timeout_sec
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._table.release()

    def _needs_sec(self, record: JobRecord) -> float | None:
        """Return what a job that is not finished still needs, apart from waiting."""
        records = self._table.records.values()
        if record.state is JobState.RUNNING:
            since = time.monotonic() - self._table.live[record.id].reported
            known = timing.remaining_sec(record, records, since_report_sec=since)
            if known is not None:
                return known
        whole = timing.expected_sec(
            records, record.timed_as, device=record.device, cost=record.cost
        )
        if whole is None or record.started_unix is None:
            return whole
        return max(0.0, whole - (time.time() - record.started_unix))

    def _serve(self, device: str) -> None:
        while True:
            try:
                item = self._queues[device].get(timeout=CLEAN_EVERY_SEC)
            except queue.Empty:  # nobody comes: old jobs still have to go
                self.clean_up()
                continue
            if item is None:
                return
            job_id, request, context = item
            with self._lock:
                record = self._table.records.get(job_id)
                if self._closing or record is None or record.state is not JobState.QUEUED:
                    continue
                record = replace(record, state=JobState.RUNNING, started_unix=time.time())
                self._table.put(record)
            context.run(self._run, record, request)
            self.clean_up()

    def _run(self, record: JobRecord, request: BaseModel) -> None:
        live, table, job_id = self._table.live[record.id], self._table, record.id
        job = JobContext(
            job_id,
            self.folder(job_id),
            live.cancel,
            lambda stage, done, total: table.report(job_id, stage, done, total),
            live.results,
            lambda name, step, total: table.show_preview(job_id, name, step, total),
            self.expected_sec(record.timed_as, cost=record.cost, device=record.device),
        )
        state, message = JobState.DONE, ""
        try:
            live.results |= self.kinds[record.kind].work(job, request) or {}
        except Cancelled:
            state, message = JobState.CANCELLED, STOPPED
            if self._closing:
                state, message = JobState.INTERRUPTED, INTERRUPTED
        except InputError as error:
            state, message = JobState.FAILED, str(error)
        except Exception as error:  # a worker that died would leave every later job waiting
            with contextlib.suppress(sqlite3.Error):  # a full disk is such a fault
                table.set_traceback(job_id, traceback.format_exc())
            name = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            state, message = JobState.FAILED, FAULT.format(error=name[:300])
        if state is not JobState.DONE:
            live.results["partial"] = True
        try:
            table.finish(table.records[job_id], state, message)
        except (TypeError, ValueError) as error:  # results that JSON cannot hold
            live.results.clear()
            fault = FAULT.format(error=str(error)[:300])
            table.finish(table.records[job_id], JobState.FAILED, fault)
