"""`train`: render worlds, train autoencoder and transformer, export a pipeline folder."""

import argparse
import math
import sys
from pathlib import Path

from rays_as_pixels.cli import options

# As in training/config.py and training/run_context.py, which would load torch.
_CONFIGS = ("tiny", "small", "mini", "mini-cpu", "paper", "wan")
_STAGES = ("pool", "autoencoder", "decoder", "latents", "transformer")
_CAMERA_PRIOR = "camera-prior"
_TIMED_PARTS = {
    "autoencoder": "the autoencoder",
    "decoder": "its decoder alone, afterwards",
    "pretrain": "each of motion features, camera prior and depth head",
    "transformer": "the transformer",
}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb and its flags."""
    parser = subparsers.add_parser(
        "train",
        help="train the model on rendered worlds",
        description="Train autoencoder and transformer on rendered worlds, on any device. "
        "Stop it at any time: the same command goes on from the last saved minute. On several "
        "devices: `accelerate launch -m rays_as_pixels train ...`.",
    )
    parser.add_argument(
        "--config",
        default="mini",
        choices=_CONFIGS,
        help="tiny for a test, small for a CPU, mini for a GPU, mini-cpu to train its camera prior "
        "further on a CPU, paper for small with the paper's loss alone, wan for what convert-wan "
        "made (default: %(default)s)",
    )
    _add_folders(parser)
    _add_minutes(parser)
    parser.add_argument(
        "--stage",
        action="append",
        choices=(*_STAGES, _CAMERA_PRIOR),
        help="run only this stage; may be given several times (default: all, in order, but "
        "camera-prior, which trains the camera prior of --init-from further for "
        "--pretrain-minutes)",
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


def _add_folders(parser: argparse.ArgumentParser) -> None:
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
    parser.add_argument(
        "--init-from",
        default=None,
        metavar="MODEL",
        help="pipeline whose weights a new run starts from: a folder, checkpoints/raxel-mini say, "
        "or org/name[@revision] on the Hugging Face Hub",
    )
    parser.add_argument(
        "--autoencoder-from",
        default=None,
        metavar="MODEL",
        help="pipeline whose autoencoder is taken as it is, likewise; none is then trained",
    )


def _add_minutes(parser: argparse.ArgumentParser) -> None:
    for part, what in _TIMED_PARTS.items():
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
    from rays_as_pixels.training.run_context import TrainingOptions
    from rays_as_pixels.training.stages.run import train

    given = {part: getattr(args, f"{part}_minutes") for part in _TIMED_PARTS}
    minutes = {part: value for part, value in given.items() if value is not None}
    folder = args.run or Path("runs") / args.config
    sys.stderr.write(f"training {args.config}; follow it in {folder / 'log.txt'}\n")
    exported = train(
        training_config(args.config),
        TrainingOptions(
            run_folder=folder,
            export_folder=args.out or folder / "pipeline",
            init_from=_found(args.init_from),
            autoencoder_from=_found(args.autoencoder_from),
            seed=args.seed,
            minutes=minutes,
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
    from rays_as_pixels.hub.fetch import find_model
    from rays_as_pixels.hub.location import HubAccess

    return find_model(given, access=HubAccess(log=_say)).folder
