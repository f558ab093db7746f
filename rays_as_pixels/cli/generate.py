"""`generate --image FILE --trajectory FILE --out FILE.mp4`: a video along a camera path."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rays_as_pixels.cli import options
from rays_as_pixels.cli.outputs import staged_file
from rays_as_pixels.cli.progress import ProgressLine, print_results
from rays_as_pixels.errors import InputError
from rays_as_pixels.pipeline.defaults import GENERATE_STEPS

if TYPE_CHECKING:
    from torch import Tensor

    from rays_as_pixels.geometry.trajectory import Trajectory
    from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
    from rays_as_pixels.pipeline.source_clip import PosedClip


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the verb and its options."""
    parser = subparsers.add_parser(
        "generate",
        help="make a video of a scene along a camera path",
        description="Generate a video from one or more images of a scene and a camera path.",
    )
    options.add_images(parser)
    parser.add_argument(
        "--depth",
        action="append",
        type=Path,
        metavar="FILE",
        help="how far away what an image shows is: the trajectory.json that `estimate` wrote for "
        "the clip whose frame 0 it is, or a .npy map of depths in the path's unit; the first for "
        "the first --image, and so on (default: the network tells)",
    )
    parser.add_argument(
        "--clip",
        metavar="VIDEO",
        help="the clip that the first --depth, a trajectory.json, was estimated from: its other "
        "frames show what the images do not",
    )
    parser.add_argument(
        "--trajectory", type=Path, required=True, metavar="FILE", help="the camera path"
    )
    parser.add_argument(
        "--source-trajectory",
        type=Path,
        metavar="FILE",
        help="the camera path that the images were taken along, in the world and unit of "
        "--trajectory, which may then begin elsewhere: the trajectory.json that `estimate` wrote; "
        "--image-frame counts its frames (default: --trajectory, whose first camera took frame 0)",
    )
    parser.add_argument(
        "--input-format",
        metavar="FORMAT",
        help="format of the camera path, as `convert` names it (default: detected)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.mp4", help="the video")
    parser.add_argument(
        "--frames",
        type=options.whole,
        metavar="N",
        help="read the path at N evenly spaced times (default: the path's frames)",
    )
    options.add_guidance(parser)
    options.add_max_upscale(parser)
    options.add_prompt(parser)
    options.add_model_options(parser, steps=GENERATE_STEPS)


def run(args: argparse.Namespace) -> int:
    """Generate and write; returns exit code 0.

    Raises:
        InputError: A rule on the images, the path, the model or the output is broken.
    """
    progress = ProgressLine()
    options.check_prompt(args)
    with staged_file(args.out, suffix=".mp4") as part:
        images = options.read_images(args)
        depths = read_depths(args.depth, len(images))
        source_clip = None if args.clip is None else read_source_clip(args.clip, args.depth)
        from rays_as_pixels.pipeline.options import GenerateOptions
        from rays_as_pixels.trajectories.formats import load_info

        loaded = load_info(args.trajectory, format=args.input_format)
        for note in loaded.notes:
            progress.say(f"note: {note}")
        pipeline = options.load_pipeline(args, progress)
        trajectory = fit_length(loaded.trajectory, args.frames, pipeline)
        source = None
        if args.source_trajectory is not None:
            along = load_info(args.source_trajectory)
            source = along.trajectory
            for note in along.notes:
                progress.say(f"note: {note}")
        own = trajectory if source is None else source
        generated = pipeline.generate(
            images,
            trajectory,
            image_frames=options.image_frames(args, len(own), progress),
            source_trajectory=source,
            image_depths=depths,
            source_clip=source_clip,
            options=GenerateOptions(
                num_inference_steps=args.steps,
                guidance_scale=args.guidance,
                max_upscale=args.max_upscale,
            ),
            run=options.run_options(args, progress),
        )
        from rays_as_pixels.media.video import write_video

        write_video(part, generated.video, fps=generated.trajectory.fps)
    print_results([args.out])
    return 0


def read_source_clip(clip: str, depths: list[Path] | None) -> "PosedClip":
    """Read the frames of a clip that a trajectory.json of `estimate` has cameras for.

    Raises:
        InputError: There is no such file, or the clip does not have the frames that it names.
    """
    options.check_video(clip)
    if not depths or depths[0].suffix.lower() == ".npy":
        raise InputError(
            f"--clip must come with the trajectory.json that was estimated from it; got {clip} "
            "without. Add --depth result/trajectory.json."
        )
    from rays_as_pixels.media.video import read_clip
    from rays_as_pixels.pipeline.source_clip import PosedClip
    from rays_as_pixels.trajectories.depth import read_depth
    from rays_as_pixels.trajectories.formats.native import read_native_with_extra

    path, extra = read_native_with_extra(depths[0])
    read = read_clip(clip, downscale=True)
    place = {frame: k for k, frame in enumerate(read.source_frame)}
    wanted = path.source_frame or ()
    missing = [frame for frame in wanted if frame not in place]
    if missing or len(wanted) != len(path):
        raise InputError(
            f"--clip must have the frames that {depths[0].name} was estimated from; got {clip} "
            f"without {'numbers of them' if not wanted else f'frame {missing[0]}'}. Give the "
            "video that `estimate` was run on."
        )
    video = read.video[[place[frame] for frame in wanted]]
    path = path.resized(height=video.shape[-2], width=video.shape[-1])
    return PosedClip(video, path, read_depth(depths[0]), float(extra.get("inlier_ratio") or 1.0))


def read_depths(files: list[Path] | None, images: int) -> "list[Tensor | None] | None":
    """Read the maps of --depth; images without one have None.

    Raises:
        InputError: There are more than images, or a file holds none.
    """
    if files is None:
        return None
    if len(files) > images:
        raise InputError(
            f"--depth must be given at most once per --image; got {len(files)} for {images}. "
            "Leave some out."
        )
    from rays_as_pixels.trajectories.depth import read_depth

    return [*(read_depth(file) for file in files), *[None] * (images - len(files))]


def fit_length(
    trajectory: "Trajectory", num_frames: int | None, pipeline: "RaysAsPixelsPipeline"
) -> "Trajectory":
    """Return the path with as many frames as asked for, refusing counts the model cannot make.

    Args:
        trajectory: The path of the file.
        num_frames: --frames, or None to keep the file's.
        pipeline: Says how many frames it can make.

    Raises:
        InputError: The model does not take as many frames.
    """
    from rays_as_pixels.model.clip_lengths import clip_lengths, clip_lengths_in_words

    count = len(trajectory) if num_frames is None else num_frames
    allowed = clip_lengths(pipeline.max_frames, pipeline.codec.temporal_stride)
    if count not in allowed:
        name = "the trajectory" if num_frames is None else "--frames"
        raise InputError(
            f"{name} must have {clip_lengths_in_words(allowed)} frames for this model; got "
            f"{count}. Add '--frames {pipeline.num_frames}' to read the path at as many evenly "
            "spaced times."
        )
    return trajectory if num_frames is None else trajectory.resampled(num_frames)
