"""Keyframes to trajectories. The editor's JavaScript repeats this arithmetic on golden vectors.

How a path is read at time t:

1.  Consecutive keys i, i+1 are `h_i = sqrt(distance)` apart, where distance adds up the centre's
    way in scene units, the angle between the rotations and the change of the field of view, both
    in radians. One scene unit away, a radian moves the picture about as far as one unit does, so
    the sum is fair. For pure moves this is the centripetal Catmull-Rom knot distance.
2.  The segment's own parameter w in [0, 1] comes from the time by the easing of the key at its
    start. "smooth" runs a monotone cubic (PCHIP) through the points (t_i, h_0 + ... + h_{i-1}), so
    that speed is continuous across keys; the other easings act within their segment.
3.  The centre is the cubic Hermite curve in w with end slopes from the position mode.
4.  The rotation is slerp or SQUAD in w, with inner controls that make the turn rate continuous for
    uneven h; or it aims at a point. The field of view (and roll) is a PCHIP in h: no overshoot.
5.  With speed="constant" equal times cover equal lengths of the centre's way, measured along 1024
    chords per segment at even steps of w: keys are still met, though not at their times.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import (
    quaternion_wxyz_from_rotation,
    rotation_angle_rad,
    rotation_from_quaternion_wxyz,
    rotation_from_vector,
)
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories import curves
from rays_as_pixels.trajectories.easing import EASINGS
from rays_as_pixels.trajectories.keyframes import SMOOTH, Keyframe, SplineOptions
from rays_as_pixels.trajectories.look_at import look_at_rotation
from rays_as_pixels.trajectories.quaternions import (
    conjugate_wxyz,
    continuous_wxyz,
    exp_wxyz,
    log_wxyz,
    multiply_wxyz,
    slerp_wxyz,
    squad_wxyz,
)

__all__ = ["Keyframe", "SplineOptions", "trajectory_from_keyframes"]

_LEAST_STEP_SEC = 1e-6  # closer keys leave no room for a frame and make speeds meaningless
_SAME_KEY = 1e-12  # pose distance below which two keys are one place: rounding stays below 1e-15
_CHORDS = 1024  # per segment, to measure lengths: speed within 0.3 % on hairpins
_MOST_CHORDS = 2_000_000  # altogether, so that thousands of keys still fit into memory


def trajectory_from_keyframes(
    keyframes: Sequence[Keyframe],
    *,
    num_frames: int,
    fps: float,
    height: int,
    width: int,
    options: SplineOptions | None = None,
) -> Trajectory:
    """Read a path through keyframes at equally spaced times, the first and last key included.

    The frames cover the keys' whole time whatever `fps` is: frame i is read at
    `t_first + (t_last - t_first) * i / (num_frames - 1)`. Choose
    `num_frames = 1 + fps * (t_last - t_first)` to play it at the keys' own pace. One keyframe is
    held for the whole clip; two are joined by a straight move. Keys at one place make the camera
    rest there. The world is the keyframes' own; `.reanchored()` makes frame 0 the identity.

    Args:
        keyframes: In order of time, 1 or more.
        num_frames: Number of cameras; 1 gives the first keyframe.
        fps: Frames per second of the result.
        height: Image height, in pixels.
        width: Image width, in pixels.
        options: How keys are joined; None takes the defaults.

    Raises:
        InputError: No keyframe, times that do not increase by more than 1e-6 s, a pose that is
            not rigid, a look-at point on the path, or a turn on the spot at constant speed.
    """
    options = options or SplineOptions()
    if num_frames < 1:
        raise InputError(f"num_frames must be 1 or more; got {num_frames}. Use 9 to start with.")
    _check_keyframes(keyframes)
    path = _Path.through(keyframes, options)
    shares = torch.linspace(0, 1, num_frames, dtype=torch.float64)
    if len(path.time_sec) == 1:
        segment, weight = torch.zeros(num_frames, dtype=torch.long), shares * 0
    elif options.speed == "constant":
        segment, weight = path.constant_speed(shares)
    else:
        segment, weight = path.paced(shares)
    pose, hfov_rad = path.at(segment, weight)
    focal = (width / (2 * torch.tan(hfov_rad / 2)))[:, None].expand(-1, 2)
    center = focal.new_tensor([width / 2, height / 2]).expand(num_frames, 2)
    return Trajectory(Cameras(pose, focal, center, height, width), fps)


def _check_keyframes(keyframes: Sequence[Keyframe]) -> None:
    if not keyframes:
        raise InputError("keyframes must hold 1 or more; got 0. Add a keyframe at the first view.")
    for index, (early, late) in enumerate(pairwise(keyframes)):
        if not late.time_sec - early.time_sec > _LEAST_STEP_SEC:
            raise InputError(
                f"keyframe times must increase by more than {_LEAST_STEP_SEC:g} s; got "
                f"{early.time_sec:.9g} s and then {late.time_sec:.9g} s at keyframe {index + 1}. "
                "Sort the keyframes, or remove one of the two."
            )
    for index, key in enumerate(keyframes):
        if tuple(key.world_from_cam.shape) != (4, 4):
            raise InputError(
                f"world_from_cam must be 4x4; got shape {tuple(key.world_from_cam.shape)} at "
                f"keyframe {index}. Add the row 0 0 0 1 to a 3x4 pose."
            )
    pose = torch.stack([key.world_from_cam for key in keyframes])
    ones = torch.ones(len(keyframes), 2)
    Cameras(pose, ones, ones, 1, 1)  # refuses a pose that is not rigid and names the keyframe


@dataclass(frozen=True, eq=False)
class _Path:
    """A curve through n keys (a closed one repeats the first at the end).

    `gap` holds the n-1 knot distances h; `centre_slopes` and `controls` hold for each segment the
    value at its start and at its end.
    """

    options: SplineOptions
    easing: tuple[str, ...]
    time_sec: Float[Tensor, "n"]
    centre: Float[Tensor, "n 3"]
    wxyz: Float[Tensor, "n 4"]
    hfov_rad: Float[Tensor, "n"]
    roll_rad: Float[Tensor, "n"]
    gap: Float[Tensor, "m"]
    centre_slopes: tuple[Tensor, Tensor]
    controls: tuple[Tensor, Tensor]

    @classmethod
    def through(cls, keyframes: Sequence[Keyframe], options: SplineOptions) -> "_Path":
        """Work out the knots, slopes and controls once for all frames."""
        keys = list(keyframes)
        time = torch.tensor([key.time_sec for key in keys], dtype=torch.float64)
        if options.closed and len(keys) > 1:
            mean = float(time[-1] - time[0]) / (len(keys) - 1)
            time = torch.cat([time, time[-1:] + (options.closing_sec or mean)])
            keys.append(keys[0])
        pose = torch.stack([key.world_from_cam for key in keys]).to(torch.float64)
        centre = pose[:, :3, 3]
        hfov = torch.deg2rad(torch.tensor([key.hfov_deg for key in keys], dtype=torch.float64))
        roll = torch.deg2rad(torch.tensor([key.roll_deg for key in keys], dtype=torch.float64))
        rotation = pose[:, :3, :3]
        if options.look_at is not None:
            rotation = _aimed(centre, roll, options.look_at)
        turn = rotation_angle_rad(rotation[:-1].transpose(-1, -2) @ rotation[1:])
        distance = centre.diff(dim=0).norm(dim=-1) + turn + hfov.diff().abs()
        gap = torch.where(distance < _SAME_KEY, 0.0, distance.sqrt())
        wxyz = continuous_wxyz(quaternion_wxyz_from_rotation(rotation))
        closed = options.closed
        return cls(
            options,
            tuple(key.easing for key in keys),
            time,
            centre,
            wxyz,
            hfov,
            roll,
            gap,
            curves.centre_slopes(keys, centre, gap, options),
            _squad_controls(wxyz, gap, closed=closed),
        )

    def paced(self, shares: Float[Tensor, "n"]) -> tuple[Tensor, Tensor]:
        """Return the segment and weight after each share of the whole time (step 2)."""
        time = torch.lerp(self.time_sec[0], self.time_sec[-1], shares)
        segment = (torch.searchsorted(self.time_sec, time, right=True) - 1).clamp(
            0, len(self.gap) - 1
        )
        spans = self.time_sec.diff()
        tau = ((time - self.time_sec[segment]) / spans[segment]).clamp(0, 1)
        slope = curves.pchip_rates(self.gap, spans, closed=self.options.closed)
        gap = self.gap[segment]
        zero = torch.zeros_like(gap)
        slopes = (spans[segment] * slope[segment], spans[segment] * slope[segment + 1])
        reached = curves.hermite((zero, gap), slopes, tau)
        weight = torch.where(gap > 0, reached / torch.where(gap > 0, gap, 1.0), tau).clamp(0, 1)
        for index, name in enumerate(self.easing[:-1]):
            if name != SMOOTH:
                weight = torch.where(segment == index, EASINGS[name](tau), weight)
        return segment, weight

    def at(
        self, segment: Int[Tensor, "n"], weight: Float[Tensor, "n"]
    ) -> tuple[Float[Tensor, "n 4 4"], Float[Tensor, "n"]]:
        """Return poses and horizontal fields of view (radians) inside segments."""
        if len(self.time_sec) == 1:
            rotation = rotation_from_quaternion_wxyz(self.wxyz[segment])
            return rigid(rotation, self.centre[segment]), self.hfov_rad[segment]
        pose = rigid(self._rotation(segment, weight), self._centre(segment, weight))
        return pose, self._scalar(self.hfov_rad, segment, weight)

    def _centre(self, segment: Tensor, weight: Tensor) -> Tensor:
        ends = (self.centre[segment], self.centre[segment + 1])
        slopes = (self.centre_slopes[0][segment], self.centre_slopes[1][segment])
        return curves.hermite(ends, slopes, weight)

    def _rotation(self, segment: Tensor, weight: Tensor) -> Tensor:
        if self.options.look_at is not None:
            roll = self._scalar(self.roll_rad, segment, weight)
            return _aimed(self._centre(segment, weight), roll, self.options.look_at)
        keys = (self.wxyz[segment], self.wxyz[segment + 1])
        if self.options.rotation == "slerp":
            return rotation_from_quaternion_wxyz(slerp_wxyz(*keys, weight))
        controls = (self.controls[0][segment], self.controls[1][segment])
        return rotation_from_quaternion_wxyz(squad_wxyz(keys, controls, weight))

    def _scalar(self, value: Tensor, segment: Tensor, weight: Tensor) -> Tensor:
        slope = curves.pchip_rates(value.diff(), self.gap, closed=self.options.closed)
        gap = self.gap[segment]
        slopes = (gap * slope[segment], gap * slope[segment + 1])
        return curves.hermite((value[segment], value[segment + 1]), slopes, weight)

    def constant_speed(self, shares: Float[Tensor, "n"]) -> tuple[Tensor, Tensor]:
        """Return the segment and weight after each share of the whole length (step 5).

        A path whose centre never moves is read at constant turn rate; one that neither moves nor
        turns is read at its keys' times.
        """
        segments = len(self.gap)
        chords = max(32, min(_CHORDS, _MOST_CHORDS // segments))
        steps = torch.linspace(0, 1, chords + 1, dtype=torch.float64)
        segment = torch.arange(segments).repeat_interleave(chords + 1)
        weight = steps.repeat(segments)
        centre = self._centre(segment, weight).unflatten(0, (segments, chords + 1))
        length = centre.diff(dim=1).norm(dim=-1)
        rotation = self._rotation(segment, weight).unflatten(0, (segments, chords + 1))
        turn = rotation_angle_rad(rotation[:, :-1].transpose(-1, -2) @ rotation[:, 1:])
        if length.sum() < 1e-9:
            if turn.sum() < 1e-9:
                return self.paced(shares)
            length = turn
        on_the_spot = (length.sum(1) < 1e-6 * length.sum()) & (turn.sum(1) > 1e-6)
        if bool(on_the_spot.any()):
            bad = int(on_the_spot.nonzero()[0])
            raise InputError(
                "every segment must move the camera at constant speed; got a turn on the spot of "
                f"{torch.rad2deg(turn[bad].sum()).item():.3g} degrees after keyframe {bad}. "
                "Use speed 'keys', or move one of its two keyframes."
            )
        return _spread_evenly(length, shares)


def _spread_evenly(
    length: Float[Tensor, "segments chords"], shares: Float[Tensor, "n"]
) -> tuple[Tensor, Tensor]:
    """Return the segment and weight at each share of the summed length of all chords."""
    chords = length.shape[1]
    flat = length.flatten()
    reached = torch.cat([flat.new_zeros(1), flat.cumsum(0)])
    wanted = shares * reached[-1]
    cell = (torch.searchsorted(reached, wanted, right=True) - 1).clamp(0, len(flat) - 1)
    part = flat[cell]
    inside = torch.where(part > 0, (wanted - reached[cell]) / part.clamp_min(1e-300), 1.0)
    return cell // chords, (cell % chords + inside.clamp(0, 1)) / chords


def _aimed(
    centre: Float[Tensor, "n 3"], roll_rad: Float[Tensor, "n"], point: tuple[float, float, float]
) -> Float[Tensor, "n 3 3"]:
    """Face a point, leaning clockwise by the roll."""
    facing = look_at_rotation(centre, centre.new_tensor([point]))
    return facing @ rotation_from_vector(roll_rad[:, None] * centre.new_tensor([0.0, 0.0, 1.0]))


def _squad_controls(
    wxyz: Float[Tensor, "n 4"], gap: Float[Tensor, "m"], *, closed: bool
) -> tuple[Tensor, Tensor]:
    """Return SQUAD's inner quaternions at the start and at the end of every segment.

    The slope of SQUAD by weight at its start is log(q0^-1 q1) + 2 log(q0^-1 s0), and the same at
    its end. Asking for `gap` times a common turn rate on both sides of a key gives s; for even
    gaps this is Shoemake's exp(-(log(q^-1 q_next) + log(q^-1 q_before)) / 4).
    """
    if len(wxyz) == 1:
        return wxyz, wxyz
    step = log_wxyz(multiply_wxyz(conjugate_wxyz(wxyz[:-1]), wxyz[1:]))
    rate = curves.catmull_rom_rates(step, gap, closed=closed)
    start = (gap[:, None] * rate[:-1] - step) / 2
    end = (step - gap[:, None] * rate[1:]) / 2
    return multiply_wxyz(wxyz[:-1], exp_wxyz(start)), multiply_wxyz(wxyz[1:], exp_wxyz(end))
