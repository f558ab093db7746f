"""Seeded random rotations and cameras in float64, shared by the geometry tests."""

import math

import torch
from torch import Tensor

from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import rotation_from_vector

F64 = torch.float64
BATCHES = [(), (3,), (2, 3)]
EXACT = {"atol": 1e-12, "rtol": 0}  # a few hundred roundings of float64

# A quarter turn about +Y, worked out by hand: forward (+Z) turns to the right (+X).
TURN_RIGHT = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]], dtype=F64)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_vectors(batch: tuple[int, ...], *, size: float = 1.0, seed: int = 0) -> Tensor:
    """Rotation vectors of length up to `size` radians, in all directions."""
    generator = seeded(seed)
    direction = torch.randn(*batch, 3, generator=generator, dtype=F64)
    length = torch.rand(*batch, 1, generator=generator, dtype=F64) * size
    return torch.nn.functional.normalize(direction, dim=-1) * length


def random_rotations(batch: tuple[int, ...], *, seed: int = 0) -> Tensor:
    return rotation_from_vector(random_vectors(batch, size=3.1, seed=seed))


def random_cameras(
    batch: tuple[int, ...],
    *,
    seed: int = 0,
    turn_rad: float = 0.6,
    travel: float = 0.5,
    height: int = 24,
    width: int = 32,
    same_focal: bool = False,
) -> Cameras:
    """Cameras with 35 to 80 degrees of view, unequal focal lengths and centred principal points."""
    generator = seeded(seed + 1000)
    rotation = rotation_from_vector(random_vectors(batch, size=turn_rad, seed=seed))
    centre = torch.randn(*batch, 3, generator=generator, dtype=F64) * travel
    stretch = torch.rand(*batch, 2, generator=generator, dtype=F64)
    focal = width * (0.6 + stretch)
    if same_focal:
        focal = focal.reshape(-1, 2)[0].expand(*batch, 2).clone()
    center = torch.tensor([width / 2, height / 2], dtype=F64).expand(*batch, 2).clone()
    return Cameras(rigid(rotation, centre), focal, center, height, width)


def camera_at(
    position: tuple[float, float, float],
    rotation: Tensor | None = None,
    *,
    focal_px: tuple[float, float] = (4.0, 4.0),
    height: int = 4,
    width: int = 4,
) -> Cameras:
    """One camera with a centred principal point, batch ()."""
    turn = torch.eye(3, dtype=F64) if rotation is None else rotation
    pose = rigid(turn, torch.tensor(position, dtype=F64))
    center = torch.tensor([width / 2, height / 2], dtype=F64)
    return Cameras(pose, torch.tensor(focal_px, dtype=F64), center, height, width)


def joined(*cameras: Cameras) -> Cameras:
    """Stack single cameras into a path."""
    return Cameras(
        torch.stack([c.world_from_cam for c in cameras]),
        torch.stack([c.focal_px for c in cameras]),
        torch.stack([c.center_px for c in cameras]),
        cameras[0].height,
        cameras[0].width,
    )


def largest_turn_rad(a: Tensor, b: Tensor) -> float:
    """Largest angle between rotations, from the chord: independent of the code under test."""
    chord = (a[..., :3, :3] - b[..., :3, :3]).flatten(-2).norm(dim=-1) / math.sqrt(8)
    return float(2 * torch.asin(chord.clamp(max=1)).max())
