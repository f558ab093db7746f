"""Work that tests of jobs share, and how they submit work of their own."""

from collections.abc import Callable
from typing import Any

from rays_as_pixels.app.jobs.context import JobContext, JobKind
from rays_as_pixels.app.jobs.manager import JobManager
from rays_as_pixels.app.jobs.records import JobRecord
from rays_as_pixels.app.validation import StrictModel
from rays_as_pixels.errors import Cancelled

SOON = 30.0  # seconds; far more than any of these jobs takes


def submit(
    manager: JobManager, kind: str, work: Callable[[JobContext], Any], **options: Any
) -> JobRecord:
    """Submit a job without settings that calls work(context); the kind's later jobs must too."""
    manager.kinds[kind] = JobKind(StrictModel, lambda context, _request: work(context))
    return manager.submit(kind, StrictModel(), **options)


def until_cancelled(context: JobContext) -> None:
    """Step until a stop is asked for."""
    context.results["file"] = "first.txt"
    (context.folder / "first.txt").write_text("kept")
    for step in range(10_000):
        context.progress("Stepping", step, 10_000)
        if context.cancel.wait(0.01):
            raise Cancelled
    raise AssertionError("nobody stopped this job")
