"""The keyframe table: signs of its angles by hand, both directions, and what it refuses."""

import math

import pytest
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.presets import make_preset
from rays_as_pixels.ui.keyframe_table import (
    keyframes_from_rows,
    rotation_from_yaw_pitch_roll_deg,
    rows_from_trajectory,
    trajectory_from_rows,
    yaw_pitch_roll_deg_from_rotation,
)

FORWARD = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
RIGHT = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
HALF = math.sqrt(0.5)


def vector(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_positive_yaw_looks_right():
    looked = rotation_from_yaw_pitch_roll_deg(45, 0, 0) @ FORWARD
    torch.testing.assert_close(looked, vector(HALF, 0, HALF))


def test_positive_pitch_looks_up_which_is_minus_y():
    looked = rotation_from_yaw_pitch_roll_deg(0, 45, 0) @ FORWARD
    torch.testing.assert_close(looked, vector(0, -HALF, HALF))


def test_positive_roll_leans_clockwise_so_that_the_right_side_sinks():
    leaned = rotation_from_yaw_pitch_roll_deg(0, 0, 45) @ RIGHT
    torch.testing.assert_close(leaned, vector(HALF, HALF, 0))


def test_yaw_turns_about_the_vertical_whatever_the_pitch():
    """Yaw 90 and pitch 45: looks right and up, with level right-hand side."""
    rotation = rotation_from_yaw_pitch_roll_deg(90, 45, 0)
    torch.testing.assert_close(rotation @ FORWARD, vector(HALF, -HALF, 0))
    torch.testing.assert_close(rotation @ RIGHT, vector(0, 0, -1))


@pytest.mark.parametrize("seed", range(20))
def test_angles_read_back_from_their_rotation(seed):
    generator = torch.Generator().manual_seed(seed)
    yaw, pitch, roll = (torch.rand(3, generator=generator, dtype=torch.float64) * 2 - 1).tolist()
    angles = (yaw * 180, pitch * 89.9, roll * 180)
    rotation = rotation_from_yaw_pitch_roll_deg(*angles)
    assert yaw_pitch_roll_deg_from_rotation(rotation) == pytest.approx(angles, abs=1e-8)


@pytest.mark.parametrize("pitch", [90.0, -90.0])
def test_straight_up_and_down_give_a_rotation_back_though_not_its_angles(pitch):
    rotation = rotation_from_yaw_pitch_roll_deg(30, pitch, 20)
    again = rotation_from_yaw_pitch_roll_deg(*yaw_pitch_roll_deg_from_rotation(rotation))
    # Near the pole the sine has no slope left: an angle is known to the root of the rounding.
    torch.testing.assert_close(again, rotation, atol=1e-7, rtol=0)


def test_rows_hold_first_and_last_frame_and_rebuild_the_path():
    path = make_preset("helix", num_frames=9, fps=10.0, height=48, width=64, amount=90.0)
    rows = rows_from_trajectory(path, num_keys=9)
    assert len(rows) == 9 and rows[0] == [0, 0, 0, 0, 0, 0, 0, 60] and rows[-1][0] == 0.8
    again = trajectory_from_rows(rows, num_frames=9, height=48, width=64)
    assert again.fps == pytest.approx(10.0)
    # Rows hold thousandths of a unit and of a degree, so poses agree to half of one.
    torch.testing.assert_close(
        again.cameras.world_from_cam, path.cameras.world_from_cam, atol=6e-4, rtol=0
    )
    torch.testing.assert_close(again.cameras.focal_px, path.cameras.focal_px, atol=2e-3, rtol=0)


def test_more_keyframes_than_frames_give_one_row_per_frame():
    path = make_preset("dolly-in", num_frames=5, fps=10.0, height=48, width=64)
    assert [row[0] for row in rows_from_trajectory(path, num_keys=50)] == [0, 0.1, 0.2, 0.3, 0.4]


def test_rows_are_put_in_order_of_time_and_empty_rows_are_passed_over():
    rows = [[1, 0, 0, 1, 0, 0, 0, 60], [""] * 8, [None] * 8, ["0", "0", 0, 0, 0, 0, 0, "60"]]
    keys = keyframes_from_rows(rows)
    assert [key.time_sec for key in keys] == [0.0, 1.0]


@pytest.mark.parametrize("cell", ["", None, "abc", float("nan"), "inf", [1]])
def test_a_cell_that_is_no_number_is_named_by_column_and_row(cell):
    rows = [[0, 0, 0, 0, 0, 0, 0, 60], [1, 0, cell, 0, 0, 0, 0, 60]]
    with pytest.raises(InputError, match=r"Y down \(u\) must be a number in row 2"):
        keyframes_from_rows(rows)


def test_short_rows_and_endless_tables_are_refused():
    with pytest.raises(InputError, match="row 1"):
        keyframes_from_rows([[0, 1]])
    with pytest.raises(InputError, match="200 rows or fewer; got 201"):
        keyframes_from_rows([[k, 0, 0, 0, 0, 0, 0, 60] for k in range(201)])


def test_an_empty_table_and_two_keys_at_one_time_are_refused():
    with pytest.raises(InputError, match="1 or more"):
        trajectory_from_rows([], num_frames=9, height=48, width=64)
    with pytest.raises(InputError, match="must increase"):
        trajectory_from_rows([[0] * 7 + [60]] * 2, num_frames=9, height=48, width=64)
