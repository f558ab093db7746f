"""The records of all jobs while the program runs: in memory at once, on disk once a second."""

import contextlib
import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any

from rays_as_pixels.app.jobs.records import JobRecord, JobState
from rays_as_pixels.app.jobs.store import JobStore

INTERRUPTED = "The program was stopped while this ran. Start it again."
SAVE_EVERY_SEC = 1.0


@dataclass
class Live:
    """What of a job lives only in this process.

    Attributes:
        cancel: Set when the job should stop.
        finished: Set when its record is final.
        results: What the work has so far.
        stage_started: When the stage began, on the monotonic clock, in seconds.
        reported: When the work last said how far it is.
        saved: When the record was last written.
    """

    cancel: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)
    results: dict[str, Any] = field(default_factory=dict)
    stage_started: float = 0.0
    reported: float = 0.0
    saved: float = 0.0


class JobTable:
    """Keeps records; what an earlier run of the program left unfinished is called interrupted.

    Args:
        store: Where they are kept on disk.

    Attributes:
        lock: Held while records are read or changed together.
        records: By id, in the order of submission.
        live: Of the jobs that were submitted to this process.
    """

    def __init__(self, store: JobStore) -> None:
        self.lock = threading.RLock()
        self.records: dict[str, JobRecord] = {}
        self.live: dict[str, Live] = {}
        self._store = store
        for record in store.recover():
            kept = record
            if not record.state.is_final:
                kept = replace(
                    record,
                    state=JobState.INTERRUPTED,
                    message=INTERRUPTED,
                    finished_unix=time.time(),
                    cancelling=False,
                    results=record.results | {"partial": True},
                )
                store.write(kept)
            self.records[record.id] = kept

    def waiting(self) -> list[JobRecord]:
        """Return the jobs that are queued or run, in the order of submission."""
        return [record for record in self.records.values() if not record.state.is_final]

    def open(self, record: JobRecord) -> None:
        """Take in a new job."""
        self.live[record.id] = Live()
        try:
            self.put(record)
        except OSError:
            self.forget(record.id)
            raise

    def put(self, record: JobRecord) -> JobRecord:
        """Keep a record in memory and on disk."""
        self.records[record.id] = record
        self._store.write(record)
        return record

    def forget(self, job_id: str) -> None:
        """Keep no record of a job in memory."""
        del self.records[job_id]
        self.live.pop(job_id, None)

    def finish(
        self,
        record: JobRecord,
        state: JobState,
        *,
        message: str = "",
        results: dict[str, Any] | None = None,
    ) -> JobRecord:
        """Make a record final."""
        final = replace(
            record,
            state=state,
            message=message,
            results=results or {},
            finished_unix=time.time(),
            cancelling=False,
        )
        with contextlib.suppress(OSError):  # a full disk: memory knows, a restart says interrupted
            self.put(final)
        self.live[record.id].finished.set()
        return final

    def close(self, job_id: str, state: JobState, message: str) -> None:
        """Make the record of a job that ran final.

        Raises:
            TypeError: JSON cannot hold its results; likewise ValueError.
        """
        with self.lock:
            record = self._with_stage(self.records[job_id])
            if state is JobState.DONE:  # its results have taken the picture's place
                record = replace(record, preview="")
            self.finish(record, state, message=message, results=dict(self.live[job_id].results))

    def report(self, job_id: str, stage: str, done: int, total: int) -> None:
        """Note how far a job is."""
        now = time.monotonic()
        with self.lock:
            record, live = self.records[job_id], self.live[job_id]
            if stage != record.stage:
                record = replace(self._with_stage(record), stage=stage, stage_first=done)
                live.stage_started = now
            live.reported = now
            record = replace(record, done=done, total=total, stage_sec=now - live.stage_started)
            self._save_soon(record, live, now)

    def show(self, job_id: str, name: str, step: int, total: int) -> None:
        """Note the latest picture of a job's unfinished work."""
        with self.lock:
            record, live = self.records[job_id], self.live[job_id]
            live.results["preview"] = name
            record = replace(record, preview=name, preview_step=step, preview_total=total)
            self._save_soon(record, live, time.monotonic())

    def _with_stage(self, record: JobRecord) -> JobRecord:
        """Add the current stage, measured, to those that are finished."""
        if not record.stage:
            return record
        seconds = round(time.monotonic() - self.live[record.id].stage_started, 4)
        steps = record.done - record.stage_first
        return replace(record, stages=[*record.stages, [record.stage, steps, seconds]])

    def _save_soon(self, record: JobRecord, live: Live, now: float) -> None:
        """Keep a running job's record in memory, and on disk about once a second."""
        self.records[record.id] = record
        if now - live.saved >= SAVE_EVERY_SEC:
            live.saved = now
            with contextlib.suppress(TypeError, ValueError, OSError):  # told when it is finished
                self._store.write(replace(record, results=dict(live.results)))
