"""Scenes: batches of textured primitives inside a room or under a sky.

Every primitive is a unit shape (box, sphere, cylinder) under an affine map, so one ray test per
shape covers boxes, slabs, rods, pillars and ellipsoids. The shell is a box seen from inside: a
room, or the ground, horizon and sky of an outdoor scene. Families: room, outdoor, clutter, corridor
and colonnade; the last two are held out from training.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.worlds.seeded_random import SeededRandom
from rays_as_pixels.worlds.textures import TextureBank

BOX, SPHERE, CYLINDER = 0, 1, 2
TRAIN_SCENES = (0, 1, 2)  # room, outdoor, clutter
HELDOUT_SCENES = (0, 1, 2, 3, 4)  # and corridor, colonnade
ROOM, OUTDOOR, CLUTTER, CORRIDOR, COLONNADE = range(5)


@dataclass(frozen=True)
class Scene:
    """B scenes of K primitives; slot 0 is the shell, seen from inside.

    Attributes:
        shape: (K,) BOX, SPHERE or CYLINDER; the same for all scenes, so that one test serves all.
        local_from_world: (B, K, 3, 3) linear part of the map into the unit shape.
        center: (B, K, 3) world position of each primitive at time 0.
        velocity: (B, K, 3) displacement over the clip; zero for what stands still.
        present: (B, K) False for slots a scene does not use.
        texture: (B, K) index into the texture bank.
        texels_per_unit: (B, K) texture detail, per world unit.
        texture_offset: (B, K, 2) in texels.
        half_extent: (B, K, 3) half sizes in world units.
        tint: (B, K, 3) colour gain.
        saturation: (B, K) 0 for grey, 1 for the texture's own colours.
        permutation: (B, K, 3) channel order.
        relief: (B, 2) height of the ground's waves (world units) and their length; 0 for flat.
        sun: (B, 3) unit vector towards the light.
        ambient: (B,) share of light without direction.
        outdoor: (B,) True where the shell's upper part is sky.
    """

    shape: Int[Tensor, "k"]
    local_from_world: Float[Tensor, "batch k 3 3"]
    center: Float[Tensor, "batch k 3"]
    velocity: Float[Tensor, "batch k 3"]
    present: Tensor
    texture: Int[Tensor, "batch k"]
    texels_per_unit: Float[Tensor, "batch k"]
    texture_offset: Float[Tensor, "batch k 2"]
    half_extent: Float[Tensor, "batch k 3"]
    tint: Float[Tensor, "batch k 3"]
    saturation: Float[Tensor, "batch k"]
    permutation: Int[Tensor, "batch k 3"]
    relief: Float[Tensor, "batch 2"]
    sun: Float[Tensor, "batch 3"]
    ambient: Float[Tensor, "batch"]
    outdoor: Tensor


def _shell_extent(rng: SeededRandom, family: Int[Tensor, "batch"]) -> Float[Tensor, "batch 3"]:
    """Half extents of the shell; +Y is down, so the floor is at +y."""
    room = torch.cat(
        [rng.uniform(2.0, 5.0, 1), rng.uniform(1.2, 2.2, 1), rng.uniform(2.5, 6.0, 1)], -1
    )
    corridor = torch.cat(
        [rng.uniform(0.8, 1.4, 1), rng.uniform(1.0, 1.6, 1), rng.uniform(6.0, 12.0, 1)], -1
    )
    outdoor = torch.cat(
        [rng.uniform(18.0, 40.0, 1), rng.uniform(6.0, 12.0, 1), rng.uniform(18.0, 40.0, 1)],
        -1,
    )
    extent = torch.where((family == CORRIDOR)[:, None], corridor, room)
    open_air = _open_air(family)
    return torch.where(open_air[:, None], outdoor, extent)


def _sizes(rng: SeededRandom, shape: Int[Tensor, "k"]) -> Float[Tensor, "batch k 3"]:
    """Half extents of the primitives: round things, slabs, and thin rods among the cylinders."""
    count = len(shape)
    size = rng.log_uniform(0.1, 0.8, count, 1) * rng.log_uniform(0.5, 1.6, count, 3)
    radius = rng.log_uniform(0.03, 0.3, count)
    length = rng.log_uniform(0.4, 2.0, count)
    rod = torch.stack([radius, length, radius], -1)
    return torch.where((shape == CYLINDER)[None, :, None], rod, size)


def draw_scenes(
    rng: SeededRandom,
    bank: TextureBank,
    *,
    split: str,
    primitives: int = 14,
    families: Sequence[int] | None = None,
) -> tuple[Scene, Float[Tensor, "batch 4 4"]]:
    """Draw scenes and, for each, where its first camera stands (world_from_cam).

    The world's +Y points down and the first camera looks roughly along +Z. `families` are those to
    draw from; the split's own if None.
    """
    device = rng.device
    if families is None:
        families = TRAIN_SCENES if split == "train" else HELDOUT_SCENES
    family = rng.choice(families)
    shape = _shapes(primitives, device)
    shell = _shell_extent(rng, family)
    eye_height = rng.uniform(0.3, 1.0) * shell[:, 1].clamp(max=1.6)
    open_air = _open_air(family)

    depth, position, half, local_from_world = _placed(rng, family, shape, eye_height)
    texture = rng.integers(bank.count - len(bank.smooth), primitives + 1)
    sky = torch.tensor(bank.smooth, device=device)[rng.integers(len(bank.smooth))]
    shell_center = _shell_center(rng, shell, eye_height)
    present = rng.uniform(0.0, 1.0, primitives) < rng.uniform(0.45, 1.0, 1)
    velocity = _velocities(rng, depth)
    density = rng.log_uniform(14.0, 60.0, primitives + 1)
    far = 1 + 0.25 * torch.where(open_air, shell[:, 2], shell[:, 2] * 0.3)
    density = density / _with_shell(far * 0.5, 0.4 + 0.3 * depth)
    relief_height = rng.uniform(0.03, 0.15) * (open_air & rng.chance(0.5)).float()
    sun = _sun(rng)
    scene = Scene(
        shape=torch.cat([torch.full((1,), BOX, device=device), shape]),
        local_from_world=_with_shell(torch.diag_embed(1 / shell), local_from_world),
        center=_with_shell(shell_center, position),
        velocity=_with_shell(torch.zeros_like(shell), velocity),
        present=_with_shell(torch.ones_like(open_air), present),
        texture=texture,
        texels_per_unit=density,
        half_extent=_with_shell(shell, half),
        **_surfaces(rng, primitives + 1),
        relief=torch.stack([relief_height, rng.uniform(0.8, 3.0)], -1),
        sun=sun,
        ambient=rng.uniform(0.35, 0.8),
        outdoor=open_air,
    )
    scene.texture[:, 0] = torch.where(open_air, sky, scene.texture[:, 0])
    return scene, _first_pose(rng)


def _with_shell(shell: Tensor, primitives: Tensor) -> Tensor:
    """Put the shell's value before those of the primitives."""
    return torch.cat([shell[:, None], primitives], dim=1)


def _shapes(count: int, device: torch.device) -> Int[Tensor, "k"]:
    """Return boxes, spheres and cylinders in a fixed order."""
    order = torch.arange(count, device=device)
    return torch.where(order % 4 == 3, CYLINDER, torch.where(order % 3 == 2, SPHERE, BOX))


def _velocities(rng: SeededRandom, depth: Float[Tensor, "batch k"]) -> Float[Tensor, "batch k 3"]:
    """Draw world units per clip; in some worlds two primitives move, in the others none."""
    k = depth.shape[1]
    order = torch.arange(k, device=rng.device)
    moving = rng.chance(0.15, 1) & (order[None] < 3) & (order[None] > 0)
    return 0.25 * depth[..., None] * rng.normal(k, 3) * moving[..., None]


def _first_pose(rng: SeededRandom) -> Float[Tensor, "batch 4 4"]:
    """Draw a camera at the origin that looks roughly along +Z."""
    look = rng.normal(3) * torch.tensor([0.08, 0.15, 0.03], device=rng.device)
    world_from_cam = torch.eye(4, device=rng.device).repeat(rng.batch, 1, 1)
    world_from_cam[:, :3, :3] = rotation_from_vector(look)
    return world_from_cam


def _open_air(family: Int[Tensor, "batch"]) -> Bool[Tensor, "batch"]:
    return (family == OUTDOOR) | (family == COLONNADE)


def _placed(
    rng: SeededRandom,
    family: Int[Tensor, "batch"],
    shape: Int[Tensor, "k"],
    eye_height: Float[Tensor, "batch"],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Fill the view cone in front of the camera with primitives, near and far.

    Returns:
        Their depth (batch, k), position and half extent (batch, k, 3), and the linear part of the
        map into the unit shape (batch, k, 3, 3).
    """
    k, open_air = len(shape), _open_air(family)
    depth = rng.log_uniform(1.2, 9.0, k)
    depth = torch.where(open_air[:, None], depth * 1.3, depth.clamp(max=4.5))
    depth = torch.where((family == CLUTTER)[:, None], 1.0 + 0.5 * depth, depth)
    spread = rng.uniform(-0.95, 0.95, k, 2)
    position = torch.stack([spread[..., 0] * depth, 0.6 * spread[..., 1] * depth, depth], -1)
    half = _sizes(rng, shape) * (0.35 + 0.28 * depth[..., None])
    on_floor = rng.chance(0.5, k) | open_air[:, None]
    floor_y = eye_height[:, None] - half[..., 1]
    position[..., 1] = torch.where(on_floor, floor_y, position[..., 1])
    column = (family == COLONNADE)[:, None] & (shape == CYLINDER)[None]
    half = torch.where(column[..., None], half * half.new_tensor([2.0, 4.0, 2.0]), half)
    tilt = rng.normal(k, 3) * half.new_tensor([0.25, 1.2, 0.25])
    rotation = rotation_from_vector(torch.where(column[..., None], tilt * 0, tilt))
    return depth, position, half, rotation.transpose(-1, -2) / half[..., None]


def _sun(rng: SeededRandom) -> Float[Tensor, "batch 3"]:
    """Draw where the light comes from: above, and rather from behind the camera."""
    x, y, z = rng.normal(), -0.5 - rng.uniform(0.0, 1.5), -rng.uniform(0.0, 1.5)
    return torch.nn.functional.normalize(torch.stack([x, y, z], -1), dim=-1)


def _shell_center(
    rng: SeededRandom, shell: Float[Tensor, "batch 3"], eye_height: Float[Tensor, "batch"]
) -> Float[Tensor, "batch 3"]:
    """Draw where the shell is about the camera; its floor is `eye_height` below."""
    x = rng.uniform(-0.4, 0.4) * shell[:, 0]
    return torch.stack([x, eye_height - shell[:, 1], rng.uniform(0.0, 0.7) * shell[:, 2]], -1)


def _surfaces(rng: SeededRandom, count: int) -> dict[str, Tensor]:
    """Draw what each primitive makes of its texture: the fields of `Scene` by name."""
    channels = torch.tensor(list(permutations(range(3))), device=rng.device)
    offset = rng.uniform(0.0, 128.0, count, 2)
    light, hue = rng.uniform(0.0, 1.0, count, 1), rng.uniform(0.75, 1.0, count, 3)
    return {
        "texture_offset": offset,
        "tint": 0.45 + 0.75 * light * hue,
        "saturation": rng.uniform(0.1, 0.85, count),
        "permutation": channels[rng.integers(6, count)],
    }
