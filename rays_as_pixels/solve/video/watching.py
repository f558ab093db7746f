"""Run what cannot be interrupted, such as COLMAP's mappers, so that its caller can still stop."""

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

_CHECK_EVERY_SEC = 0.2


def run_watched(function: Callable[[], Result], check: Callable[[], None]) -> Result:
    """Return what a function returns, and call `check` again and again until then.

    Args:
        function: Runs in a thread of its own, which is left to end by itself where `check` raises;
            the process does not end before it.
        check: Called from the caller's thread; may raise to stop.

    Raises:
        Exception: What the function or `check` raised.
    """
    ended: queue.SimpleQueue[tuple[Result | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            ended.put((function(), None))
        except BaseException as error:
            ended.put((None, error))

    threading.Thread(target=run, name="watched").start()
    while True:
        check()
        try:
            result, error = ended.get(timeout=_CHECK_EVERY_SEC)
        except queue.Empty:
            continue
        if error is not None:
            raise error
        return result  # type: ignore[return-value] - None only where the function returned it
