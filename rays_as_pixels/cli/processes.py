"""A verb in several processes: the first one writes and speaks, the others only compute."""

import argparse
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


def add_parallel_option(parser: "argparse._ActionsContainer") -> None:
    """Add --parallel."""
    parser.add_argument(
        "--parallel",
        choices=("ulysses", "ring"),
        help="spread each clip's tokens over the processes of `torchrun --nproc-per-node N -m "
        "rays_as_pixels ...`, one per GPU (see docs/many_devices.md)",
    )


@contextlib.contextmanager
def following(args: argparse.Namespace) -> Iterator[None]:
    """Let every process but the first write to a folder that is thrown away, and say nothing."""
    if getattr(args, "parallel", None) is None or os.environ.get("RANK", "0") == "0":
        yield
        return
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        nowhere = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
        stack.enter_context(contextlib.redirect_stdout(nowhere))
        stack.enter_context(contextlib.redirect_stderr(nowhere))
        args.out = folder / Path(args.out).name
        yield
