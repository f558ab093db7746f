"""Rigid motions and shake of whole paths, for tests that compare paths."""

import math
from dataclasses import replace

import torch

from rays_as_pixels.geometry.align import Similarity, align_cameras
from rays_as_pixels.geometry.cameras import rigid
from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.motions import shake_curve

Point = tuple[float, float, float]


def moved(path: Trajectory, offset: Point) -> Trajectory:
    """Shift the path by an offset in world axes."""
    return _rigidly(path, torch.eye(3), torch.tensor(offset, dtype=torch.float64))


def rotated(path: Trajectory, rotation_vector_deg: Point) -> Trajectory:
    """Turn the path about the origin by a world axis times an angle in degrees."""
    vector = torch.deg2rad(torch.tensor(rotation_vector_deg, dtype=torch.float64))
    return _rigidly(path, rotation_from_vector(vector), torch.zeros(3))


def _rigidly(path: Trajectory, rotation: torch.Tensor, offset: torch.Tensor) -> Trajectory:
    pose = path.cameras.world_from_cam
    similarity = Similarity(rotation.to(pose), offset.to(pose), pose.new_tensor(1.0))
    return replace(path, cameras=align_cameras(path.cameras, similarity))


def shaken(path: Trajectory, amount_deg: float, *, seed: int) -> Trajectory:
    """Lay the sway of a hand over a path in float64; its ends stay."""
    share = torch.linspace(0, 1, len(path), dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    sway = math.radians(amount_deg) * shake_curve(share, generator=generator)
    local = rigid(rotation_from_vector(sway[:, :3]), 0.5 * sway[:, 3:])
    cameras = path.cameras.to(dtype=torch.float64)
    world_from_cam = cameras.world_from_cam @ local
    return replace(path, cameras=replace(cameras, world_from_cam=world_from_cam))
