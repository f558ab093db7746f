"""`imagine --image FILE --out DIR`: a video and its camera path from images alone."""

import argparse

from rays_as_pixels.cli import options
from rays_as_pixels.cli.outputs import staged
from rays_as_pixels.cli.progress import ProgressLine, print_results
from rays_as_pixels.pipeline.defaults import IMAGINE_STEPS

FILES = ("video.mp4", "trajectory.json")


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the verb and its options."""
    parser = subparsers.add_parser(
        "imagine",
        help="make a video and its camera path from images alone",
        description="Imagine a camera path and the video along it, from one or more images.",
    )
    options.add_images(parser)
    options.add_out_folder(parser, *FILES)
    parser.add_argument(
        "--frames",
        type=options.whole,
        metavar="N",
        help="length of the video (default: what the model was trained on)",
    )
    parser.add_argument(
        "--fps",
        type=options.positive,
        default=10.0,
        metavar="F",
        help="frames per second (default: %(default)s)",
    )
    options.add_guidance(parser)
    options.add_max_upscale(parser)
    options.add_prompt(parser)
    options.add_model_options(parser, steps=IMAGINE_STEPS)


def run(args: argparse.Namespace) -> int:
    """Imagine and write; returns exit code 0.

    Raises:
        InputError: A rule on the images, the options, the model or the output is broken.
    """
    progress = ProgressLine()
    options.check_prompt(args)
    with staged(args.out, FILES) as out:
        images = options.read_images(args)
        pipeline = options.load_pipeline(args, progress)
        num_frames = pipeline.num_frames if args.frames is None else args.frames
        frames = options.image_frames(args, num_frames, progress)
        from rays_as_pixels.pipeline.options import ImagineOptions

        imagined = pipeline.imagine(
            images,
            num_frames=num_frames,
            fps=args.fps,
            image_frames=frames,
            options=ImagineOptions(
                num_inference_steps=args.steps,
                guidance_scale=args.guidance,
                max_upscale=args.max_upscale,
            ),
            run=options.run_options(args, progress),
        )
        from rays_as_pixels.media.video import write_video
        from rays_as_pixels.trajectories.formats.native import write_native

        write_video(out / "video.mp4", imagined.video, fps=imagined.trajectory.fps)
        extra = {"verb": "imagine", "image_frames": list(frames), **options.settings(args)}
        write_native(imagined.trajectory, out / "trajectory.json", extra=extra)
    print_results(out.results)
    return 0
