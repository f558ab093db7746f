"""`measure-raxels DIR`: the statistics of raxel latents, written into a pipeline folder."""

import argparse
from pathlib import Path

from rays_as_pixels.cli import options
from rays_as_pixels.cli.loading import add_device_option, choose_device
from rays_as_pixels.cli.progress import ProgressLine, print_results, quieten


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the verb and its options."""
    parser = subparsers.add_parser(
        "measure-raxels",
        help="measure the raxel statistics of a pipeline converted from Wan",
        description="Encode raxels along the paths of rendered worlds with the pipeline's own "
        "autoencoder and write their latents' means and deviations into its model_index.json. "
        "Only for a pipeline that has not been trained yet: a trained network is used to its own.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of a saved pipeline")
    parser.add_argument(
        "--clips", type=options.whole, default=64, metavar="N", help="paths (default: %(default)s)"
    )
    parser.add_argument(
        "--frames",
        type=options.whole,
        default=4,
        metavar="N",
        help="frames of each path (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=options.seed, default=0, help="of the paths (default: %(default)s)"
    )
    add_device_option(parser)


def run(args: argparse.Namespace) -> int:
    """Measure, write and print; returns exit code 0.

    Raises:
        CheckpointError: The folder is no whole pipeline.
        InputError: A count or the device breaks a rule.
    """
    from rays_as_pixels.training.raxel_statistics import RaxelSample, measure_folder

    progress = ProgressLine()
    quieten()
    measured = measure_folder(
        args.folder,
        RaxelSample(args.clips, args.frames, args.seed),
        device=choose_device(args.device),
        progress=lambda done, total: progress("measure raxels", done, total),
    )
    for channel, (mean, std) in enumerate(zip(measured["mean"], measured["std"], strict=True)):
        progress.say(f"channel {channel:2d}: mean {mean:8.4f}, deviation {std:7.4f}")
    print_results([args.folder / "model_index.json"])
    return 0
