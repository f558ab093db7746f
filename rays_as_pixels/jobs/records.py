"""What is known of a job, and how it is kept on disk."""

import json
import os
import re
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from rays_as_pixels.errors import InputError

RECORD = "job.json"
_ID = re.compile(r"[0-9a-f]{32}")


class JobState(StrEnum):
    """Where a job stands. The last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to the job."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True)
class JobRecord:
    """A snapshot of a job.

    Attributes:
        id: 32 hexadecimal digits, unguessable: who knows it may see the job.
        kind: What it does, for instance "estimate".
        owner: Opaque id of the visitor who asked for it; "" for none.
        device: The worker that runs it.
        state: Where it stands.
        created_unix: When it was submitted, seconds since 1970; likewise started and finished.
        stage: What is being done now, in words.
        done: Steps of the stage that are finished.
        total: Steps of the stage; 0 if not known.
        stage_sec: Seconds from the stage's first report to the latest one.
        stage_first: `done` at the stage's first report.
        cancelling: Whether a stop was asked for.
        message: Why it failed or stopped, for people; "" otherwise.
        settings: What it was asked for, for people and for repeating it.
        results: What came out: file names within the job's folder, and numbers.
    """

    id: str
    kind: str
    owner: str
    device: str
    state: JobState
    created_unix: float
    started_unix: float | None = None
    finished_unix: float | None = None
    stage: str = ""
    done: int = 0
    total: int = 0
    stage_sec: float = 0.0
    stage_first: int = 0
    cancelling: bool = False
    message: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)

    @property
    def remaining_sec(self) -> float | None:
        """Seconds the stage will still take, at the pace of its steps so far; None if unknown."""
        measured = self.done - self.stage_first
        if self.state is not JobState.RUNNING or measured < 1 or self.total < self.done:
            return None
        return self.stage_sec / measured * (self.total - self.done)

    @property
    def duration_sec(self) -> float | None:
        """Seconds from start to finish; None unless it has both."""
        if self.started_unix is None or self.finished_unix is None:
            return None
        return self.finished_unix - self.started_unix


def check_job_id(job_id: str) -> str:
    """Return a well-formed job id as it is; it can then not name another folder.

    Raises:
        InputError: It is no job id.
    """
    if not isinstance(job_id, str) or not _ID.fullmatch(job_id):
        raise InputError(
            f"job id must be 32 hexadecimal digits; got {str(job_id)[:40]!r}. Start the job again."
        )
    return job_id


def write_record(record: JobRecord, folder: Path) -> None:
    """Replace the record in a job's folder, whole or not at all."""
    part = folder / f".{RECORD}.part"
    with part.open("w", encoding="utf-8") as file:
        json.dump(asdict(record), file, indent=1, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, folder / RECORD)


def read_record(folder: Path) -> JobRecord | None:
    """Return the record in a job's folder, or None if there is none or it is not readable."""
    try:
        value = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        known = {item.name for item in fields(JobRecord)}
        values: dict[str, Any] = {key: item for key, item in value.items() if key in known}
        values["state"] = JobState(values["state"])
        record = JobRecord(**values)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return record if record.id == folder.name else None
