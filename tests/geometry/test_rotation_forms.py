"""Rotations: hand-worked numbers, inverse pairs, tiny angles and half turns."""

import math

import pytest
import torch
from geometry_cases import BATCHES, EXACT, F64, TURN_RIGHT, random_rotations, random_vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.rotations import (
    nearest_rotation,
    quaternion_wxyz_from_rotation,
    rotation_angle_rad,
    rotation_from_quaternion_wxyz,
    rotation_from_vector,
    skew,
    slerp,
    vector_from_rotation,
)

few = settings(max_examples=40, deadline=None, derandomize=True, database=None)
vectors = st.lists(st.floats(-1.8, 1.8), min_size=3, max_size=3).map(
    lambda v: torch.tensor(v, dtype=F64)
)
TINY_AND_SMALL = [0.0, 1e-300, 1e-12, 1e-9, 1e-7, 9.9e-5, 1.01e-4, 1e-3]


def _vector(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=F64)


def _exponential(matrix: torch.Tensor) -> torch.Tensor:
    """Sum the series; 40 terms are exact to rounding for angles below 4 rad.

    The library's own matrix exponential is only good to 2e-11.
    """
    term = total = torch.eye(3, dtype=F64)
    for k in range(1, 41):
        term = term @ matrix / k
        total = total + term
    return total


def test_skew_is_the_cross_product():
    matrix = skew(_vector(1, 2, 3))
    expected = torch.tensor([[0, -3, 2], [3, 0, -1], [-2, 1, 0]], dtype=F64)
    assert torch.equal(matrix, expected)


@pytest.mark.parametrize(
    ("axis", "source", "target"),
    [
        ((1, 0, 0), (0, 1, 0), (0, 0, 1)),  # about x: y goes to z
        ((0, 1, 0), (0, 0, 1), (1, 0, 0)),  # about y: z goes to x
        ((0, 0, 1), (1, 0, 0), (0, 1, 0)),  # about z: x goes to y
    ],
)
def test_a_quarter_turn_is_right_handed(axis, source, target):
    rotation = rotation_from_vector(_vector(*axis) * math.pi / 2)
    torch.testing.assert_close(rotation @ _vector(*source), _vector(*target), **EXACT)
    torch.testing.assert_close(rotation @ _vector(*axis), _vector(*axis), **EXACT)


def test_a_turn_about_plus_y_looks_to_the_right():
    torch.testing.assert_close(
        rotation_from_vector(_vector(0, math.pi / 2, 0)), TURN_RIGHT, **EXACT
    )


def test_the_quaternion_1_2_3_4_is_read_scalar_first():
    """Worked out by hand from w, x, y, z = 1, 2, 3, 4, all over the root of 30."""
    expected = torch.tensor([[-20, 4, 22], [20, -10, 20], [10, 28, 4]], dtype=F64) / 30
    wxyz = _vector(1, 2, 3, 4)
    torch.testing.assert_close(rotation_from_quaternion_wxyz(wxyz), expected, **EXACT)
    torch.testing.assert_close(rotation_from_quaternion_wxyz(-5 * wxyz), expected, **EXACT)
    torch.testing.assert_close(
        quaternion_wxyz_from_rotation(expected), wxyz / math.sqrt(30), **EXACT
    )


@pytest.mark.parametrize("largest", range(4))
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, -1)])
def test_every_component_of_a_quaternion_may_be_the_largest(largest, signs):
    wxyz = _vector(0.3, 0.2 * signs[0], 0.35 * signs[1], 0.25 * signs[2])
    wxyz[largest] = wxyz[largest] * 4
    wxyz = wxyz / wxyz.norm()
    back = quaternion_wxyz_from_rotation(rotation_from_quaternion_wxyz(wxyz))
    torch.testing.assert_close(back, wxyz, **EXACT)


@pytest.mark.parametrize("batch", BATCHES)
def test_quaternions_and_vectors_invert_over_any_batch(batch):
    rotation = random_rotations(batch)
    wxyz = quaternion_wxyz_from_rotation(rotation)
    assert wxyz.shape == (*batch, 4)
    assert bool((wxyz[..., 0] >= 0).all())
    torch.testing.assert_close(rotation_from_quaternion_wxyz(wxyz), rotation, **EXACT)
    vector = vector_from_rotation(rotation)
    assert vector.shape == (*batch, 3)
    torch.testing.assert_close(rotation_from_vector(vector), rotation, **EXACT)
    expected = random_vectors(batch, size=3.1)
    # Near pi the sine of the half angle is flat: 1e-16 in the matrix is 1e-15 over 0.04 here.
    torch.testing.assert_close(vector, expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(rotation_angle_rad(rotation), expected.norm(dim=-1), **EXACT)


@few
@given(vectors)
def test_rodrigues_agrees_with_the_matrix_exponential(vector):
    torch.testing.assert_close(rotation_from_vector(vector), _exponential(skew(vector)), **EXACT)


@pytest.mark.parametrize("angle", TINY_AND_SMALL)
def test_tiny_turns_keep_all_their_digits(angle):
    axis = _vector(2, -3, 6) / 7
    vector = angle * axis
    rotation = rotation_from_vector(vector)
    expected = _exponential(skew(vector))
    torch.testing.assert_close(rotation, expected, atol=1e-15, rtol=0)  # 5 roundings of 1
    # Relative to the angle: an arccosine would lose everything below 1e-8.
    torch.testing.assert_close(vector_from_rotation(rotation), vector, atol=1e-300, rtol=1e-9)
    assert float(rotation_angle_rad(rotation)) == pytest.approx(angle, rel=1e-9, abs=1e-300)


def test_the_gradient_of_no_turn_is_finite():
    vector = torch.zeros(3, dtype=F64, requires_grad=True)
    rotation_from_vector(vector)[2, 1].backward()
    torch.testing.assert_close(vector.grad, _vector(1, 0, 0), **EXACT)


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (2, -3, 6), (-1, -1, 0)])
@pytest.mark.parametrize("short_of", [0.0, 1e-12, 1e-7, 1e-3])
def test_half_turns_keep_their_axis(axis, short_of):
    axis = _vector(*axis) / _vector(*axis).norm()
    angle = math.pi - short_of
    rotation = rotation_from_vector(angle * axis)
    assert float(rotation_angle_rad(rotation)) == pytest.approx(angle, abs=1e-15)
    vector = vector_from_rotation(rotation)
    assert float(vector.norm()) == pytest.approx(angle, abs=1e-14)
    if short_of > 1e-10:  # closer than that, v and -v are the same turn to rounding
        torch.testing.assert_close(vector, angle * axis, **EXACT)
    torch.testing.assert_close(rotation_from_vector(vector), rotation, **EXACT)


def test_the_half_turn_about_z_by_hand():
    rotation = torch.diag(_vector(-1, -1, 1))
    torch.testing.assert_close(
        quaternion_wxyz_from_rotation(rotation), _vector(0, 0, 0, 1), **EXACT
    )
    torch.testing.assert_close(vector_from_rotation(rotation), _vector(0, 0, math.pi), **EXACT)


def test_slerp_turns_at_constant_speed_from_start_to_end():
    start = rotation_from_vector(_vector(0.3, -0.2, 0.5))
    # In the axes of `start`, one radian about its own x axis: order matters here.
    end = start @ rotation_from_vector(_vector(1.0, 0, 0))
    for weight in (0.0, 0.25, 1.0):
        expected = start @ rotation_from_vector(_vector(weight, 0, 0))
        torch.testing.assert_close(slerp(start, end, torch.tensor(weight)), expected, **EXACT)


@pytest.mark.parametrize("batch", BATCHES)
def test_slerp_takes_the_shorter_arc_over_any_batch(batch):
    start, end = random_rotations(batch, seed=1), random_rotations(batch, seed=2)
    weight = torch.full(batch, 0.3, dtype=F64)
    between = slerp(start, end, weight)
    whole = rotation_angle_rad(start.transpose(-1, -2) @ end)
    part = rotation_angle_rad(start.transpose(-1, -2) @ between)
    rest = rotation_angle_rad(between.transpose(-1, -2) @ end)
    torch.testing.assert_close(part, 0.3 * whole, **EXACT)
    torch.testing.assert_close(rest, 0.7 * whole, **EXACT)


@pytest.mark.parametrize("batch", BATCHES)
def test_the_nearest_rotation_of_a_stretched_rotation_is_that_rotation(batch):
    rotation = random_rotations(batch)
    stretch = torch.diag(_vector(3.0, 2.0, 0.5))  # symmetric positive: the polar factor stays
    torch.testing.assert_close(nearest_rotation(rotation @ stretch), rotation, **EXACT)


def test_the_nearest_rotation_of_a_mirroring_is_never_a_mirroring():
    """By hand: of diag(3, 2, -1) the nearest rotation is the identity, losing the least axis."""
    result = nearest_rotation(torch.diag(_vector(3, 2, -1)))
    torch.testing.assert_close(result, torch.eye(3, dtype=F64), **EXACT)
    result = nearest_rotation(torch.diag(_vector(-1, 3, 2)))
    torch.testing.assert_close(result, torch.eye(3, dtype=F64), **EXACT)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_degenerate_matrices_are_refused(dtype):
    direction = torch.tensor([1.0, 2.0, 3.0], dtype=dtype)
    with pytest.raises(InputError, match="rank 2"):
        nearest_rotation(torch.outer(direction, direction))
    with pytest.raises(InputError, match="rank 2"):
        nearest_rotation(torch.zeros(2, 3, 3, dtype=dtype))
    with pytest.raises(InputError, match="must be finite"):
        nearest_rotation(torch.full((3, 3), math.nan, dtype=dtype))


@pytest.mark.parametrize("bad", [(0, 0, 0, 0), (math.nan, 0, 0, 1), (math.inf, 0, 0, 0)])
def test_a_quaternion_without_direction_is_refused(bad):
    with pytest.raises(InputError, match="finite and non-zero"):
        rotation_from_quaternion_wxyz(_vector(*bad))
