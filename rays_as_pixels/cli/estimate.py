"""`estimate VIDEO --out DIR`: the camera path of a video."""

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rays_as_pixels.cli import options
from rays_as_pixels.cli.estimate_every_frame import estimate_every_frame
from rays_as_pixels.cli.outputs import Staging, staged
from rays_as_pixels.cli.progress import ProgressLine, print_results
from rays_as_pixels.errors import InputError
from rays_as_pixels.pipeline.defaults import ESTIMATE_STEPS

if TYPE_CHECKING:
    from rays_as_pixels.media.video import Clip
    from rays_as_pixels.pipeline.outputs import EstimateOutput, LongEstimateOutput, PoseStd
    from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline

FILES = ("trajectory.json", "path.html")
_MOVES = {
    "still": "stands still; a move",
    "turns": "only turns, as on a tripod; travel",
    "travels": "only travels, as on a slider; turning",
}


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the verb and its options."""
    parser = subparsers.add_parser(
        "estimate",
        help="read the camera path off a video",
        description="Estimate a camera for every frame of a video, or for N frames of it. Writes "
        "DIR/trajectory.json and DIR/path.html, a 3D view that opens without a network.",
    )
    parser.add_argument("video", metavar="VIDEO", help="a video, a folder of images, or one image")
    options.add_out_folder(parser, *FILES)
    parser.add_argument(
        "--colmap",
        type=Path,
        metavar="DIR",
        help="also write a COLMAP model with scene points, tracks and frames, for gsplat, "
        "nerfstudio or Brush",
    )
    _add_network_options(parser)
    options.add_video_options(parser, all_frames=True)
    parser.add_argument(
        "--window-overlap",
        type=options.whole,
        metavar="N",
        help="with --frames all --no-refine: frames that neighbouring windows share (default: 4)",
    )
    options.add_model_options(parser, steps=ESTIMATE_STEPS)


def _add_network_options(parser: argparse.ArgumentParser) -> None:
    """Add the options on the network's own path."""
    parser.add_argument(
        "--num-samples",
        type=options.whole,
        default=1,
        metavar="N",
        help="average N samples from different noise (default: %(default)s)",
    )
    parser.add_argument(
        "--shared-focal", action="store_true", help="one focal length for all frames: no zoom"
    )
    parser.add_argument(
        "--flips",
        type=options.whole,
        choices=(1, 2, 4),
        default=1,
        help="average over flips of the clip: 2 adds it mirrored, 4 both backwards too "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--no-refine",
        action="store_true",
        help="the network's own path, without refining it on the frames' pixels",
    )
    parser.add_argument(
        "--no-extra-frames",
        action="store_true",
        help="do not look at the frames between those chosen where tracking is weak",
    )


def run(args: argparse.Namespace) -> int:
    """Estimate and write; returns exit code 0.

    Raises:
        InputError: A rule on the video, the options, the model or the output is broken.
    """
    progress = ProgressLine()
    every_frame = args.frames in (None, options.ALL_FRAMES) and not args.no_refine
    _check_options(args, every_frame=every_frame)
    if args.colmap is not None:
        from rays_as_pixels.trajectories.colmap_model import check_colmap_folder

        check_colmap_folder(args.colmap)
    with staged(args.out, FILES) as out:
        options.check_video(args.video)
        pipeline = options.load_pipeline(args, progress)
        if every_frame:
            estimate_every_frame(args, pipeline, out, progress)
        else:
            clip = options.read_frames(args, pipeline, progress)
            estimated = _estimate(args, pipeline, clip, progress)
            _say_how_sure(estimated, progress)
            _write(args, clip, estimated, out)
    print_results(out.results)
    return 0


def _check_options(args: argparse.Namespace, *, every_frame: bool) -> None:
    """Refuse options that would do nothing.

    Raises:
        InputError: There is one.
    """
    in_windows = args.frames == options.ALL_FRAMES and args.no_refine
    if args.window_overlap is not None and not in_windows:
        raise InputError(
            "--window-overlap must come with --frames all --no-refine, the network in windows; got "
            "others. Leave it out."
        )
    given = {
        "--num-samples": args.num_samples != 1,
        "--flips": args.flips != 1,
        "--shared-focal": args.shared_focal,
        "--no-extra-frames": args.no_extra_frames,
    }
    if args.colmap is not None and not every_frame:
        raise InputError(
            "--colmap must come with a path of every frame, which has scene points; got --frames "
            f"{args.frames}{' --no-refine' if args.no_refine else ''}. Leave these out."
        )
    for name in (name for name, there in given.items() if there and every_frame):
        raise InputError(
            f"{name} must come with --frames N or --no-refine: it is about the network's path; got "
            "it for a path of every frame. Leave it out, or add --frames 9."
        )


def _estimate(
    args: argparse.Namespace,
    pipeline: "RaysAsPixelsPipeline",
    clip: "Clip",
    progress: ProgressLine,
) -> "EstimateOutput | LongEstimateOutput":
    """Estimate in one pass, or in windows with --frames all."""
    from rays_as_pixels.media.extra_frames import frames_between
    from rays_as_pixels.pipeline.long_video import DEFAULT_OVERLAP, WindowPlan
    from rays_as_pixels.pipeline.options import EstimateOptions

    how = EstimateOptions(
        num_inference_steps=args.steps,
        num_samples=args.num_samples,
        num_flips=args.flips,
        shared_focal=args.shared_focal,
        refine=not args.no_refine,
    )
    run = options.run_options(args, progress)
    times = {"fps": clip.fps, "time_sec": clip.time_sec, "source_frame": clip.source_frame}
    if args.frames == options.ALL_FRAMES:
        overlap = DEFAULT_OVERLAP if args.window_overlap is None else args.window_overlap
        plan = WindowPlan(overlap=overlap)
        return pipeline.estimate_long(clip.video, **times, plan=plan, options=how, run=run)
    if args.no_extra_frames:
        return pipeline.estimate(clip.video, **times, options=how, run=run)
    extra_frames = partial(frames_between, args.video, clip, end_sec=args.end_sec)
    return pipeline.estimate_with_extra_frames(
        clip.video, extra_frames, **times, options=how, run=run
    )


def _say_how_sure(estimated: "EstimateOutput | LongEstimateOutput", progress: ProgressLine) -> None:
    """Say how well the path explains the frames, and which part of it they leave open."""
    from rays_as_pixels.geometry.cameras import kind_of_move
    from rays_as_pixels.pipeline.outputs import LongEstimateOutput
    from rays_as_pixels.solve.inlier_ratio import is_doubtful

    if isinstance(estimated, LongEstimateOutput):
        progress.say(
            f"{estimated.windows} windows joined; {estimated.num_outlier_windows} of them "
            "disagreed with the others so much that they hardly count"
        )
    elif estimated.inlier_ratio is not None:
        if estimated.frames_seen is not None:
            progress.say(
                f"note: tracking was weak; looked at {estimated.frames_seen} frames of this part"
            )
        progress.say(
            f"{estimated.inlier_ratio:.0%} of the frames' patches are where the path shows them"
        )
        if is_doubtful(estimated.inlier_ratio):
            progress.say(
                "note: so little may be a path that is wrong; use more --frames, "
                "or a shorter part of the video"
            )
    move = kind_of_move(estimated.trajectory.cameras)
    if words := _MOVES.get(move):
        progress.say(f"note: the camera {words} would not explain the frames any better")
    if move == "still":
        progress.say("note: nothing shows which lens a camera has that stands still")


def _write(
    args: argparse.Namespace,
    clip: "Clip",
    estimated: "EstimateOutput | LongEstimateOutput",
    out: Staging,
) -> None:
    """Write the path, with what was found beside it, and its 3D view."""
    from rays_as_pixels.pipeline.outputs import EstimateOutput
    from rays_as_pixels.trajectories.depth import depth_for_extra
    from rays_as_pixels.trajectories.formats.native import write_native
    from rays_as_pixels.viz.path_view.page import write_path_page
    from rays_as_pixels.viz.path_view.value import path_view_value

    extra = {"verb": "estimate", "input": clip.source.name, **options.settings(args)}
    extra |= _spread(estimated)
    raxels = None
    if isinstance(estimated, EstimateOutput):
        raxels = estimated.raxels
        extra |= depth_for_extra(estimated.depth)
        if estimated.inlier_ratio is not None:
            extra["inlier_ratio"] = estimated.inlier_ratio
        if estimated.frames_seen is not None:
            extra["frames_seen"] = estimated.frames_seen
    write_native(estimated.trajectory, out / "trajectory.json", extra=extra)
    value = path_view_value(
        estimated.trajectory, images=clip.video, raxels=raxels, spread=estimated.pose_std
    )
    write_path_page(value, out / "path.html", title=f"Camera path of {clip.source.name}")


def _spread(estimated: "EstimateOutput | LongEstimateOutput") -> dict[str, Any]:
    """Return the spread as trajectory.json keeps it; nothing where there is none."""
    pose_std: PoseStd | None = estimated.pose_std
    if pose_std is None:
        return {}
    kept: dict[str, Any] = dict(pose_std.to_dict())
    expected = getattr(estimated, "expected_error_deg", None)
    if expected is not None:
        kept["expected_rotation_error_deg"] = expected.tolist()
    return {"spread": kept}
