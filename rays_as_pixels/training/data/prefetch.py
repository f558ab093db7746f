"""A process of its own that makes what training draws from, while training goes on.

A step of training a small network waits for Python more than for the GPU: one of the camera prior
on 128 clips takes an H200 0.18 s, and Python 0.3 s to ask for it. Rendering asked for by another
process costs the step no more than its share of the GPU.
"""

import queue
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import torch.multiprocessing as mp

_KEPT = 2  # made and not yet taken
_PATIENCE_SEC = 5.0  # between checks whether the process is alive
_Made = TypeVar("_Made")


class BackgroundPrefetcher(Generic[_Made]):
    """What an endless source makes in another process, in order.

    Args:
        source: A function of a module; called in the new process.
        args: Its arguments, picklable. What it makes must be, too; give it tensors of the CPU.
    """

    def __init__(self, source: Callable[..., Iterator[_Made]], *args: Any) -> None:
        context = mp.get_context("spawn")  # CUDA does not survive a fork
        self._queue = context.Queue(maxsize=_KEPT)
        self._process = context.Process(target=_make, args=(self._queue, source, args), daemon=True)
        self._process.start()

    def take(self, *, wait: bool) -> _Made | None:
        """Return the next; None if it is not made yet and `wait` is False.

        Raises:
            RuntimeError: The process has failed; the message holds its traceback.
        """
        while True:
            try:
                made, failure = self._queue.get(block=wait, timeout=_PATIENCE_SEC)
            except queue.Empty:
                if not self._process.is_alive() and self._queue.empty():
                    code = self._process.exitcode
                    raise RuntimeError(f"what renders clips has ended with {code}") from None
                if not wait:
                    return None
                continue
            if failure is not None:
                raise RuntimeError(f"what renders clips has failed:\n{failure}")
            return made

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.join()
        self._queue.close()


def _make(made: Any, source: Callable[..., Iterator[Any]], args: tuple[Any, ...]) -> None:
    try:
        for one in source(*args):
            made.put((one, None))
    except Exception:  # raised again where it is taken
        made.put((None, traceback.format_exc()))
