"""`convert-wan SRC OUT`: a joint pipeline made of a Wan 2.1 text-to-video model."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rays_as_pixels.cli import options
from rays_as_pixels.cli.loading import add_device_option, choose_device
from rays_as_pixels.cli.progress import ProgressLine, print_results, quieten
from rays_as_pixels.errors import InputError

if TYPE_CHECKING:
    from rays_as_pixels.model.wan.folder import ConvertOptions

_FETCHED = ("vae", "transformer", "text_encoder", "tokenizer", "scheduler")


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the verb and its options."""
    parser = subparsers.add_parser(
        "convert-wan",
        help="experimental: make a joint pipeline of a Wan 2.1 text-to-video model",
        description="Write a pipeline folder whose video branch is Wan's and whose ray branch "
        "starts as a copy of its norms and feed-forwards. At the start its video velocity is "
        "Wan's: it has to be trained (`train --init-from OUT`). See docs/wan.md.",
    )
    parser.add_argument(
        "source",
        nargs="?",
        metavar="SRC",
        help="folder in diffusers' format, or org/name[@revision] on the Hugging Face Hub",
    )
    parser.add_argument("out", nargs="?", type=Path, metavar="OUT", help="new folder")
    parser.add_argument(
        "--counts",
        action="store_true",
        help="only print the parameter counts at Wan's published sizes, next to the paper's",
    )
    _add_clip_options(parser)
    _add_weight_options(parser)
    add_device_option(parser, "for measuring: ")


def _add_clip_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--frames",
        type=options.whole,
        default=49,
        metavar="N",
        help="clip length, 4k+1 (default: %(default)s, the paper's)",
    )
    parser.add_argument(
        "--max-frames",
        type=options.whole,
        default=81,
        metavar="N",
        help="longest clip, 4k+1 (default: %(default)s, Wan's)",
    )
    parser.add_argument(
        "--size",
        action="append",
        type=_size,
        metavar="HxW",
        help="height and width in pixels, may be repeated (default: 480x832 and 832x480)",
    )


def _add_weight_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dtype",
        choices=("own", "float32", "bfloat16", "float16"),
        default="own",
        help="of the transformer's weights (default: as they are)",
    )
    parser.add_argument(
        "--shard-mb",
        type=options.positive,
        default=5000.0,
        metavar="MB",
        help="largest weight file, and about the memory this takes (default: %(default)g)",
    )
    parser.add_argument(
        "--no-text-encoder",
        action="store_true",
        help="leave tokenizer and text encoder behind; prompts then have to come as embeddings",
    )
    parser.add_argument(
        "--raxel-clips",
        type=options.seed,
        default=32,
        metavar="N",
        help="measure raxel statistics on N paths (default: %(default)s; 0 takes the video's: "
        "measure them later with measure-raxels)",
    )


def run(args: argparse.Namespace) -> int:
    """Convert, measure and print the folder; returns exit code 0.

    Raises:
        CheckpointError: The source is not a whole Wan 2.1 text-to-video model.
        InputError: The output or an option breaks a rule.
    """
    if args.counts:
        return _print_counts()
    if args.source is None or args.out is None:
        raise InputError("SRC and OUT must be given; got one or none. Or use --counts alone.")
    progress = ProgressLine()
    device = choose_device(args.device)
    quieten()
    source = find_wan(args.source, progress)
    from rays_as_pixels.model.wan.folder import convert_wan

    counts = convert_wan(source, args.out, _options(args), progress=progress)
    for line in counts.table(counts.size()).splitlines():
        progress.say(line)
    if args.raxel_clips:
        from rays_as_pixels.training.raxel_statistics import RaxelSample, measure_folder

        measure_folder(
            args.out,
            RaxelSample(clips=args.raxel_clips),
            device=device,
            progress=lambda done, total: progress("measure raxels", done, total),
        )
    else:
        progress.say("note: raxels have the video's statistics; run measure-raxels before training")
    print_results([args.out])
    return 0


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    if not (height.isdigit() and width.isdigit()):
        raise argparse.ArgumentTypeError(f"must be HxW, like 480x832; got {text!r}")
    return int(height), int(width)


def _options(args: argparse.Namespace) -> "ConvertOptions":
    import torch

    from rays_as_pixels.model.wan.folder import ConvertOptions

    chosen = ConvertOptions(
        num_frames=args.frames,
        max_frames=args.max_frames,
        dtype=None if args.dtype == "own" else getattr(torch, args.dtype),
        max_shard_bytes=int(args.shard_mb * 1e6),
        text_encoder=not args.no_text_encoder,
    )
    return chosen if args.size is None else chosen.with_sizes(args.size)


def _print_counts() -> int:
    from rays_as_pixels.model.wan.convert import WAN_SHAPES, count_parameters, shape_config

    for size in WAN_SHAPES:
        print(f"Wan 2.1 T2V {size}")  # noqa: T201 - stdout is the command line's answer
        print(count_parameters(shape_config(size)).table(size))  # noqa: T201
    return 0


def find_wan(name: str, progress: ProgressLine) -> Path:
    """Return the folder of a Wan model, fetching it from the Hub if it is a repository.

    Raises:
        CheckpointError: It does not exist or cannot be fetched.
    """
    from rays_as_pixels.hub.location import HubAccess, locate_model

    where = locate_model(name)
    if where.folder is not None:
        return where.folder
    from rays_as_pixels.hub.errors import hub_errors_explained
    from rays_as_pixels.hub.fetch import download

    progress.say(f"fetching {name}; what is there already is not fetched again")
    patterns = [f"{part}/*.{end}" for part in _FETCHED for end in ("json", "safetensors", "model")]
    with hub_errors_explained(name, None):
        return download(where, ("model_index.json", *patterns), HubAccess())
