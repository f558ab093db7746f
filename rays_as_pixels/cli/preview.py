"""`preview TRAJ --out page.html`: a camera path as a 3D page that opens without a network."""

import argparse
from pathlib import Path

from rays_as_pixels.cli.outputs import staged_file
from rays_as_pixels.cli.progress import ProgressLine, print_results


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the verb and its options."""
    parser = subparsers.add_parser(
        "preview",
        help="draw a camera path as a 3D page",
        description="Draw the cameras of a path in 3D, coloured by time, on one page that needs "
        "no network. Says where the path leaves what the default model was trained on.",
    )
    parser.add_argument("trajectory", metavar="TRAJ", type=Path, help="a trajectory in any format")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the page; must end in .html"
    )
    parser.add_argument(
        "--other",
        type=Path,
        metavar="TRAJ",
        help="a second path to draw beside it, moved so that their first cameras coincide",
    )


def run(args: argparse.Namespace) -> int:
    """Draw and write; returns exit code 0.

    Raises:
        InputError: A file is no trajectory, or the page cannot be written.
    """
    from rays_as_pixels.trajectories.formats import load
    from rays_as_pixels.trajectories.training_range import check_range

    with staged_file(args.out, suffix=".html") as path:
        trajectory = load(args.trajectory)
        others = [] if args.other is None else [(args.other.name, load(args.other).reanchored())]
        progress = ProgressLine()
        for warning in check_range(trajectory):
            progress.say(f"note: {warning.message}")
        if others:
            trajectory = trajectory.reanchored()
        from rays_as_pixels.viz.path_view.page import write_path_page
        from rays_as_pixels.viz.path_view.value import path_view_value

        value = path_view_value(trajectory, label=args.trajectory.name, others=others)
        write_path_page(value, path, title=f"Camera path {args.trajectory.name}")
    print_results([args.out])
    return 0
