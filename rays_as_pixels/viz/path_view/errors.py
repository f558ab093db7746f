"""How far two paths are apart, frame by frame: what the view draws beside the scene."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.camera_metrics import frame_errors
from rays_as_pixels.geometry.trajectory import Trajectory


@dataclass(frozen=True)
class PathErrors:
    """Differences of two paths at the frames of the first, both anchored at their frame 0.

    Attributes:
        frames: How many frames, from frame 0, both paths cover.
        rotation_deg: (frames,) angle between the orientations; 0 at frame 0 by construction.
        translation: (frames,) distance between the centres, scene units, neither path scaled.
        r_err_deg: Mean of `rotation_deg` after frame 0: R_err, in degrees.
        t_err: T_err: as `translation`, but each path divided by its furthest distance.
        t_err_fixed_scale: Mean of `translation` after frame 0, scene units.
    """

    frames: int
    rotation_deg: Float[Tensor, "frames"]
    translation: Float[Tensor, "frames"]
    r_err_deg: float
    t_err: float
    t_err_fixed_scale: float


def path_errors(main: Trajectory, other: Trajectory) -> PathErrors:
    """Compare a path with another, frame by frame (`metrics.frame_errors`).

    Paths of the same length are compared frame i with frame i. Otherwise the other is read at the
    times of the first, both counted from their first frame, as far as both go.

    Raises:
        InputError: Fewer than two frames lie within both paths.
    """
    if len(main) != len(other):
        main, other = _at_common_times(main, other)
    if len(main) < 2:
        raise InputError(
            f"paths must share 2 or more frames to be compared; got {len(main)}. "
            "Compare paths that last as long as each other."
        )
    errors = frame_errors(other.cameras, main.cameras)
    start = torch.zeros(1, dtype=torch.float64)
    return PathErrors(
        len(main),
        torch.cat([start, torch.rad2deg(errors.rotation_rad).to(torch.float64)]),
        torch.cat([start, errors.translation_fixed_scale.to(torch.float64)]),
        float(torch.rad2deg(errors.rotation_rad).mean()),
        errors.t_err,
        errors.t_err_fixed_scale,
    )


def _at_common_times(main: Trajectory, other: Trajectory) -> tuple[Trajectory, Trajectory]:
    time, other_time = (path.times_sec - path.times_sec[0] for path in (main, other))
    kept = int((time <= other_time[-1] + 1e-9).sum())
    from_zero = replace(other, time_sec=other_time)
    return main[:kept], from_zero.sampled_at(time[:kept].clamp(max=float(other_time[-1])))
