"""Run one of the pipeline's verbs for a job: here, or in a process that ZeroGPU gives a GPU.

A Space on ZeroGPU has a GPU only inside a function that `spaces.GPU` decorates, which runs in a
process forked from this one: what goes in and comes out is pickled, and the pipeline itself must
have been there before the fork. The same generator serves both sides.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from rays_as_pixels.app.jobs.context import JobContext
from rays_as_pixels.app.jobs.frame_files import even_sized
from rays_as_pixels.app.jobs.previews import LatentPreview, drop_pictures, keep_picture
from rays_as_pixels.app.jobs.zero_gpu import on_zero_gpu
from rays_as_pixels.errors import Cancelled, InputError
from rays_as_pixels.media.video import write_video
from rays_as_pixels.pipeline.options import RunOptions
from rays_as_pixels.viz.path_picture import path_picture

if TYPE_CHECKING:
    from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline

PARTIAL = "partial.mp4"
VIDEO_VERBS = ("generate", "imagine", "loop")
MIN_GPU_SEC, DEFAULT_GPU_SEC = 15, 60  # to ask for; the default is for calls never measured
GPU_TIME_MARGIN = 1.5

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class VerbCall:
    """A call of one of the pipeline's verbs.

    Attributes:
        verb: "estimate", "generate", "imagine" or "loop".
        arguments: Keyword arguments other than `run`.
        seed: Seed of the noise.
        expected_sec: Seconds that calls like it took; None if none was measured.
    """

    verb: str
    arguments: dict[str, Any]
    seed: int
    expected_sec: float | None = None


@dataclass(frozen=True)
class JobCallbacks:
    """What is called while a verb runs.

    Attributes:
        progress: Called as progress(stage, done, total).
        picture: Called as picture(jpeg, step, total).
        partial: Called as partial(video, repeats, step) when a run is stopped half way.
        cancel: Set to stop the run.
    """

    progress: Progress
    picture: Callable[[bytes, int, int], None]
    partial: Callable[[Tensor, int, int], None]
    cancel: threading.Event


def run_verb(
    job: JobContext,
    pipeline: "RaysAsPixelsPipeline",
    verb: str,
    *,
    seed: int,
    progress: Progress | None = None,
    **arguments: Any,
) -> Any:
    """Run a verb for a job, with progress, pictures on the way, and what is kept if it is stopped.

    Args:
        job: The job.
        pipeline: The pipeline.
        verb: "estimate", "generate", "imagine" or "loop".
        seed: Seed of the noise.
        progress: Called instead of the job's own.
        arguments: The verb's other arguments, by name.

    Raises:
        Cancelled: The job was asked to stop; at most one step late.
        InputError: The verb refuses, or no GPU can be had.
    """

    def picture(jpeg: bytes, step: int, total: int) -> None:
        number = int(job.results.get("pictures", 0)) + 1
        job.results["pictures"] = number
        job.show_preview(keep_picture(job.folder, jpeg, number), step, total)

    def partial(video: Tensor, repeats: int, step: int) -> None:
        frames = even_sized(video.repeat_interleave(repeats, 0))
        write_video(job.folder / PARTIAL, frames, fps=float(job.results.get("fps", 10.0)))
        job.results.update(partial_video=PARTIAL, steps_done=step)

    callbacks = JobCallbacks(progress or job.progress, picture, partial, job.cancel)
    call = VerbCall(verb, arguments, seed, job.expected_sec)
    if on_zero_gpu():
        result = relay_events(_zero_gpu_call()(call), callbacks)
    else:
        result = call_verb(pipeline, call, callbacks)
    for name in ("pictures", "preview"):
        job.results.pop(name, None)
    drop_pictures(job.folder)
    return result


def call_verb(pipeline: "RaysAsPixelsPipeline", call: VerbCall, callbacks: JobCallbacks) -> Any:
    """Run the verb in this process."""
    preview = LatentPreview(callbacks.picture) if call.verb in VIDEO_VERBS else None

    def draw_path(centers: np.ndarray, num_frames: int) -> None:
        callbacks.picture(path_picture(centers, num_frames), len(centers), num_frames)

    try:
        return getattr(pipeline, call.verb)(
            **call.arguments,
            run=RunOptions(
                generator=torch.Generator().manual_seed(call.seed),
                progress=callbacks.progress,
                cancel=callbacks.cancel,
                callback_on_step_end=preview,
                on_path=draw_path,
            ),
        )
    except Cancelled:
        kept = None if preview is None else preview.partial()
        if preview is not None and kept is not None:
            callbacks.partial(*kept, preview.step)
        raise


# What follows is for ZeroGPU alone.


def gpu_seconds(call: VerbCall) -> int:
    """Return the GPU time to ask for: visitors pay with their quota; overlong asks are refused."""
    if call.expected_sec is None:
        return DEFAULT_GPU_SEC
    return max(MIN_GPU_SEC, round(GPU_TIME_MARGIN * call.expected_sec + 5))


def call_events(
    pipeline: "RaysAsPixelsPipeline", call: VerbCall
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Perform a call and yield what happens, as (name, arguments); the last is its end.

    Closing the generator stops the call within a step.
    """
    messages: queue.Queue[tuple[str, tuple[Any, ...]]] = queue.Queue()
    cancel = threading.Event()

    def send(name: str) -> Callable[..., None]:
        return lambda *values: messages.put((name, values))

    def run() -> None:
        callbacks = JobCallbacks(send("progress"), send("picture"), send("partial"), cancel)
        try:
            messages.put(("result", (call_verb(pipeline, call, callbacks),)))
        except Cancelled:
            messages.put(("cancelled", ()))
        except InputError as error:
            messages.put(("refused", (str(error),)))
        except Exception as error:  # the thread's exception would reach nobody
            messages.put(("fault", (f"{type(error).__name__}: {error}",)))

    thread = threading.Thread(target=run, name="verb", daemon=True)
    thread.start()
    try:
        while True:
            name, values = messages.get()
            yield name, values
            if name in ("result", "cancelled", "refused", "fault"):
                return
    finally:
        cancel.set()
        thread.join()


def relay_events(stream: Iterator[tuple[str, tuple[Any, ...]]], callbacks: JobCallbacks) -> Any:
    """Pass on what happens on the other side, and return or raise how it ends.

    Raises:
        Cancelled: The caller asked to stop.
        InputError: The verb refused, or the GPU was refused.
        RuntimeError: A fault.
    """
    iterator = iter(stream)
    try:
        for name, values in iterator:
            if name == "result":
                return values[0]
            if name == "refused":
                raise InputError(values[0])
            if name == "fault":
                raise RuntimeError(values[0])
            if name != "cancelled":
                getattr(callbacks, name)(*values)
            if name == "cancelled" or callbacks.cancel.is_set():
                raise Cancelled("cancelled on ZeroGPU")
    except (Cancelled, InputError):
        raise
    except Exception as error:
        if type(error).__module__.partition(".")[0] in ("gradio", "spaces"):  # quota, queue, length
            raise InputError(
                f"a GPU must be free for this; got '{error}'. Sign in to Hugging Face, use fewer "
                "steps, or try again later."
            ) from error
        raise
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()
    raise RuntimeError("the ZeroGPU process ended without a result")


_zero_gpu_calls: "list[Callable[[VerbCall], Iterator[tuple[str, tuple[Any, ...]]]]]" = []


def prepare_zero_gpu(pipeline: "RaysAsPixelsPipeline") -> None:
    """Make the pipeline known to the processes that get a GPU; call it before the app starts."""
    import spaces  # noqa: PLC0415 # pyright: ignore[reportMissingImports] - only on a Space

    def on_gpu(call: VerbCall) -> Iterator[tuple[str, tuple[Any, ...]]]:
        yield from call_events(pipeline, call)

    _zero_gpu_calls[:] = [spaces.GPU(duration=gpu_seconds)(on_gpu)]


def _zero_gpu_call() -> "Callable[[VerbCall], Iterator[tuple[str, tuple[Any, ...]]]]":
    if not _zero_gpu_calls:
        raise InputError(
            "the model must be loaded before the app starts on ZeroGPU; it was not. "
            "See the Space's log."
        )
    return _zero_gpu_calls[0]
