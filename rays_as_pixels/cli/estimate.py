"""`estimate VIDEO --out DIR`: the camera path of a video."""

import argparse

from rays_as_pixels.cli import options
from rays_as_pixels.cli.outputs import staged
from rays_as_pixels.cli.progress import ProgressLine, print_results

FILES = ("trajectory.json", "path.html")


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
        "--seeds",
        type=options.whole,
        default=1,
        metavar="N",
        help="average N runs from different noise (default: %(default)s)",
    )
    parser.add_argument(
        "--shared-focal", action="store_true", help="one focal length for all frames: no zoom"
    )
    options.add_video_options(parser)
    options.add_model_options(parser, steps=2)


def run(args: argparse.Namespace) -> int:
    """Estimate and write; returns exit code 0.

    Raises:
        InputError: A rule on the video, the options, the model or the output is broken.
    """
    progress = ProgressLine()
    with staged(args.out, FILES) as out:
        options.check_video(args.video)
        pipeline = options.load_pipeline(args, progress)
        clip = options.read_frames(args, pipeline, progress)
        estimated = pipeline.estimate(
            clip.video,
            fps=clip.fps,
            time_sec=clip.time_sec,
            source_frame=clip.source_frame,
            num_inference_steps=args.steps,
            num_seeds=args.seeds,
            shared_focal=args.shared_focal,
            generator=options.make_generator(args.seed),
            progress=progress,
        )
        from rays_as_pixels.trajectories.formats.native import write_native
        from rays_as_pixels.viz.path_view.page import write_path_page
        from rays_as_pixels.viz.path_view.value import path_view_value

        extra = {"verb": "estimate", "input": clip.source.name, **options.settings(args)}
        write_native(estimated.trajectory, out / "trajectory.json", extra=extra)
        value = path_view_value(
            estimated.trajectory,
            images=clip.video,
            raxels=estimated.raxels,
            spread=estimated.spread,
        )
        write_path_page(value, out / "path.html", title=f"Camera path of {clip.source.name}")
    print_results(out.results)
    return 0
