"""Umeyama's alignment: worked by hand, least among its neighbours, and refused where open."""

import math

import pytest
import torch
from geometry_cases import EXACT, F64, TURN_RIGHT, camera_at, random_rotations, seeded

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.align import Similarity, align_cameras, umeyama
from rays_as_pixels.geometry.rotations import rotation_from_vector

TURN_Z = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=F64)
CORNERS = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=F64)
# Twice the size, a quarter turn about z (x to y, y to -x), and then 1, 2, 3 further.
MOVED_CORNERS = torch.tensor([[1, 2, 3], [1, 4, 3], [-1, 2, 3], [1, 2, 5]], dtype=F64)
OCTAHEDRON = torch.tensor(
    [[3, 0, 0], [-3, 0, 0], [0, 2, 0], [0, -2, 0], [0, 0, 1], [0, 0, -1]], dtype=F64
)


def _points(count: int = 20, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, generator=seeded(seed), dtype=F64)


def test_four_corners_by_hand():
    found = umeyama(CORNERS, MOVED_CORNERS)
    torch.testing.assert_close(found.rotation, TURN_Z, **EXACT)
    torch.testing.assert_close(found.translation, torch.tensor([1.0, 2.0, 3.0], dtype=F64), **EXACT)
    assert float(found.scale) == pytest.approx(2)
    torch.testing.assert_close(found.apply(CORNERS), MOVED_CORNERS, **EXACT)


def test_a_similarity_scales_then_turns_then_shifts():
    found = Similarity(TURN_Z, torch.tensor([10.0, 0, 0], dtype=F64), torch.tensor(3.0, dtype=F64))
    point = torch.tensor([1.0, 0.0, 0.0], dtype=F64)
    torch.testing.assert_close(
        found.apply(point), torch.tensor([10.0, 3.0, 0.0], dtype=F64), **EXACT
    )


def test_a_mirrored_set_is_met_by_a_rotation_by_hand():
    """Mirrored in z the covariance is diag(3, 4/3, -1/3) and the variance 14/3 (Eq. 42)."""
    mirrored = OCTAHEDRON * torch.tensor([1.0, 1.0, -1.0], dtype=F64)
    found = umeyama(OCTAHEDRON, mirrored)
    torch.testing.assert_close(found.rotation, torch.eye(3, dtype=F64), **EXACT)
    assert float(found.scale) == pytest.approx((3 + 4 / 3 - 1 / 3) / (14 / 3))


@pytest.mark.parametrize("seed", range(5))
def test_a_similarity_is_found_again_and_inverts(seed):
    generator = seeded(seed)
    source = _points(seed=seed)
    truth = Similarity(
        random_rotations((), seed=seed),
        torch.randn(3, generator=generator, dtype=F64),
        torch.tensor(0.1 + 3 * seed, dtype=F64),
    )
    found = umeyama(source, truth.apply(source))
    torch.testing.assert_close(found.rotation, truth.rotation, **EXACT)
    torch.testing.assert_close(found.translation, truth.translation, **EXACT)
    torch.testing.assert_close(found.scale, truth.scale, **EXACT)
    back = umeyama(truth.apply(source), source)
    torch.testing.assert_close(back.apply(truth.apply(source)), source, **EXACT)


@pytest.mark.parametrize("with_scale", [True, False])
def test_no_neighbour_fits_better(with_scale):
    source = _points()
    noise = 0.3 * _points(seed=1)
    target = 1.7 * source @ random_rotations((), seed=3).T + 2 + noise
    found = umeyama(source, target, with_scale=with_scale)
    if not with_scale:
        assert float(found.scale) == 1
    least = (found.apply(source) - target).square().sum()
    for axis in torch.eye(3, dtype=F64):
        for step in (1e-3, -1e-3):
            turned = rotation_from_vector(step * axis) @ found.rotation
            neighbours = [
                Similarity(turned, found.translation, found.scale),
                Similarity(found.rotation, found.translation + step * axis, found.scale),
            ]
            if with_scale:
                bigger = found.scale * (1 + step)
                neighbours.append(Similarity(found.rotation, found.translation, bigger))
            for other in neighbours:
                assert (other.apply(source) - target).square().sum() > least


def test_points_of_one_plane_are_enough():
    flat = _points() * torch.tensor([1.0, 1.0, 0.0], dtype=F64)
    turn = random_rotations((), seed=4)
    found = umeyama(flat, flat @ turn.T)
    torch.testing.assert_close(found.rotation, turn, **EXACT)
    assert float(torch.det(found.rotation)) == pytest.approx(1)


@pytest.mark.parametrize("unit", [1e-7, 1e7])
def test_the_units_of_either_set_do_not_matter(unit):
    source = _points().float()
    found = umeyama(source, source * unit)
    assert float(found.scale) == pytest.approx(unit, rel=1e-5)
    found = umeyama(source * unit, source)
    assert float(found.scale) == pytest.approx(1 / unit, rel=1e-5)


_LINE = torch.linspace(0, 1, 9, dtype=F64)[:, None] * torch.tensor([0.3, -0.7, 0.2], dtype=F64)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        (_points(2), _points(2), "3 or more points"),
        (_points(5), _points(6), "3 or more points"),
        (_LINE + 0.1, _points(9), "one line"),
        (_points(9), _LINE + 0.1, "one line"),
        (_LINE + 0.1, _LINE + 0.3, "one line"),
        (torch.full((5, 3), 0.1, dtype=F64), _points(5), "one line"),
        (_points(5), torch.full((5, 3), 0.1, dtype=F64), "one line"),
        (torch.zeros(5, 3, dtype=F64), torch.zeros(5, 3, dtype=F64), "one line"),
        (_points(5) * math.nan, _points(5), "source points must be finite"),
        (_points(5), _points(5) * math.inf, "target points must be finite"),
    ],
)
def test_point_sets_that_fix_no_rotation_are_refused(dtype, source, target, words):
    with pytest.raises(InputError, match=words):
        umeyama(source.to(dtype), target.to(dtype))


def test_aligning_cameras_turns_them_and_maps_their_centres():
    camera = camera_at((1, 0, 0), TURN_RIGHT)
    moved = align_cameras(camera, umeyama(CORNERS, MOVED_CORNERS))
    expected = torch.tensor([1.0, 4.0, 3.0], dtype=F64)
    torch.testing.assert_close(moved.world_from_cam[:3, 3], expected, **EXACT)
    # It looked along +X, which the similarity turns to +Y.
    torch.testing.assert_close(
        moved.world_from_cam[:3, 2], torch.tensor([0.0, 1.0, 0.0], dtype=F64), **EXACT
    )
    assert torch.equal(moved.focal_px, camera.focal_px)
    assert torch.equal(moved.center_px, camera.center_px)
