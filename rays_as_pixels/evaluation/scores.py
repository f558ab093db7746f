"""Scores of one estimated path, and their summary over many clips and seeds."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry import camera_metrics
from rays_as_pixels.geometry.cameras import Cameras


@dataclass(frozen=True)
class PathResult:
    """What a method answered for one clip.

    Attributes:
        cameras: (F,) estimated cameras; frame 0 is the world frame.
        seconds: Wall time of the method alone.
        failure: Why the method failed, or None. A failed clip keeps the poses that it was given in
            place of an answer and is scored with them.
        knows_intrinsics: True where the method was given the true focal length, so that its focal
            error means nothing.
        knows_scale: False where the method cannot know the length of its path (monocular
            structure from motion), so that its fixed-scale error means nothing.
        depth: (rows, columns) of what frame 0 shows, scene units; None where it was not found.
    """

    cameras: Cameras
    seconds: float
    failure: str | None = None
    knows_intrinsics: bool = False
    knows_scale: bool = True
    depth: Float[Tensor, "rows columns"] | None = None


@dataclass(frozen=True)
class PathScore:
    """One method on one clip with one seed; angles in degrees unless a name says otherwise.

    Lengths without `fixed` are free of the estimate's scale; `ate` and `rpe_translation` are in the
    truth's unit after the estimate was scaled by the Sim(3) fit.
    """

    clip: str
    seed: int
    pairs: camera_metrics.PairErrors
    r_err_rad: float
    t_err: float
    t_err_fixed_scale: float
    ate: float
    ate_straight: bool
    rpe_rotation_deg: float
    rpe_translation: float
    focal_error: float
    seconds: float
    failure: str | None

    def to_dict(self) -> dict[str, object]:
        """Return plain numbers for JSON; NaN, which JSON lacks, becomes None."""
        return {
            "clip": self.clip,
            "seed": self.seed,
            "rotation_mean_deg": plain(self.pairs.rotation_deg.mean().item()),
            "rotation_median_deg": plain(median(self.pairs.rotation_deg)),
            "translation_median_deg": plain(median(self.pairs.translation_deg)),
            "pairs": len(self.pairs.rotation_deg),
            "pairs_masked": self.pairs.num_masked,
            "mrra30": plain(camera_metrics.mrra(self.pairs)),
            "auc30": plain(camera_metrics.auc(self.pairs)),
            "r_err_rad": plain(self.r_err_rad),
            "t_err": plain(self.t_err),
            "t_err_fixed_scale": plain(self.t_err_fixed_scale),
            "ate": plain(self.ate),
            "ate_straight": self.ate_straight,
            "rpe_rotation_deg": plain(self.rpe_rotation_deg),
            "rpe_translation": plain(self.rpe_translation),
            "focal_error": plain(self.focal_error),
            "seconds": plain(self.seconds),
            "failure": self.failure,
        }


def plain(value: float | None) -> float | None:
    """Return a float that JSON can hold: None for NaN and infinity."""
    return None if value is None or not math.isfinite(value) else float(value)


def median(values: torch.Tensor) -> float:
    """Return the median of the defined values, the middle two averaged; NaN if there is none."""
    defined = values[~values.isnan()].double()
    return float(defined.quantile(0.5)) if len(defined) else math.nan


def mean(values: torch.Tensor) -> float:
    """Return the mean of the defined values; NaN if there is none."""
    return float(values[~values.isnan()].double().mean())


def score_path(
    result: PathResult, truth: Cameras, *, clip: str, seed: int, scale_known: bool = True
) -> PathScore:
    """Compare a method's answer with the true cameras of the same frames.

    Args:
        result: The answer.
        truth: (F,) true cameras.
        clip: Name of the clip.
        seed: Seed of the method's noise, 0 where it has none.
        scale_known: False where the truth is not in scene units, so that lengths cannot be
            compared at a fixed scale.
    """
    frames = camera_metrics.frame_errors(result.cameras, truth)
    aligned = camera_metrics.ate(result.cameras, truth)
    steps = camera_metrics.rpe(result.cameras, truth, scale=aligned.scale)
    fixed = frames.t_err_fixed_scale if scale_known and result.knows_scale else math.nan
    focal = (
        math.nan if result.knows_intrinsics else camera_metrics.focal_error(result.cameras, truth)
    )
    return PathScore(
        clip=clip,
        seed=seed,
        pairs=camera_metrics.pair_errors(result.cameras, truth),
        r_err_rad=frames.r_err_rad,
        t_err=frames.t_err,
        t_err_fixed_scale=fixed,
        ate=aligned.rmse,
        ate_straight=aligned.straight,
        rpe_rotation_deg=float(steps.rotation_deg.mean()),
        rpe_translation=float(steps.translation.square().mean().sqrt()),
        focal_error=focal,
        seconds=result.seconds,
        failure=result.failure,
    )


def summarise(scores: Sequence[PathScore], identity: Sequence[PathScore] = ()) -> dict[str, object]:
    """Put many clips and seeds into one row.

    Angles are pooled over all pairs of all clips and seeds; mRRA@30, RTA@15 and AUC@30 are means
    over clips; `worse_than_identity` counts clips whose mean rotation error exceeds identity's.

    Args:
        scores: One method.
        identity: The identity baseline on the same clips, any seeds; empty leaves the count out.
    """
    rotation = torch.cat([score.pairs.rotation_deg for score in scores])
    translation = torch.cat([score.pairs.translation_deg for score in scores])
    column = _Columns(scores)
    still = {score.clip: float(score.pairs.rotation_deg.mean()) for score in identity}
    by_clip: dict[str, list[float]] = {}
    for score in scores:
        by_clip.setdefault(score.clip, []).append(float(score.pairs.rotation_deg.mean()))
    worse = [sum(v) / len(v) > still[clip] + 1e-9 for clip, v in by_clip.items() if clip in still]
    return {
        "clips": len(by_clip),
        "seeds": len({score.seed for score in scores}),
        "rotation_mean_deg": plain(mean(rotation)),
        "rotation_median_deg": plain(median(rotation)),
        "mrra30": plain(mean(column.of(lambda s: camera_metrics.mrra(s.pairs)))),
        "rra5": plain(mean(column.of(lambda s: camera_metrics.rra(s.pairs, 5)))),
        "translation_mean_deg": plain(mean(translation)),
        "translation_median_deg": plain(median(translation)),
        "rta15": plain(mean(column.of(lambda s: camera_metrics.rta(s.pairs, 15)))),
        "auc30": plain(mean(column.of(lambda s: camera_metrics.auc(s.pairs)))),
        "pairs": len(rotation),
        "pairs_masked": int(translation.isnan().sum()),
        "r_err_rad": plain(mean(column.of(lambda s: s.r_err_rad))),
        "r_err_median_rad": plain(median(column.of(lambda s: s.r_err_rad))),
        "t_err": plain(mean(column.of(lambda s: s.t_err))),
        "t_err_median": plain(median(column.of(lambda s: s.t_err))),
        "t_err_fixed_scale": plain(mean(column.of(lambda s: s.t_err_fixed_scale))),
        "ate": plain(mean(column.of(lambda s: s.ate))),
        "ate_median": plain(median(column.of(lambda s: s.ate))),
        "ate_straight": sum(score.ate_straight for score in scores),
        "rpe_rotation_deg": plain(mean(column.of(lambda s: s.rpe_rotation_deg))),
        "rpe_translation": plain(mean(column.of(lambda s: s.rpe_translation))),
        "focal_error": plain(mean(column.of(lambda s: s.focal_error))),
        "focal_error_median": plain(median(column.of(lambda s: s.focal_error))),
        "failures": sum(score.failure is not None for score in scores),
        "worse_than_identity": sum(worse) if still else None,
        "seconds": plain(mean(column.of(lambda s: s.seconds))),
    }


class _Columns:
    """Read one number off every score."""

    def __init__(self, scores: Sequence[PathScore]) -> None:
        self._scores = scores

    def of(self, number: Callable[[PathScore], float]) -> torch.Tensor:
        return torch.tensor([float(number(score)) for score in self._scores], dtype=torch.float64)
