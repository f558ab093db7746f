"""Keyframes, and the ways in which they can be joined."""

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.easing import EASINGS

POSITIONS = ("catmull-rom", "linear", "tcb", "bezier")
ROTATIONS = ("squad", "slerp")
SPEEDS = ("keys", "constant")
SMOOTH = "smooth"


@dataclass(frozen=True, eq=False)
class Keyframe:
    """A camera the path passes through.

    Attributes:
        time_sec: When, in seconds; only ratios of differences matter (see the builder).
        world_from_cam: 4x4 pose, OpenCV axes, scene units.
        hfov_deg: Horizontal field of view, 1 to 170 degrees.
        easing: Of the segment that starts here: "smooth" or a key of `easing.EASINGS`.
        tcb: Tension, continuity and bias (Kochanek-Bartels) for position "tcb", each -1 to 1.
        handle_in: Bezier handle on the way in, for position "bezier": an offset from the centre,
            world axes, scene units; None takes the Catmull-Rom tangent.
        handle_out: The same on the way out.
        roll_deg: Clockwise lean about the optical axis, only used with `look_at`.

    Raises:
        InputError: A number is not finite or outside its range, or the easing is not known.
    """

    time_sec: float
    world_from_cam: Float[Tensor, "4 4"]
    hfov_deg: float = 60.0
    easing: str = SMOOTH
    tcb: tuple[float, float, float] = (0.0, 0.0, 0.0)
    handle_in: tuple[float, float, float] | None = None
    handle_out: tuple[float, float, float] | None = None
    roll_deg: float = 0.0

    def __post_init__(self) -> None:
        """Check every rule but those of the pose, which the builder checks."""
        numbers = [self.time_sec, self.hfov_deg, self.roll_deg, *self.tcb]
        numbers += [*(self.handle_in or ()), *(self.handle_out or ())]
        if not all(math.isfinite(number) for number in numbers):
            raise InputError(
                f"keyframe numbers must be finite; got {numbers}. Repair or remove that keyframe."
            )
        if not 1 <= self.hfov_deg <= 170:
            raise InputError(
                f"hfov_deg must lie between 1 and 170; got {self.hfov_deg}. Use 60 if not known."
            )
        if self.easing != SMOOTH and self.easing not in EASINGS:
            raise InputError(
                f"easing must be one of {', '.join((SMOOTH, *EASINGS))}; got {self.easing!r}. "
                f"Use {SMOOTH!r} if in doubt."
            )
        if len(self.tcb) != 3 or not all(-1 <= value <= 1 for value in self.tcb):
            raise InputError(
                f"tcb must hold tension, continuity and bias between -1 and 1; got {self.tcb}. "
                "Use 0, 0, 0 for a plain curve."
            )
        for name, handle in (("handle_in", self.handle_in), ("handle_out", self.handle_out)):
            if handle is not None and len(handle) != 3:
                raise InputError(f"{name} must hold x, y, z; got {handle}. Leave it out for auto.")


@dataclass(frozen=True)
class SplineOptions:
    """How keyframes are joined.

    Attributes:
        position: "catmull-rom" (centripetal), "linear", "tcb" or "bezier".
        rotation: "squad" (smooth turn rate) or "slerp" (constant rate within each segment).
        look_at: World point that every frame faces instead of the keys' rotations; None for none.
        closed: Whether the path returns to the first key; the last frame then equals the first.
        closing_sec: Duration of the closing segment; None takes the mean of the others.
        speed: "keys" meets each key at its time; "constant" moves the centre at one speed.

    Raises:
        InputError: A name is not known, or the closing time is not positive.
    """

    position: str = "catmull-rom"
    rotation: str = "squad"
    look_at: tuple[float, float, float] | None = None
    closed: bool = False
    closing_sec: float | None = None
    speed: str = "keys"

    def __post_init__(self) -> None:
        """Check every rule in the class docstring."""
        for name, value, known in (
            ("position", self.position, POSITIONS),
            ("rotation", self.rotation, ROTATIONS),
            ("speed", self.speed, SPEEDS),
        ):
            if value not in known:
                raise InputError(
                    f"{name} must be one of {', '.join(known)}; got {value!r}. "
                    f"Use {known[0]!r} if in doubt."
                )
        if self.closing_sec is not None and not 0 < self.closing_sec < 1e6:
            raise InputError(
                f"closing_sec must be positive; got {self.closing_sec}. Leave it out for the mean."
            )
