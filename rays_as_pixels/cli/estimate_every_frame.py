"""`estimate` without --frames N: a camera for every frame of a video, shot by shot."""

import argparse
import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from rays_as_pixels.cli import options
from rays_as_pixels.cli.outputs import Staging
from rays_as_pixels.cli.progress import ProgressLine

if TYPE_CHECKING:
    from rays_as_pixels.media.video import FrameStream
    from rays_as_pixels.pipeline.outputs import ShotEstimate, VideoEstimateOutput
    from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline


def estimate_every_frame(
    args: argparse.Namespace,
    pipeline: "RaysAsPixelsPipeline",
    out: Staging,
    progress: ProgressLine,
) -> None:
    """Estimate, say what was found, and write trajectory.json and path.html.

    Where the video has cuts, these two are of the longest shot, and each shot has a file of its own
    beside them.
    """
    from rays_as_pixels.media.video import FrameStream, Request, with_frames

    def solve(stream: FrameStream) -> "tuple[VideoEstimateOutput, FrameStream]":
        progress.say(f"frames used: {len(stream)} of {stream.info.num_frames}")
        with _stopped_by_ctrl_c(progress) as cancel:
            run = replace(options.run_options(args, progress), cancel=cancel)
            return pipeline.estimate_video(stream, run=run), stream

    request = Request(args.start_sec, args.end_sec, args.fps)
    estimated, stream = with_frames(args.video, request, solve)
    for note in estimated.notes:
        progress.say(f"note: {note}")
    main = estimated.longest
    for number, shot in enumerate(estimated.shots, 1):
        which = (
            f"shot {number}, {len(shot.trajectory)} frames: " if len(estimated.shots) > 1 else ""
        )
        for line in in_words(shot):
            progress.say(f"{which}{line}")
    if len(estimated.shots) > 1:
        number = estimated.shots.index(main) + 1
        progress.say(f"note: trajectory.json and path.html are of shot {number}, the longest")
        for number, shot in enumerate(estimated.shots, 1):
            name = f"trajectory-shot-{number}.json"
            out.add(name)
            _write_path(args, shot, out / name)
    _write_path(args, main, out / "trajectory.json")
    _write_page(args, estimated, out)
    if args.colmap is not None:
        _write_colmap(args.colmap, main, stream, progress)


@contextlib.contextmanager
def _stopped_by_ctrl_c(progress: ProgressLine) -> Iterator[threading.Event]:
    """Give an event that the first Ctrl-C sets; the second one raises as usual."""
    stop = threading.Event()

    def once(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        progress.say("stopping; what is solved is kept. Ctrl-C again drops it")
        stop.set()

    try:
        before = signal.signal(signal.SIGINT, once)
    except ValueError:  # not the main thread: the signal is the caller's business
        yield stop
        return
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _write_colmap(
    folder: Path, shot: "ShotEstimate", stream: "FrameStream", progress: ProgressLine
) -> None:
    """Write a shot as a COLMAP model with its points and frames, and say what it holds."""
    from rays_as_pixels.trajectories.colmap_model import write_colmap_model

    if not len(shot.points):
        progress.say("note: no COLMAP model was written: the path has no scene points")
        return
    last = shot.first_frame + len(shot.trajectory)
    report = write_colmap_model(
        folder,
        shot.trajectory,
        shot.points,
        stream.at(range(shot.first_frame, last)),
        interpolated=shot.interpolated.numpy(),
    )
    progress.say(
        f"COLMAP model in {folder}: {report.num_images} images, {report.num_points} points, mean "
        f"reprojection error {report.mean_reprojection_error_px:.2f} px"
    )
    if report.num_images_left_out:
        progress.say(
            f"note: left out {report.num_images_left_out} images without a pose of their own"
        )


def in_words(shot: "ShotEstimate") -> list[str]:
    """Say how a shot's path was found and how far it can be trusted, one line each."""
    lines = [f"note: {note}" for note in shot.notes]
    if shot.solution is not None:
        lines.insert(
            0,
            f"path by {shot.solution.chosen}, {len(shot.solution.candidates)} candidates tried: it "
            f"explains {shot.solution.score:.0%} of what was held out; {len(shot.points)} points",
        )
    return lines


def _write_path(args: argparse.Namespace, shot: "ShotEstimate", path: Any) -> None:
    from rays_as_pixels.pipeline.shot_extra import extra_of
    from rays_as_pixels.trajectories.formats.native import write_native

    extra: dict[str, Any] = {"verb": "estimate", "input": Path(args.video).name}
    kept = {name: getattr(args, name) for name in ("model", "start_sec", "end_sec", "fps")}
    extra |= {name: value for name, value in kept.items() if value is not None}
    write_native(shot.trajectory, path, extra=extra | extra_of(shot))


def _write_page(args: argparse.Namespace, estimated: "VideoEstimateOutput", out: Staging) -> None:
    import torch

    from rays_as_pixels.viz.cloud import PointCloud
    from rays_as_pixels.viz.path_view.page import write_path_page
    from rays_as_pixels.viz.path_view.value import ScenePoints, path_view_value

    shot = estimated.longest
    images = None
    if estimated.thumbnails is not None:
        last = shot.first_frame + len(shot.trajectory)
        images = estimated.thumbnails[shot.first_frame : last].float() / 255
    points = None
    if len(shot.points):
        colors = torch.from_numpy(shot.points.rgb).float() / 255
        points = ScenePoints(PointCloud(torch.from_numpy(shot.points.xyz).float(), colors))
    value = path_view_value(shot.trajectory, images=images, points=points, spread=shot.pose_std)
    title = f"Camera path of {str(args.video).rpartition('/')[2]}"
    write_path_page(value, out / "path.html", title=title)
