"""Progress on stderr and results on stdout."""

import logging
import sys
import time
from pathlib import Path
from typing import TextIO

_MOST_LINES = 20  # of one stage with many steps, such as the frames of a long video


class ProgressLine:
    """Says 'stage, step k/N' on stderr; on a terminal in one line that is written over.

    Call it as `progress(stage, done, total)`, which is what every verb of the pipeline does.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._stage = ""
        self._started_sec, self._started_at = 0.0, 0
        self._open_line = False

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Report that `done` of `total` steps of `stage` are finished."""
        now_sec = time.monotonic()
        if stage != self._stage:
            self._end_line()
            self._stage, self._started_sec, self._started_at = stage, now_sec, done
        if total > 2 * _MOST_LINES and 0 < done < total and done % (total // _MOST_LINES):
            return
        text = f"{stage}: step {done}/{total}"
        if self._started_at < done < total:
            per_step_sec = (now_sec - self._started_sec) / (done - self._started_at)
            left_sec = per_step_sec * (total - done)
            text += f", about {left_sec:.0f} s left"
        if self._stream.isatty():
            self._stream.write(f"\r\x1b[K{text}")
            self._open_line = True
            if done >= total:
                self._end_line()
        else:
            self._stream.write(f"{text}\n")
        self._stream.flush()

    def say(self, text: str) -> None:
        """Write one line of its own."""
        self._end_line()
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def _end_line(self) -> None:
        if self._open_line:
            self._stream.write("\n")
            self._open_line = False


def print_results(paths: list[Path]) -> None:
    """Name the files that were written on stdout, one per line, for scripts to read."""
    for path in paths:
        print(path)  # noqa: T201 - stdout is the command line's answer


def quieten() -> None:
    """Silence the libraries' own notes and bars: our progress and errors say what matters."""
    from diffusers.utils import logging as diffusers_logging

    diffusers_logging.set_verbosity_error()
    diffusers_logging.disable_progress_bar()
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    try:
        from transformers.utils import logging as transformers_logging
    except ModuleNotFoundError:
        return
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
