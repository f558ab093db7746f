"""Two paths side by side: every number of `metrics` that needs no image, in one value."""

import math
from dataclasses import asdict, dataclass, replace

import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry import camera_metrics
from rays_as_pixels.geometry.trajectory import Trajectory

MATCHES = ("frame", "time")
MAX_FRAMES = 2000  # all pairs of more do not fit a small machine's memory


@dataclass(frozen=True)
class Comparison:
    """How far an estimated path is from the true one.

    Lengths are in the truth's unit. A number that is not defined is NaN.

    Attributes:
        frames: Number of frames compared.
        pairs: Number of frame pairs.
        pairs_without_baseline: Pairs whose true centres coincide, so that e_t is not defined.
        ate_sim3: Root mean square distance of the centres after the best similarity.
        ate_se3: The same after the best rigid motion.
        scale: Factor of that similarity, estimate to truth.
        straight: True where the centres lie on one line, so that the aligning rotation is not
            unique.
        rpe_rotation_deg: Mean angle of the error of steps from frame to frame.
        rpe_translation: Mean length of the error of steps, the estimate scaled by `scale`.
        e_r_mean_deg: Mean e_R over all pairs.
        e_r_median_deg: Median of it.
        e_t_mean_deg: Mean e_t over the pairs with a baseline.
        e_t_median_deg: Median of it.
        r_err_rad: Mean rotation error of a frame, both paths starting at the identity.
        t_err: Mean distance of a frame, each path divided by its furthest distance from frame 0.
        t_err_fixed_scale: The same with neither divided.
        focal_error: Mean of |f_est / f_true - 1| at one image size; NaN if the shapes differ.
    """

    frames: int
    pairs: int
    pairs_without_baseline: int
    ate_sim3: float
    ate_se3: float
    scale: float
    straight: bool
    rpe_rotation_deg: float
    rpe_translation: float
    e_r_mean_deg: float
    e_r_median_deg: float
    e_t_mean_deg: float
    e_t_median_deg: float
    r_err_rad: float
    t_err: float
    t_err_fixed_scale: float
    focal_error: float

    def to_dict(self) -> dict[str, float | int | bool | None]:
        """Return the numbers by name, undefined ones as None, ready for JSON."""
        return {key: None if math.isnan(value) else value for key, value in asdict(self).items()}

    def table(self) -> str:
        """Return the numbers as lines of text, each with its unit."""
        rows = [
            ("frames", f"{self.frames}", ""),
            ("ATE, Sim(3)", f"{self.ate_sim3:.6g}", "truth's unit, rmse"),
            ("ATE, SE(3)", f"{self.ate_se3:.6g}", "truth's unit, rmse"),
            ("scale", f"{self.scale:.6g}", "estimate to truth, of the Sim(3)"),
            ("RPE rotation", f"{self.rpe_rotation_deg:.6g}", "deg, mean at delta 1"),
            ("RPE translation", f"{self.rpe_translation:.6g}", "truth's unit, mean at delta 1"),
            ("e_R mean", f"{self.e_r_mean_deg:.6g}", f"deg, {self.pairs} pairs"),
            ("e_R median", f"{self.e_r_median_deg:.6g}", "deg"),
            ("e_t mean", f"{self.e_t_mean_deg:.6g}", self._e_t_note()),
            ("e_t median", f"{self.e_t_median_deg:.6g}", "deg"),
            ("R_err", f"{self.r_err_rad:.6g}", "rad, mean over frames after 0"),
            ("T_err", f"{self.t_err:.6g}", "each path over its furthest distance"),
            ("T_err, fixed scale", f"{self.t_err_fixed_scale:.6g}", "truth's unit"),
            ("focal error", f"{self.focal_error:.6g}", "mean of |f_est / f_true - 1|"),
        ]
        lines = [f"{name:<20}{value:>12}  {note}".rstrip() for name, value, note in rows]
        if self.straight:
            lines.append("The centres lie on one line: the alignment's rotation is not unique.")
        return "\n".join(lines)

    def _e_t_note(self) -> str:
        kept = self.pairs - self.pairs_without_baseline
        return f"deg, {kept} pairs; {self.pairs_without_baseline} without a baseline left out"


def compare(estimated: Trajectory, truth: Trajectory, *, match: str = "frame") -> Comparison:
    """Measure an estimated path against the true one.

    Args:
        estimated: Any world frame and scale.
        truth: Sets the unit of lengths.
        match: "frame" pairs frame i with frame i; "time" reads the estimate at the truth's times,
            both counted from their first frame, as far as both go.

    Raises:
        InputError: Different lengths with "frame", fewer than 2 or more than 2000 frames, or an
            unknown match.
    """
    estimated, truth = _matched(estimated, truth, match)
    cameras, true_cameras = estimated.cameras, truth.cameras
    pairs = camera_metrics.pair_errors(cameras, true_cameras)
    frames = camera_metrics.frame_errors(cameras, true_cameras)
    sim3 = camera_metrics.ate(cameras, true_cameras)
    se3 = camera_metrics.ate(cameras, true_cameras, with_scale=False)
    steps = camera_metrics.rpe(cameras, true_cameras, scale=sim3.scale)
    defined = pairs.translation_deg[pairs.baseline]
    return Comparison(
        frames=len(truth),
        pairs=len(pairs.rotation_deg),
        pairs_without_baseline=pairs.num_masked,
        ate_sim3=sim3.rmse,
        ate_se3=se3.rmse,
        scale=sim3.scale,
        straight=sim3.straight,
        rpe_rotation_deg=float(steps.rotation_deg.mean()),
        rpe_translation=float(steps.translation.mean()),
        e_r_mean_deg=float(pairs.rotation_deg.mean()),
        e_r_median_deg=float(pairs.rotation_deg.quantile(0.5)),
        e_t_mean_deg=float(defined.mean()),
        e_t_median_deg=float(defined.quantile(0.5)) if len(defined) else math.nan,
        r_err_rad=frames.r_err_rad,
        t_err=frames.t_err,
        t_err_fixed_scale=frames.t_err_fixed_scale,
        focal_error=_focal_error(estimated, truth),
    )


def _matched(estimated: Trajectory, truth: Trajectory, match: str) -> tuple[Trajectory, Trajectory]:
    """Return paths of which frame i belongs to frame i, or refuse them as `compare` says."""
    if match not in MATCHES:
        raise InputError(
            f"match must be frame or time; got {match!r}. Use frame for equal lengths."
        )
    if match == "time":
        estimated, truth = _matched_by_time(estimated, truth)
    elif len(estimated) != len(truth):
        raise InputError(
            f"both paths must have the same number of frames; got {len(estimated)} and "
            f"{len(truth)}. Match them by time instead, or resample one."
        )
    if len(truth) > MAX_FRAMES:
        raise InputError(
            f"paths must have {MAX_FRAMES} frames or fewer to compare all pairs; got {len(truth)}. "
            "Resample both."
        )
    return estimated, truth


def _matched_by_time(estimated: Trajectory, truth: Trajectory) -> tuple[Trajectory, Trajectory]:
    time, true_time = (path.times_sec - path.times_sec[0] for path in (estimated, truth))
    kept = int((true_time <= time[-1] + 1e-9).sum())
    from_zero = replace(estimated, time_sec=time)
    return from_zero.sampled_at(true_time[:kept].clamp(max=float(time[-1]))), truth[:kept]


def _focal_error(estimated: Trajectory, truth: Trajectory) -> float:
    sizes = [(path.cameras.height, path.cameras.width) for path in (estimated, truth)]
    (height, width), (true_height, true_width) = sizes
    if height * true_width != width * true_height:
        return math.nan
    resized = estimated.cameras.resized(height=true_height, width=true_width)
    return camera_metrics.focal_error(resized.to(dtype=torch.float64), truth.cameras)
