"""Does a large spread mean a large error, and does averaging make the error smaller?

Two tables from the same runs: estimates averaged over noise seeds and over views of the clip
(mirrored, backwards); and how well what an estimate says about itself ranks its true errors.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.evaluation.clips import EvalClip, world_clips
from rays_as_pixels.evaluation.rank_correlation import ONE_SIGMA, error_per_spread, spearman
from rays_as_pixels.evaluation.runner import Progress, Runner
from rays_as_pixels.evaluation.scores import PathResult, PathScore, plain
from rays_as_pixels.evaluation.tables import Column, Row, Table
from rays_as_pixels.evaluation.tasks.estimate import baseline_scores, path_table, score_clip
from rays_as_pixels.geometry import camera_metrics
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.pipeline.flip_augmentation import AugmentedEstimate, combined, flips_of
from rays_as_pixels.pipeline.outputs import EstimateOutput, PoseSpread

FIT_SEED = 1 << 30  # of the training family, where training's own count never comes
SEEDS = (4, 8)
RUNS = ("seeds-1", "seeds-4", "seeds-8", "views-2", "views-4")
LABELS = {
    "seeds-1": "ours, 1 seed",
    "seeds-4": "ours, mean of 4 seeds",
    "seeds-8": "ours, mean of 8 seeds",
    "views-2": "ours, also mirrored",
    "views-4": "ours, also mirrored and backwards",
    "identity": "identity",
    "constant_velocity": "constant velocity (given step 0 to 1)",
}
SIGNALS = {  # name: (run whose errors it is to rank, label)
    "frame": ("views-4", "frame number (no look at the video)"),
    "turn": ("views-4", "size of the estimated turn"),
    "residual": ("seeds-1", "misfit of cameras and raxels"),
    "seeds-4": ("seeds-4", "spread over 4 seeds"),
    "seeds-8": ("seeds-8", "spread over 8 seeds"),
    "views-2": ("views-2", "spread over 2 views"),
    "views-4": ("views-4", "spread over 4 views"),
    "focal": ("views-4", "spread of the focal length over 4 views"),
}
RANK_COLUMNS = (
    Column("rho", "rank correlation, frames", 2),
    Column("rho_clips", "rank correlation, clips", 2),
    Column("rho_position", "the same for centres, frames", 2),
    Column("scale", "error per spread", 2),
    Column("covered", "errors below it, held out [%]", 1, percent=True),
)


@dataclass
class _Signal:
    """What one signal said and what the error was: a list entry per clip, frame 0 left out."""

    said: list[Tensor] = field(default_factory=list)
    said_position: list[Tensor] = field(default_factory=list)
    error_deg: list[Tensor] = field(default_factory=list)
    error_position: list[Tensor] = field(default_factory=list)

    def add(self, said: Tensor, said_position: Tensor, error: camera_metrics.FrameErrors) -> None:
        self.said.append(said.double()[1:])
        self.said_position.append(said_position.double()[1:])
        self.error_deg.append(error.rotation_rad.rad2deg())
        self.error_position.append(error.translation_fixed_scale)

    def row(self) -> dict[str, object]:
        clips = [torch.stack([v.mean() for v in values]) for values in (self.said, self.error_deg)]
        return {
            "rho": plain(spearman(torch.cat(self.said), torch.cat(self.error_deg))),
            "rho_clips": plain(spearman(*clips)),
            "rho_position": plain(
                spearman(torch.cat(self.said_position), torch.cat(self.error_position))
            ),
        }


@dataclass(frozen=True, eq=False)
class _Estimate:
    """One way to estimate a clip: what it said, and how long it took."""

    cameras: Cameras
    spread: PoseSpread | None
    residual: Tensor
    seconds: float


def spread_task(
    runner: Runner, clips: Sequence[EvalClip], progress: Progress
) -> list[tuple[Table, list[Row]]]:
    """Estimate every clip with 1, 4 and 8 seeds and from 2 and 4 views; see the module."""
    clips = [clip for clip in clips if clip.cameras is not None]
    scores: dict[str, list[PathScore]] = baseline_scores(clips)
    signals = {name: _Signal() for name in SIGNALS}
    for index, clip in enumerate(clips):
        answers = _from_views(runner, clip, index) | _from_seeds(runner, clip, index)
        for name in RUNS:
            result = PathResult(answers[name].cameras, answers[name].seconds)
            scores.setdefault(name, []).append(score_clip(result, clip))
        for name, (run, _) in SIGNALS.items():
            error = camera_metrics.frame_errors(answers[run].cameras, clip.trajectory().cameras)
            signals[name].add(*_said(name, answers[run]), error)
        progress("spread", index + 1, len(clips))
    averaging = path_table(
        "averaging",
        "Averaging over seeds and views",
        scores,
        labels=LABELS,
        notes=(f"{len(clips)} clips, {runner.settings.default_estimate_steps} steps.",),
    )
    scale, fitted = fit_scale(runner, max(1, len(clips) // 2), progress)
    return [averaging, _ranking(signals, scale, fitted)]


def fit_scale(runner: Runner, num_clips: int, progress: Progress) -> tuple[float, int]:
    """Fit degrees of error per degree of spread over 4 views, on worlds of the training family.

    Returns:
        The factor below which two of three errors lie, and the number of clips.
    """
    said, error = [], []
    worlds = world_clips(
        num_clips,
        num_frames=runner.pipe.num_frames,
        sizes=runner.pipe.sizes,
        first_seed=FIT_SEED,
        device=runner.pipe.device,
        split="train",
    )
    for index, clip in enumerate(worlds):
        answer = _from_views(runner, clip, index)["views-4"]
        errors = camera_metrics.frame_errors(answer.cameras, clip.trajectory().cameras)
        said.append(_said("views-4", answer)[0][1:])
        error.append(errors.rotation_rad.rad2deg())
        progress("fit spread", index + 1, num_clips)
    return error_per_spread(torch.cat(said), torch.cat(error)), num_clips


def _run(
    runner: Runner, video: Tensor, generator: torch.Generator, **options: Any
) -> tuple[EstimateOutput, float]:
    return runner.timed(
        lambda: runner.pipe.estimate(
            video,
            num_inference_steps=runner.settings.default_estimate_steps,
            generator=generator,
            progress=lambda *_: None,
            **options,
        )
    )


def _from_views(runner: Runner, clip: EvalClip, index: int) -> dict[str, _Estimate]:
    """Estimate from one, two and four views as the pipeline does, each view looked at once."""
    generator = runner.generator(index, 0)
    answers: list[AugmentedEstimate] = []
    found: dict[str, _Estimate] = {}
    spent = 0.0
    residual = torch.zeros(len(clip.video))
    for view in flips_of(4):
        output, seconds = _run(runner, view.video(clip.video), generator)
        spent += seconds
        residual = output.residual if not answers else residual
        answers.append(AugmentedEstimate.of_one(view, output.trajectory.cameras))
        if len(answers) in (1, 2, 4):
            cameras, spread = combined(answers)
            name = "seeds-1" if len(answers) == 1 else f"views-{len(answers)}"
            found[name] = _Estimate(cameras, spread, residual, spent)
    return found


def _from_seeds(runner: Runner, clip: EvalClip, index: int) -> dict[str, _Estimate]:
    found = {}
    for seeds in SEEDS:
        output, seconds = _run(runner, clip.video, runner.generator(index, 0), num_seeds=seeds)
        found[f"seeds-{seeds}"] = _Estimate(
            output.trajectory.cameras, output.spread, output.residual, seconds
        )
    return found


def _said(name: str, answer: _Estimate) -> tuple[Float[Tensor, "frames"], Float[Tensor, "frames"]]:
    """Return what a signal says of rotations (degrees where it can) and of centres, per frame."""
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
    assert answer.spread is not None
    if name == "focal":
        return answer.spread.focal_ratio, answer.spread.focal_ratio
    return answer.spread.rotation_rad.rad2deg(), answer.spread.position


def _ranking(signals: dict[str, _Signal], scale: float, fitted: int) -> tuple[Table, list[Row]]:
    rows: list[Row] = [
        {"id": name, "label": SIGNALS[name][1], **found.row()} for name, found in signals.items()
    ]
    views = signals["views-4"]
    below = torch.cat(views.error_deg) <= scale * torch.cat(views.said)
    covered = float(below.double().mean())
    rows = [
        {**row, "scale": scale, "covered": covered} if row["id"] == "views-4" else row
        for row in rows
    ]
    notes = (
        "Spearman's rank correlation between what an estimate says about itself and its rotation "
        "error against the truth: over all frames after frame 0 of all clips, and over the clips' "
        "means. The first two rows are the trivial answers: later frames and larger turns are "
        "more wrong.",
        f"Error per spread: fitted on {fitted} worlds of the training family, so that "
        f"{100 * ONE_SIGMA:.1f} % of the errors are below that many times the spread; the last "
        "column counts on the held-out worlds.",
        "Each signal is compared with the errors of the estimate it comes from.",
    )
    table = Table("spread", "Spread against error", RANK_COLUMNS, tuple(rows), notes)
    records: list[Row] = [
        {
            "table": "spread",
            "row": name,
            "said": [v.tolist() for v in found.said],
            "error_deg": [v.tolist() for v in found.error_deg],
        }
        for name, found in signals.items()
    ]
    return table, records
