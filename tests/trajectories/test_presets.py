"""Presets: each move goes where its name says, starts at the identity and stops gently."""

import math
from pathlib import Path

import pytest
import torch
from PIL import Image

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.rotations import rotation_angle_rad
from rays_as_pixels.trajectories.presets import DEGREES, PRESETS, SCENE_UNITS, make_preset

SIZE = {"fps": 10.0, "height": 48, "width": 64}
PICTURES = Path(__file__).parents[2] / "assets" / "presets"
EXACT = {"atol": 1e-12, "rtol": 0}  # float64 sines and products of numbers near 1

# Direction of the centre at the end (None: it is back at, or never left, the start).
MOVES = {
    "dolly-in": (0, 0, 1),
    "dolly-out": (0, 0, -1),
    "truck-left": (-1, 0, 0),
    "truck-right": (1, 0, 0),
    "pedestal-up": (0, -1, 0),
    "pedestal-down": (0, 1, 0),
    "crane-up": (0, -1, 0),
    "crane-down": (0, 1, 0),
    "slide-left": (-1, 0, 0),
    "slide-right": (1, 0, 0),
    "dolly-zoom": (0, 0, 1),
    "push-and-pan": (0, 0, 1),
    "fly-through": (0, 0, 1),
}
ROUND_TRIPS = ("orbit", "pendulum", "circle", "lemniscate", "boomerang", "look-around", "hand-held")


def path(name, num_frames=33, **options):
    return make_preset(name, num_frames=num_frames, **SIZE, **options)


def forward(trajectory, frame):
    """Return the direction of the optical axis in the world."""
    return trajectory.cameras.world_from_cam[frame, :3, 2]


def right(trajectory, frame):
    """Return the world direction of the camera's right-hand side."""
    return trajectory.cameras.world_from_cam[frame, :3, 0]


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_there_are_at_least_twenty_presets_under_their_own_names():
    assert len(PRESETS) >= 20
    for name, preset in PRESETS.items():
        assert preset.name == name
        assert preset.amount_unit in (DEGREES, SCENE_UNITS)
        low, high = preset.amount_range
        assert low <= 0.01 < preset.amount_default <= high
        assert preset.description.endswith(".")


def test_every_preset_has_its_small_picture_and_no_picture_is_left_over():
    pictures = {path.stem: path for path in PICTURES.glob("*.png")}
    assert set(pictures) == set(PRESETS), "run: python scripts/draw_presets.py"
    for path in pictures.values():
        assert path.stat().st_size < 15_000
        with Image.open(path) as image:
            assert image.size == (240, 180)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_starts_at_the_identity_with_the_field_of_view_asked_for(name):
    trajectory = path(name, hfov_deg=70.0, pivot_depth=1.7)
    eye = torch.eye(4, dtype=torch.float64)
    torch.testing.assert_close(trajectory.cameras.world_from_cam[0], eye, **EXACT)
    assert math.degrees(trajectory.cameras.hfov_rad[0]) == pytest.approx(70.0, abs=1e-9)
    torch.testing.assert_close(trajectory.cameras.focal_px[:, 0], trajectory.cameras.focal_px[:, 1])


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_starts_and_stops_gently(name):
    """The first and last of 100 steps are under a fifth of the longest one."""
    trajectory = path(name, num_frames=101)
    pose = trajectory.cameras.world_from_cam
    step = pose[:, :3, 3].diff(dim=0).norm(dim=-1)
    step = step + rotation_angle_rad(pose[:-1, :3, :3].transpose(-1, -2) @ pose[1:, :3, :3])
    step = step + trajectory.cameras.focal_px[:, 0].log().diff().abs()
    assert max(step[0], step[-1]) < 0.2 * step.max()


# A path of no length has no direction to fly in; push-and-pan pans by 30 degrees all the same.
@pytest.mark.parametrize("name", [n for n in PRESETS if n not in ("fly-through", "push-and-pan")])
def test_an_amount_of_zero_stands_still(name):
    trajectory = path(name, amount=0.0)
    eye = torch.eye(4, dtype=torch.float64).expand(33, 4, 4)
    torch.testing.assert_close(trajectory.cameras.world_from_cam, eye, **EXACT)
    torch.testing.assert_close(
        trajectory.cameras.focal_px, trajectory.cameras.focal_px[:1].expand(33, 2)
    )


@pytest.mark.parametrize("name", PRESETS)
def test_one_frame_is_the_identity_alone(name):
    trajectory = path(name, num_frames=1)
    eye = torch.eye(4, dtype=torch.float64)[None]
    torch.testing.assert_close(trajectory.cameras.world_from_cam, eye, **EXACT)


@pytest.mark.parametrize("name", MOVES)
def test_moves_end_the_amount_away_in_the_named_direction(name):
    trajectory = path(name, amount=0.4)
    torch.testing.assert_close(trajectory.positions[-1], 0.4 * vector(*MOVES[name]), **EXACT)


@pytest.mark.parametrize(
    "name", [name for name in MOVES if name.split("-")[0] in ("dolly", "truck", "pedestal")]
)
def test_dolly_truck_and_pedestal_never_turn(name):
    rotation = path(name).cameras.world_from_cam[:, :3, :3]
    assert float(rotation_angle_rad(rotation).max()) == 0


def test_pans_turn_the_optical_axis_sideways_and_tilts_turn_it_up_and_down():
    """30 degrees: sine 1/2, cosine sqrt(3)/2; +Y is down."""
    cosine = math.sqrt(3) / 2
    expected = {
        "pan-right": vector(0.5, 0, cosine),
        "pan-left": vector(-0.5, 0, cosine),
        "tilt-up": vector(0, -0.5, cosine),
        "tilt-down": vector(0, 0.5, cosine),
    }
    for name, axis in expected.items():
        trajectory = path(name, amount=30.0)
        torch.testing.assert_close(forward(trajectory, -1), axis, **EXACT)
        assert float(trajectory.positions.abs().max()) == 0


def test_a_roll_leans_clockwise_the_right_hand_side_sinks():
    trajectory = path("roll", amount=90.0)
    torch.testing.assert_close(right(trajectory, -1), vector(0, 1, 0), **EXACT)
    torch.testing.assert_close(forward(trajectory, -1), vector(0, 0, 1), **EXACT)


def test_arcs_of_a_right_angle_end_beside_above_and_below_the_subject_facing_it():
    expected = {
        "arc-right": (vector(2, 0, 2), vector(-1, 0, 0)),
        "arc-left": (vector(-2, 0, 2), vector(1, 0, 0)),
    }
    for name, (centre, axis) in expected.items():
        trajectory = path(name, amount=90.0, pivot_depth=2.0)
        torch.testing.assert_close(trajectory.positions[-1], centre, **EXACT)
        torch.testing.assert_close(forward(trajectory, -1), axis, **EXACT)
    for name, sign in (("arc-up", -1), ("arc-down", 1)):
        trajectory = path(name, amount=30.0, pivot_depth=2.0)
        centre = vector(0, sign * 1.0, 2 - math.sqrt(3))
        torch.testing.assert_close(trajectory.positions[-1], centre, **EXACT)


def test_an_orbit_is_behind_the_subject_half_way_and_back_in_the_end():
    trajectory = path("orbit", pivot_depth=1.5)
    torch.testing.assert_close(trajectory.positions[16], vector(0, 0, 3), **EXACT)
    torch.testing.assert_close(forward(trajectory, 16), vector(0, 0, -1), **EXACT)
    assert trajectory.positions[8, 0] > 0, "it sets out to the right"
    torch.testing.assert_close(trajectory.positions[-1], vector(0, 0, 0), **EXACT)


@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_round_trips_come_back_to_the_start_after_leaving_it(name):
    trajectory = path(name)
    eye = torch.eye(4, dtype=torch.float64)
    torch.testing.assert_close(trajectory.cameras.world_from_cam[-1], eye, **EXACT)
    assert float((trajectory.cameras.world_from_cam[12] - eye).abs().max()) > 1e-3


FACING = (
    "orbit",
    "arc-left",
    "arc-right",
    "arc-up",
    "arc-down",
    "pendulum",
    "helix",
    "crane-up",
    "crane-down",
    "slide-left",
    "slide-right",
    "circle",
    "spiral",
    "lemniscate",
    "pull-back-reveal",
)


@pytest.mark.parametrize("name", FACING)
def test_moves_that_face_the_subject_keep_it_in_the_middle_of_the_picture(name):
    trajectory = path(name, pivot_depth=1.3)
    aim = torch.nn.functional.normalize(vector(0, 0, 1.3) - trajectory.positions, dim=-1)
    axis = trajectory.cameras.world_from_cam[:, :3, 2]
    torch.testing.assert_close(axis, aim, **EXACT)
    assert PRESETS[name].uses_pivot


def test_facing_moves_stay_upright():
    for name in ("circle", "spiral", "lemniscate", "helix", "crane-up"):
        side = path(name).cameras.world_from_cam[:, 1, 0]
        assert float(side.abs().max()) < 1e-12, "the right-hand side stays level"


@pytest.mark.parametrize("name", PRESETS)
def test_uses_pivot_says_whether_the_distance_of_the_subject_matters(name):
    near, far = (path(name, pivot_depth=depth).cameras for depth in (1.0, 2.0))
    same_pose = torch.equal(near.world_from_cam, far.world_from_cam)
    same = same_pose and torch.equal(near.focal_px, far.focal_px)
    assert same != PRESETS[name].uses_pivot


def test_drawn_figures_go_the_way_they_say():
    """Of 33 frames, frame 16 is half way and frame 8 a tenth of the way: the start is slow."""
    circle = path("circle", amount=0.2).positions
    torch.testing.assert_close(circle[16], vector(0, -0.4, 0), **EXACT)
    assert circle[8, 0] < 0, "clockwise from its lowest point: to the left first"
    spiral = path("spiral", amount=0.2).positions
    torch.testing.assert_close(spiral[16], vector(0, -0.1, 0), **EXACT)
    assert spiral[8, 0] > 0, "clockwise: up, then right"
    eight = path("lemniscate").positions
    assert eight[8, 0] > 0 > eight[8, 1], "to the upper right first"
    assert eight[24, 0] < 0, "then through the left half"


def test_the_helix_rises_by_half_the_distance_in_half_a_turn_to_the_right():
    helix = path("helix", amount=180.0, pivot_depth=2.0).positions
    torch.testing.assert_close(helix[-1], vector(0, -1, 4), **EXACT)
    assert helix[16, 0] > 1.9


def test_the_reveal_backs_off_and_rises():
    end = path("pull-back-reveal", amount=0.5).positions[-1]
    torch.testing.assert_close(end, vector(0, -0.25, -0.5), **EXACT)


def test_swings_go_the_way_they_say_first():
    swing = path("pendulum")
    assert swing.positions[8, 0] > 0.1 > -0.1 > swing.positions[24, 0], "right, then left"
    look = path("look-around")
    assert forward(look, 8)[0] < -0.1 < 0.1 < forward(look, 24)[0], "left, then right"


def test_the_fly_through_leans_into_its_bends():
    """It bends to the right first, so the right-hand side sinks (+Y); half way it bends left."""
    flight = path("fly-through")
    heading = torch.atan2(*flight.cameras.world_from_cam[:, [0, 2], 2].unbind(-1))
    assert heading[7] > heading[5]
    assert right(flight, 6)[1] > 0.02
    assert heading[15] < heading[13]
    assert right(flight, 14)[1] < -0.02


def test_a_dolly_zoom_keeps_the_size_of_the_subject():
    trajectory = path("dolly-zoom", amount=0.5, pivot_depth=2.0)
    distance = 2.0 - trajectory.positions[:, 2]
    size_px = trajectory.cameras.focal_px[:, 0] / distance
    torch.testing.assert_close(size_px, size_px[:1].expand(33), **EXACT)
    assert trajectory.cameras.hfov_rad[-1] > trajectory.cameras.hfov_rad[0], "the lens widens"


def test_zooms_change_the_field_of_view_by_the_amount_and_nothing_else():
    for name, end_deg in (("zoom-in", 45.0), ("zoom-out", 75.0)):
        trajectory = path(name, amount=15.0)
        assert math.degrees(trajectory.cameras.hfov_rad[-1]) == pytest.approx(end_deg, abs=1e-9)
        assert float(trajectory.positions.abs().max()) == 0


def test_the_fly_through_looks_along_its_path():
    trajectory = path("fly-through", num_frames=801)
    way = trajectory.positions[2:] - trajectory.positions[:-2]
    ahead = way[20:-20] / way[20:-20].norm(dim=-1, keepdim=True)
    axis = trajectory.cameras.world_from_cam[21:-21, :3, 2]
    assert float((ahead * axis).sum(-1).min()) > 1 - 1e-5, "central differences of 800 steps"
    assert float(trajectory.positions[:, 0].max()) > 0 > float(trajectory.positions[:, 0].min())


def test_push_and_pan_turns_right_by_thirty_degrees():
    axis = forward(path("push-and-pan"), -1)
    torch.testing.assert_close(axis, vector(0.5, 0, math.sqrt(3) / 2), **EXACT)


def test_the_lemniscate_crosses_itself_in_the_middle_and_reaches_its_half_width():
    trajectory = path("lemniscate", num_frames=401, amount=0.2)
    torch.testing.assert_close(trajectory.positions[200], vector(0, 0, 0), **EXACT)
    assert float(trajectory.positions[:, 0].max()) == pytest.approx(0.2, rel=1e-4)
    assert float(trajectory.positions[:, 0].min()) == pytest.approx(-0.2, rel=1e-4)


def test_the_spiral_makes_two_turns_and_ends_its_radius_away():
    trajectory = path("spiral", num_frames=201, amount=0.2)
    assert float(trajectory.positions[-1].norm()) == pytest.approx(0.2, abs=1e-12)
    angle = torch.atan2(trajectory.positions[1:, 1], trajectory.positions[1:, 0])
    turned = torch.remainder(angle.diff() + math.pi, 2 * math.pi) - math.pi
    # Frame 0 sits on the centre and has no angle; the missing first steps are short.
    assert abs(float(turned.sum())) == pytest.approx(4 * math.pi, rel=0.01)


def test_the_hand_held_walk_is_the_same_every_time_and_stays_within_its_amount():
    first, second = (path("hand-held", num_frames=97, amount=3.0) for _ in range(2))
    assert torch.equal(first.cameras.world_from_cam, second.cameras.world_from_cam)
    turn = torch.rad2deg(rotation_angle_rad(first.cameras.world_from_cam[:, :3, :3]))
    assert 1.0 < float(turn.max()) < 3.0 * math.sqrt(3)


def test_a_negative_amount_orbits_the_other_way():
    left, right_hand = path("orbit", amount=-60.0), path("arc-left", amount=60.0)
    torch.testing.assert_close(
        left.cameras.world_from_cam, right_hand.cameras.world_from_cam, **EXACT
    )


@pytest.mark.parametrize(
    ("name", "options", "rule"),
    [
        ("warp", {}, "preset must be one of orbit, "),
        ("dolly-in", {"amount": -0.1}, "amount must lie between 0 and 5 scene units"),
        ("pan-left", {"amount": 200.0}, "amount must lie between 0 and 180 deg"),
        ("pan-left", {"amount": math.nan}, "amount must lie between"),
        ("orbit", {"pivot_depth": 0.0}, "pivot_depth must lie between"),
        ("orbit", {"hfov_deg": 180.0}, "hfov_deg must lie between"),
        ("orbit", {"num_frames": 0}, "num_frames must be 1 or more"),
        ("dolly-zoom", {"amount": 0.95}, "amount must be below 0.95 times pivot_depth"),
        ("zoom-in", {"amount": 60.0}, "field of view of 1 to 170"),
        ("zoom-out", {"amount": 111.0}, "field of view of 1 to 170"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_rule(name, options, rule):
    with pytest.raises(InputError, match=rule):
        path(name, **options)
