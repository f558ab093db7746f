"""`ablate`: the default recipe beside the same with one thing changed, on equal budgets."""

import argparse
import sys
import time
from pathlib import Path

from rays_as_pixels.cli import options
from rays_as_pixels.cli.loading import add_loading_options
from rays_as_pixels.cli.progress import ProgressLine, print_results
from rays_as_pixels.errors import InputError


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb and its options."""
    parser = subparsers.add_parser(
        "ablate",
        help="train variants of the method on equal budgets and compare them",
        description="Trains each variant's transformer from scratch on the same rendered clips "
        "for as many steps, scores all on the same held-out worlds, prints the tables and writes "
        "ablation.json and ablation.md. Stop it at any time: the same command goes on.",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/ablation"),
        metavar="DIR",
        help="clips, weights, logs and results (default: %(default)s)",
    )
    parser.add_argument(
        "--variants",
        metavar="LIST",
        help="which, separated by commas (default: all; docs/lab/ablations.md names them)",
    )
    for name, default, what in (
        ("steps", 350, "training steps of each variant, 16 clips each"),
        ("clips", 3072, "rendered training clips"),
        ("worlds", 64, "held-out worlds to score on"),
        ("seeds", 2, "noise seeds per world"),
    ):
        parser.add_argument(
            f"--{name}",
            type=options.whole,
            default=default,
            metavar="N",
            help=f"{what} (default: %(default)s)",
        )
    group = parser.add_argument_group(
        "the model whose autoencoder and motion features all variants share"
    )
    add_loading_options(group)


def run(args: argparse.Namespace) -> int:
    """Train and compare; returns exit code 0.

    Raises:
        InputError: A variant is not known, the folder holds other sizes, or the model is broken.
    """
    from rays_as_pixels.evaluation.ablation.run import AblationOptions, run_ablation
    from rays_as_pixels.evaluation.ablation.variants import VARIANTS

    names = args.variants.split(",") if args.variants is not None else list(VARIANTS)
    chosen = AblationOptions(
        folder=args.out,
        variants=tuple(dict.fromkeys(name.strip() for name in names)),
        steps=args.steps,
        clips=args.clips,
        worlds=args.worlds,
        seeds=args.seeds,
    )
    chosen.chosen()  # refuse a wrong name before the model is loaded
    pipe = options.load_pipeline(args, ProgressLine())
    if pipe.device.type != "cpu":
        raise InputError(
            f"device must be cpu for an ablation of this size; got {pipe.device}. Use --device cpu."
        )
    pipe.vae.requires_grad_(False)
    pipe.transformer.requires_grad_(False)
    args.out.mkdir(parents=True, exist_ok=True)

    def log(line: str) -> None:
        with (args.out / "log.txt").open("a") as file:
            file.write(f"{time.strftime('%H:%M:%S')} {line}\n")

    sys.stderr.write(f"follow it in {args.out / 'log.txt'}\n")
    folder = run_ablation(pipe.codec, pipe.transformer.motion_features, chosen, log)
    print((folder / "ablation.md").read_text(encoding="utf-8"))  # noqa: T201 - the answer
    print_results([folder / "ablation.json", folder / "ablation.md"])
    return 0
