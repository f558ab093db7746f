"""Options that several verbs share, and the values they stand for."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rays_as_pixels.cli.loading import add_loading_options, load
from rays_as_pixels.cli.processes import add_parallel_option
from rays_as_pixels.errors import InputError
from rays_as_pixels.pipeline.defaults import MAX_UPSCALE

if TYPE_CHECKING:
    import torch

    from rays_as_pixels.cli.progress import ProgressLine
    from rays_as_pixels.media.video import Clip
    from rays_as_pixels.pipeline.options import RunOptions
    from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline

ALL_FRAMES = "all"


def whole(text: str) -> int:
    """Read a whole number of at least 1, for argparse."""
    return _number(text, int, lambda value: value >= 1, "a whole number of at least 1")


def seed(text: str) -> int:
    """Read a seed: a whole number from 0 to 2^63 - 1, for argparse."""
    rule = "a whole number from 0 to 2^63 - 1"
    return _number(text, int, lambda value: 0 <= value < 2**63, rule)


def positive(text: str) -> float:
    """Read a positive, finite number, for argparse."""
    return _number(text, float, lambda value: 0 < value < 1e9, "a positive number")


def seconds(text: str) -> float:
    """Read a time of at least 0 seconds, for argparse."""
    return _number(text, float, lambda value: 0 <= value < 1e9, "a number of at least 0 seconds")


def _number(text: str, kind: Any, allowed: Any, rule: str) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not allowed(value):
        raise argparse.ArgumentTypeError(f"must be {rule}; got {text!r}")
    return value


def add_model_options(parser: argparse.ArgumentParser, *, steps: int) -> None:
    """Add the options of `loading`, --steps and --seed.

    Args:
        parser: The verb's parser.
        steps: Default number of denoising steps.
    """
    group = parser.add_argument_group("model")
    add_loading_options(group)
    add_parallel_option(group)
    add_noise_options(group, steps=steps)


def add_noise_options(parser: "argparse._ActionsContainer", *, steps: int) -> None:
    """Add --steps, with their default, and --seed."""
    parser.add_argument(
        "--steps", type=whole, default=steps, help="denoising steps (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=seed, default=0, help="seed of the noise (default: %(default)s)"
    )


def frame_count(text: str) -> "int | str":
    """Read a number of frames or the word "all", for argparse."""
    rule = 'a whole number of at least 1, or "all"'
    return text if text == ALL_FRAMES else _number(text, int, lambda value: value >= 1, rule)


def add_video_options(parser: argparse.ArgumentParser, *, all_frames: bool = False) -> None:
    """Add the options that choose the frames of a video: time range, rate, count, size.

    Args:
        parser: The verb's parser.
        all_frames: Whether the verb takes videos of any length, as --frames all.
    """
    group = parser.add_argument_group("frames of the video")
    group.add_argument("--start-sec", type=seconds, metavar="S", help="start here (default: 0)")
    group.add_argument("--end-sec", type=positive, metavar="S", help="stop here (default: the end)")
    group.add_argument("--fps", type=positive, metavar="F", help="take this many frames per second")
    group.add_argument(
        "--frames",
        type=frame_count if all_frames else whole,
        metavar="N",
        help="take N frames, evenly spaced (default: "
        + (
            "every frame)"
            if all_frames
            else "what the model was trained on, unless --fps is given)"
        ),
    )
    group.add_argument(
        "--downscale", action="store_true", help="shrink a video that is too large, not refuse it"
    )


def add_out_folder(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add --out DIR, saying which files it will hold."""
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help=f"folder for {', '.join(names)}; made if need be, these files in it are replaced",
    )


def make_generator(value: int) -> "torch.Generator":
    """Return the source of all noise, on the CPU so that a seed means the same everywhere."""
    import torch

    return torch.Generator().manual_seed(value)


def run_options(args: argparse.Namespace, progress: "ProgressLine") -> "RunOptions":
    """Return what --seed and any prompts ask for, with progress."""
    from rays_as_pixels.pipeline.options import RunOptions

    return RunOptions(
        generator=make_generator(args.seed),
        prompt=getattr(args, "prompt", None),
        negative_prompt=getattr(args, "negative_prompt", None),
        progress=progress,
    )


def load_pipeline(args: argparse.Namespace, progress: "ProgressLine") -> "RaysAsPixelsPipeline":
    """Load the pipeline named by --model onto --device.

    Raises:
        CheckpointError: The model is missing, cannot be fetched, or is damaged.
        InputError: The device is not there.
    """
    return load(args, progress.say)


def read_frames(
    args: argparse.Namespace, pipeline: "RaysAsPixelsPipeline", progress: "ProgressLine"
) -> "Clip":
    """Read the frames that the options ask for and say openly which ones these are.

    Raises:
        InputError: The video is not readable, or the frames asked for are not there or too many.
    """
    clip = _read_clip(args, pipeline)
    indices = ", ".join(str(index) for index in clip.source_frame)
    progress.say(f"frames used: {len(clip)} of {clip.source.num_frames}: {indices}")
    for note in clip.notes:
        progress.say(f"note: {note}")
    return clip


def _read_clip(args: argparse.Namespace, pipeline: "RaysAsPixelsPipeline") -> "Clip":
    from rays_as_pixels.media.video import probe_video, read_clip
    from rays_as_pixels.model.clip_lengths import largest_clip_length

    num_frames, max_frames = pipeline.num_frames, pipeline.max_frames
    stride = pipeline.codec.temporal_stride
    part = {"start_sec": args.start_sec, "end_sec": args.end_sec, "downscale": args.downscale}
    if args.frames == ALL_FRAMES:
        return read_clip(args.video, fps=args.fps, **part)
    if args.frames is not None:
        return read_clip(args.video, num_frames=args.frames, fps=args.fps, **part)
    if args.fps is not None:
        clip = read_clip(args.video, fps=args.fps, **part)
        if len(clip) > max_frames:
            raise InputError(
                f"--fps must give at most {max_frames} frames; got {len(clip)} at {args.fps:g} "
                "frames per second. Choose a part with --start-sec and --end-sec, or use --frames; "
                "estimate also takes --frames all."
            )
        return clip.resampled(largest_clip_length(len(clip), stride))
    info = probe_video(args.video)
    end_sec = info.duration_sec if args.end_sec is None else args.end_sec
    expected = (end_sec - (args.start_sec or 0.0)) * info.fps
    if expected > 2 * num_frames:
        return read_clip(args.video, num_frames=num_frames, **part)
    clip = read_clip(args.video, **part)
    return clip.resampled(largest_clip_length(min(len(clip), num_frames), stride))


def check_video(path: str) -> None:
    """Refuse an unreadable video before the model is loaded.

    Raises:
        InputError: The file is missing, empty or no video.
    """
    from rays_as_pixels.media.video import probe_video

    probe_video(path)


def settings(args: argparse.Namespace) -> dict:
    """Return the settings that a result was made with, to be kept inside the result."""
    kept = (
        "model",
        "steps",
        "seed",
        "start_sec",
        "end_sec",
        "fps",
        "frames",
        "guidance",
        "prompt",
        "negative_prompt",
        "max_upscale",
        "flips",
        "window_overlap",
    )
    return {name: getattr(args, name) for name in kept if getattr(args, name, None) is not None}


def add_images(parser: argparse.ArgumentParser) -> None:
    """Add --image and --image-frame, both of which may be repeated."""
    parser.add_argument(
        "--image",
        action="append",
        required=True,
        metavar="FILE",
        help="an image of the scene; repeat for more, all of one size",
    )
    parser.add_argument(
        "--image-frame",
        action="append",
        type=frame_number,
        metavar="K",
        help="frame of the video that this image is, from 0; once per --image (default: evenly "
        "spread from the first frame to the last; a single image is frame 0)",
    )


def frame_number(text: str) -> int:
    """Read a frame's number, a whole number from 0, for argparse."""
    return _number(text, int, lambda value: value >= 0, "a frame's number, 0 or more")


def add_guidance(parser: argparse.ArgumentParser) -> None:
    """Add --guidance, the classifier-free guidance scale."""
    parser.add_argument(
        "--guidance",
        type=positive,
        default=1.0,
        metavar="G",
        help="guidance scale; 1 is none, more follows the input harder (default: %(default)s)",
    )


def add_max_upscale(parser: argparse.ArgumentParser) -> None:
    """Add --max-upscale, how large a video may be."""
    parser.add_argument(
        "--max-upscale",
        type=whole,
        default=MAX_UPSCALE,
        metavar="N",
        help="the video has up to N times the network's size along each side, as far as the image "
        "has the pixels: what an image shows stays as sharp (default: %(default)s)",
    )


def add_prompt(parser: argparse.ArgumentParser) -> None:
    """Add --prompt and --negative-prompt, for models with a text branch."""
    group = parser.add_argument_group("words, for a model with a text branch")
    group.add_argument("--prompt", metavar="TEXT", help="what the video shows (default: nothing)")
    group.add_argument(
        "--negative-prompt",
        metavar="TEXT",
        help="what guidance leads away from; needs --guidance above 1 (default: nothing)",
    )


def check_prompt(args: argparse.Namespace) -> None:
    """Refuse a negative prompt that nothing would read, before the model is loaded.

    Raises:
        InputError: --negative-prompt without guidance.
    """
    if args.negative_prompt is not None and args.guidance == 1.0:
        raise InputError(
            "--negative-prompt must come with --guidance other than 1; got 1, where it is not "
            "read. Add --guidance 5."
        )


def read_images(args: argparse.Namespace) -> "list[torch.Tensor]":
    """Read the images of --image, each 3 H W in [0, 1].

    Raises:
        InputError: A file is no image, or there are more or fewer --image-frame than --image.
    """
    from rays_as_pixels.media.video import read_image

    given = args.image_frame
    if given is not None and len(given) != len(args.image):
        raise InputError(
            f"--image-frame must be given once per --image, or not at all; got {len(given)} for "
            f"{len(args.image)} images. Add the missing ones."
        )
    return [read_image(path) for path in args.image]


def image_frames(
    args: argparse.Namespace, num_frames: int, progress: "ProgressLine"
) -> tuple[int, ...]:
    """Return the frame of each image, as given or spread evenly, and say which it is.

    Raises:
        InputError: There are more images than frames.
    """
    if args.image_frame is not None:
        return tuple(args.image_frame)
    count = len(args.image)
    if count > num_frames:
        raise InputError(
            f"--image must be given at most once per frame; got {count} images for {num_frames} "
            "frames. Leave some out."
        )
    spread = tuple(round(k * (num_frames - 1) / max(1, count - 1)) for k in range(count))
    if count > 1:
        progress.say(f"images taken as frames {', '.join(map(str, spread))} of {num_frames}")
    return spread
