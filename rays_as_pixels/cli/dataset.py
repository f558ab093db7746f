"""`dataset check SPEC` and `dataset pack SPEC OUT`: which data is fit to learn from, and shards."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rays_as_pixels.cli import options
from rays_as_pixels.cli.progress import ProgressLine, print_results
from rays_as_pixels.errors import InputError
from rays_as_pixels.files import write_json

if TYPE_CHECKING:
    from rays_as_pixels.datasets.validate import Refusal

_SPEC_HELP = (
    "KIND:PATH[,key=value...], KIND one of re10k, dl3dv, colmap, shards; the kind may be left out "
    "where the files tell it; see docs/data.md"
)


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the verb and its two actions."""
    parser = subparsers.add_parser(
        "dataset",
        help="check real data for training, or pack it into shards",
        description="Check posed videos (RealEstate10K, DL3DV, COLMAP folders, WebDataset shards) "
        "or pack them into WebDataset shards. Nothing is downloaded.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser(
        "check",
        help="refuse broken poses; list every refusal with its reason",
        description="Read every sequence, refuse broken poses, and list each refusal on stdout as "
        "'NAME: RULE: reason', then counts. Exit code 2 if nothing is kept.",
    )
    pack = actions.add_parser(
        "pack",
        help="write checked WebDataset shards",
        description="Check, resize and write WebDataset shards, with points triangulated where a "
        "data set has none. A stopped run goes on with the first missing shard.",
    )
    for action in (check, pack):
        action.add_argument("spec", metavar="SPEC", help=_SPEC_HELP)
        action.add_argument(
            "--no-images",
            action="store_true",
            help="do not compare images with cameras (and triangulate nothing): no OpenCV needed",
        )
    check.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write the whole result as JSON; training takes it as ,report=FILE",
    )
    _add_pack_options(pack)


def _add_pack_options(pack: argparse.ArgumentParser) -> None:
    pack.add_argument("out", type=Path, metavar="OUT", help="folder for the shards")
    pack.add_argument(
        "--per-shard",
        type=options.whole,
        default=100,
        metavar="N",
        help="sequences per shard (default: %(default)s)",
    )
    pack.add_argument(
        "--encoding",
        choices=("mp4", "jpg"),
        default="mp4",
        help="mp4 is small; jpg keeps every frame apart (default: %(default)s)",
    )
    pack.add_argument(
        "--short-side", type=options.whole, metavar="PX", help="reduce frames to this short side"
    )


def run(args: argparse.Namespace) -> int:
    """Do the action; returns exit code 0.

    Raises:
        InputError: The SPEC or an option is wrong, or nothing is left of the data.
    """
    return _check(args) if args.action == "check" else _pack(args)


def _check(args: argparse.Namespace) -> int:
    from rays_as_pixels.datasets.matching import opencv
    from rays_as_pixels.datasets.spec import open_source, parse_spec
    from rays_as_pixels.datasets.validate import check_sequences

    if not args.no_images:
        opencv()
    source = open_source(parse_spec(args.spec))
    progress = ProgressLine()
    report = check_sequences(
        args.spec,
        source.refs,
        images=not args.no_images,
        say=lambda done, total: progress("check", done, total),
    )
    if args.report is not None:
        write_json(args.report, report.to_dict())
    for refusal in report.refused:
        _list(refusal)
    sys.stdout.write(f"{_summary(len(report.kept), report.refused)}\n")
    _need_some(len(report.kept), len(report.refused))
    return 0


def _pack(args: argparse.Namespace) -> int:
    from rays_as_pixels.datasets.matching import opencv
    from rays_as_pixels.datasets.shard_writer import PackOptions, pack
    from rays_as_pixels.datasets.spec import open_source, parse_spec

    if not args.no_images:
        opencv()
    source = open_source(parse_spec(args.spec))
    choice = PackOptions(args.per_shard, args.encoding, args.short_side, not args.no_images)
    progress = ProgressLine()
    kept, refused, paths, done = 0, [], [], 0
    for shard in pack(source.refs, args.out, choice):
        kept += len(shard.kept)
        refused += shard.refused
        done += len(shard.kept) + len(shard.refused)
        paths.append(shard.path)
        progress("pack", done, len(source.refs))
    for refusal in refused:
        _list(refusal)
    print_results(paths)
    progress.say(_summary(kept, refused))
    _need_some(kept, len(refused))
    return 0


def _need_some(kept: int, refused: int) -> None:
    if not kept:
        raise InputError(
            f"data must keep a sequence; got {refused}, all refused. Repair the data, or check the "
            "kind in SPEC."
        )


def _list(refusal: "Refusal") -> None:
    sys.stdout.write(f"{refusal.name}: {refusal.rule}: {refusal.reason}\n")


def _summary(kept: int, refused: "list[Refusal] | tuple[Refusal, ...]") -> str:
    from collections import Counter

    rules = Counter(refusal.rule for refusal in refused)
    by_rule = ", ".join(f"{count} {rule}" for rule, count in sorted(rules.items()))
    return f"kept {kept} of {kept + len(refused)}; refused {len(refused)}" + (
        f" ({by_rule})" if by_rule else ""
    )
