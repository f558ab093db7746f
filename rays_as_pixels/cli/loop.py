"""`loop VIDEO --out DIR`: estimate, generate along the estimate, estimate again, compare."""

import argparse
import json

from rays_as_pixels.cli import options
from rays_as_pixels.cli.outputs import staged
from rays_as_pixels.cli.progress import ProgressLine, print_results
from rays_as_pixels.pipeline.defaults import ESTIMATE_STEPS, GENERATE_STEPS

FILES = (
    "video.mp4",
    "input.mp4",
    "estimated.json",
    "reestimated.json",
    "report.json",
    "loop.html",
)


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the verb and its options."""
    parser = subparsers.add_parser(
        "loop",
        help="estimate, generate along the estimate, estimate again, and compare",
        description="Close the loop on a video. Writes the frames used (input.mp4), the "
        "regenerated video (video.mp4), both camera paths, report.json with R_err in radians, "
        "T_err and PSNR, and loop.html with both videos and paths side by side.",
    )
    parser.add_argument("video", metavar="VIDEO", help="a video or a folder of images")
    options.add_out_folder(parser, *FILES)
    parser.add_argument(
        "--estimate-steps",
        type=options.whole,
        default=ESTIMATE_STEPS,
        metavar="N",
        help="denoising steps of both estimates; --steps are those of the video "
        "(default: %(default)s)",
    )
    options.add_video_options(parser)
    options.add_max_upscale(parser)
    options.add_model_options(parser, steps=GENERATE_STEPS)


def run(args: argparse.Namespace) -> int:
    """Run the loop and write; returns exit code 0.

    Raises:
        InputError: A rule on the video, the options, the model or the output is broken.
    """
    progress = ProgressLine()
    with staged(args.out, FILES) as out:
        options.check_video(args.video)
        pipeline = options.load_pipeline(args, progress)
        clip = options.read_frames(args, pipeline, progress)
        from rays_as_pixels.pipeline.options import EstimateOptions, GenerateOptions

        result = pipeline.loop(
            clip.video,
            fps=clip.fps,
            time_sec=clip.time_sec,
            source_frame=clip.source_frame,
            estimate_options=EstimateOptions(num_inference_steps=args.estimate_steps),
            generate_options=GenerateOptions(
                num_inference_steps=args.steps, max_upscale=args.max_upscale
            ),
            run=options.run_options(args, progress),
        )
        from rays_as_pixels.cli.loop_page import write_loop_page
        from rays_as_pixels.media.video import write_video
        from rays_as_pixels.trajectories.formats.native import write_native

        write_video(out / "input.mp4", clip.video, fps=clip.fps)
        write_video(out / "video.mp4", result.video, fps=clip.fps)
        extra = {"verb": "loop", "input": clip.source.name, **options.settings(args)}
        write_native(result.estimated, out / "estimated.json", extra=extra)
        write_native(result.reestimated, out / "reestimated.json", extra=extra)
        report = result.report.to_dict()
        text = json.dumps(report, indent=2, allow_nan=False)
        (out / "report.json").write_text(f"{text}\n", encoding="utf-8")
        write_loop_page(out.folder, result.estimated, result.reestimated, report)
    print_results(out.results)
    return 0
