"""Workers as processes of this machine, for where Ray is not installed or not wanted."""

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from rays_as_pixels.annotate.job import Job

PATIENCE_SEC = 10.0  # for a worker to end by itself
MOST_DEATHS_AT_START = 3  # of workers that never began a video: the model does not load


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    video: str | None = None


class WorkersFailedError(RuntimeError):
    """Workers end before they begin a video; the reason is on stderr."""


def run_locally(job: Job, videos: Sequence[str], workers: int) -> Iterator[tuple[str, str]]:
    """Annotate videos in processes of this machine; yields (video, status) as they finish.

    A worker that dies is replaced, and its video is given to another one.

    Raises:
        WorkersFailedError: Workers die before they begin a video.
    """
    waiting = list(reversed(videos))
    crew = [_start(job, index, workers) for index in range(min(workers, len(videos)))]
    open_videos, deaths = len(videos), 0
    try:
        while open_videos:
            ready = wait([each for w in crew for each in (w.pipe, w.process.sentinel)])
            for place, worker in enumerate(crew):
                if worker.pipe in ready and (answer := _received(worker)) is not None:
                    if answer != "ready":
                        open_videos -= 1
                        deaths = 0
                        yield str(worker.video), answer
                    worker.video = _give(worker, waiting)
                elif not worker.process.is_alive():
                    deaths += worker.video is None
                    if deaths >= MOST_DEATHS_AT_START:
                        raise WorkersFailedError("workers end before they begin a video")
                    if worker.video is not None:
                        waiting.append(worker.video)
                    worker.pipe.close()
                    crew[place] = _start(job, place, workers)
    finally:
        for worker in crew:
            worker.pipe.close()  # one that waits ends by itself
        for worker in crew:
            worker.process.join(0 if open_videos else PATIENCE_SEC)
            worker.process.terminate()
            worker.process.join()


def _received(worker: _Worker) -> str | None:
    try:
        return worker.pipe.recv()
    except (EOFError, OSError):
        return None


def _give(worker: _Worker, waiting: list[str]) -> str | None:
    video = waiting.pop() if waiting else None
    if video is not None:
        with contextlib.suppress(OSError):  # it died just now; its sentinel says so next
            worker.pipe.send(video)
    return video


def _start(job: Job, index: int, workers: int) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, job, index, workers), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _work(pipe: Connection, job: Job, index: int, workers: int) -> None:
    """Run in the worker: load the model, then take videos until the pipe ends."""
    import torch  # noqa: PLC0415 - the parent needs none

    from rays_as_pixels.annotate.worker import Annotator  # noqa: PLC0415

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))
    annotator = Annotator(replace(job, device=device_of(job.device, index)))
    pipe.send("ready")
    while True:
        try:
            video = pipe.recv()
        except EOFError:
            sys.exit(0)
        status, _ = annotator.annotate(video)
        pipe.send(status)


def device_of(name: str, index: int) -> str:
    """Give workers the devices of a machine in turn where the choice is free."""
    import torch  # noqa: PLC0415

    if name != "auto":
        return name
    if torch.cuda.is_available():
        return f"cuda:{index % torch.cuda.device_count()}"
    return "mps" if torch.backends.mps.is_available() else "cpu"
