"""The job manager: one worker thread per device, states that survive a restart.

A job's work is a function of a `JobContext`; it writes its results into the context's folder,
reports progress and stops when told to. The page that submitted it may go away: whoever knows the
job's id can look at it, stop it, or fetch its results later.
"""

import contextlib
import queue
import secrets
import threading
import time
import traceback
from collections.abc import Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rays_as_pixels.app.jobs import timing as pace
from rays_as_pixels.app.jobs.context import JobContext, Preview, Work
from rays_as_pixels.app.jobs.ledger import INTERRUPTED, JobTable
from rays_as_pixels.app.jobs.quota import Quota, Usage, check_room, expired
from rays_as_pixels.app.jobs.records import JobRecord, JobState, check_job_id
from rays_as_pixels.app.jobs.store import JobStore
from rays_as_pixels.errors import Cancelled, InputError

STOPPED, NOT_BEGUN = "Stopped, as you asked.", "Stopped before it began."
FAULT = "A fault of the program, not of your input: {error}. The server keeps the details."
CLEAN_EVERY_SEC = 600.0


@dataclass(frozen=True)
class Place:
    """A job's place in the queue of its device.

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
        self._store = JobStore(self.root)
        self._ledger = JobTable(self._store)
        self._lock = self._ledger.lock
        self._closing = False
        self.clean_up()
        self._queues: dict[str, queue.Queue[tuple[str, Work, Context] | None]] = {}
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
        return self._store.files

    def submit(
        self,
        kind: str,
        work: Work,
        *,
        owner: str = "",
        device: str | None = None,
        settings: dict[str, Any] | None = None,
        inputs: "dict[str, Path | bytes] | None" = None,
        cost: float = 0.0,
    ) -> JobRecord:
        """Queue a job and return its record at once.

        Args:
            kind: What it does, in a word.
            work: Called in the device's thread, with the context variables of this call; returns
                results, JSON types only.
            owner: Opaque id of the visitor.
            device: One of the manager's devices; the first by default.
            settings: What was asked for, JSON types only.
            inputs: Files copied, or bytes written, into the job's folder now, under these names.
            cost: How much work it is, in units that jobs of this kind share, for time estimates.

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
                raise InputError(
                    "jobs must be submitted while the program runs; it is stopping. Start it again."
                )
            check_room(self.root, self._ledger.waiting(), owner, self.quota)
            job_id = secrets.token_hex(16)
            record = JobRecord(
                job_id,
                kind,
                owner,
                device,
                JobState.QUEUED,
                time.time(),
                settings=settings or {},
                cost=cost,
            )
            self._store.fill(job_id, inputs or {})
            self._ledger.open(record)
            self._queues[device].put((job_id, work, copy_context()))
        return record

    def get(self, job_id: str) -> JobRecord:
        """Return a job as it stands.

        Raises:
            InputError: No such job; it may have been cleaned up.
        """
        with self._lock:
            record = self._ledger.records.get(check_job_id(job_id))
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
            record = self._ledger.records.get(job_id)
        return record if record is not None and record.owner == owner else None

    def folder(self, job_id: str) -> Path:
        """Return the folder of a job, where its results are."""
        return self._store.folder(job_id)

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
            records = list(self._ledger.records.values())
        records.sort(key=lambda record: record.created_unix, reverse=True)
        return [record for record in records if owner is None or record.owner == owner]

    def queue_position(self, job_id: str) -> int:
        """Return how many jobs of its device go first; 0 when it runs or is finished."""
        return self.place(job_id).ahead

    def place(self, job_id: str) -> Place:
        """Return a job's place in its device's queue."""
        with self._lock:
            record = self.get(job_id)
            waiting = [other for other in self._ledger.waiting() if other.device == record.device]
            if record.state is not JobState.QUEUED:
                return Place(0, len(waiting), 0.0)
            # The dictionary keeps the order of submission; clocks may jump.
            ahead = waiting[: [other.id for other in waiting].index(job_id)]
            seconds = [self._needs_sec(other) for other in ahead]
        known = [each for each in seconds if each is not None]
        return Place(len(ahead), len(waiting), sum(known) if len(known) == len(ahead) else None)

    def remaining_sec(self, job_id: str) -> float | None:
        """Return the seconds until a job is finished, as measured; None if nothing was."""
        with self._lock:
            record, place = self.get(job_id), self.place(job_id)
            own = 0.0 if record.state.is_final else self._needs_sec(record)
        return None if own is None or place.wait_sec is None else own + place.wait_sec

    def expected_sec(self, kind: str, *, cost: float = 0.0, device: str = "") -> float | None:
        """Return the seconds a new job would take once it runs; None if none like it was measured.

        Args:
            kind: Its kind.
            cost: Its cost; 0 if not known.
            device: Its device; the first by default.
        """
        device = device or self.devices[0]
        return pace.expected_sec(self.records(), kind, device=device, cost=cost)

    def step_sec(self, stage: str) -> float | None:
        """Return the seconds per step of a stage in the latest jobs; None if none was measured."""
        return pace.step_sec(self.records(), stage)

    def usage(self, owner: str) -> Usage:
        """Return what a visitor's jobs keep on the disk."""
        records = self.records(owner=owner)
        kept = sum(self._store.size(record.id) for record in records)
        return Usage(kept, self.quota.owner_bytes, len(records))

    def cancel(self, job_id: str) -> JobRecord:
        """Ask a job to stop: at once if it waits, within a step of its work if it runs."""
        with self._lock:
            record = self.get(job_id)
            if record.state.is_final:
                return record
            self._ledger.live[job_id].cancel.set()
            if record.state is JobState.QUEUED:
                return self._ledger.finish(record, JobState.CANCELLED, message=NOT_BEGUN)
            return self._ledger.put(replace(record, cancelling=True))

    def wait(self, job_id: str, *, timeout_sec: float | None = None) -> JobRecord:
        """Wait until a job is finished or the time is over, and return it as it stands then."""
        record = self.get(job_id)
        live = self._ledger.live.get(job_id)
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
            self._ledger.forget(job_id)
        self._store.forget(job_id)

    def clean_up(self) -> list[str]:
        """Delete what the quota does not allow to be kept; returns the ids that went."""
        with self._lock:
            finished = [record for record in self._ledger.records.values() if record.state.is_final]
        sizes = [(record, self._store.size(record.id)) for record in finished]
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
            for record in self._ledger.waiting():
                self._ledger.live[record.id].cancel.set()
                if record.state is JobState.QUEUED:
                    self._ledger.finish(record, JobState.INTERRUPTED, message=INTERRUPTED)
        for waiting in self._queues.values():
            waiting.put(None)
        deadline = time.monotonic() + timeout_sec
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._store.release()

    def _needs_sec(self, record: JobRecord) -> float | None:
        """Return what a job that is not finished still needs, apart from waiting."""
        records = self._ledger.records.values()
        if record.state is JobState.RUNNING:
            since = time.monotonic() - self._ledger.live[record.id].reported
            known = pace.remaining_sec(record, records, since_report_sec=since)
            if known is not None:
                return known
        whole = pace.expected_sec(records, record.kind, device=record.device, cost=record.cost)
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
            job_id, work, context = item
            with self._lock:
                record = self._ledger.records.get(job_id)
                if record is None or record.state is not JobState.QUEUED:
                    continue
                record = replace(record, state=JobState.RUNNING, started_unix=time.time())
                self._ledger.put(record)
            context.run(self._run, record, work)
            self.clean_up()

    def _run(self, record: JobRecord, work: Work) -> None:
        live, ledger = self._ledger.live[record.id], self._ledger
        job = JobContext(
            record.id,
            self.folder(record.id),
            live.cancel,
            lambda stage, done, total: ledger.report(record.id, stage, done, total),
            live.results,
            lambda name, step, total: ledger.show(record.id, name, step, total),
            self.expected_sec(record.kind, cost=record.cost, device=record.device),
        )
        state, message = JobState.DONE, ""
        try:
            live.results |= work(job) or {}
        except Cancelled:
            state, message = JobState.CANCELLED, STOPPED
            if self._closing:
                state, message = JobState.INTERRUPTED, INTERRUPTED
        except InputError as error:
            state, message = JobState.FAILED, str(error)
        except Exception as error:  # a worker that died would leave every later job waiting
            with contextlib.suppress(OSError):  # a full disk is such a fault
                log = self._store.fault_log(record.id)
                log.write_text(traceback.format_exc(), encoding="utf-8")
            name = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            state, message = JobState.FAILED, FAULT.format(error=name[:300])
        if state is not JobState.DONE:
            live.results["partial"] = True
        try:
            ledger.close(record.id, state, message)
        except (TypeError, ValueError) as error:  # results that JSON cannot hold
            live.results.clear()
            ledger.close(record.id, JobState.FAILED, FAULT.format(error=str(error)[:300]))
