"""`estimate VIDEO --out DIR`: the camera path of a video."""

import argparse
from typing import TYPE_CHECKING, Any

from rays_as_pixels.cli import options
from rays_as_pixels.cli.outputs import staged
from rays_as_pixels.cli.progress import ProgressLine, print_results
from rays_as_pixels.errors import InputError
from rays_as_pixels.pipeline.defaults import ESTIMATE_STEPS

if TYPE_CHECKING:
    from rays_as_pixels.media.video import Clip
    from rays_as_pixels.pipeline.outputs import EstimateOutput, PoseSpread
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
        description="Estimate the camera path of a video. Writes DIR/trajectory.json and "
        "DIR/path.html, a 3D view that opens without a network.",
    )
    parser.add_argument("video", metavar="VIDEO", help="a video, a folder of images, or one image")
    options.add_out_folder(parser, *FILES)
    parser.add_argument(
        "--num-samples",
        type=options.whole,
        default=1,
        metavar="N",
        help="average N runs from different noise (default: %(default)s)",
    )
    parser.add_argument(
        "--shared-focal", action="store_true", help="one focal length for all frames: no zoom"
    )
    parser.add_argument(
        "--flips",
        type=options.whole,
        choices=(1, 2, 4),
        default=1,
        help="average over views of the clip: 2 adds it mirrored, 4 both backwards too "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--no-refine",
        action="store_true",
        help="what the network says, without fitting its path to the frames' pixels",
    )
    parser.add_argument(
        "--no-extra-frames",
        action="store_true",
        help="do not look at the frames between where the path shows little of those chosen",
    )
    options.add_video_options(parser, all_frames=True)
    parser.add_argument(
        "--window-overlap",
        type=options.whole,
        metavar="N",
        help="with --frames all: frames that neighbouring windows share (default: 4)",
    )
    options.add_model_options(parser, steps=ESTIMATE_STEPS)


def run(args: argparse.Namespace) -> int:
    """Estimate and write; returns exit code 0.

    Raises:
        InputError: A rule on the video, the options, the model or the output is broken.
    """
    progress = ProgressLine()
    if args.window_overlap is not None and args.frames != options.ALL_FRAMES:
        raise InputError(
            "--window-overlap must come with --frames all; got another --frames. Leave it out."
        )
    with staged(args.out, FILES) as out:
        options.check_video(args.video)
        pipeline = options.load_pipeline(args, progress)
        clip = options.read_frames(args, pipeline, progress)
        estimated = _estimated(args, pipeline, clip, progress)
        from rays_as_pixels.geometry.cameras import kind_of_move
        from rays_as_pixels.trajectories.depth import depth_for_extra
        from rays_as_pixels.trajectories.formats.native import write_native
        from rays_as_pixels.viz.path_view.page import write_path_page
        from rays_as_pixels.viz.path_view.value import path_view_value

        extra = {"verb": "estimate", "input": clip.source.name, **options.settings(args)}
        extra |= _spread(estimated)
        extra |= depth_for_extra(getattr(estimated, "depth", None))
        inlier_ratio = getattr(estimated, "inlier_ratio", None)
        if inlier_ratio is not None:
            from rays_as_pixels.solve.inlier_ratio import is_doubtful

            extra["inlier_ratio"] = inlier_ratio
            seen = getattr(estimated, "frames_seen", None)
            if seen is not None:
                extra["frames_seen"] = seen
            progress.say(f"{inlier_ratio:.0%} of the frames' patches are where the path shows them")
            if is_doubtful(inlier_ratio):
                progress.say(
                    "note: so little may be a path that is wrong; use more --frames, "
                    "or a shorter part of the video"
                )
        move = kind_of_move(estimated.trajectory.cameras)
        if said := _MOVES.get(move):
            progress.say(f"note: the camera {said} would not explain the frames any better")
        if move == "still":
            progress.say("note: nothing shows which lens a camera has that stands still")
        write_native(estimated.trajectory, out / "trajectory.json", extra=extra)
        value = path_view_value(
            estimated.trajectory,
            images=clip.video,
            raxels=getattr(estimated, "raxels", None),
            spread=estimated.spread,
        )
        write_path_page(value, out / "path.html", title=f"Camera path of {clip.source.name}")
    print_results(out.results)
    return 0


def _estimated(
    args: argparse.Namespace,
    pipeline: "RaysAsPixelsPipeline",
    clip: "Clip",
    progress: ProgressLine,
) -> Any:
    """Estimate in one pass, or in windows with --frames all."""
    given: dict[str, Any] = {
        "fps": clip.fps,
        "time_sec": clip.time_sec,
        "source_frame": clip.source_frame,
        "num_inference_steps": args.steps,
        "num_seeds": args.num_samples,
        "num_flips": args.flips,
        "shared_focal": args.shared_focal,
        "photometric_adjustment": not args.no_refine,
        "generator": options.make_generator(args.seed),
        "progress": progress,
    }
    if args.frames != options.ALL_FRAMES:
        estimated = pipeline.estimate(clip.video, **given)
        return _with_a_second_look(args, pipeline, clip, estimated, progress)
    from rays_as_pixels.pipeline.long_video import DEFAULT_OVERLAP, WindowPlan

    overlap = DEFAULT_OVERLAP if args.window_overlap is None else args.window_overlap
    estimated = pipeline.estimate_long(clip.video, plan=WindowPlan(overlap=overlap), **given)
    progress.say(
        f"{estimated.windows} windows joined; {estimated.num_outlier_windows} of them disagreed "
        "with the others so much that they hardly count"
    )
    return estimated


def _with_a_second_look(
    args: argparse.Namespace,
    pipeline: "RaysAsPixelsPipeline",
    clip: "Clip",
    estimated: "EstimateOutput",
    progress: ProgressLine,
) -> "EstimateOutput":
    """Look at the frames between where the path shows little of those chosen."""
    from rays_as_pixels.media.extra_frames import frames_between
    from rays_as_pixels.solve.inlier_ratio import is_doubtful

    one_run = args.num_samples * args.flips == 1
    if args.no_extra_frames or not (one_run and is_doubtful(estimated.inlier_ratio)):
        return estimated
    between = frames_between(args.video, clip, end_sec=args.end_sec)
    if between is None:
        return estimated
    longer, places = between
    progress.say(
        f"note: {estimated.inlier_ratio:.0%} of the frames' patches are where the path shows them; "
        f"looking at {len(longer)} frames of this part"
    )
    return pipeline.estimate_with_extra_frames(
        clip.video,
        estimated,
        longer=longer.video,
        places=places,
        shared_focal=args.shared_focal,
        num_inference_steps=args.steps,
        generator=options.make_generator(args.seed),
        progress=progress,
    )


def _spread(estimated: Any) -> dict[str, Any]:
    """Return the spread as trajectory.json keeps it; nothing where there is none."""
    spread: PoseSpread | None = estimated.spread
    if spread is None:
        return {}
    kept: dict[str, Any] = {
        "rotation_deg": spread.rotation_rad.rad2deg().tolist(),
        "position": spread.position.tolist(),
        "focal_ratio": spread.focal_ratio.tolist(),
    }
    expected = getattr(estimated, "expected_error_deg", None)
    if expected is not None:
        kept["expected_rotation_error_deg"] = expected.tolist()
    return {"spread": kept}
