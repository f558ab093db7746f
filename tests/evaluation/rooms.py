"""A textured corner of a room, ray-cast in a few lines: real parallax with known cameras."""

import torch

from rays_as_pixels.evaluation.clips import EvalClip
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rays import rays_from_cameras
from rays_as_pixels.geometry.rotations import rotation_from_vector

# Unit normal and offset of each plane, n . x = offset: floor below, wall ahead, wall to the right.
_PLANES = (((0.0, 1.0, 0.0), 0.8), ((0.0, 0.0, 1.0), 3.0), ((0.8, 0.0, 0.6), 1.9))


def path(centres, turns_deg=None, *, height=120, width=160, focal_px=130.0):
    """Cameras at `centres`, turned by rotation vectors in degrees."""
    centre = torch.tensor(centres, dtype=torch.float64)
    turn = torch.zeros_like(centre) if turns_deg is None else torch.tensor(turns_deg).double()
    focal = torch.full((len(centre), 2), focal_px, dtype=torch.float64)
    center = torch.tensor([width / 2, height / 2], dtype=torch.float64).expand_as(focal)
    rotation = rotation_from_vector(torch.deg2rad(turn))
    return Cameras(rigid(rotation, centre), focal, center, height, width)


def curved_path(frames=5, **size):
    """Sideways and forward with a growing turn: a motion without symmetry."""
    step = range(frames)
    return path(
        [[0.12 * k, -0.02 * k * k, 0.05 * k] for k in step],
        [[0.5 * k, -1.5 * k, 0.3 * k * k] for k in step],
        **size,
    )


def room_clip(cameras, *, name="room"):
    """Render the room along a path, 2x supersampled; depth is z in camera axes."""
    height, width = cameras.height, cameras.width
    video, depth = _render(cameras.resized(height=2 * height, width=2 * width))
    video = torch.nn.functional.avg_pool2d(video, 2)
    depth = torch.nn.functional.avg_pool2d(depth, 2)
    frames = tuple(range(len(video)))
    return EvalClip(name, video, 10.0, frames, cameras.relative_to(0), depth)


def _render(cameras):
    ray = rays_from_cameras(cameras)
    centre = cameras.world_from_cam[:, None, None, :3, 3]
    nearest = torch.full(ray.shape[:-1], torch.inf, dtype=ray.dtype)
    for normal, offset in _PLANES:
        n = torch.tensor(normal, dtype=ray.dtype)
        reach = (offset - centre @ n) / (ray @ n)
        nearest = torch.where((reach > 1e-6) & (reach < nearest), reach, nearest)
    nearest = nearest.clamp(max=20.0)
    point = centre + nearest[..., None] * ray
    forward = cameras.world_from_cam[:, None, None, :3, 2]
    depth = nearest * (ray * forward).sum(-1)
    return _texture(point).movedim(-1, 1).float(), depth.float()


def _texture(point):
    """Sum of waves in random directions at several scales: sharp corners everywhere."""
    generator = torch.Generator().manual_seed(7)
    wave = torch.randn(40, 3, generator=generator, dtype=torch.float64)
    wave = wave * torch.linspace(2, 22, 40, dtype=torch.float64)[:, None]
    phase = 6.28 * torch.rand(40, generator=generator, dtype=torch.float64)
    colour = torch.randn(40, 3, generator=generator, dtype=torch.float64)
    value = torch.sin(point @ wave.T + phase).sign() @ colour
    return torch.sigmoid(value / 4)
