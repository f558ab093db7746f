"""Look-at: the point stays in the middle, the picture upright, also at the poles."""

import math

import pytest
import torch
from spline_samples import EXACT, key, random_keys, read, rotation_of, vector

from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.look_at import look_at_rotation


def test_look_at_keeps_the_point_in_the_middle_at_every_frame():
    point = (0.3, -0.2, 2.0)
    path = read(random_keys(7), 41, look_at=point)
    aim = torch.nn.functional.normalize(vector(*point) - path.positions, dim=-1)
    torch.testing.assert_close(rotation_of(path)[:, :, 2], aim, **EXACT)
    assert float(rotation_of(path)[:, 1, 0].abs().max()) < 1e-12, "upright: right-hand side level"


def test_look_at_leans_clockwise_by_the_roll_of_the_keys():
    path = read([key(0, roll_deg=0), key(1, (0, 0, 1), roll_deg=90.0)], 2, look_at=(0, 0, 5))
    torch.testing.assert_close(rotation_of(path)[1, :, 0], vector(0, 1, 0), **EXACT)


def test_look_at_is_defined_straight_up_and_straight_down_and_close_to_it():
    centre = torch.zeros(1, 3, dtype=torch.float64)
    down = look_at_rotation(centre, vector(0, 1, 0)[None])[0]
    # Looking down with the right-hand side to +X, the picture's lower edge points backwards.
    torch.testing.assert_close(
        down, torch.stack([vector(1, 0, 0), vector(0, 0, -1), vector(0, 1, 0)], -1), **EXACT
    )
    up = look_at_rotation(centre, vector(0, -1, 0)[None])[0]
    torch.testing.assert_close(up[:, 1], vector(0, 0, 1), **EXACT)
    for tiny in (0.0, 1e-12, 1e-9, 1e-6, 1e-3):
        for sign in (-1, 1):
            rotation = look_at_rotation(centre, vector(tiny, sign, tiny)[None])[0]
            eye = torch.eye(3, dtype=torch.float64)
            torch.testing.assert_close(rotation.T @ rotation, eye, **EXACT)
            assert float(torch.det(rotation)) == pytest.approx(1)


def test_look_at_holds_its_side_while_passing_the_pole():
    """The target sinks from ahead to straight below: the right-hand side stays where it was."""
    angle = torch.linspace(0, math.pi / 2, 10, dtype=torch.float64)
    target = torch.stack([torch.zeros_like(angle), angle.sin(), angle.cos()], -1)
    rotation = look_at_rotation(torch.zeros(10, 3, dtype=torch.float64), target)
    torch.testing.assert_close(rotation[:, :, 0], vector(1, 0, 0).expand(10, 3), **EXACT)


def test_a_look_at_point_on_the_path_is_refused_with_its_frame():
    with pytest.raises(InputError, match="at frame 0"):
        read([key(0), key(1, (0, 0, 1))], 3, look_at=(0, 0, 0))
