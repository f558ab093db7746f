"""The command line as a whole: one parser, one place where errors become exit codes.

Exit codes: 0 done, 2 bad input (one line on stderr), 130 stopped with Ctrl-C, 143 stopped by
SIGTERM, 1 a fault of ours (one line; `--debug` shows the traceback).
"""

import argparse
import errno
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from types import FrameType, ModuleType
from typing import NoReturn

from rays_as_pixels.cli.processes import following
from rays_as_pixels.errors import Cancelled, InputError

PROGRAM = "python -m rays_as_pixels"
VERBS = (
    "estimate",
    "generate",
    "imagine",
    "loop",
    "convert",
    "preview",
    "compare",
    "evaluate",
    "ablate",
    "train",
    "convert-wan",
    "measure-raxels",
    "memory",
    "push",
    "dataset",
    "annotate",
    "app",
    "deploy",
)
EXIT_FAULT, EXIT_BAD_INPUT, EXIT_CTRL_C, EXIT_TERMINATED = 1, 2, 130, 143


class OneLineParser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """Leave with exit code 2 and one line that names the remedy."""
        self.exit(EXIT_BAD_INPUT, f"error: {one_line(message)}. See '{self.prog} --help'.\n")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all verbs; loads no torch, gradio or plotly."""
    parser = OneLineParser(
        prog=PROGRAM,
        description="Video and camera rays as one thing: estimate a path, generate along it, "
        "close the loop.",
        epilog="Results are named on stdout, progress on stderr.",
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in VERBS:
        _module(verb).add_parser(verbs)
    for sub in verbs.choices.values():
        sub.add_argument("--debug", action="store_true", help="on an error, show the traceback")
    return parser


def _module(verb: str) -> ModuleType:
    return import_module(f"rays_as_pixels.cli.{verb.replace('-', '_')}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code.

    Args:
        arguments: The words after the program's name; those of this process if None.
    """
    args = build_parser().parse_args(arguments)
    before = _terminate_like_ctrl_c()
    try:
        with following(args):
            code = _module(args.verb).run(args)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader of stdout left, as `head` does: nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAULT
    except (Exception, KeyboardInterrupt) as error:
        if args.debug:
            raise
        code, message = explain(error)
        print(message, file=sys.stderr)  # noqa: T201 - the command line speaks here
        return code
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def explain(error: BaseException) -> tuple[int, str]:
    """Return the exit code and the one line that tell the user what happened."""
    text = one_line(str(error))
    code = EXIT_BAD_INPUT
    match error:
        case Terminated():
            code, text = EXIT_TERMINATED, "stopped by SIGTERM."
        case KeyboardInterrupt() | Cancelled():
            code, text = EXIT_CTRL_C, "stopped by Ctrl-C."
        case InputError():
            text = f"error: {text}"
        case OSError():
            text = f"error: {explain_os_error(error)}"
        case ModuleNotFoundError() if not (error.name or "").startswith("rays_as_pixels"):
            text = f"error: the package {error.name} must be installed for this; it is not. "
            text += "Run 'pip install -r requirements.txt'."
        case _ if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            text = f"error: the work must fit in memory; it did not ({text[:200]}). "
            text += "Use fewer --frames, a smaller --offload setting or another --device."
        case _:
            code = EXIT_FAULT
            text = f"error: a fault of the program, not of your input: {type(error).__name__}: "
            text += f"{one_line(str(error))}. Run again with --debug and report what it prints."
    return code, text


def explain_os_error(error: OSError) -> str:
    """Say which rule of the file system was broken, where, and what to do."""
    place = error.filename if error.filename is not None else "the output"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk must have room for the results; {place} has none left. Free some space."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{place} must be accessible; got '{error.strerror}'. Choose another place."
    if error.errno == errno.ENOENT:
        return f"{place} must exist; there is no such file or folder. Check the spelling."
    return (
        f"{place} must be usable; got '{one_line(error.strerror or str(error))}'. Check the path."
    )


def one_line(text: str) -> str:
    """Join the lines of a message."""
    return " ".join(text.split())


class Terminated(KeyboardInterrupt):
    """SIGTERM came; unwinds like Ctrl-C so that temporary folders are removed."""


def _terminate_like_ctrl_c():
    def stop(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise Terminated

    try:
        return signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread: the signal is the caller's business
        return None
