"""pycolmap without the side effects of importing it.

Importing it replaces the process's handler of SIGTERM by one that prints a stack trace and aborts
(findings/pycolmap_import_takes_sigterm.sh), so that no server and no command could end in order;
and COLMAP's log goes to stderr. Import `pycolmap` from here, first in the main thread: in others
Python cannot put a handler back.
"""

import signal
import threading

_before = signal.getsignal(signal.SIGTERM)

import pycolmap  # noqa: E402 - the handler must be known before

if threading.current_thread() is threading.main_thread() and _before is not None:
    signal.signal(signal.SIGTERM, _before)
pycolmap.logging.minloglevel = pycolmap.logging.Level.FATAL.value
pycolmap.logging.stderrthreshold = pycolmap.logging.Level.FATAL.value

__all__ = ["pycolmap"]
