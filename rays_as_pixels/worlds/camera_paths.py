"""Camera motion types: how a camera moves, in units of the depth of what it sees.

Each type is an amplitude for translation and rotation over a smooth time course. Types: static, pan
and tilt, roll, dolly, truck, pedestal, crane, arc, orbit, spline, hand-held, zoom.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.worlds.seeded_random import SeededRandom

MOTION_TYPES = (
    "static",
    "turn",
    "roll",
    "dolly",
    "truck",
    "pedestal",
    "crane",
    "arc",
    "orbit",
    "spline",
    "handheld",
    "zoom",
)
# How often each type is drawn, in the order above.
_WEIGHTS = (0.02, 0.14, 0.04, 0.12, 0.12, 0.05, 0.08, 0.12, 0.09, 0.14, 0.04, 0.04)
HFOV_HELDOUT_DEG = (52.0, 60.0)  # training never draws a field of view in this gap
_HFOV_RANGE_DEG = (35.0, 95.0)


@dataclass(frozen=True)
class Motion:
    """A batch of camera motions before they are scaled to a scene.

    Attributes:
        offset: (B, F, 3) camera centres in units of scene depth, in the first camera's axes.
        turn_rad: (B, F, 3) rotation vectors relative to the first camera.
        orbit: (B,) True where the camera turns about a point at unit depth ahead.
        zoom: (B, F) focal length relative to frame 0.
        hfov_rad: (B,) horizontal field of view of frame 0.
        motion_type: (B,) index into MOTION_TYPES.
    """

    offset: Float[Tensor, "batch frames 3"]
    turn_rad: Float[Tensor, "batch frames 3"]
    orbit: Tensor
    zoom: Float[Tensor, "batch frames"]
    hfov_rad: Float[Tensor, "batch"]
    motion_type: Int[Tensor, "batch"]


def smooth_course(rng: SeededRandom, frames: int) -> Float[Tensor, "batch frames"]:
    """Monotone time courses from 0 to 1: constant speed, ease in, ease out or both."""
    tau = torch.linspace(0, 1, frames, device=rng.device)[None]
    power = rng.log_uniform(0.5, 2.2, 1)
    eased = tau**power
    smooth = tau * tau * (3 - 2 * tau)
    blend = rng.uniform(0.0, 1.0, 1) * rng.chance(0.5, 1)
    return torch.lerp(eased, smooth, blend)


def wander(rng: SeededRandom, frames: int, channels: int) -> Float[Tensor, "batch frames c"]:
    """Smooth curves that start at 0: sums of three slow sines, about unit size."""
    tau = torch.linspace(0, 1, frames, device=rng.device)[None, :, None, None]
    rate = rng.uniform(0.3, 1.6, 1, channels, 3) * torch.tensor([1.0, 1.7, 2.6]).to(rng.device)
    phase = rng.uniform(0.0, 2 * math.pi, 1, channels, 3)
    size = rng.normal(1, channels, 3) / torch.tensor([1.0, 2.0, 3.5]).to(rng.device)
    wave = (torch.sin(2 * math.pi * rate * tau * 0.5 + phase) - torch.sin(phase)) * size
    return wave.sum(-1)


def _draw_motion_type(rng: SeededRandom) -> Int[Tensor, "batch"]:
    edges = torch.tensor(_WEIGHTS, device=rng.device).cumsum(0)
    return torch.searchsorted(edges, rng.uniform(0.0, float(edges[-1])).contiguous()).clamp(
        max=len(MOTION_TYPES) - 1
    )


def draw_motion(rng: SeededRandom, frames: int, split: str) -> Motion:
    """Draw one motion per stream; `split` train leaves out the held-out fields of view."""
    motion_type = _draw_motion_type(rng)

    def of(*names: str) -> Tensor:
        return torch.stack([motion_type == MOTION_TYPES.index(n) for n in names]).any(0)

    course = smooth_course(rng, frames)[..., None]
    sign = 1 - 2 * rng.integers(2, 3).to(torch.float32)
    travel = rng.log_uniform(0.08, 0.7, 1) * sign
    axis = torch.zeros(rng.batch, 3, device=rng.device)
    axis[:, 0] = of("truck", "arc").float()
    axis[:, 1] = of("pedestal").float()
    axis[:, 2] = of("dolly").float()
    lean = 0.15 * rng.normal(3)
    crane = of("crane")[:, None] * torch.tensor([0.3, 0.8, 0.5], device=rng.device)
    moving = of("truck", "arc", "pedestal", "dolly", "crane")[:, None]
    direction = axis + crane + lean * moving
    offset = (travel * direction)[:, None] * course
    bulge = (travel * 0.3 * rng.normal(3) * moving)[:, None]
    offset = offset + bulge * course * (1 - course)
    free = of("spline")[:, None, None] * 0.25
    offset = offset + free * wander(rng, frames, 3)

    angle = rng.log_uniform(math.radians(3), math.radians(32), 1)
    turn_axis = torch.stack(
        [0.5 * rng.normal(), rng.normal().sign() * 1.0, 0.15 * rng.normal()], -1
    )
    turning = of("turn").float()[:, None] + 0.5 * of("dolly", "truck", "crane").float()[
        :, None
    ] * rng.chance(0.6, 1)
    roll = torch.zeros_like(turn_axis)
    roll[:, 2] = of("roll").float() * sign[:, 2]
    turn = (angle * (turn_axis * turning + roll))[:, None] * course
    # An arc keeps its subject in view: it turns against its own sideways travel.
    inward = torch.atan2(offset[..., 0], torch.ones_like(offset[..., 0]))
    turn[..., 1] = turn[..., 1] - inward * (of("arc").float() * rng.uniform(0.6, 1.2))[:, None]
    turn = turn + of("spline")[:, None, None] * 0.22 * wander(rng, frames, 3)
    orbit_turn = torch.zeros_like(turn_axis)
    orbit_turn[:, 1] = of("orbit").float() * sign[:, 1]
    orbit_turn[:, 0] = of("orbit").float() * 0.3 * rng.normal()
    turn = turn + (orbit_turn * angle * 0.9)[:, None] * course

    shake = of("handheld").float() + 0.3 * rng.chance(0.5).float() * (~of("static")).float()
    turn = turn + shake[:, None, None] * 0.05 * wander(rng, frames, 3)
    offset = offset + shake[:, None, None] * 0.05 * wander(rng, frames, 3)

    zoom = _draw_zoom(rng, course[..., 0], zooming=of("zoom"), dolly=of("dolly"))
    return Motion(offset, turn, of("orbit"), zoom, _draw_hfov(rng, split), motion_type)


def _draw_zoom(
    rng: SeededRandom, course: Float[Tensor, "batch frames"], *, zooming: Tensor, dolly: Tensor
) -> Float[Tensor, "batch frames"]:
    """Draw focal lengths relative to frame 0's: a few dollies zoom a little, too."""
    amount = rng.uniform(-0.35, 0.35, 1)
    share = zooming.float() + 0.3 * rng.chance(0.05).float() * dolly.float()
    return torch.exp(amount * share[:, None] * course)


def _draw_hfov(rng: SeededRandom, split: str) -> Float[Tensor, "batch"]:
    low, high = _HFOV_RANGE_DEG
    gap_low, gap_high = HFOV_HELDOUT_DEG
    if split == "train":
        degrees = rng.uniform(low, high - (gap_high - gap_low))
        degrees = torch.where(degrees >= gap_low, degrees + (gap_high - gap_low), degrees)
    else:
        inside = rng.uniform(gap_low, gap_high)
        degrees = torch.where(rng.chance(0.5), inside, rng.uniform(low, high))
    return torch.deg2rad(degrees)


def cameras_from_motion(
    motion: Motion,
    first_pose: Float[Tensor, "batch 4 4"],
    depth: Float[Tensor, "batch"],
    strength: Float[Tensor, "batch"],
    *,
    height: int,
    width: int,
) -> Cameras:
    """Put motions into their worlds.

    Args:
        motion: What to do, in units of depth.
        first_pose: world_from_cam of frame 0.
        depth: Median depth seen by frame 0, in world units.
        strength: 1 for the motion as drawn, 0 for none.
        height: Image height in pixels.
        width: Image width in pixels.

    Returns:
        (B, F) cameras in the world's own axes and units.
    """
    turn = rotation_from_vector(motion.turn_rad * strength[:, None, None])
    offset = motion.offset * strength[:, None, None]
    pivot = offset.new_tensor([0.0, 0.0, 1.0])
    about_pivot = pivot - turn @ pivot
    offset = offset + about_pivot * motion.orbit[:, None, None]
    first_from_cam = rigid(turn, offset * depth[:, None, None])
    pose = first_pose[:, None] @ first_from_cam
    focal = width / (2 * torch.tan(motion.hfov_rad / 2))[:, None]
    focal = focal * (1 + (motion.zoom - 1) * strength[:, None])
    focal_px = torch.stack([focal, focal], dim=-1)
    center = focal_px.new_tensor([width / 2, height / 2]).expand_as(focal_px)
    return Cameras(pose, focal_px, center, height, width)
