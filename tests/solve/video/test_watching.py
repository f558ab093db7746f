"""What cannot be interrupted does not hold up who wants to stop."""

import threading

import pytest

from rays_as_pixels.solve.video.watching import run_watched


def test_who_stops_need_not_wait_for_the_end():
    ended = threading.Event()
    checks = []

    def check() -> None:
        checks.append(ended.is_set())
        if len(checks) == 3:
            raise InterruptedError

    try:
        with pytest.raises(InterruptedError):
            run_watched(ended.wait, check)
        assert checks == [False, False, False]
    finally:
        ended.set()


def test_the_result_or_the_error_of_the_function_comes_through():
    assert run_watched(lambda: 7, lambda: None) == 7
    with pytest.raises(ZeroDivisionError):
        run_watched(lambda: 1 // 0, lambda: None)
