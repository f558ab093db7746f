"""Presets: named camera moves with an amount in a stated unit.

Every preset starts at the identity (frame 0 is the world), starts and stops gently, and names
the direction the camera goes, not what the picture seems to do.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories import motions
from rays_as_pixels.trajectories.easing import ease
from rays_as_pixels.trajectories.motions import BACK, DOWN, FORWARD, LEFT, RIGHT, UP

DEGREES = "deg"
SCENE_UNITS = "scene units"


@dataclass(frozen=True)
class Preset:
    """A camera move one can ask for by name.

    Attributes:
        name: Key in `PRESETS`, for files and command lines.
        label: Name for people.
        description: What the camera does and what one sees.
        amount_default: Amount that suits a short clip.
        amount_unit: "deg" or "scene units" (1 = median depth of frame 0).
        amount_range: Least and greatest amount taken; a negative amount goes the other way.
        uses_pivot: Whether the distance of the subject (`pivot_depth`) changes the move.
        motion: The move itself.
    """

    name: str
    label: str
    description: str
    amount_default: float
    amount_unit: str
    amount_range: tuple[float, float]
    uses_pivot: bool
    motion: Callable[[motions.MotionInput], motions.Motion]


def _length(
    name: str,
    label: str,
    description: str,
    motion: Callable,
    *,
    amount: float = 0.3,
    low: float = 0.0,
    pivot: bool = False,
) -> Preset:
    return Preset(name, label, description, amount, SCENE_UNITS, (low, 5.0), pivot, motion)


def _angle(
    name: str,
    label: str,
    description: str,
    motion: Callable,
    *,
    amount: float = 30.0,
    limits: tuple[float, float] = (0.0, 180.0),
    pivot: bool = False,
) -> Preset:
    return Preset(name, label, description, amount, DEGREES, limits, pivot, motion)


def _straight_moves() -> list[Preset]:
    rows = [
        ("dolly-in", "Dolly in", "Moves forward; near things grow faster than far ones.", FORWARD),
        ("dolly-out", "Dolly out", "Moves back; near things shrink faster than far ones.", BACK),
        ("truck-left", "Truck left", "Slides left without turning; near things pass right.", LEFT),
        (
            "truck-right",
            "Truck right",
            "Slides right without turning; near things pass left.",
            RIGHT,
        ),
        ("pedestal-up", "Pedestal up", "Rises without tilting; near things sink.", UP),
        ("pedestal-down", "Pedestal down", "Sinks without tilting; near things rise.", DOWN),
    ]
    return [
        _length(name, label, text, partial(motions.move, direction=direction))
        for name, label, text, direction in rows
    ]


def _turns() -> list[Preset]:
    rows = [
        ("pan-left", "Pan left", "Turns left on the spot; no parallax.", UP),
        ("pan-right", "Pan right", "Turns right on the spot; no parallax.", DOWN),
        ("tilt-up", "Tilt up", "Looks up on the spot; no parallax.", RIGHT),
        ("tilt-down", "Tilt down", "Looks down on the spot; no parallax.", LEFT),
    ]
    turns = [
        _angle(name, label, text, partial(motions.rotate, axis=axis), amount=20.0)
        for name, label, text, axis in rows
    ]
    roll = _angle(
        "roll",
        "Roll",
        "Leans clockwise about the optical axis; the picture turns the other way.",
        partial(motions.rotate, axis=FORWARD),
        limits=(-720.0, 720.0),
    )
    look = _angle(
        "look-around",
        "Look around",
        "Pans left, then right, then back, on the spot.",
        motions.look_around,
        amount=15.0,
        limits=(0.0, 90.0),
    )
    return [*turns, roll, look]


def _moves_about_the_pivot() -> list[Preset]:
    rows = [
        ("arc-left", "Arc left", "Swings left round the subject, facing it.", DOWN, 90.0),
        ("arc-right", "Arc right", "Swings right round the subject, facing it.", UP, 90.0),
        ("arc-up", "Arc up", "Swings up and over the subject, facing it.", LEFT, 85.0),
        ("arc-down", "Arc down", "Swings down and under the subject, facing it.", RIGHT, 85.0),
    ]
    arcs = [
        _angle(name, label, text, partial(motions.arc, axis=axis), limits=(0.0, most), pivot=True)
        for name, label, text, axis, most in rows
    ]
    both_ways = (-720.0, 720.0)
    return [
        _angle(
            "orbit",
            "Orbit",
            "Goes all the way round the subject, to the right, facing it.",
            partial(motions.arc, axis=UP),
            amount=360.0,
            limits=both_ways,
            pivot=True,
        ),
        *arcs,
        _angle(
            "pendulum",
            "Pendulum",
            "Swings round the subject to the right, to the left and back.",
            motions.pendulum,
            amount=15.0,
            limits=(0.0, 90.0),
            pivot=True,
        ),
        _angle(
            "helix",
            "Helix",
            "Goes round the subject and rises, looking down at it.",
            motions.helix,
            amount=180.0,
            limits=both_ways,
            pivot=True,
        ),
    ]


def _moves_facing_the_pivot() -> list[Preset]:
    rows = [
        ("crane-up", "Crane up", "Rises while tilting down to", UP),
        ("crane-down", "Crane down", "Sinks while tilting up to", DOWN),
        ("slide-left", "Slide left", "Slides left while turning to", LEFT),
        ("slide-right", "Slide right", "Slides right while turning to", RIGHT),
    ]
    return [
        _length(
            name,
            label,
            f"{what} keep the subject in the middle.",
            partial(motions.move_facing, direction=direction),
            pivot=True,
        )
        for name, label, what, direction in rows
    ]


def _curves_facing_the_pivot() -> list[Preset]:
    rows = [
        (
            "circle",
            "Circle",
            "Draws a circle in the picture's plane, facing the subject.",
            motions.circle,
            0.12,
        ),
        (
            "spiral",
            "Spiral",
            "Draws a widening spiral in the picture's plane, facing the subject.",
            motions.spiral,
            0.2,
        ),
        (
            "lemniscate",
            "Lemniscate",
            "Draws a lying figure of eight, facing the subject.",
            motions.lemniscate,
            0.25,
        ),
        (
            "pull-back-reveal",
            "Pull back and reveal",
            "Backs off and rises, facing the subject.",
            motions.pull_back_reveal,
            0.5,
        ),
    ]
    return [
        _length(name, label, text, motion, amount=amount, pivot=True)
        for name, label, text, motion, amount in rows
    ]


def _lens_moves() -> list[Preset]:
    return [
        _length(
            "dolly-zoom",
            "Dolly zoom",
            "Moves in while the lens widens: the subject keeps its size, the background recedes.",
            motions.dolly_zoom,
            low=-5.0,
            pivot=True,
        ),
        _angle(
            "zoom-in",
            "Zoom in",
            "Narrows the horizontal field of view; the camera stays.",
            partial(motions.zoom, sign=-1.0),
            amount=20.0,
            limits=(0.0, 160.0),
        ),
        _angle(
            "zoom-out",
            "Zoom out",
            "Widens the horizontal field of view; the camera stays.",
            partial(motions.zoom, sign=1.0),
            amount=20.0,
            limits=(0.0, 160.0),
        ),
    ]


def _mixed_moves() -> list[Preset]:
    return [
        _length(
            "fly-through",
            "Fly through",
            "Flies forward along an S-bend, leaning into its bends.",
            motions.fly_through,
            amount=0.6,
            low=0.01,
        ),
        _length(
            "boomerang",
            "Boomerang",
            "Moves forward, turns round in time and returns.",
            motions.boomerang,
        ),
        _length(
            "push-and-pan",
            "Push and pan",
            "Moves forward while panning right by 30 degrees.",
            motions.push_and_pan,
        ),
        _angle(
            "hand-held",
            "Hand-held",
            "Sways and trembles as if held in the hand; always the same way.",
            motions.hand_held,
            amount=2.0,
            limits=(0.0, 20.0),
            pivot=True,
        ),
    ]


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for group in (
        _moves_about_the_pivot(),
        _straight_moves(),
        _turns(),
        _moves_facing_the_pivot(),
        _curves_facing_the_pivot(),
        _lens_moves(),
        _mixed_moves(),
    )
    for preset in group
}


def make_preset(
    name: str,
    *,
    num_frames: int,
    fps: float,
    height: int,
    width: int,
    hfov_deg: float = 60.0,
    amount: float | None = None,
    pivot_depth: float = 1.0,
) -> Trajectory:
    """Build a preset as a trajectory of float64 cameras with square, centred pixels.

    Args:
        name: A key of `PRESETS`.
        num_frames: Number of cameras; 1 gives the identity alone.
        fps: Frames per second; the move lasts `(num_frames - 1) / fps` seconds.
        height: Image height, in pixels.
        width: Image width, in pixels.
        hfov_deg: Horizontal field of view of frame 0, in degrees.
        amount: In the preset's own unit; None takes its default.
        pivot_depth: Distance of the subject straight ahead of frame 0, in scene units.

    Raises:
        InputError: An unknown name, or a number outside its range.
    """
    preset = _find(name)
    amount = preset.amount_default if amount is None else amount
    low, high = preset.amount_range
    if not low <= amount <= high:
        raise InputError(
            f"amount must lie between {low:g} and {high:g} {preset.amount_unit} for {name}; got "
            f"{amount}. Choose an amount in that range."
        )
    if num_frames < 1:
        raise InputError(f"num_frames must be 1 or more; got {num_frames}. Use 9 to start with.")
    for label, value, top in (("hfov_deg", hfov_deg, 179.0), ("pivot_depth", pivot_depth, 1e6)):
        if not 1e-3 <= value <= top:
            raise InputError(
                f"{label} must lie between 0.001 and {top:g}; got {value}. "
                "Use 60 degrees and a depth of 1 if they are not known."
            )
    time_share = torch.linspace(0, 1, num_frames, dtype=torch.float64)
    ask = motions.MotionInput(ease(time_share, "smoother"), amount, pivot_depth, hfov_deg)
    return _trajectory(preset.motion(ask), ask, fps=fps, height=height, width=width)


def _find(name: str) -> Preset:
    if name not in PRESETS:
        raise InputError(
            f"preset must be one of {', '.join(PRESETS)}; got {name!r}. Pick one of these."
        )
    return PRESETS[name]


def _trajectory(
    motion: motions.Motion, ask: motions.MotionInput, *, fps: float, height: int, width: int
) -> Trajectory:
    focal_px = width / (2 * math.tan(math.radians(ask.hfov_deg) / 2))
    scale = torch.ones_like(ask.progress) if motion.focal_scale is None else motion.focal_scale
    focal = (focal_px * scale)[:, None].expand(-1, 2)
    center = scale.new_tensor([width / 2, height / 2]).expand(len(scale), 2)
    pose = rigid(motion.rotation, motion.centre)
    return Trajectory(Cameras(pose, focal, center, height, width), fps)
