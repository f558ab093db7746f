"""The loop and imagine tables: does the model agree with itself?"""

import itertools
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.evaluation.baselines.trivial import copy_first_frame, identity_cameras
from rays_as_pixels.evaluation.clips import EvalClip
from rays_as_pixels.evaluation.scores import (
    PathResult,
    PathScore,
    mean,
    median,
    plain,
    score_path,
)
from rays_as_pixels.evaluation.tables import Column, Row, Table
from rays_as_pixels.evaluation.tasks.runner import Progress, Runner
from rays_as_pixels.evaluation.video_scores import VideoScore, score_video, summarise_videos
from rays_as_pixels.geometry import camera_metrics
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.resize_crop import ResizeCrop
from rays_as_pixels.pipeline.options import (
    EstimateOptions,
    GenerateOptions,
    ImagineOptions,
    RunOptions,
)

_CYCLE_COLUMNS = (
    Column("r_err_rad", "R_err mean [rad]", 4),
    Column("r_err_median_rad", "R_err median [rad]", 4),
    Column("t_err", "T_err mean", 4),
    Column("t_err_median", "T_err median", 4),
    Column("t_err_fixed_scale", "T_err fixed scale", 4),
    Column("rotation_mean_deg", "e_R mean [deg]", 2),
    Column("rotation_median_deg", "e_R median [deg]", 2),
)
LOOP_COLUMNS = (
    *_CYCLE_COLUMNS,
    Column("psnr_db", "PSNR mean [dB]", 2),
    Column("psnr_median_db", "PSNR median [dB]", 2),
    Column("still_paths", "still paths"),
    Column("failures", "failures"),
    Column("seconds", "s/clip", 2),
)
IMAGINE_COLUMNS = (
    *_CYCLE_COLUMNS,
    Column("turn_deg", "own path: turn [deg]", 2),
    Column("length", "own path: reach", 3),
    Column("change", "video change, last to first", 3),
    Column("seed_turn_deg", "between seeds: turn [deg]", 2),
    Column("seed_length", "between seeds: distance", 3),
    Column("failures", "failures"),
    Column("seconds", "s/clip", 2),
)
_SIZE_NOTE = (
    "R_err, T_err: means over frames after frame 0, each path divided by its furthest distance "
    "from frame 0 (fixed scale: not divided, scene units)."
)


def _still(cameras: Cameras) -> bool:
    return not camera_metrics.frame_errors(cameras, cameras).moves


def loop_task(
    runner: Runner, clips: Sequence[EvalClip], progress: Progress
) -> tuple[Table, list[Row]]:
    """Evaluate `loop` on every clip, with or without known cameras.

    The first estimate stands for the truth. The row `identity` is a re-estimate that never moves:
    small numbers there mean that the first estimate hardly moved either.
    """
    scores: dict[str, list[PathScore]] = {"identity": [], "model": []}
    videos: dict[str, list[VideoScore]] = {"identity": [], "model": []}
    still = 0
    for index, clip in enumerate(clips):
        at_size = runner.fitted(clip)
        for seed in range(runner.settings.seeds):
            found = _loop_one(runner, at_size, index=index, seed=seed)
            still += _still(found[0])
            for row_id, cameras, video, seconds, failure in found[1]:
                result = PathResult(cameras, seconds, failure)
                scores[row_id].append(score_path(result, found[0], clip=clip.name, seed=seed))
                videos[row_id].append(
                    score_video(video, at_size, seed=seed, seconds=seconds, failure=failure)
                )
        progress("loop", index + 1, len(clips))
    settings = runner.settings
    labels = {
        "identity": "re-estimate stands still, first frame copied",
        "model": f"ours, {settings.default_estimate_steps} and "
        f"{settings.default_generate_steps} steps",
    }
    rows = [
        {"id": row_id, "label": labels[row_id], **_cycle_row(scores[row_id]), "still_paths": still}
        | {key: summarise_videos(videos[row_id])[key] for key in ("psnr_db", "psnr_median_db")}
        for row_id in scores
    ]
    notes = (
        "Path estimated, video generated along it from the first frame, path estimated again. PSNR "
        "on frames after frame 0 against the input at the model's size.",
        _SIZE_NOTE,
        "Still paths: clips and seeds whose first estimate reaches less than "
        f"{camera_metrics.MIN_BASELINE:g} scene units; their T_err is not divided.",
    )
    table = Table("loop", "Loop", LOOP_COLUMNS, tuple(rows), notes)
    return table, _records("loop", scores, videos)


def _loop_one(
    runner: Runner, clip: EvalClip, *, index: int, seed: int
) -> tuple[Cameras, list[tuple[str, Cameras, Tensor, float, str | None]]]:
    """Return the first estimate, and (row, re-estimate, video, seconds, failure) per row."""
    settings = runner.settings
    copy = copy_first_frame(clip.video)
    try:
        output, seconds = runner.timed(
            lambda: runner.pipe.loop(
                clip.video,
                fps=clip.fps,
                estimate_options=EstimateOptions(
                    num_inference_steps=settings.default_estimate_steps
                ),
                generate_options=GenerateOptions(
                    num_inference_steps=settings.default_generate_steps
                ),
                run=RunOptions(generator=runner.generator(index, seed)),
            )
        )
    except InputError as error:
        # A path of reach 1 against a still one is the worst that T_err can charge a moving path.
        first = _unit_step(len(clip.video), clip)
        answer = ("model", identity_cameras(first), copy, 0.0, str(error))
        return first, [("identity", identity_cameras(first), copy, 0.0, None), answer]
    first = output.estimated.cameras.to(dtype=torch.float64, device="cpu")
    again = output.reestimated.cameras.to(dtype=torch.float64, device="cpu")
    height, width = output.video.shape[-2:]
    at_size = ResizeCrop.nearest(height, width, runner.pipe.sizes)
    video = at_size.images(output.video.float().cpu())
    answer = ("model", again, video, seconds, None)
    return first, [("identity", identity_cameras(first), copy, 0.0, None), answer]


def _unit_step(num_frames: int, clip: EvalClip) -> Cameras:
    pose = torch.eye(4, dtype=torch.float64).repeat(num_frames, 1, 1)
    pose[1:, 0, 3] = 1.0
    height, width = clip.video.shape[-2:]
    focal = torch.full((num_frames, 2), float(width), dtype=torch.float64)
    return Cameras(pose, focal, focal / 2, height, width)


def _cycle_row(scores: Sequence[PathScore]) -> dict[str, object]:
    angle = torch.cat([score.pairs.rotation_deg for score in scores])

    def values(name: str) -> Float[Tensor, "n"]:
        return torch.tensor([getattr(score, name) for score in scores], dtype=torch.float64)

    return {
        "clips": len({score.clip for score in scores}),
        "seeds": len({score.seed for score in scores}),
        "r_err_rad": plain(mean(values("r_err_rad"))),
        "r_err_median_rad": plain(median(values("r_err_rad"))),
        "t_err": plain(mean(values("t_err"))),
        "t_err_median": plain(median(values("t_err"))),
        "t_err_fixed_scale": plain(mean(values("t_err_fixed_scale"))),
        "rotation_mean_deg": plain(mean(angle)),
        "rotation_median_deg": plain(median(angle)),
        "failures": sum(score.failure is not None for score in scores),
        "seconds": plain(mean(values("seconds"))),
    }


def _records(
    key: str, scores: dict[str, list[PathScore]], videos: dict[str, list[VideoScore]]
) -> list[Row]:
    return [
        {"table": key, "row": row_id, **path.to_dict(), "psnr_db": video.to_dict()["psnr_db"]}
        for row_id in scores
        for path, video in zip(scores[row_id], videos[row_id], strict=True)
    ]


def imagine_task(
    runner: Runner, clips: Sequence[EvalClip], progress: Progress
) -> tuple[Table, list[Row]]:
    """Evaluate `imagine` from every clip's first frame: the video against its own trajectory."""
    scores: dict[str, list[PathScore]] = {"identity": [], "model": []}
    changes, paths = [], []
    for index, clip in enumerate(clips):
        at_size = runner.fitted(clip)
        mine = []
        for seed in range(runner.settings.seeds):
            own, again, change = _imagine_one(runner, at_size, index=index, seed=seed)
            changes.append(change)
            mine.append(own)
            still = PathResult(identity_cameras(own), 0.0)
            scores["identity"].append(score_path(still, own, clip=clip.name, seed=seed))
            scores["model"].append(score_path(again, own, clip=clip.name, seed=seed))
        paths.append(mine)
        progress("imagine", index + 1, len(clips))
    spread = _spread(paths)
    labels = {
        "identity": "re-estimate stands still",
        "model": f"ours, {runner.settings.default_imagine_steps} steps, then "
        f"{runner.settings.default_generate_steps} along the path",
    }
    rows: list[Row] = [
        {"id": row_id, "label": labels[row_id], **_cycle_row(found)}
        for row_id, found in scores.items()
    ]
    rows[-1] = {**rows[-1], **spread, "change": plain(sum(changes) / len(changes))}
    notes = (
        "Video and path imagined together from the first frame, the video once more along the "
        "path; the path estimated from the video is compared with the imagined one.",
        _SIZE_NOTE,
        "Own path: largest turn and distance from frame 0. Between seeds: mean difference of the "
        "last camera over pairs of seeds of one image; near zero means always the same path.",
    )
    table = Table("imagine", "Imagine", IMAGINE_COLUMNS, tuple(rows), notes)
    records: list[Row] = [
        {"table": "imagine", "row": row_id, **score.to_dict()}
        for row_id, found in scores.items()
        for score in found
    ]
    return table, records


def _imagine_one(
    runner: Runner, clip: EvalClip, *, index: int, seed: int
) -> tuple[Cameras, PathResult, float]:
    """Return the imagined cameras, the re-estimate, and how much the video changes."""
    generator = runner.generator(index, seed)
    try:
        output, seconds = runner.timed(
            lambda: runner.pipe.imagine(
                clip.video[0],
                num_frames=len(clip.video),
                options=ImagineOptions(
                    num_inference_steps=runner.settings.default_imagine_steps,
                    video_steps=runner.settings.default_generate_steps,
                    max_upscale=1,
                ),
                run=RunOptions(generator=generator),
            )
        )
    except InputError as error:
        own = _unit_step(len(clip.video), clip)
        return own, PathResult(identity_cameras(own), 0.0, str(error)), 0.0
    own = output.trajectory.cameras.to(dtype=torch.float64, device="cpu")
    video = output.video.float().cpu()
    generator = runner.generator(index, 10_000 + seed)
    again = runner.estimate(video, own, generator=generator, estimate_depth=False)
    again = PathResult(again.cameras, seconds, again.failure)
    return own, again, float((video[-1] - video[0]).abs().mean())


def _spread(paths: Sequence[Sequence[Cameras]]) -> dict[str, object]:
    """Size of the imagined paths, and how far the last cameras of two seeds lie apart."""
    turn, length, seed_turn, seed_length = [], [], [], []
    for mine in paths:
        for cameras in mine:
            still = camera_metrics.frame_errors(identity_cameras(cameras), cameras)
            turn.append(float(still.rotation_rad.max().rad2deg()))
            length.append(float(still.translation_fixed_scale.max()))
        for first, second in itertools.combinations(mine, 2):
            apart = camera_metrics.frame_errors(first, second)
            seed_turn.append(float(apart.rotation_rad[-1].rad2deg()))
            seed_length.append(float(apart.translation_fixed_scale[-1]))
    named = {
        "turn_deg": turn,
        "length": length,
        "seed_turn_deg": seed_turn,
        "seed_length": seed_length,
    }
    return {name: plain(sum(v) / len(v)) if v else None for name, v in named.items()}
