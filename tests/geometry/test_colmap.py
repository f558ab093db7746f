"""Importing pycolmap leaves the process as it was."""

import subprocess
import sys

import pytest

pytest.importorskip("pycolmap")


def run(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
def test_a_request_to_end_still_reaches_the_handler_that_was_set():
    done = run(
        "import os, signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "from rays_as_pixels.geometry.colmap import pycolmap\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "signal.pause()\n"
    )
    assert (done.returncode, done.stderr) == (7, "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
def test_without_a_handler_the_process_ends_without_a_word():
    done = run(
        "import os, signal\n"
        "from rays_as_pixels.geometry.colmap import pycolmap\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "signal.pause()\n"
    )
    assert (done.returncode, done.stderr) == (-15, "")
