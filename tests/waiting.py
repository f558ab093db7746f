"""How tests wait: never without an end, and never without a word when nothing came."""

import time
from collections.abc import Callable
from typing import Any

LONG_SEC = 60.0  # far more than anything that is waited for takes, even on a busy machine


def wait_until(
    found: Callable[[], Any],
    *,
    within_sec: float = LONG_SEC,
    every_sec: float = 0.02,
    seen: Callable[[], Any] = lambda: "nothing more is known",
) -> Any:
    """Return the first true value of `found`.

    Args:
        found: Asked again and again; may raise to end the wait at once.
        within_sec: How long to wait.
        every_sec: Pause between two questions.
        seen: What there is instead, told when the time is over.
    """
    end = time.monotonic() + within_sec
    while not (value := found()):
        assert time.monotonic() < end, f"it did not happen in {within_sec:.0f} s: {seen()}"
        time.sleep(every_sec)
    return value
