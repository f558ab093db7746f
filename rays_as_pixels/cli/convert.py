"""`convert IN OUT`: a camera path in another format."""

import argparse
import re
from pathlib import Path

from rays_as_pixels.cli import options
from rays_as_pixels.cli.progress import ProgressLine, print_results


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the verb and its options."""
    parser = subparsers.add_parser(
        "convert",
        help="write a camera path in another format",
        description="Read a camera path in any format, say what it is, and write it in another.",
        epilog="What was detected, assumed and converted is said on stderr; the files written are "
        "named on stdout.",
    )
    parser.add_argument("input", metavar="IN", type=Path, help="a file, or a COLMAP model's folder")
    parser.add_argument("output", metavar="OUT", type=Path, help="a file; for colmap a folder")
    parser.add_argument(
        "--input-format",
        metavar="F",
        help="format of IN (default: detected from its content); an unknown name lists all formats",
    )
    parser.add_argument(
        "--format",
        dest="to_format",
        metavar="F",
        help="format of OUT (default: by OUT's name); an unknown name lists all formats",
    )
    parser.add_argument(
        "--size",
        type=image_size,
        metavar="WxH",
        help="image size in pixels the path is for; needed where IN does not say it",
    )
    parser.add_argument(
        "--fps",
        type=options.positive,
        metavar="N",
        help="frames per second; needed where IN has no times, replaces them where it has",
    )
    parser.add_argument(
        "--hfov",
        type=field_of_view,
        metavar="DEG",
        help="horizontal field of view in degrees; needed where IN has no intrinsics",
    )
    parser.add_argument(
        "--camera", metavar="NAME", help="which of IN's cameras, by IN's name (default: the first)"
    )


def image_size(text: str) -> tuple[int, int]:
    """Read WxH in pixels, for argparse."""
    match = re.fullmatch(r"(\d{1,6})[xX](\d{1,6})", text)
    if match is None or "0" in (match[1].lstrip("0") or "0", match[2].lstrip("0") or "0"):
        raise argparse.ArgumentTypeError(f"must be WxH in pixels, as 1280x720; got {text!r}")
    return int(match[1]), int(match[2])


def field_of_view(text: str) -> float:
    """Read an angle between 0 and 180 degrees, for argparse."""
    value = options.positive(text)
    if value >= 180:
        raise argparse.ArgumentTypeError(f"must lie between 0 and 180 degrees; got {text!r}")
    return value


def run(args: argparse.Namespace) -> int:
    """Convert and say how; returns exit code 0.

    Raises:
        InputError: IN breaks a rule of its format, or OUT cannot be written.
    """
    from rays_as_pixels.trajectories.formats import FORMATS, load_info, output_format, save

    to_format = args.to_format if args.to_format is not None else output_format(args.output)
    loaded = load_info(
        args.input,
        format=args.input_format,
        size=args.size,
        fps=args.fps,
        hfov_deg=args.hfov,
        camera=args.camera,
    )
    progress = ProgressLine()
    cameras = loaded.trajectory.cameras
    found = "given" if args.input_format is not None else "detected"
    progress.say(
        f"read: {len(loaded.trajectory)} frames, {cameras.width}x{cameras.height}, "
        f"{loaded.trajectory.fps:g} fps"
    )
    progress.say(f"format of IN ({found}): {loaded.format}: {loaded.convention}")
    for note in loaded.notes:
        progress.say(f"note: {note}")
    extra = {key: value for key, value in loaded.extra.items() if key != "app_version"}
    extra |= {"converted_from": loaded.format}
    written = save(loaded.trajectory, args.output, format=to_format, extra=extra)
    progress.say(f"format of OUT: {to_format}: {FORMATS[to_format].convention}")
    for note in written.notes:
        progress.say(f"note: {note}")
    print_results(list(written.paths))
    return 0
