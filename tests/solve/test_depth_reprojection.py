"""Depths seen from elsewhere: exact for a plane, the nearest where two fall together."""

import torch

from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.solve.depth_reprojection import pixels_from_middle, splat_depth

SIZE = (24, 32)
LENS = torch.full((1, 1, 2), 30.0)


def test_a_plane_is_where_the_ray_meets_it():
    rotation = rotation_from_vector(torch.tensor([[0.05, -0.1, 0.02]]))
    center = torch.tensor([[0.2, -0.1, 0.3]])
    found = splat_depth(torch.full((1, 1, *SIZE), 2.0), rotation, center, LENS, LENS)
    ray = torch.nn.functional.pad(pixels_from_middle(SIZE) / LENS[0], (0, 1), value=1.0)
    turned = ray @ rotation[0].mT
    far = (2.0 - center[0, 2]) / turned[:, 2]
    at = (turned * far[:, None] + center[0])[:, :2] / 2.0 * 30
    inside = (at.abs() < torch.tensor([SIZE[1] / 2, SIZE[0] / 2])).all(-1)
    off = (found[0, :, 0] / far).log().abs()
    assert inside.float().mean() > 0.7
    assert off[inside].max() < 0.02


def test_the_nearest_wins_and_comes_without_gaps():
    depth = torch.full((1, 1, *SIZE), 4.0)
    depth[..., 8:16, 12:20] = 1.5
    still = torch.eye(3)[None]
    center = torch.tensor([[0.0, 0.0, 0.7]])  # near things become nearly twice as large
    found = splat_depth(depth, still, center, LENS, LENS).view(SIZE)
    near = found < 1.0
    assert near[6:18, 10:22].all()
    assert near.sum() < 1.35 * 15 * 15
    torch.testing.assert_close(found[near], torch.full_like(found[near], 0.8), rtol=0.02, atol=0)
    torch.testing.assert_close(found[0], torch.full_like(found[0], 3.3), rtol=0.02, atol=0)


def test_nothing_ahead_leaves_finite_depths():
    behind = torch.tensor([[0.0, 0.0, 9.0]])
    still = torch.eye(3)[None]
    found = splat_depth(torch.ones(1, 1, *SIZE), still, behind, LENS, LENS)
    assert found.isfinite().all()
