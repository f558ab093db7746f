"""What the work of a job is given, and what a page sees of it before it is done."""

import base64
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from rays_as_pixels.errors import Cancelled, InputError


@dataclass(frozen=True)
class JobContext:
    """What the work of a job is given besides its request.

    Attributes:
        id: The job's id.
        folder: The job's own folder; results go here.
        cancel: Set when the job should stop; the work then raises `Cancelled`.
        progress: Call as progress(stage, done, total).
        results: Names of files and numbers to keep even if the job is stopped half way.
        show_preview: Call as show_preview(name, step, total) with a picture's name in the folder.
        expected_sec: Seconds that jobs like this one took, None if none was measured.
    """

    id: str
    folder: Path
    cancel: threading.Event
    progress: Callable[[str, int, int], None]
    results: dict[str, Any]
    show_preview: Callable[[str, int, int], None]
    expected_sec: float | None = None

    def check(self) -> None:
        """Stop here if the job should.

        Raises:
            Cancelled: It was asked to stop.
        """
        if self.cancel.is_set():
            raise Cancelled("cancelled between two stages")


@dataclass(frozen=True)
class JobKind:
    """A kind of job.

    Attributes:
        request: What is asked for; kept as JSON until the job runs.
        work: Called as work(context, request); returns results, JSON types only.
    """

    request: type[BaseModel]
    work: Callable[[JobContext, Any], dict[str, Any] | None]


@dataclass(frozen=True)
class Preview:
    """A picture of unfinished work.

    Attributes:
        path: A JPEG file; each picture has a name of its own.
        step: The step it shows.
        total: Steps in all.
    """

    path: Path
    step: int
    total: int

    def data_uri(self) -> str:
        """Return the picture as a `data:` address, for a page that should load nothing else.

        Raises:
            InputError: The file has gone meanwhile; a newer picture has taken its place.
        """
        try:
            text = base64.b64encode(self.path.read_bytes()).decode("ascii")
        except OSError as error:
            raise InputError(
                f"preview must be kept; got '{error.strerror}'. Ask for the latest one."
            ) from error
        return f"data:image/jpeg;base64,{text}"
