"""Videos of hundreds of frames, in one pass over a few, and in joined windows."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from rays_as_pixels.evaluation.baselines.trivial import constant_velocity_cameras, identity_cameras
from rays_as_pixels.evaluation.clips import EvalClip, first_world
from rays_as_pixels.evaluation.scores import mean, plain
from rays_as_pixels.evaluation.tables import Column, Row, Table
from rays_as_pixels.evaluation.tasks.runner import Progress, Runner
from rays_as_pixels.geometry import camera_metrics
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.pipeline.long_video import WindowPlan, by_stride
from rays_as_pixels.pipeline.options import EstimateOptions, RunOptions
from rays_as_pixels.solve.window_alignment import Window, join_levels
from rays_as_pixels.worlds.long_sequences import KINDS, LongClip, render_long_clip

FRAMES = 300
FPS = 30.0
COLUMNS = (
    Column("turn_deg", "true turn [deg]", 0),
    Column("r_mean_deg", "rotation, mean [deg]", 2),
    Column("r_last_deg", "rotation, last frame [deg]", 2),
    Column("r_worst_deg", "rotation, worst frame [deg]", 2),
    Column("t_err", "T_err", 3),
    Column("ate", "ATE", 4),
    Column("rpe_deg", "RPE rot, 1 frame [deg]", 3),
    Column("rpe30_deg", "RPE rot, 30 frames [deg]", 2),
    Column("calls", "passes"),
    Column("seconds", "s/clip", 1),
)


def long_video_task(
    runner: Runner, clips: Sequence[EvalClip], progress: Progress
) -> tuple[Table, list[Row]]:
    """Render two long clips per world, with the worlds' seeds, and estimate all of their frames."""
    first = first_world(clips)
    size = runner.pipe.sizes[len(runner.pipe.sizes) // 2]
    rows: list[Row] = []
    records: list[Row] = []
    done = 0
    for kind in KINDS:
        found: dict[str, list[dict[str, object]]] = {}
        for number in range(len(clips)):
            clip = render_long_clip(
                first + number, num_frames=FRAMES, height=size[0], width=size[1], kind=kind
            )
            for name, score in _scores(runner, clip, number).items():
                found.setdefault(name, []).append(score)
                records.append(
                    {"table": "long-video", "row": f"{kind}-{name}", "clip": number, **score}
                )
            done += 1
            progress("long videos", done, len(KINDS) * len(clips))
        rows += [
            {"id": f"{kind}-{name}", "label": f"{kind}: {_label(runner, name)}", **_mean_row(each)}
            for name, each in found.items()
        ]
    notes = (
        f"{len(clips)} long clips of each kind, {FRAMES} frames at {size[0]}x{size[1]}. Around: "
        "the view turns on until nothing of the first frame is left. Sway: it turns to and fro, "
        "and every frame shares most with the first.",
        "One pass: so many frames, evenly spaced; the other cameras by slerp and straight lines. "
        "Constant velocity is given the true first step, identity nothing.",
        "Rotation: angle to the truth, both anchored at frame 0; means over clips. T_err: each "
        "path divided by its furthest distance from frame 0. RPE: error of the motion over 1 "
        "and over 30 frames.",
    )
    return Table("long-video", "Long videos", COLUMNS, tuple(rows), notes), records


def _label(runner: Runner, name: str) -> str:
    native, most = runner.pipe.num_frames, runner.pipe.max_frames
    return {
        "identity": "identity",
        "constant_velocity": "constant velocity (given step 0 to 1)",
        "pass-native": f"one pass over {native} frames",
        "pass-most": f"one pass over {most} frames",
        "chain": f"chain of neighbouring windows of {native}",
        "windows": f"windows of {native} at all strides",
    }[name]


def _scores(runner: Runner, clip: LongClip, number: int) -> dict[str, dict[str, object]]:
    truth = clip.cameras
    native, most = runner.pipe.num_frames, runner.pipe.max_frames
    ways: dict[str, Callable[[], tuple[Cameras, int]]] = {
        "identity": lambda: (identity_cameras(truth), 0),
        "constant_velocity": lambda: (constant_velocity_cameras(truth), 0),
        "pass-native": lambda: (_one_pass(runner, clip, native, number), 1),
        "pass-most": lambda: (_one_pass(runner, clip, most, number), 1),
    }
    scores = {}
    for name, way in ways.items():
        (cameras, calls), seconds = runner.timed(way)
        scores[name] = {**_score(cameras, truth), "calls": calls, "seconds": seconds}
    for name, (cameras, calls, seconds) in _joined(runner, clip, number).items():
        scores[name] = {**_score(cameras, truth), "calls": calls, "seconds": seconds}
    return scores


def _options(runner: Runner, number: int) -> dict[str, Any]:
    return {
        "fps": FPS,
        "options": EstimateOptions(num_inference_steps=runner.settings.default_estimate_steps),
        "run": RunOptions(generator=runner.generator(number, 0), progress=lambda *_: None),
    }


def _one_pass(runner: Runner, clip: LongClip, count: int, number: int) -> Cameras:
    """Estimate `count` frames and read the path between them off the straight way."""
    last = len(clip.video) - 1
    frames = [round(k * last / (count - 1)) for k in range(count)]
    time = torch.tensor(frames, dtype=torch.float64) / FPS
    options = {**_options(runner, number), "time_sec": time}
    path = runner.pipe.estimate(clip.video[frames], **options).trajectory
    every = torch.arange(last + 1, dtype=torch.float64) / FPS
    return path.sampled_at(every).cameras


def _joined(runner: Runner, clip: LongClip, number: int) -> dict[str, tuple[Cameras, int, float]]:
    """Estimate all windows once; join those of neighbouring frames alone, and all of them.

    The same windows as those of the pipeline's `estimate_long`.
    """
    native, most = runner.pipe.num_frames, runner.pipe.max_frames
    stride, count = runner.pipe.codec.temporal_stride, len(clip.video)
    laid = WindowPlan().windows(count, native=native, longest=most, temporal_stride=stride)
    options = {**_options(runner, number)}
    found: list[Window] = []
    spent: list[float] = []
    for frames in laid:
        output, seconds = runner.timed(
            lambda frames=frames: runner.pipe.estimate(clip.video[list(frames)], **options)
        )
        found.append(Window(frames, output.trajectory.cameras))
        spent.append(seconds)
    near = [k for k, frames in enumerate(laid) if frames[1] - frames[0] == 1]
    answers = {}
    for name, chosen in (("chain", near), ("windows", range(len(laid)))):
        joined, seconds = runner.timed(
            lambda chosen=chosen: join_levels(by_stride([found[k] for k in chosen]), count)
        )
        answers[name] = (joined.cameras, len(chosen), seconds + sum(spent[k] for k in chosen))
    return answers


def _score(cameras: Cameras, truth: Cameras) -> dict[str, Any]:
    frames = camera_metrics.frame_errors(cameras, truth)
    angle = frames.rotation_rad.rad2deg()
    still = camera_metrics.frame_errors(identity_cameras(truth), truth).rotation_rad.rad2deg()
    return {
        "turn_deg": float(still.max()),
        "r_mean_deg": float(angle.mean()),
        "r_last_deg": float(angle[-1]),
        "r_worst_deg": float(angle.max()),
        "t_err": plain(frames.t_err),
        "ate": plain(camera_metrics.ate(cameras, truth).rmse),
        "rpe_deg": plain(_motion_error(cameras, truth, 1)),
        "rpe30_deg": plain(_motion_error(cameras, truth, 30)),
    }


def _motion_error(cameras: Cameras, truth: Cameras, delta: int) -> float:
    """Mean rotation error of the motion over `delta` frames, in degrees."""
    turns = []
    for each in (cameras, truth):
        rotation = each.world_from_cam[:, :3, :3].double()
        turns.append(rotation[:-delta].mT @ rotation[delta:])
    return float(camera_metrics.rotation_error_deg(*turns).mean())


def _mean_row(scores: Sequence[dict[str, object]]) -> dict[str, Any]:
    def column(name: str) -> torch.Tensor:
        values = [score[name] for score in scores]
        numbers = [math.nan if value is None else float(str(value)) for value in values]
        return torch.tensor(numbers, dtype=torch.float64)

    means = {name: plain(mean(column(name))) for name in scores[0] if name != "calls"}
    return {"clips": len(scores), **means, "calls": scores[0]["calls"]}
