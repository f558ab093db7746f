"""Depths seen from elsewhere: exact for a plane, the nearest where two fall together, no holes."""

import torch

from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.solve.depth_reprojection import (
    fill_holes,
    pixels_from_middle,
    reproject,
    splat_depth,
)

SIZE = (24, 32)
FOCAL = torch.full((1, 1, 2), 30.0)


def test_a_plane_is_where_the_ray_meets_it():
    rotation = rotation_from_vector(torch.tensor([[0.05, -0.1, 0.02]]))
    center = torch.tensor([[0.2, -0.1, 0.3]])
    found = splat_depth(torch.full((1, 1, *SIZE), 2.0), rotation, center, FOCAL, FOCAL)
    ray = torch.nn.functional.pad(pixels_from_middle(SIZE) / FOCAL[0], (0, 1), value=1.0)
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
    found = splat_depth(depth, still, center, FOCAL, FOCAL).view(SIZE)
    near = found < 1.0
    assert near[6:18, 10:22].all()
    assert near.sum() < 1.35 * 15 * 15
    torch.testing.assert_close(found[near], torch.full_like(found[near], 0.8), rtol=0.02, atol=0)
    torch.testing.assert_close(found[0], torch.full_like(found[0], 3.3), rtol=0.02, atol=0)


def test_where_nothing_is_in_front_all_is_at_depth_one():
    """There is nothing to fill from; 1 is the median depth of a scene, by its unit."""
    behind = torch.tensor([[0.0, 0.0, 9.0]])
    still = torch.eye(3)[None]
    found = splat_depth(torch.ones(1, 1, *SIZE), still, behind, FOCAL, FOCAL)
    torch.testing.assert_close(found, torch.ones_like(found))


def test_a_move_to_the_right_reprojects_a_wall_by_focal_times_distance_over_depth():
    """0.2 units at depth 2 with f = 30 px: a pixel is 3 pixels further right in the source."""
    right = torch.tensor([[0.2, 0.0, 0.0]])
    wall = torch.full((1, 1, *SIZE), 2.0)
    displacement, visible = reproject(wall, torch.eye(3)[None], right, FOCAL, FOCAL)
    torch.testing.assert_close(displacement[0, 0], torch.full(SIZE, 3.0), rtol=0, atol=1e-4)
    torch.testing.assert_close(displacement[0, 1], torch.zeros(SIZE), rtol=0, atol=1e-4)
    assert visible[..., :-3].min() == 1
    assert visible[..., -3:].max() == 0, "outside the source"


def test_what_a_near_thing_hides_from_the_source_is_not_visible():
    """From 1 unit to the right a square at depth 1.5 is 20 pixels further left, the wall 7.5."""
    depth = torch.full((1, 1, *SIZE), 4.0)
    depth[..., 8:16, 22:28] = 1.5
    right = torch.tensor([[1.0, 0.0, 0.0]])
    displacement, visible = reproject(depth, torch.eye(3)[None], right, FOCAL, FOCAL)
    torch.testing.assert_close(
        displacement[0, 0, 9:15, 3:7], torch.full((6, 4), 20.0), rtol=0, atol=1e-3
    )
    assert visible[0, 0, 9:15, 3:7].min() == 1
    assert visible[0, 0, 9:15, 16:20].max() == 0, "the wall behind the square"
    assert visible[0, 0, 1:6, 16:20].min() == 1, "the wall above it"


def test_pixels_of_no_weight_are_filled_from_around_and_the_rest_stays():
    image = torch.full((1, 3, 16, 24), 0.7)
    image[..., 12:] = 0.2
    weight = torch.ones(1, 1, 16, 24)
    weight[..., 8:12], weight[..., 20:] = 0, 0  # a hole inside, and a strip at the edge
    hidden = torch.where(weight > 0, image, torch.tensor(9.0))
    result = fill_holes(hidden, weight)
    seen = weight.expand_as(image) > 0
    assert torch.equal(result[seen], image[seen])
    assert float(result.max()) <= 0.7 + 1e-6, "nothing of what is hidden shows"
    torch.testing.assert_close(result[..., 20:], image[..., 20:])  # all around it is 0.2
    assert 0.2 < float(result[..., 8:12].mean()) < 0.7


def test_without_any_weight_there_is_nothing_to_fill_with():
    result = fill_holes(torch.ones(1, 3, 5, 7), torch.zeros(1, 1, 5, 7))
    assert torch.equal(result, torch.zeros_like(result))
