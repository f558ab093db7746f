"""The state of a job, as the page sees it."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rays_as_pixels.errors import InputError

EVERY_FRAME = "estimate every frame"
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
        cost: How much work was asked for, in units that jobs of this kind share; 0 if not said.
        stages: The finished stages in order, each [name, steps, seconds].
        preview: Name of the latest picture of unfinished work in the job's folder; "" for none.
        preview_step: The step that the picture shows.
        preview_total: Steps in all at that stage.
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
    cost: float = 0.0
    stages: list[list[Any]] = field(default_factory=list)
    preview: str = ""
    preview_step: int = 0
    preview_total: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)

    @property
    def remaining_sec(self) -> float | None:
        """Seconds the stage will still take, at the speed of its steps so far; None if unknown."""
        measured = self.done - self.stage_first
        if self.state is not JobState.RUNNING or measured < 1 or self.total < self.done:
            return None
        return self.stage_sec / measured * (self.total - self.done)

    @property
    def timed_as(self) -> str:
        """The kind, or EVERY_FRAME: a name that jobs share which take time alike."""
        of_every_frame = self.kind == "estimate" and self.settings.get("num_frames", 0) is None
        return EVERY_FRAME if of_every_frame else self.kind

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
