"""How far a camera path is from the truth: one definition of each number.

Paths are compared as `Cameras` of batch shape (F,). Rotation errors need no alignment; directions
are compared in the first camera of each pair, so neither needs a common world frame. Angles come
back in degrees where the name says so, lengths in the unit of the truth (scene units for rendered
worlds). A number that is undefined is NaN and its count is given: nothing is dropped unseen.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.align import umeyama
from rays_as_pixels.geometry.cameras import Cameras, invert_rigid
from rays_as_pixels.geometry.rotations import rotation_angle_rad

MIN_BASELINE = 1e-3  # shorter true baselines have no direction worth an angle, in truth units
NO_DIRECTION_DEG = 90.0  # charged to an estimate that stands still while the truth moves


def _check_pair(estimated: Cameras, truth: Cameras, at_least: int = 2) -> None:
    shape = estimated.batch_shape
    if shape != truth.batch_shape or len(shape) != 1 or shape[0] < at_least:
        raise InputError(
            f"estimated and true cameras must be two paths of the same {at_least} or more frames; "
            f"got batch shapes {shape} and {truth.batch_shape}. Match the paths by time first."
        )


def rotation_error_deg(
    estimated: Float[Tensor, "*batch 3 3"], truth: Float[Tensor, "*batch 3 3"]
) -> Float[Tensor, "*batch"]:
    """Return e_R = arccos((tr(R_est R_true^T) - 1) / 2) in degrees, [0, 180]."""
    return torch.rad2deg(rotation_angle_rad(estimated @ truth.transpose(-1, -2)))


def direction_error_deg(
    estimated: Float[Tensor, "*batch 3"], truth: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch"]:
    """Return the angle between two vectors in degrees, [0, 180]; 0 where either is zero.

    From atan2 of the cross and the dot product, which keeps its digits near 0 and 180 degrees.
    """
    cross = torch.linalg.cross(estimated, truth).norm(dim=-1)
    return torch.rad2deg(torch.atan2(cross, (estimated * truth).sum(-1)))


@dataclass(frozen=True)
class PairErrors:
    """Errors of the relative motion of every pair of frames i < j.

    Attributes:
        rotation_deg: (P,) e_R of each pair.
        translation_deg: (P,) e_t of each pair: angle between the relative translations; NaN where
            the true baseline is shorter than `min_baseline`, so that e_t is undefined.
        baseline: (P,) bool, True where e_t is defined.
    """

    rotation_deg: Float[Tensor, "pairs"]
    translation_deg: Float[Tensor, "pairs"]
    baseline: Bool[Tensor, "pairs"]

    @property
    def num_masked(self) -> int:
        """How many pairs have no e_t because the true camera did not move between the two."""
        return int((~self.baseline).sum())


def pair_errors(
    estimated: Cameras, truth: Cameras, *, min_baseline: float = MIN_BASELINE
) -> PairErrors:
    """Compare the relative motion of all frame pairs; invariant to world frame and to scale.

    Where the truth moves and the estimate does not (shorter than 1e-9), the estimate has no
    direction to compare: it is charged `NO_DIRECTION_DEG`, what a blind guess costs on average.

    Raises:
        InputError: The paths differ in length or have fewer than two frames.
    """
    _check_pair(estimated, truth)
    first, second = torch.triu_indices(*truth.batch_shape * 2, offset=1)
    motion = []
    for cameras in (estimated, truth):
        pose = cameras.world_from_cam.to(torch.float64)
        motion.append(invert_rigid(pose[first]) @ pose[second])
    rotation = rotation_error_deg(motion[0][:, :3, :3], motion[1][:, :3, :3])
    moved, true_moved = motion[0][:, :3, 3], motion[1][:, :3, 3]
    angle = direction_error_deg(moved, true_moved)
    angle = torch.where(moved.norm(dim=-1) < 1e-9, NO_DIRECTION_DEG, angle)
    baseline = true_moved.norm(dim=-1) > min_baseline
    return PairErrors(rotation, torch.where(baseline, angle, torch.nan), baseline)


def _share_below(error_deg: Float[Tensor, "pairs"], threshold_deg: int | float) -> float:
    defined = error_deg[~error_deg.isnan()]
    if not len(defined):
        return math.nan
    return float((defined < threshold_deg).double().mean())


def rra(errors: PairErrors, threshold_deg: int | float) -> float:
    """Relative rotation accuracy RRA@T: share of pairs with e_R < T degrees, in [0, 1]."""
    return _share_below(errors.rotation_deg, threshold_deg)


def rta(errors: PairErrors, threshold_deg: int | float) -> float:
    """Relative translation accuracy RTA@T: share of pairs with a baseline and e_t < T degrees."""
    return _share_below(errors.translation_deg, threshold_deg)


def mrra(errors: PairErrors, max_deg: int = 30) -> float:
    """Mean of RRA@T over T = 1, 2, ..., `max_deg` degrees, in [0, 1]."""
    return sum(rra(errors, t) for t in range(1, max_deg + 1)) / max_deg


def auc(errors: PairErrors, max_deg: int = 30) -> float:
    """AUC: mean over 1-degree bins of the share with max(e_R, e_t) below the bin's upper edge.

    Pairs without a baseline have no e_t and are left out (see `PairErrors.num_masked`).
    """
    worst = torch.maximum(errors.rotation_deg, errors.translation_deg)  # NaN stays NaN
    return sum(_share_below(worst, t) for t in range(1, max_deg + 1)) / max_deg


@dataclass(frozen=True)
class FrameErrors:
    """Errors of every frame after frame 0, both paths anchored at their frame 0.

    Attributes:
        rotation_rad: (F-1,) angle between the orientations.
        translation: (F-1,) distance between the centres, each path divided by its furthest
            distance from frame 0.
        translation_fixed_scale: (F-1,) the same with neither path divided, in the truth's unit.
        moves: False where the truth stands still, so that `translation` is not divided either.
    """

    rotation_rad: Float[Tensor, "frames"]
    translation: Float[Tensor, "frames"]
    translation_fixed_scale: Float[Tensor, "frames"]
    moves: bool

    @property
    def r_err_rad(self) -> float:
        """R_err: mean of `rotation_rad` over frames 1..F-1."""
        return float(self.rotation_rad.mean())

    @property
    def t_err(self) -> float:
        """T_err: mean of `translation` over frames 1..F-1."""
        return float(self.translation.mean())

    @property
    def t_err_fixed_scale(self) -> float:
        """T_err without normalisation: mean of `translation_fixed_scale`, in the truth's unit."""
        return float(self.translation_fixed_scale.mean())


def frame_errors(
    estimated: Cameras, truth: Cameras, *, min_extent: float = MIN_BASELINE
) -> FrameErrors:
    """Compare two paths frame by frame, as R_err and T_err do.

    Frame 0 is the anchor of both, its error is zero by construction, and it is left out of the
    means, where it could only flatter. Sums over frames (CameraCtrl's RotErr, TransErr) are another
    measure. Paths that stand still: where the truth's furthest distance from frame 0 is under
    `min_extent`, neither path is divided, so that noise is not blown up to size 1; where only the
    estimate stands still (under 1e-9), it stays at zero and is charged the truth's full motion.

    Raises:
        InputError: The paths differ in length or have fewer than two frames.
    """
    _check_pair(estimated, truth)
    pose = estimated.relative_to(0).world_from_cam.to(torch.float64)[1:]
    true_pose = truth.relative_to(0).world_from_cam.to(torch.float64)[1:]
    centre, true_centre = pose[:, :3, 3], true_pose[:, :3, 3]
    extent, true_extent = centre.norm(dim=-1).max(), true_centre.norm(dim=-1).max()
    moves = bool(true_extent > min_extent)
    unit = extent if moves and extent > 1e-9 else torch.ones_like(extent)
    true_unit = true_extent if moves else torch.ones_like(true_extent)
    return FrameErrors(
        torch.deg2rad(rotation_error_deg(pose[:, :3, :3], true_pose[:, :3, :3])),
        (centre / unit - true_centre / true_unit).norm(dim=-1),
        (centre - true_centre).norm(dim=-1),
        moves,
    )


@dataclass(frozen=True)
class TrajectoryError:
    """Absolute trajectory error.

    Attributes:
        rmse: Root mean square distance of the centres after alignment, in the truth's unit.
        scale: Factor the estimate was multiplied by.
        aligned_by: "sim3" or "se3", as done.
        straight: True where the centres lie on one line or spot, so that the aligning rotation is
            not unique; the error is the least one all the same.
    """

    rmse: float
    scale: float
    aligned_by: str
    straight: bool


def ate(
    estimated: Cameras, truth: Cameras, *, with_scale: bool = True, min_extent: float = MIN_BASELINE
) -> TrajectoryError:
    """Return the absolute trajectory error after Sim(3) (or SE(3)) alignment of the centres.

    Every path gets a number. Straight and still paths leave the rotation of the alignment open, but
    not the least squared distance itself, which is returned. A truth that stands still is aligned
    by SE(3) even where Sim(3) was asked for: a free scale would shrink any estimate to a point.

    Raises:
        InputError: The paths differ in length or have fewer than two frames.
    """
    _check_pair(estimated, truth)
    source = estimated.world_from_cam[:, :3, 3].to(torch.float64)
    target = truth.world_from_cam[:, :3, 3].to(torch.float64)
    with_scale = with_scale and bool((target - target[0]).norm(dim=-1).max() > min_extent)
    aligned_by = "sim3" if with_scale else "se3"
    try:
        fit = umeyama(source, target, with_scale=with_scale)
    except InputError:
        rmse, scale = _least_distance(source, target, with_scale=with_scale)
        return TrajectoryError(rmse, scale, aligned_by, straight=True)
    distance = (fit.apply(source) - target).norm(dim=-1)
    rmse = float(distance.square().mean().sqrt())
    return TrajectoryError(rmse, float(fit.scale), aligned_by, straight=False)


def _least_distance(
    source: Float[Tensor, "n 3"], target: Float[Tensor, "n 3"], *, with_scale: bool
) -> tuple[float, float]:
    """Umeyama's least rmse and its scale (Eqs. 33, 42), which exist without a unique rotation."""
    source, target = source - source.mean(0), target - target.mean(0)
    spread, target_spread = (source**2).sum(-1).mean(), (target**2).sum(-1).mean()
    singular = torch.linalg.svdvals(target.T @ source / len(source))
    # The third singular value is zero here, so the sign that keeps det R = +1 changes nothing.
    trace = singular.sum()
    scale = trace / spread if with_scale and spread > 0 else torch.ones_like(trace)
    squared = target_spread - 2 * scale * trace + scale**2 * spread
    return float(squared.clamp_min(0).sqrt()), float(scale)


@dataclass(frozen=True)
class StepErrors:
    """Relative pose errors of steps from frame i to i + 1: degrees, and the truth's unit."""

    rotation_deg: Float[Tensor, "steps"]
    translation: Float[Tensor, "steps"]


def rpe(estimated: Cameras, truth: Cameras, *, scale: float = 1.0) -> StepErrors:
    """Return relative pose errors at delta 1, E_i = (Q_i^-1 Q_i+1)^-1 (P_i^-1 P_i+1).

    Args:
        estimated: P.
        truth: Q.
        scale: Factor for the estimate's translations, for example `ate(...).scale`.

    Raises:
        InputError: The paths differ in length or have fewer than two frames.
    """
    _check_pair(estimated, truth)
    step = []
    for cameras in (estimated, truth):
        pose = cameras.world_from_cam.to(torch.float64)
        step.append(invert_rigid(pose[:-1]) @ pose[1:])
    step[0][:, :3, 3] *= scale
    error = invert_rigid(step[1]) @ step[0]
    return StepErrors(
        torch.rad2deg(rotation_angle_rad(error[:, :3, :3])), error[:, :3, 3].norm(dim=-1)
    )


def focal_error(estimated: Cameras, truth: Cameras) -> float:
    """Return the mean of |f_est / f_true - 1| over frames, fx and fy.

    Raises:
        InputError: The paths differ in length or the focal lengths belong to different image sizes.
    """
    _check_pair(estimated, truth, at_least=1)
    if (estimated.height, estimated.width) != (truth.height, truth.width):
        raise InputError(
            "focal lengths must belong to one image size; got "
            f"{estimated.height} x {estimated.width} and {truth.height} x {truth.width}. "
            "Use Cameras.resized first."
        )
    return float((estimated.focal_px / truth.focal_px - 1).abs().mean())
