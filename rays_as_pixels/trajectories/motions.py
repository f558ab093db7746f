"""What each preset does: from progress along the move to camera centres, rotations and zoom.

Axes are OpenCV's: +X right, +Y down, +Z forward. Every motion is the identity at progress 0.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.trajectories.look_at import look_at_rotation

TURN = 2 * math.pi
RIGHT, UP, FORWARD = (1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0)
LEFT, DOWN, BACK = (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0)


@dataclass(frozen=True)
class MotionInput:
    """What a motion is asked for.

    Attributes:
        progress: (F,) share of the move that is done, 0 to 1, easing already applied.
        amount: In degrees or scene units, as the preset states.
        pivot_depth: Distance of the subject in front of frame 0, in scene units.
        hfov_deg: Horizontal field of view of frame 0.
    """

    progress: Float[Tensor, "frames"]
    amount: float
    pivot_depth: float
    hfov_deg: float

    @property
    def angle_rad(self) -> Float[Tensor, "frames"]:
        """`amount` in radians, growing with progress."""
        return self.progress * math.radians(self.amount)

    @property
    def length(self) -> Float[Tensor, "frames"]:
        """`amount` in scene units, growing with progress."""
        return self.progress * self.amount

    @property
    def pivot(self) -> Float[Tensor, "1 3"]:
        """The subject, straight ahead of frame 0."""
        return self.progress.new_tensor([[0.0, 0.0, self.pivot_depth]])


@dataclass(frozen=True)
class Motion:
    """A camera move: rotations and centres of world_from_cam, and what the zoom does to the focal.

    Attributes:
        rotation: (F, 3, 3).
        centre: (F, 3), in scene units.
        focal_scale: (F,) focal length over that of frame 0; None where the zoom stays.
    """

    rotation: Float[Tensor, "frames 3 3"]
    centre: Float[Tensor, "frames 3"]
    focal_scale: Float[Tensor, "frames"] | None = None


def turn(axis: tuple[float, float, float], angle_rad: Float[Tensor, "n"]) -> Tensor:
    """Rotate about an axis through the camera, right-handed: +Y pans right, +X tilts up."""
    return rotation_from_vector(angle_rad[:, None] * angle_rad.new_tensor(axis))


def _still(ask: MotionInput) -> Tensor:
    return ask.progress.new_zeros(len(ask.progress), 3)


def _upright(ask: MotionInput) -> Tensor:
    return torch.eye(3, dtype=ask.progress.dtype).expand(len(ask.progress), 3, 3)


def _axis(ask: MotionInput, direction: tuple[float, float, float]) -> Tensor:
    return ask.progress.new_tensor(direction)


def _stack(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    return torch.stack(torch.broadcast_tensors(x, y, z), dim=-1)


def move(ask: MotionInput, *, direction: tuple[float, float, float]) -> Motion:
    """Move in a straight line without turning."""
    return Motion(_upright(ask), ask.length[:, None] * _axis(ask, direction))


def rotate(ask: MotionInput, *, axis: tuple[float, float, float]) -> Motion:
    """Turn on the spot about a camera axis."""
    return Motion(turn(axis, ask.angle_rad), _still(ask))


def arc(ask: MotionInput, *, axis: tuple[float, float, float]) -> Motion:
    """Swing round the pivot, facing it, at the same distance: world turned about the pivot."""
    rotation = turn(axis, ask.angle_rad)
    return Motion(rotation, ask.pivot - (rotation @ ask.pivot.T).squeeze(-1))


def pendulum(ask: MotionInput) -> Motion:
    """Swing round the pivot to the right, to the left and back."""
    swing = math.radians(ask.amount) * torch.sin(TURN * ask.progress)
    rotation = turn(UP, swing)
    return Motion(rotation, ask.pivot - (rotation @ ask.pivot.T).squeeze(-1))


def _facing_pivot(ask: MotionInput, centre: Tensor) -> Motion:
    return Motion(look_at_rotation(centre, ask.pivot), centre)


def move_facing(ask: MotionInput, *, direction: tuple[float, float, float]) -> Motion:
    """Move in a straight line while turning to keep the pivot in the middle."""
    return _facing_pivot(ask, ask.length[:, None] * _axis(ask, direction))


def helix(ask: MotionInput) -> Motion:
    """Swing round the pivot and rise by a quarter of its distance per right angle of arc."""
    angle = ask.angle_rad
    height = ask.pivot_depth * angle.abs() / TURN
    centre = ask.pivot + ask.pivot_depth * _stack(angle.sin(), torch.zeros(()), -angle.cos())
    return _facing_pivot(ask, centre + _stack(torch.zeros(()), -height, torch.zeros(())))


def circle(ask: MotionInput) -> Motion:
    """Draw a circle of radius `amount` in the image plane, clockwise from its lowest point."""
    angle = TURN * ask.progress
    x, y = -angle.sin(), angle.cos() - 1
    return _facing_pivot(ask, ask.amount * _stack(x, y, torch.zeros(())))


def spiral(ask: MotionInput) -> Motion:
    """Draw two turns of a spiral in the image plane that widens to a radius of `amount`."""
    angle = 2 * TURN * ask.progress
    return _facing_pivot(
        ask, ask.length[:, None] * _stack(angle.sin(), -angle.cos(), torch.zeros(()))
    )


def lemniscate(ask: MotionInput) -> Motion:
    """Draw a lying figure of eight of half-width `amount` in the image plane."""
    angle = TURN * ask.progress
    x, y = angle.sin(), -(2 * angle).sin() / 2
    return _facing_pivot(ask, ask.amount * _stack(x, y, torch.zeros(())))


def boomerang(ask: MotionInput) -> Motion:
    """Move forward and back again to the start."""
    there_and_back = torch.sin(math.pi * ask.progress) ** 2
    return Motion(_upright(ask), ask.amount * there_and_back[:, None] * _axis(ask, FORWARD))


def look_around(ask: MotionInput) -> Motion:
    """Pan to the left, to the right and back."""
    swing = math.radians(ask.amount) * torch.sin(TURN * ask.progress)
    return Motion(turn(UP, swing), _still(ask))


def push_and_pan(ask: MotionInput) -> Motion:
    """Move forward and pan right by 30 degrees."""
    return Motion(turn(DOWN, math.radians(30) * ask.progress), move(ask, direction=FORWARD).centre)


def pull_back_reveal(ask: MotionInput) -> Motion:
    """Move back and rise by half as much, facing the pivot."""
    return move_facing(ask, direction=(0.0, -0.5, -1.0))


def fly_through(ask: MotionInput) -> Motion:
    """Follow an S-bend forward, looking along the path and leaning into its bends."""
    phase = TURN * ask.progress
    bend = 0.12 * ask.amount
    sine, cosine, half = phase.sin(), phase.cos(), (phase / 2).sin() ** 2
    x = bend * half * sine
    slope = bend * TURN * (sine**2 / 2 + half * cosine)  # dx / dprogress
    curve = 1.5 * sine * cosine - half * sine  # its derivative, up to a factor
    heading = torch.atan2(slope, torch.full_like(x, ask.amount))
    bank = math.radians(8) * curve
    centre = _stack(x, torch.zeros(()), ask.length)
    return Motion(turn(DOWN, heading) @ turn(FORWARD, bank), centre)


def dolly_zoom(ask: MotionInput) -> Motion:
    """Move towards the pivot while widening the lens so that the pivot keeps its size."""
    if ask.amount >= 0.95 * ask.pivot_depth:
        raise InputError(
            f"amount must be below 0.95 times pivot_depth for a dolly zoom; got {ask.amount:g} "
            f"towards a pivot {ask.pivot_depth:g} away. Move less or put the pivot further off."
        )
    motion = move(ask, direction=FORWARD)
    return Motion(motion.rotation, motion.centre, 1 - ask.length / ask.pivot_depth)


def zoom(ask: MotionInput, *, sign: float) -> Motion:
    """Change the horizontal field of view by `sign * amount` degrees without moving."""
    end_deg = ask.hfov_deg + sign * ask.amount
    if not 1 <= end_deg <= 170:
        raise InputError(
            f"amount must leave a horizontal field of view of 1 to 170 degrees; got "
            f"{ask.hfov_deg:g} {sign * ask.amount:+g} = {end_deg:g}. Zoom by less."
        )
    hfov = torch.deg2rad(ask.hfov_deg + sign * ask.length)
    scale = math.tan(math.radians(ask.hfov_deg) / 2) / torch.tan(hfov / 2)
    return Motion(_upright(ask), _still(ask), scale)


def hand_held(ask: MotionInput) -> Motion:
    """Breathe and tremble like a camera in the hand; always the same walk, seed 0.

    Rotation about each axis stays below `amount` degrees; the centre sways by half as
    much, seen from the pivot's distance.
    """
    generator = torch.Generator().manual_seed(0)
    sway = shake_curve(ask.progress, generator=generator)
    size = math.radians(ask.amount)
    rotation = rotation_from_vector(size * sway[:, :3])
    return Motion(rotation, 0.5 * size * ask.pivot_depth * sway[:, 3:])


def shake_curve(
    progress: Float[Tensor, "frames"], *, generator: torch.Generator
) -> Float[Tensor, "frames 6"]:
    """Return six smooth random curves that start and end at 0 and stay within [-1, 1].

    Each is a sum of four sines of 1 to 6 periods, the faster the smaller, under a window that
    grows and fades over the first and last tenth.
    """
    periods = 1 + 5 * torch.rand(4, 6, dtype=torch.float64, generator=generator)
    phase = TURN * torch.rand(4, 6, dtype=torch.float64, generator=generator)
    weight = 1 / periods
    wave = (weight * torch.sin(TURN * periods * progress[:, None, None] + phase)).sum(1)
    ends = torch.minimum(progress, 1 - progress).clamp(0, 0.1) / 0.1
    window = ends**2 * (3 - 2 * ends)
    return window[:, None] * wave / weight.sum(0)
