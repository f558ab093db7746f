#!/usr/bin/env bash
# pycolmap 4.2.1 (the wheel for Linux): importing it takes SIGTERM away from the program.
#
# One would guess: importing a library leaves the process's signal handlers as they are; a handler that
#   the program set for SIGTERM before still runs, and without one the process ends silently.
# What is seen: the import puts a failure handler of its logging library in place of the program's. On
#   SIGTERM the program's handler does not run: a stack trace is printed and the process aborts.
# Who is hurt: servers, job queues and data loaders that import it lazily and close their files on
#   SIGTERM (every container runtime and batch system stops processes so).
# Remedy: signal.signal(signal.SIGTERM, ...) again after the import, in the main thread.
#
# Fails if the program's handler runs.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "pycolmap==4.2.1" "numpy==2.2.6"
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import os
import signal
import subprocess
import sys

PROGRAM = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
{extra}
os.kill(os.getpid(), signal.SIGTERM)
signal.pause()
"""


def ends_with(extra):
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(extra=extra)], capture_output=True)
    return done.returncode, b"stack trace" in done.stderr


print("without the import (exit code, stack trace):", ends_with(""))
print("with the import:", ends_with("import pycolmap"))
again = "import pycolmap; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))"
print("handler set again after it:", ends_with(again))
assert ends_with("") == (7, False) and ends_with(again) == (7, False)
code, trace = ends_with("import pycolmap")
assert code != 7 and trace, "the program's handler runs"
print("as described")
PY
