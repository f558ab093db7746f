"""`annotate SRC --out DIR`: cameras for thousands of videos, as a Parquet data set."""

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rays_as_pixels.cli import options
from rays_as_pixels.cli.loading import add_device_option, add_model_option
from rays_as_pixels.cli.progress import ProgressLine, print_results
from rays_as_pixels.errors import InputError
from rays_as_pixels.pipeline.defaults import ESTIMATE_STEPS

if TYPE_CHECKING:
    from rays_as_pixels.annotate.job import Job

FPS_OF_CLIPS = 10.0  # that are looked at with --frames N


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add the verb and its options."""
    parser = subparsers.add_parser(
        "annotate",
        help="camera paths of thousands of videos, as Parquet",
        description="Estimate the cameras of every video of SRC (a folder, or a .txt file with a "
        "path a line) and write DIR/cameras-*.parquet, one row per frame. Run it again to go on "
        "where it stopped: finished videos are skipped. Videos that fail are listed, in "
        "DIR/failures.json and on stderr, and have one row with the reason.",
    )
    parser.add_argument("source", metavar="SRC", type=Path, help="folder of videos, or a list")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the run's folder")
    _add_runner_options(parser)
    _add_clip_options(parser.add_argument_group("clips"))
    model = parser.add_argument_group("model")
    add_model_option(model)
    add_device_option(model, "of each worker: ")
    options.add_noise_options(model, steps=ESTIMATE_STEPS)


def _add_runner_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers", type=options.whole, default=1, metavar="N", help="workers (default: 1)"
    )
    parser.add_argument(
        "--runner",
        choices=("auto", "ray", "local"),
        default="auto",
        help="Ray Data, or plain processes; auto is Ray where it is installed",
    )
    parser.add_argument(
        "--address",
        metavar="A",
        help="a running Ray cluster, host:port or auto; every machine must see SRC, DIR and MODEL "
        "under the same path (default: Ray on this machine)",
    )
    parser.add_argument(
        "--gpus",
        type=options.seconds,
        default=0.0,
        metavar="G",
        help="GPUs per worker on Ray, for example 0.5 (default: 0)",
    )
    parser.add_argument("--retry-failed", action="store_true", help="try failed videos again")


def _add_clip_options(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--fps",
        type=options.positive,
        metavar="F",
        help="frames per second looked at (default: every frame; with --frames 10)",
    )
    group.add_argument(
        "--frames",
        type=options.whole,
        metavar="N",
        help="cut a video into clips of N frames, one after another, each with its own world "
        "frame, and estimate them by the network (default: every frame of a shot in one world, by "
        "tracking)",
    )
    group.add_argument(
        "--num-samples",
        type=options.whole,
        default=1,
        metavar="N",
        help="with --frames: average N runs from different noise, which also gives the spread "
        "columns",
    )


def run(args: argparse.Namespace) -> int:
    """Annotate; returns exit code 0, also where single videos failed.

    Raises:
        InputError: SRC, the model or an option breaks a rule, or something is not installed.
    """
    from rays_as_pixels.annotate.job import find_videos
    from rays_as_pixels.annotate.run import annotate, choose_runner

    runner = choose_runner(args.runner, address=args.address, gpus=args.gpus)
    root, videos = find_videos(args.source)
    progress = ProgressLine()
    job = _job(args, root, progress)
    with contextlib.redirect_stdout(sys.stderr):  # Ray speaks there; ours are results alone
        summary = annotate(
            job,
            videos,
            runner,
            workers=args.workers,
            retry_failed=args.retry_failed,
            progress=progress,
        )
    for video, reason in summary.failures:
        progress.say(f"failed: {video}: {reason}")
    progress.say(
        f"{summary.found} videos: {summary.found - len(summary.failures)} with cameras, "
        f"{len(summary.failures)} failed; {summary.skipped} were done before"
    )
    print_results(list(summary.files))
    sys.stdout.flush()
    return 0


def _job(args: argparse.Namespace, root: Path, progress: ProgressLine) -> "Job":
    from rays_as_pixels.annotate.job import Job, Settings, fingerprint
    from rays_as_pixels.hub.fetch import find_model
    from rays_as_pixels.hub.location import HubAccess
    from rays_as_pixels.model.clip_lengths import check_frame_count, stored_temporal_stride

    found = find_model(args.model, access=HubAccess(log=progress.say))
    folder = Path(found.folder).resolve()
    frames, fps = args.frames, args.fps
    if frames is not None:
        fps = FPS_OF_CLIPS if fps is None else fps
        check_frame_count(frames, stored_temporal_stride(folder))
        if frames < 5:
            raise InputError(f"--frames must be 5 or more; got {frames}. Use 9.")
    elif args.num_samples != 1:
        raise InputError(
            f"--num-samples must come with --frames N; got {args.num_samples} for every frame, "
            "which needs no noise. Leave it out."
        )
    settings = Settings(
        found.name,
        found.commit or fingerprint(folder),
        fps,
        frames,
        args.steps,
        args.num_samples,
        args.seed,
    )
    return Job(str(root), str(args.out.resolve()), str(folder), args.device, settings)
