"""`compare A B`: how far one camera path is from another."""

import argparse
import json
from pathlib import Path

from rays_as_pixels.cli.outputs import staged_file


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the verb and its options."""
    parser = subparsers.add_parser(
        "compare",
        help="measure one camera path against another",
        description="Print ATE, RPE, e_R, e_t, R_err and T_err of path A against path B, the "
        "truth. Both may be in any format, world frame and scale.",
    )
    parser.add_argument("estimated", metavar="A", type=Path, help="the path to judge")
    parser.add_argument("truth", metavar="B", type=Path, help="the path to judge it by")
    parser.add_argument(
        "--match",
        choices=("frame", "time"),
        default="frame",
        help="put frame i beside frame i, or read A at the times of B (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers there")


def run(args: argparse.Namespace) -> int:
    """Print the table; returns exit code 0.

    Raises:
        InputError: A file is no trajectory, the paths do not fit each other, or FILE cannot be
            written.
    """
    from rays_as_pixels.trajectories.compare import compare
    from rays_as_pixels.trajectories.formats import load

    comparison = compare(load(args.estimated), load(args.truth), match=args.match)
    if args.json is not None:
        numbers = {"a": args.estimated.name, "b": args.truth.name, "match": args.match}
        with staged_file(args.json, suffix=".json") as path:
            text = json.dumps(numbers | comparison.to_dict(), indent=2, allow_nan=False)
            path.write_text(text + "\n", encoding="utf-8")
    print(comparison.table())  # noqa: T201 - stdout is the command line's answer
    return 0
