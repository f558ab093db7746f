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

MOST_ROUNDS = 4  # of giving out again what a failing cluster left undone

# Annotates videos with a number of workers; yields (video, status) as they finish.
Runner = Callable[[Job, Sequence[str], int], Iterator[tuple[str, str]]]


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


def choose_runner(name: str, *, address: str | None = None, gpus: float = 0.0) -> Runner:
    """Return who does the work.

    Args:
        name: "ray", "local", or "auto": Ray where it is installed.
        address: Of a Ray cluster; None starts Ray on this machine.
        gpus: GPUs per worker, Ray alone.

    Raises:
        InputError: No such runner, or an address or GPUs for one without a cluster.
    """
    if name not in ("auto", "ray", "local"):
        raise InputError(f"runner must be auto, ray or local; got {name!r}. Use auto.")
    if name == "local" and (address is not None or gpus):
        raise InputError(
            f"--address and --gpus must go with the runner ray; got {address or gpus} with local. "
            "Leave them out."
        )
    if name == "ray" or address is not None or gpus or (name == "auto" and has_ray()):
        return lambda job, videos, workers: run_on_ray(
            job, videos, workers, address=address, gpus=gpus
        )
    return run_locally


def annotate(
    job: Job,
    videos: Sequence[str],
    runner: Runner,
    *,
    workers: int = 1,
    retry_failed: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> RunSummary:
    """Annotate the videos that have no rows yet, and collect everything into one table.

    Args:
        job: The run; its folder is made or continued.
        videos: All videos, by name.
        runner: Who does the work.
        workers: Number of workers.
        retry_failed: Whether to try failed videos of earlier runs again.
        progress: Called with (stage, videos done, of how many).

    Raises:
        InputError: Something needed is not installed, or the folder is of another run.
        RuntimeError: Videos are left after MOST_ROUNDS rounds.
    """
    arrow()
    open_run(job)
    if retry_failed:
        forget_failures(job)
    done = finished_videos(job)
    skipped = len(done & set(videos))
    for _ in range(MOST_ROUNDS):
        left = [video for video in videos if video not in done]
        if not left:
            break
        for number, _ in enumerate(runner(job, left, workers), start=1):
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
