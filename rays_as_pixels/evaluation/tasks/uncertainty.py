"""Does a large uncertainty mean a large error, and does averaging make the error smaller?

Two tables from the same runs: estimates averaged over noise seeds and over flips of the clip
(mirrored, backwards); and how well the uncertainty of an estimate ranks its true errors.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.evaluation.clips import EvalClip, world_clips
from rays_as_pixels.evaluation.rank_correlation import ONE_SIGMA, calibration_factor, spearman
from rays_as_pixels.evaluation.scores import PathResult, PathScore, plain
from rays_as_pixels.evaluation.tables import Column, Row, Table
from rays_as_pixels.evaluation.tasks.estimate import baseline_scores, path_table, score_clip
from rays_as_pixels.evaluation.tasks.runner import Progress, Runner
from rays_as_pixels.geometry import camera_metrics
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.pipeline.flip_augmentation import (
    AugmentedEstimate,
    average_flips,
    flips_to_average,
)
from rays_as_pixels.pipeline.options import EstimateOptions, RunOptions
from rays_as_pixels.pipeline.outputs import EstimateOutput, PoseStd

FIT_SEED = 1 << 30  # of the training family, where training's own count never comes
SEEDS = (4, 8)
RUNS = ("seeds-1", "seeds-4", "seeds-8", "flips-2", "flips-4")
LABELS = {
    "seeds-1": "ours, 1 seed",
    "seeds-4": "ours, mean of 4 seeds",
    "seeds-8": "ours, mean of 8 seeds",
    "flips-2": "ours, also mirrored",
    "flips-4": "ours, also mirrored and backwards",
    "identity": "identity",
    "constant_velocity": "constant velocity (given step 0 to 1)",
}
SIGNALS = {  # name: (run whose errors it is to rank, label)
    "frame": ("flips-4", "frame number (no look at the video)"),
    "turn": ("flips-4", "size of the estimated turn"),
    "residual": ("seeds-1", "misfit of cameras and raxels"),
    "seeds-4": ("seeds-4", "uncertainty over 4 seeds"),
    "seeds-8": ("seeds-8", "uncertainty over 8 seeds"),
    "flips-2": ("flips-2", "uncertainty over 2 flips"),
    "flips-4": ("flips-4", "uncertainty over 4 flips"),
    "focal": ("flips-4", "uncertainty of the focal length over 4 flips"),
}
RANK_COLUMNS = (
    Column("rho", "rank correlation, frames", 2),
    Column("rho_clips", "rank correlation, clips", 2),
    Column("rho_position", "the same for centres, frames", 2),
    Column("scale", "error per uncertainty", 2),
    Column("covered", "errors below it, held out [%]", 1, percent=True),
)


@dataclass
class _Signal:
    """What one signal predicts and what the error is: a list entry per clip, without frame 0."""

    predicted: list[Tensor] = field(default_factory=list)
    predicted_position: list[Tensor] = field(default_factory=list)
    error_deg: list[Tensor] = field(default_factory=list)
    error_position: list[Tensor] = field(default_factory=list)

    def add(
        self, predicted: Tensor, predicted_position: Tensor, error: camera_metrics.FrameErrors
    ) -> None:
        self.predicted.append(predicted.double()[1:])
        self.predicted_position.append(predicted_position.double()[1:])
        self.error_deg.append(error.rotation_rad.rad2deg())
        self.error_position.append(error.translation_fixed_scale)

    def row(self) -> dict[str, object]:
        clips = [
            torch.stack([v.mean() for v in values]) for values in (self.predicted, self.error_deg)
        ]
        return {
            "rho": plain(spearman(torch.cat(self.predicted), torch.cat(self.error_deg))),
            "rho_clips": plain(spearman(*clips)),
            "rho_position": plain(
                spearman(torch.cat(self.predicted_position), torch.cat(self.error_position))
            ),
        }


@dataclass(frozen=True, eq=False)
class _Estimate:
    """One way to estimate a clip: its result, and how long it took."""

    cameras: Cameras
    pose_std: PoseStd | None
    residual: Tensor
    seconds: float


def uncertainty_task(
    runner: Runner, clips: Sequence[EvalClip], progress: Progress
) -> list[tuple[Table, list[Row]]]:
    """Estimate every clip with 1, 4 and 8 seeds and from 2 and 4 flips; see the module."""
    clips = [clip for clip in clips if clip.cameras is not None]
    scores: dict[str, list[PathScore]] = baseline_scores(clips)
    signals = {name: _Signal() for name in SIGNALS}
    for index, clip in enumerate(clips):
        answers = _from_flips(runner, clip, index) | _from_seeds(runner, clip, index)
        for name in RUNS:
            result = PathResult(answers[name].cameras, answers[name].seconds)
            scores.setdefault(name, []).append(score_clip(result, clip))
        for name, (run, _) in SIGNALS.items():
            error = camera_metrics.frame_errors(answers[run].cameras, clip.trajectory().cameras)
            signals[name].add(*_signal_values(name, answers[run]), error)
        progress("uncertainty", index + 1, len(clips))
    averaging = path_table(
        "averaging",
        "Averaging over seeds and flips",
        scores,
        labels=LABELS,
        notes=(f"{len(clips)} clips, {runner.settings.default_estimate_steps} steps.",),
    )
    scale, fitted = fit_scale(runner, max(1, len(clips) // 2), progress)
    return [averaging, _ranking(signals, scale, fitted)]


def fit_scale(runner: Runner, num_clips: int, progress: Progress) -> tuple[float, int]:
    """Fit error over uncertainty of 4 flips, in degrees, on worlds of the training family.

    Returns:
        The factor below which two of three errors lie, and the number of clips.
    """
    predicted, error = [], []
    worlds = world_clips(
        num_clips,
        num_frames=runner.pipe.num_frames,
        sizes=runner.pipe.sizes,
        first_seed=FIT_SEED,
        device=runner.pipe.device,
        split="train",
    )
    for index, clip in enumerate(worlds):
        answer = _from_flips(runner, clip, index)["flips-4"]
        errors = camera_metrics.frame_errors(answer.cameras, clip.trajectory().cameras)
        predicted.append(_signal_values("flips-4", answer)[0][1:])
        error.append(errors.rotation_rad.rad2deg())
        progress("fit uncertainty", index + 1, num_clips)
    return calibration_factor(torch.cat(predicted), torch.cat(error)), num_clips


def _run(
    runner: Runner, video: Tensor, generator: torch.Generator, *, num_samples: int = 1
) -> tuple[EstimateOutput, float]:
    return runner.timed(
        lambda: runner.pipe.estimate(
            video,
            options=EstimateOptions(
                num_inference_steps=runner.settings.default_estimate_steps, num_samples=num_samples
            ),
            run=RunOptions(generator=generator, progress=lambda *_: None),
        )
    )


def _from_flips(runner: Runner, clip: EvalClip, index: int) -> dict[str, _Estimate]:
    """Estimate from one, two and four flips as the pipeline does, each estimated once."""
    generator = runner.generator(index, 0)
    answers: list[AugmentedEstimate] = []
    found: dict[str, _Estimate] = {}
    spent = 0.0
    residual = torch.zeros(len(clip.video))
    for view in flips_to_average(4):
        output, seconds = _run(runner, view.video(clip.video), generator)
        spent += seconds
        residual = output.residual if not answers else residual
        answers.append(AugmentedEstimate.of_one_sample(view, output.trajectory.cameras))
        if len(answers) in (1, 2, 4):
            cameras, pose_std = average_flips(answers)
            name = "seeds-1" if len(answers) == 1 else f"flips-{len(answers)}"
            found[name] = _Estimate(cameras, pose_std, residual, spent)
    return found


def _from_seeds(runner: Runner, clip: EvalClip, index: int) -> dict[str, _Estimate]:
    found = {}
    for seeds in SEEDS:
        output, seconds = _run(runner, clip.video, runner.generator(index, 0), num_samples=seeds)
        found[f"seeds-{seeds}"] = _Estimate(
            output.trajectory.cameras, output.pose_std, output.residual, seconds
        )
    return found


def _signal_values(
    name: str, answer: _Estimate
) -> tuple[Float[Tensor, "frames"], Float[Tensor, "frames"]]:
    """Return a signal's values per frame, for rotations (degrees if it has units) and centres."""
    cameras = answer.cameras
    if name == "frame":
        number = torch.arange(len(answer.residual), dtype=torch.float64)
        return number, number
    if name == "turn":
        turn = camera_metrics.rotation_error_deg(
            cameras.world_from_cam[:, :3, :3], torch.eye(3).double()
        )
        return turn, cameras.world_from_cam[:, :3, 3].norm(dim=-1)
    if name == "residual":
        return answer.residual, answer.residual
    assert answer.pose_std is not None
    if name == "focal":
        return answer.pose_std.focal_ratio, answer.pose_std.focal_ratio
    return answer.pose_std.rotation_rad.rad2deg(), answer.pose_std.position


def _ranking(signals: dict[str, _Signal], scale: float, fitted: int) -> tuple[Table, list[Row]]:
    rows: list[Row] = [
        {"id": name, "label": SIGNALS[name][1], **found.row()} for name, found in signals.items()
    ]
    flips = signals["flips-4"]
    below = torch.cat(flips.error_deg) <= scale * torch.cat(flips.predicted)
    covered = float(below.double().mean())
    rows = [
        {**row, "scale": scale, "covered": covered} if row["id"] == "flips-4" else row
        for row in rows
    ]
    notes = (
        "Spearman's rank correlation between a signal of the estimate and its rotation "
        "error against the truth: over all frames after frame 0 of all clips, and over the clips' "
        "means. The first two rows are the trivial answers: later frames and larger turns are "
        "more wrong.",
        f"Error per uncertainty: fitted on {fitted} worlds of the training family, so that "
        f"{100 * ONE_SIGMA:.1f} % of the errors are below that many times the uncertainty; the "
        "last column counts on the held-out worlds.",
        "Each signal is compared with the errors of the estimate it comes from.",
    )
    table = Table("uncertainty", "Uncertainty against error", RANK_COLUMNS, tuple(rows), notes)
    records: list[Row] = [
        {
            "table": "uncertainty",
            "row": name,
            "predicted": [v.tolist() for v in found.predicted],
            "error_deg": [v.tolist() for v in found.error_deg],
        }
        for name, found in signals.items()
    ]
    return table, records
