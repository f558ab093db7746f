"""`evaluate --worlds N | --data DIR`: measure the model beside baselines."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rays_as_pixels.cli import options
from rays_as_pixels.cli.loading import add_loading_options
from rays_as_pixels.cli.outputs import staged
from rays_as_pixels.cli.progress import ProgressLine, print_results
from rays_as_pixels.errors import InputError
from rays_as_pixels.pipeline.defaults import ESTIMATE_STEPS, GENERATE_STEPS

if TYPE_CHECKING:
    from rays_as_pixels.evaluation.clips import EvalClip
    from rays_as_pixels.evaluation.tasks.run import EvaluationResult
    from rays_as_pixels.evaluation.tasks.runner import Settings
    from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline

FILES = ("evaluation.json", "evaluation.md")


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the verb and its options."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure the model beside trivial and classical baselines",
        description="Prints tables on stdout and, with --out, writes evaluation.json and "
        "evaluation.md. Failures count as errors; nothing is dropped.",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--worlds", type=options.whole, metavar="N", help="N held-out rendered worlds"
    )
    source.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="a folder of clips: NAME/frames/*.jpg and NAME/cameras.json (clips without "
        "cameras.json count in loop and imagine only)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the two files")
    parser.add_argument(
        "--against",
        type=Path,
        metavar="FILE",
        help="an earlier evaluation.json of the same clips: say what changed, and end with exit "
        "code 1 if anything is worse",
    )
    parser.add_argument(
        "--tasks",
        default="autoencoder,estimate,generate,loop,imagine,controls",
        metavar="LIST",
        help="which tables, separated by commas (default: %(default)s); beyond the paper also "
        "uncertainty, long-video, unposed-images, dynamic-objects (docs/results.md)",
    )
    parser.add_argument(
        "--baselines", action="store_true", help="run OpenCV and pycolmap where they are installed"
    )
    _add_other_options(parser)
    group = parser.add_argument_group("model")
    add_loading_options(group)
    group.add_argument(
        "--seed", type=options.seed, default=0, help="first noise seed (default: %(default)s)"
    )


def _add_other_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--num-samples",
        type=options.whole,
        default=3,
        help="noise seeds per clip (default: %(default)s)",
    )
    parser.add_argument(
        "--steps",
        metavar="LIST",
        default=str(ESTIMATE_STEPS),
        help="numbers of steps to estimate with (default: %(default)s, that of `estimate`)",
    )
    parser.add_argument(
        "--generate-steps",
        metavar="LIST",
        default=str(GENERATE_STEPS),
        help="numbers of steps to generate with (default: %(default)s, that of `generate`)",
    )
    parser.add_argument(
        "--world-seed",
        type=options.seed,
        default=0,
        metavar="S",
        help="seed of the first world (default: %(default)s)",
    )
    parser.add_argument(
        "--frames",
        type=options.frame_count,
        metavar="N",
        help='frames per clip (default: what the model was trained on); "all" for every frame of '
        "real clips, with --tasks estimate",
    )
    parser.add_argument(
        "--stride",
        type=options.whole,
        metavar="K",
        help="with --data: take every K-th frame from the first on (default: half the largest "
        "stride that fits, at least 1)",
    )
    parser.add_argument(
        "--dynamic-objects",
        choices=("random", "none", "many"),
        default="random",
        help="with --worlds: what moves by itself: what the world drew, nothing, or five things "
        "(default: %(default)s)",
    )


def step_list(text: str) -> tuple[int, ...]:
    """Read step counts separated by commas.

    Raises:
        InputError: An entry is not a whole number of at least 1.
    """
    try:
        steps = tuple(options.whole(part.strip()) for part in text.split(","))
    except argparse.ArgumentTypeError as error:
        raise InputError(
            f"steps must be whole numbers of at least 1 separated by commas; got {text!r}. "
            "Write for example 1,2,4."
        ) from error
    return tuple(dict.fromkeys(steps))


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the tables, write the files; returns 1 if worse than `--against`, else 0.

    Raises:
        InputError: A rule on the options, the data or the model is broken.
    """
    from rays_as_pixels.evaluation.regression_gate import read_result
    from rays_as_pixels.evaluation.tasks.runner import Settings

    every_frame = args.frames == options.ALL_FRAMES
    if every_frame and (args.data is None or args.tasks != "estimate"):
        raise InputError(
            f"--frames all must come with --data DIR --tasks estimate; got --tasks {args.tasks}"
            f"{'' if args.data else ' and no --data'}. Add them, or use --frames 9."
        )
    old = None if args.against is None else read_result(args.against)
    settings = Settings(
        tasks=tuple(dict.fromkeys(part.strip() for part in args.tasks.split(","))),
        estimate_steps=step_list(args.steps),
        generate_steps=step_list(args.generate_steps),
        seeds=args.num_samples,
        seed=args.seed,
        baselines=args.baselines,
        every_frame=every_frame,
    )
    progress = ProgressLine()
    if args.out is None:
        result = _evaluated(args, settings, progress)
        print(result.markdown())  # noqa: T201 - the answer
    else:
        with staged(args.out, FILES) as out:
            result = _evaluated(args, settings, progress)
            result.write(out.folder)
            print(result.markdown())  # noqa: T201 - the answer
        print_results(out.results)
    return 0 if old is None else _compared(old, result)


def _compared(old: "dict[str, Any]", result: "EvaluationResult") -> int:
    """Print what changed since an earlier evaluation; return 1 if anything is worse, else 0."""
    from rays_as_pixels.evaluation.regression_gate import compare_results

    comparison = compare_results(old, json.loads(json.dumps(result.to_dict())))
    lines = ["## Against the earlier evaluation", "", *(f"- {one}" for one in comparison.lines)]
    print("\n".join(lines))  # noqa: T201 - the answer
    if comparison.worse:
        sys.stderr.write(f"worse than before: {', '.join(comparison.worse)}\n")
    return 1 if comparison.worse else 0


def _evaluated(
    args: argparse.Namespace, settings: "Settings", progress: ProgressLine
) -> "EvaluationResult":
    from rays_as_pixels.evaluation.baselines.registry import installed_baselines
    from rays_as_pixels.evaluation.tasks.run import evaluate

    baselines = installed_baselines() if settings.baselines else []
    if args.data is not None:
        from rays_as_pixels.evaluation.clips import find_real_clips

        find_real_clips(args.data)  # refuse an empty folder before the model is loaded
    pipe = options.load_pipeline(args, progress)
    clips = _clips(args, pipe, progress)
    about = {
        "Model": _model(args.model),
        "Device": str(pipe.device),
    }
    return evaluate(
        pipe,
        clips,
        settings,
        source=_source(args),
        about=about,
        baselines=baselines,
        progress=progress,
    )


def _model(given: str | None) -> str:
    """Name the model without the place of its folder."""
    if given is None:
        return "the one that comes with the project"
    return Path(given).name if Path(given).exists() else given


def _clips(
    args: argparse.Namespace, pipe: "RaysAsPixelsPipeline", progress: ProgressLine
) -> "list[EvalClip]":
    from rays_as_pixels.evaluation.clips import find_real_clips, real_clip, world_clips
    from rays_as_pixels.model.clip_lengths import clip_lengths, clip_lengths_in_words

    num_frames = pipe.num_frames if args.frames is None else args.frames
    every_frame = isinstance(num_frames, str)  # "all"
    temporal_stride = pipe.codec.temporal_stride
    allowed = clip_lengths(pipe.max_frames, temporal_stride)
    if not every_frame and num_frames not in allowed:
        raise InputError(
            f"--frames must be {clip_lengths_in_words(allowed)} for this model; got {num_frames}. "
            f"Leave it out for {pipe.num_frames}."
        )
    clips = []
    if args.data is not None:
        folders = find_real_clips(args.data)
        for index, folder in enumerate(folders):
            clip = real_clip(
                folder,
                num_frames=None if every_frame else num_frames,
                stride=args.stride,
                temporal_stride=temporal_stride,
            )
            clips.append(clip)
            progress("read clips", index + 1, len(folders))
        return clips
    assert not isinstance(num_frames, str), "all frames need --data, see run"
    worlds = world_clips(
        args.worlds,
        num_frames=num_frames,
        sizes=pipe.sizes,
        first_seed=args.world_seed,
        device=pipe.device,
        dynamic_objects=args.dynamic_objects,
    )
    for index, clip in enumerate(worlds):
        clips.append(clip)
        progress("render worlds", index + 1, args.worlds)
    return clips


def _source(args: argparse.Namespace) -> str:
    if args.data is None:
        moving = {"random": "", "none": ", nothing moving", "many": ", many moving"}
        what = moving[args.dynamic_objects]
        return f"{args.worlds} held-out worlds, seeds from {args.world_seed}{what}"
    if args.frames == options.ALL_FRAMES:
        return f"real clips in {args.data.name}, every frame"
    rule = "half the largest stride that fits" if args.stride is None else f"stride {args.stride}"
    return f"real clips in {args.data.name}, frames equally spaced from the first on, {rule}"
