"""One annotation run: what is left to do, who does it, and one table at the end."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rays_as_pixels.annotate.job import Job, open_run
from rays_as_pixels.annotate.local import run_locally
from rays_as_pixels.annotate.on_ray import has_ray, run_on_ray
from rays_as_pixels.annotate.table import (
    arrow,
    collect,
    finished_videos,
    forget_failures,
    list_failures,
)
from rays_as_pixels.errors import InputError

RUNNERS = ("auto", "ray", "local")
MOST_ROUNDS = 4  # of giving out again what a failing cluster left undone


@dataclass(frozen=True)
class RunnerChoice:
    """Who does the work.

    Attributes:
        runner: "ray", "local", or "auto": Ray where it is installed.
        address: Of a Ray cluster; None starts Ray on this machine.
        workers: Number of workers.
        gpus: GPUs per worker, Ray alone.
    """

    runner: str = "auto"
    address: str | None = None
    workers: int = 1
    gpus: float = 0.0


@dataclass(frozen=True)
class RunSummary:
    """What a run came to.

    Attributes:
        files: The table's files.
        found: Videos that there are.
        skipped: Of these, finished by earlier runs.
        failures: (video, reason) of every failed video in the table.
    """

    files: tuple[Path, ...]
    found: int
    skipped: int
    failures: tuple[tuple[str, str], ...]


def annotate(
    job: Job,
    videos: Sequence[str],
    choice: RunnerChoice,
    *,
    retry_failed: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> RunSummary:
    """Annotate the videos that have no rows yet, and collect everything into one table.

    Args:
        job: The run; its folder is made or continued.
        videos: All videos, by name.
        choice: Who does the work.
        retry_failed: Whether to try failed videos of earlier runs again.
        progress: Called with (stage, videos done, of how many).

    Raises:
        InputError: Something needed is not installed, or the folder is of another run.
    """
    arrow()
    if choice.runner not in RUNNERS:
        raise InputError(f"runner must be one of {RUNNERS}; got {choice.runner!r}. Use auto.")
    if choice.runner == "local" and choice.address is not None:
        raise InputError(
            f"address must go with the runner ray; got {choice.address} with local. Leave one out."
        )
    open_run(job)
    if retry_failed:
        forget_failures(job)
    done = finished_videos(job)
    skipped = len(done & set(videos))
    for _ in range(MOST_ROUNDS):
        left = [video for video in videos if video not in done]
        if not left:
            break
        for number, _ in enumerate(_run(job, left, choice), start=1):
            if progress is not None:
                progress("annotate", len(videos) - len(left) + number, len(videos))
        done = finished_videos(job)
    left = [video for video in videos if video not in done]
    files = collect(job)
    failures = list_failures(Path(job.out))
    if left:
        raise RuntimeError(
            f"{len(left)} of {len(videos)} videos have no result after {MOST_ROUNDS} rounds, "
            f"{left[0]} first; the same command goes on with them"
        )
    return RunSummary(tuple(files), len(videos), skipped, tuple(failures))


def _run(job: Job, videos: Sequence[str], choice: RunnerChoice) -> Iterator[tuple[str, str]]:
    if (
        choice.runner == "ray"
        or choice.address is not None
        or (choice.runner == "auto" and has_ray())
    ):
        yield from run_on_ray(job, videos, choice.workers, address=choice.address, gpus=choice.gpus)
    else:
        yield from run_locally(job, videos, choice.workers)
