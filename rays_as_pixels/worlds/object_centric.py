"""Things that a camera goes round: turntables, statues, boxes on a table, near and through a tele.

A share of the training worlds. Objects stand together in front of a backdrop that is plain, black
or textured, and the camera goes far round them; in the other worlds it turns by 32 degrees at most,
and sees 35 to 95 degrees of a full scene.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.worlds.camera_paths import (
    HFOV_HELDOUT_DEG,
    MOTION_TYPES,
    Motion,
    smooth_course,
    wander,
)
from rays_as_pixels.worlds.scenes import Scene
from rays_as_pixels.worlds.seeded_random import SeededRandom
from rays_as_pixels.worlds.textures import TextureBank

SHARE = 0.4  # of the training worlds
MIN_OVERLAP = 0.1  # a backdrop leaves the view soon
_Rows = TypeVar("_Rows", Scene, Motion)
_SALT = 0x5BD1E995  # so that these numbers are none of the scene's
_TURN_DEG = (6.0, 90.0)  # over the clip
_HFOV_DEG = (14.0, 90.0)
_PLAIN, _BLACK = 0.55, 0.4  # share of plain backdrops, and of black ones among them


@dataclass(frozen=True)
class ObjectCentricWorlds:
    """Worlds of which some are object-centric.

    Attributes:
        scene: B scenes.
        motion: B motions.
        distance: (B,) of the objects from frame 0's camera in world units, where object-centric.
        present: (B,) True where object-centric.
    """

    scene: Scene
    motion: Motion
    distance: Float[Tensor, "batch"]
    present: Bool[Tensor, "batch"]


def with_object_centric(
    scene: Scene,
    first_pose: Float[Tensor, "batch 4 4"],
    motion: Motion,
    bank: TextureBank,
    *,
    seeds: Sequence[int],
    share: float,
) -> ObjectCentricWorlds:
    """Replace a share of the worlds by ones in which the camera orbits objects.

    Args:
        scene: B scenes as drawn.
        first_pose: world_from_cam of frame 0.
        motion: B motions as drawn.
        bank: The scenes' textures.
        seeds: (B,) of the clips.
        share: Of object-centric worlds; 0 changes nothing.
    """
    rng = SeededRandom([seed ^ _SALT for seed in seeds], device=first_pose.device)
    present = rng.chance(share)
    distance = rng.uniform(1.5, 3.0)
    radius = distance * rng.log_uniform(0.1, 0.4)
    eye, ahead = first_pose[:, :3, 3], first_pose[:, :3, 2]
    middle = eye + distance[:, None] * ahead
    middle = middle + 0.12 * radius[:, None] * rng.normal(3)
    fill = rng.uniform(0.5, 1.3)
    hfov = 2 * torch.atan(radius / (distance * fill))
    hfov = hfov.clamp(*(math.radians(degrees) for degrees in _HFOV_DEG))
    low, high = (math.radians(degrees) for degrees in HFOV_HELDOUT_DEG)
    hfov = torch.where((hfov > low) & (hfov < high), hfov - (high - low), hfov)
    placed = _objects_before_backdrop(
        rng, scene, bank, middle=middle, radius=radius, distance=distance, hfov=hfov
    )
    orbit = _orbit_motion(rng, motion, hfov)
    return ObjectCentricWorlds(
        _mixed(present, placed, scene), _mixed(present, orbit, motion), distance, present
    )


def _objects_before_backdrop(
    rng: SeededRandom,
    scene: Scene,
    bank: TextureBank,
    *,
    middle: Float[Tensor, "batch 3"],
    radius: Float[Tensor, "batch"],
    distance: Float[Tensor, "batch"],
    hfov: Float[Tensor, "batch"],
) -> Scene:
    """Put objects within `radius` of the middle, a table under most, and a backdrop around."""
    count = scene.present.shape[1] - 1
    size = radius[:, None, None]
    center = middle[:, None] + 0.45 * size * rng.normal(count, 3).clamp(-1.6, 1.6)
    half = size * rng.log_uniform(0.12, 0.6, count, 1) * rng.log_uniform(0.6, 1.6, count, 3)
    rotation = rotation_from_vector(rng.normal(count, 3) * half.new_tensor([0.25, 1.2, 0.25]))
    present = rng.uniform(0.0, 1.0, count) < rng.uniform(0.25, 1.0, 1)
    # Slot 1, a box, is the table, or the largest of the objects.
    table = rng.chance(0.65)
    flat = size[:, 0] * rng.uniform(0.9, 2.5, 1) * half.new_tensor([1.0, 0.04, 1.0])
    half[:, 0] = torch.where(table[:, None], flat, 0.6 * size[:, 0].expand(-1, 3))
    below = middle + (0.7 * radius)[:, None] * half.new_tensor([0.0, 1.0, 0.0])
    center[:, 0] = torch.where(table[:, None], below, middle)
    upright = rotation_from_vector(rng.normal(3) * half.new_tensor([0.02, 1.0, 0.02]))
    rotation[:, 0] = upright
    present[:, 0] = True
    shell = distance[:, None] * rng.uniform(1.3, 3.5, 3)
    density = rng.log_uniform(14.0, 60.0, count + 1)
    # Textures are as fine on the screen as in other worlds, whose view is about 65 degrees wide.
    near = (0.4 + 0.3 * distance) * torch.tan(hfov / 2) / 0.64
    density = density / torch.cat([shell.amax(1, keepdim=True), near[:, None].expand(-1, count)], 1)
    scene = _with_backdrop(rng, replace(scene, texels_per_unit=density), bank, shell)
    shell_row = shell[:, None]
    return replace(
        scene,
        local_from_world=torch.cat(
            [torch.diag_embed(1 / shell_row), rotation.mT / half[..., None]], 1
        ),
        center=torch.cat([middle[:, None], center], 1),
        velocity=torch.zeros_like(scene.velocity),
        present=torch.cat([torch.ones_like(table)[:, None], present], 1),
        half_extent=torch.cat([shell_row, half], 1),
        relief=torch.zeros_like(scene.relief),
        outdoor=torch.zeros_like(scene.outdoor),
    )


def _with_backdrop(
    rng: SeededRandom, scene: Scene, bank: TextureBank, shell: Float[Tensor, "batch 3"]
) -> Scene:
    """Make the shell's surface plain in some worlds, and black in some of those."""
    plain, black = rng.chance(_PLAIN), rng.chance(_BLACK)
    smooth = rng.choice(bank.smooth)
    texture, density, tint = (
        value.clone() for value in (scene.texture, scene.texels_per_unit, scene.tint)
    )
    texture[:, 0] = torch.where(plain, smooth, texture[:, 0])
    density[:, 0] = torch.where(plain, 0.3 / shell.amax(1), density[:, 0])
    dark = torch.where(plain & black, rng.uniform(0.0, 0.08), torch.ones_like(shell[:, 0]))
    tint[:, 0] = tint[:, 0] * dark[:, None]
    return replace(scene, texture=texture, texels_per_unit=density, tint=tint)


def _orbit_motion(rng: SeededRandom, motion: Motion, hfov: Float[Tensor, "batch"]) -> Motion:
    """Draw a way round a point at unit depth ahead, mostly sideways, a little nearer or farther."""
    frames = motion.zoom.shape[1]
    course = smooth_course(rng, frames)[..., None]
    low, high = (math.radians(degrees) for degrees in _TURN_DEG)
    angle = rng.log_uniform(low, high, 1) * rng.normal(1).sign()
    axis = torch.stack([0.3 * rng.normal(), torch.ones_like(hfov), 0.1 * rng.normal()], -1)
    axis = torch.where(rng.chance(0.15, 1), axis[:, [1, 0, 2]], axis)  # a turned camera
    axis = torch.nn.functional.normalize(axis, dim=-1)
    shake = rng.log_uniform(0.001, 0.03, 1, 1) * hfov[:, None, None]
    turn = (angle * axis)[:, None] * course + shake * wander(rng, frames, 3)
    offset = torch.zeros_like(turn)
    offset[..., 2] = rng.uniform(-0.15, 0.25, 1) * rng.chance(0.5, 1) * course[..., 0]
    offset = offset + shake * wander(rng, frames, 3)
    motion_type = torch.full_like(motion.motion_type, MOTION_TYPES.index("orbit"))
    still = torch.ones_like(motion.zoom)
    return Motion(offset, turn, torch.ones_like(motion.orbit), still, hfov, motion_type)


def _mixed(present: Bool[Tensor, "batch"], new: _Rows, old: _Rows) -> _Rows:
    """Take the rows of `new` where `present`; what all rows share is the same in both."""
    values = {}
    for name, before in vars(old).items():
        after = getattr(new, name)
        if after is not before:
            rows = present.reshape(-1, *[1] * (before.dim() - 1))
            after = torch.where(rows, after, before)
        values[name] = after
    return replace(old, **values)
