"""`train`: render worlds, train the codec, train the transformer, export a pipeline folder."""

import argparse
import math
import sys
from pathlib import Path

from rays_as_pixels.cli import options

_CONFIGS = ("tiny", "small", "small-gpu", "mini", "mini-cpu", "paper", "wan")
_STAGES = ("pool", "codec", "polish", "latents", "transformer")  # in order
_ALONE = "prior"  # teaches the camera prior of --init-from on


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb and its flags."""
    parser = subparsers.add_parser(
        "train",
        help="train the model on rendered worlds",
        description="Train codec and transformer on rendered worlds, on whatever device there is. "
        "Stop it at any time: the same command goes on from the last saved minute. On several "
        "devices: `accelerate launch -m rays_as_pixels train ...`.",
    )
    parser.add_argument(
        "--config",
        default="mini",
        choices=_CONFIGS,
        help="tiny for a test, small for a CPU, small-gpu for the same network on a GPU, mini for "
        "a larger one on a GPU, mini-cpu to teach its camera prior on without one, paper for small "
        "with the paper's loss alone, wan for what convert-wan made (default: %(default)s)",
    )
    parser.add_argument(
        "--run",
        type=Path,
        default=None,
        metavar="DIR",
        help="state, log and plot (default: runs/CONFIG); a run found there is continued",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=None,
        metavar="DIR",
        help="where the pipeline goes (default: RUN/pipeline)",
    )
    _add_minutes(parser)
    parser.add_argument(
        "--stage",
        action="append",
        choices=(*_STAGES, _ALONE),
        help="run only this stage; may be given several times (default: all, in order, but prior, "
        "which teaches the camera prior of --init-from on for --motion-minutes)",
    )
    parser.add_argument(
        "--init-from",
        dest="start_from",
        default=None,
        metavar="MODEL",
        help="pipeline whose weights a new run starts from: a folder, checkpoints/raxel-mini say, "
        "or org/name[@revision] on the Hugging Face Hub",
    )
    parser.add_argument(
        "--codec-from",
        default=None,
        metavar="MODEL",
        help="pipeline whose autoencoder is taken as it is, likewise; none is then trained",
    )
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="SPEC",
        help="train on real posed videos, KIND:PATH[,key=value...] with KIND re10k, dl3dv, colmap "
        "or shards, in place of rendered worlds; may be repeated (see docs/data.md)",
    )
    parser.add_argument(
        "--seed",
        type=options.seed,
        default=0,
        help="of clips, noise and first weights (default: %(default)s)",
    )
    parser.add_argument(
        "--compile",
        action="store_true",
        help="compile the transformer's blocks: a quarter faster after some minutes; needs a C++ "
        "compiler on a CPU",
    )
    parser.add_argument("--no-check", action="store_true", help="no look at held-out clips")


def _add_minutes(parser: argparse.ArgumentParser) -> None:
    for part, what in (
        ("codec", "the autoencoder"),
        ("motion", "each part that is taught motion"),
        ("polish", "polishing its decoder"),
        ("transformer", "the transformer"),
    ):
        parser.add_argument(
            f"--{part}-minutes",
            type=_minutes,
            default=None,
            metavar="N",
            help=f"time for {what}, all runs together (default: the configuration's)",
        )


def _minutes(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"minutes must be 0 or more; got {text}. Use 30, say")
    return value


def run(args: argparse.Namespace) -> int:
    """Train until the minutes are spent, then print the exported folder."""
    from rays_as_pixels.training.config import training_config
    from rays_as_pixels.training.run import TrainingOptions, train

    folder = args.run or Path("runs") / args.config
    sys.stderr.write(f"training {args.config}; follow it in {folder / 'log.txt'}\n")
    exported = train(
        training_config(args.config),
        TrainingOptions(
            run_folder=folder,
            export_folder=args.out or folder / "pipeline",
            start_from=_found(args.start_from),
            codec_from=_found(args.codec_from),
            seed=args.seed,
            codec_minutes=args.codec_minutes,
            transformer_minutes=args.transformer_minutes,
            motion_minutes=args.motion_minutes,
            polish_minutes=args.polish_minutes,
            check=not args.no_check,
            data=tuple(args.data),
            compile_blocks=args.compile,
            stages=tuple(args.stage or _STAGES),
        ),
    )
    sys.stdout.write(f"{exported}\n")
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _found(given: str | None) -> Path | None:
    """Find the pipeline of an option, fetching it from the Hub if need be."""
    if given is None:
        return None
    from rays_as_pixels.hub.source import HubAccess, find_model

    access = HubAccess(say=_say)
    return find_model(given, access=access).folder
