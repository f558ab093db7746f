"""Workers as Ray Data actors: on this machine, or on a cluster that sees the same folders."""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from rays_as_pixels.annotate.job import Job
from rays_as_pixels.errors import InputError

OBJECT_STORE_BYTES = 128 * 2**20  # only names and states pass through it
VIDEOS_PER_TASK = 8


def has_ray() -> bool:
    """Whether Ray is installed."""
    return find_spec("ray") is not None


def ray_module() -> Any:
    """Import Ray with its data part.

    Raises:
        InputError: It is not installed.
    """
    if not has_ray():
        raise InputError(
            "ray must be installed for a cluster; it is not. Run 'pip install \".[data]\"', or use "
            "--runner local."
        )
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray  # noqa: PLC0415 - optional, and slow to import
    import ray.data  # noqa: PLC0415

    return ray


class RayAnnotator:
    """The worker as Ray Data calls it: a batch of one video in, its status out."""

    def __init__(self, job: Job) -> None:
        from rays_as_pixels.annotate.local import device_of  # noqa: PLC0415 - in the worker alone
        from rays_as_pixels.annotate.worker import Annotator  # noqa: PLC0415

        # Ray shows each worker the GPU it may use, as number 0.
        self._annotator = Annotator(replace(job, device=device_of(job.device, 0)))

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Annotate the videos of a batch."""
        videos = [str(video) for video in batch["video"]]
        return {"video": videos, "status": [self._annotator.annotate(v)[0] for v in videos]}


def run_on_ray(
    job: Job, videos: Sequence[str], workers: int, *, address: str | None, gpus: float
) -> Iterator[tuple[str, str]]:
    """Annotate videos by Ray Data; yields (video, status) as they finish.

    Ray restarts a worker that dies and gives its videos out again; those that are finished are
    recognised by their parts.

    Args:
        job: The run.
        videos: What is left to do.
        workers: Number of workers.
        address: Of a running cluster ("auto" finds the one of this machine); None starts Ray here.
        gpus: GPUs per worker.

    Raises:
        InputError: Ray is not installed, does not start here, or no cluster answers at `address`.
    """
    ray = ray_module()
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    _connect(ray, address, workers)
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        tasks = max(1, min(len(videos), max(2 * workers, len(videos) // VIDEOS_PER_TASK)))
        data = ray.data.from_items([{"video": v} for v in videos], override_num_blocks=tasks)
        done = data.map_batches(
            RayAnnotator,
            fn_constructor_args=(job,),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=1,
            num_gpus=gpus or None,
        )
        for row in done.iter_rows():
            yield row["video"], row["status"]
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str | None, workers: int) -> None:
    """Join the cluster at an address, or start Ray on this machine.

    Raises:
        InputError: Neither works.
    """
    options: dict[str, Any] = {"address": address}
    if address is None:
        options = {
            "address": "local",  # not one that RAY_ADDRESS names
            "num_cpus": workers + 1,  # one for Ray Data's own small tasks
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
        }
    try:
        ray.init(logging_level="ERROR", log_to_driver=False, configure_logging=True, **options)
    except (OSError, RuntimeError, ValueError) as error:  # a TimeoutError is an OSError
        ray.shutdown()
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        if address is None:
            raise InputError(
                f"ray must start on this machine; it did not ({reason}). Use --runner local."
            ) from error
        raise InputError(
            f"address must be of a running Ray cluster; got {address} ({reason}). Start one with "
            "'ray start --head', or leave --address out."
        ) from error
