"""Keyframes and splines: keys are met, curves are smooth, edge cases are defined."""

import itertools
import json
import math
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from scipy.interpolate import CubicHermiteSpline, PchipInterpolator
from spline_samples import EXACT, SIZE, key, random_keys, read, rotation_of, turns_deg, vector

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import rigid
from rays_as_pixels.geometry.rotations import (
    quaternion_wxyz_from_rotation,
    rotation_angle_rad,
    rotation_from_quaternion_wxyz,
    rotation_from_vector,
    slerp,
)
from rays_as_pixels.trajectories import curves
from rays_as_pixels.trajectories.easing import EASINGS, ease
from rays_as_pixels.trajectories.quaternions import continuous_wxyz, squad_wxyz
from rays_as_pixels.trajectories.splines import Keyframe, SplineOptions, trajectory_from_keyframes

GOLDEN = json.loads((Path(__file__).parent / "golden_splines.json").read_text(encoding="utf-8"))
POSITIONS = ("catmull-rom", "linear", "tcb", "bezier")
ROTATIONS = ("squad", "slerp")
seeds = st.integers(0, 10_000)
fast = settings(deadline=None, derandomize=True, max_examples=20)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_the_golden_vectors_still_hold(case):
    options = SplineOptions(
        **case["options"] | {"look_at": case["options"]["look_at"] and (0.1, 0.2, 3.0)}
    )
    keys = []
    for given_key in case["keyframes"]:
        shape = dict(given_key)
        rotation = rotation_from_quaternion_wxyz(vector(*shape.pop("quaternion_wxyz")))
        pose = rigid(rotation, vector(*shape.pop("position")))
        shape["tcb"] = tuple(shape["tcb"])
        keys.append(Keyframe(world_from_cam=pose, **shape))
    path = trajectory_from_keyframes(keys, num_frames=case["num_frames"], **SIZE, options=options)
    constant = options.speed == "constant"
    tolerance = GOLDEN["tolerance_constant_speed" if constant else "tolerance"]
    expected = {name: torch.tensor(v, dtype=torch.float64) for name, v in case["expected"].items()}
    close = {"atol": tolerance, "rtol": 0}
    torch.testing.assert_close(path.positions, expected["position"], **close)
    rotation = rotation_from_quaternion_wxyz(expected["quaternion_wxyz"])
    torch.testing.assert_close(rotation_of(path), rotation, **close)
    hfov_deg = torch.rad2deg(path.cameras.hfov_rad)
    torch.testing.assert_close(hfov_deg, expected["hfov_deg"], atol=100 * tolerance, rtol=0)


def test_the_golden_easings_still_hold_and_all_are_there():
    share = vector(*GOLDEN["easing_share"])
    assert set(GOLDEN["easings"]) == set(EASINGS)
    for name, expected in GOLDEN["easings"].items():
        torch.testing.assert_close(ease(share, name), vector(*expected), **EXACT)


def test_the_golden_file_is_a_pure_curve_through_its_keys():
    """The file is written by the code under test; this ties it to the keys themselves."""
    for case in GOLDEN["cases"]:
        for end, frame in ((0, 0), (-1, -1)):
            wanted = case["keyframes"][0 if case["options"]["closed"] else end]["position"]
            assert case["expected"]["position"][frame] == pytest.approx(wanted, abs=1e-9)


@given(
    seed=seeds, position=st.sampled_from(POSITIONS), rotation=st.sampled_from(["squad", "slerp"])
)
@fast
def test_every_curve_passes_through_its_keys(seed, position, rotation):
    keys = random_keys(seed)
    path = read(keys, 4 * 8 + 1, position=position, rotation=rotation)
    for index, wanted in enumerate(keys):
        camera = path.cameras[8 * index]
        torch.testing.assert_close(camera.world_from_cam, wanted.world_from_cam, **EXACT)
        assert math.degrees(camera.hfov_rad) == pytest.approx(wanted.hfov_deg, abs=1e-9)


@given(seed=seeds, position=st.sampled_from(["catmull-rom", "tcb", "bezier"]), closed=st.booleans())
@fast
def test_smooth_curves_have_no_jump_of_velocity_or_turn_rate_at_a_key(seed, position, closed):
    """Halving the step halves the largest change of velocity, as it must where it is continuous."""
    changes = []
    for steps in (2000, 4000):
        path = read(random_keys(seed), steps + 1, position=position, closed=closed)
        velocity = path.positions.diff(dim=0) * steps
        local = rotation_of(path)[:-1].transpose(-1, -2) @ rotation_of(path)[1:]
        turn = local.sub(local.transpose(-1, -2)).flatten(1) * steps
        if closed:
            velocity, turn = (torch.cat([value, value[:1]]) for value in (velocity, turn))
        changes.append([float(value.diff(dim=0).norm(dim=-1).max()) for value in (velocity, turn)])
    for coarse, fine in zip(*changes, strict=True):
        assert fine < 0.7 * coarse, "a jump would stay the same"


@given(seed=seeds)
@fast
def test_linear_paths_stay_on_the_chords(seed):
    keys = random_keys(seed)
    path = read(keys, 4 * 16 + 1, position="linear")
    for index, (start, end) in enumerate(itertools.pairwise(keys)):
        ends = [each.world_from_cam[:3, 3] for each in (start, end)]
        inside = path.positions[16 * index : 16 * index + 17]
        way = sum((inside - point).norm(dim=-1) for point in ends)
        torch.testing.assert_close(way, (ends[1] - ends[0]).norm().expand(17), **EXACT)


def test_linear_easing_on_a_linear_path_is_uniform():
    keys = [key(0, easing="linear"), key(2, (1, 0, 0), easing="linear"), key(3, (1, 1, 0))]
    path = read(keys, 13, position="linear")
    first = [[i / 8, 0, 0] for i in range(9)]
    expected = torch.tensor(first + [[1, i / 4, 0] for i in range(1, 5)])
    torch.testing.assert_close(path.positions, expected.double(), **EXACT)


@given(seed=seeds, position=st.sampled_from(["catmull-rom", "tcb", "bezier"]), closed=st.booleans())
@fast
def test_constant_speed_is_constant_within_one_percent(seed, position, closed):
    """200 steps, each measured along 50 chords: one chord would cut the bends of hairpins short."""
    path = read(random_keys(seed), 10_001, position=position, closed=closed, speed="constant")
    step = path.positions.diff(dim=0).norm(dim=-1).unflatten(0, (200, 50)).sum(1)
    assert float(step.max()) < 1.01 * float(step.mean())
    assert float(step.min()) > 0.99 * float(step.mean())


def test_constant_speed_turns_evenly_where_the_camera_stays_in_place():
    keys = [key(0), key(1, turn_deg=(0, 20, 0)), key(4, turn_deg=(0, 80, 0))]
    turns = turns_deg(read(keys, 41, speed="constant"))
    torch.testing.assert_close(turns, torch.full_like(turns, 2.0), atol=1e-3, rtol=0)


def test_constant_speed_refuses_a_turn_on_the_spot_on_a_path_that_moves():
    keys = [key(0), key(1, (1, 0, 0)), key(2, (1, 0, 0), (0, 40, 0)), key(3, (2, 0, 0), (0, 40, 0))]
    with pytest.raises(InputError, match="turn on the spot of 40 degrees after keyframe 1"):
        read(keys, 9, position="linear", speed="constant")


def test_centripetal_tangents_are_those_of_the_barry_goldman_pyramid():
    """Oracle: the pyramid of linear blends over knots at sqrt(distance), for translations only."""
    points = [np.array(p, float) for p in ((0, 0, 0), (1, 0, 0), (1.2, 0.9, 0), (3, 1, 1))]
    knots = np.cumsum(
        [0, *(math.sqrt(np.linalg.norm(b - a)) for a, b in itertools.pairwise(points))]
    )

    def pyramid(u):
        level = points
        for width in (1, 2, 3):
            level = [
                ((knots[i + width] - u) * a + (u - knots[i]) * b) / (knots[i + width] - knots[i])
                for i, (a, b) in enumerate(itertools.pairwise(level))
            ]
            if width == 2:  # the last level blends over the middle segment alone
                first, second = level
                share = (u - knots[1]) / (knots[2] - knots[1])
                return (1 - share) * first + share * second
        raise AssertionError

    keys = [key(index, point, easing="linear") for index, point in enumerate(points)]
    path = read(keys, 3 * 10 + 1)
    for step in range(11):
        u = knots[1] + (knots[2] - knots[1]) * step / 10
        np.testing.assert_allclose(path.positions[10 + step].numpy(), pyramid(u), atol=1e-12)


def test_tcb_without_tension_continuity_and_bias_is_catmull_rom():
    keys = random_keys(3)
    tcb, plain = (read(keys, 41, position=name).positions for name in ("tcb", "catmull-rom"))
    torch.testing.assert_close(tcb, plain, **EXACT)


def test_full_tension_stops_at_the_key_and_bias_moves_the_bow_to_one_side():
    """Evenly spaced keys: a kink at full tension, a bow only before the key at bias +1."""

    def path(shape):
        keys = [
            key(0, (0, 0, 0), easing="linear"),
            key(1, (1, 1, 0), tcb=shape, easing="linear"),
            key(2, (2, 0, 0), easing="linear"),
        ]
        return read(keys, 201, position="tcb").positions

    tense = path((1, 0, 0))
    assert float((tense[101] - tense[99]).norm()) < 0.001, "the camera all but stops"
    overshooting = path((0, 0, 1))
    slope_after = (overshooting[101] - overshooting[100]) * 100
    torch.testing.assert_close(slope_after[:2], vector(1, 1), atol=0.05, rtol=0)


def test_bezier_handles_are_the_control_points_of_the_cubic():
    keys = [key(0, handle_out=(0, -1, 0), easing="linear"), key(1, (1, 0, 0), handle_in=(0, -1, 0))]
    path = read(keys, 3, position="bezier")
    # (P0 + 3 P1 + 3 P2 + P3) / 8 with P1 = (0, -1, 0), P2 = (1, -1, 0)
    torch.testing.assert_close(path.positions[1], vector(0.5, -0.75, 0), **EXACT)


def test_squad_of_even_keys_is_shoemakes():
    """Inner quaternion exp(-(log(q^-1 q_next) + log(q^-1 q_before)) / 4) after q, by hand."""
    turns = [vector(0, 0, 0), vector(0, 0.5, 0), vector(0, 1.2, 0), vector(0, 1.3, 0)]
    # All about one axis, so logarithms are numbers: half angles 0, 0.25, 0.6, 0.65.
    half = [0.0, 0.25, 0.6, 0.65]
    inner = [half[i] - ((half[i + 1] - half[i]) + (half[i - 1] - half[i])) / 4 for i in (1, 2)]
    w = 0.3
    chord = half[1] + w * (half[2] - half[1])
    bow = inner[0] + w * (inner[1] - inner[0])
    expected = 2 * (chord + 2 * w * (1 - w) * (bow - chord))

    def wxyz(angle):
        return vector(math.cos(angle), 0, math.sin(angle), 0)[None]

    value = squad_wxyz((wxyz(half[1]), wxyz(half[2])), (wxyz(inner[0]), wxyz(inner[1])), vector(w))
    angle = rotation_angle_rad(rotation_from_quaternion_wxyz(value))
    assert float(angle) == pytest.approx(expected, abs=1e-12)
    # Distance 1 between all keys makes the knots even, whatever the turns.
    places = [0.0]
    for a, b in itertools.pairwise(turns):
        places.append(places[-1] + 2 - float((b - a).norm()))
    keys = [
        key(i, (x, 0, 0), torch.rad2deg(t).tolist(), easing="linear")
        for i, (x, t) in enumerate(zip(places, turns, strict=True))
    ]
    rotation = rotation_of(read(keys, 31))[13]
    torch.testing.assert_close(rotation, rotation_from_vector(vector(0, expected, 0)), **EXACT)


def test_slerp_mode_turns_like_geometry_slerp_within_a_segment():
    keys = [key(0, easing="linear"), key(1, (1, 0, 0), (20, 70, -40))]
    path = read(keys, 11, rotation="slerp")
    start, end = (each.world_from_cam[:3, :3].expand(11, 3, 3) for each in keys)
    expected = slerp(start, end, torch.linspace(0, 1, 11, dtype=torch.float64))
    torch.testing.assert_close(rotation_of(path), expected, **EXACT)


def test_rotations_take_the_short_way_and_never_jump_through_a_full_circle():
    """Quaternions read off matrices flip sign past half a turn; the curve must not follow."""
    keys = [key(i, turn_deg=(0, 80 * i, 0)) for i in range(6)]
    for mode in ("squad", "slerp"):
        turns = turns_deg(read(keys, 401, rotation=mode))
        torch.testing.assert_close(turns, torch.full_like(turns, 1.0), atol=0.05, rtol=0)


@given(seed=seeds)
@fast
def test_continuous_quaternions_are_the_same_rotations_without_a_flip(seed):
    random = torch.Generator().manual_seed(seed)
    wxyz = torch.nn.functional.normalize(
        torch.randn(12, 4, generator=random, dtype=torch.float64), dim=-1
    )
    smooth = continuous_wxyz(wxyz)
    assert bool(((smooth[1:] * smooth[:-1]).sum(-1) >= 0).all())
    assert torch.equal(smooth.abs(), wxyz.abs())
    assert torch.equal(smooth[0], wxyz[0])
    torch.testing.assert_close(
        rotation_from_quaternion_wxyz(smooth), rotation_from_quaternion_wxyz(wxyz), **EXACT
    )


@given(seed=seeds)
@fast
def test_the_monotone_cubic_is_scipys(seed):
    random = np.random.default_rng(seed)
    gap, values = random.uniform(0.1, 2, 5), random.uniform(-1, 1, 6)
    knots = np.concatenate([[0], gap.cumsum()])
    slope = curves.pchip_rates(
        torch.tensor(np.diff(values)), torch.tensor(gap), closed=False
    ).numpy()
    at = np.linspace(0, knots[-1], 50)
    expected = PchipInterpolator(knots, values)(at)
    np.testing.assert_allclose(CubicHermiteSpline(knots, values, slope)(at), expected, atol=1e-12)


@given(seed=seeds, closed=st.booleans())
@fast
def test_the_field_of_view_never_leaves_the_range_of_its_keys(seed, closed):
    keys = random_keys(seed)
    hfov = torch.rad2deg(read(keys, 201, closed=closed).cameras.hfov_rad)
    low, high = min(k.hfov_deg for k in keys), max(k.hfov_deg for k in keys)
    assert low - 1e-9 <= float(hfov.min()) and float(hfov.max()) <= high + 1e-9


def test_the_field_of_view_sets_the_focal_length_of_square_centred_pixels():
    cameras = read([key(0, hfov_deg=90.0)], 1).cameras
    torch.testing.assert_close(cameras.focal_px, vector(32.0, 32.0)[None], **EXACT)
    assert cameras.center_px.tolist() == [[32.0, 24.0]]


def test_no_keyframe_is_refused_one_is_held_and_two_make_a_straight_move():
    with pytest.raises(InputError, match="keyframes must hold 1 or more"):
        read([], 5)
    one = key(3.0, (1, 2, 3), (10, 20, 30), 50.0)
    for closed in (False, True):
        held = read([one], 5, closed=closed)
        pose = one.world_from_cam.expand(5, 4, 4)
        torch.testing.assert_close(held.cameras.world_from_cam, pose, **EXACT)
    for position in POSITIONS:
        path = read([key(0), key(1, (0, 0, 2), (0, 60, 0))], 5, position=position)
        torch.testing.assert_close(path.positions[:, 2], vector(0, 0.5, 1, 1.5, 2), **EXACT)
        torch.testing.assert_close(turns_deg(path), torch.full((4,), 15.0).double(), **EXACT)


@given(seed=seeds, offset=st.sampled_from([0.0, 1e-14, 1e-9, 1e-6, 1e-4]))
@fast
def test_keys_at_almost_one_place_make_the_camera_rest_there(seed, offset):
    keys = random_keys(seed, count=4)
    pose = keys[1].world_from_cam.clone()
    pose[0, 3] += offset
    keys = [
        keys[0],
        keys[1],
        Keyframe(2.0, pose, keys[1].hfov_deg),
        *(Keyframe(k.time_sec + 1, k.world_from_cam, k.hfov_deg) for k in keys[2:]),
    ]
    path = read(keys, 4 * 20 + 1)
    rest = path.positions[20:41] - keys[1].world_from_cam[:3, 3]
    assert float(rest.norm(dim=-1).max()) <= 3 * offset + 1e-12
    assert float(turns_deg(path).max()) < 60, "no whirl around the rest"


def test_closed_paths_return_to_the_first_key_without_a_seam_in_pose_or_velocity():
    keys = random_keys(11)
    path = read(keys, 4001, closed=True)
    torch.testing.assert_close(
        path.cameras.world_from_cam[-1], path.cameras.world_from_cam[0], **EXACT
    )
    velocity = path.positions.diff(dim=0)
    assert float((velocity[0] - velocity[-1]).norm()) < 0.01 * float(velocity.norm(dim=-1).mean())


def test_a_closed_path_of_two_keys_goes_out_and_back():
    path = read([key(0), key(1, (0, 0, 1))], 5, closed=True, position="linear")
    torch.testing.assert_close(path.positions[[0, 2, 4], 2], vector(0, 1, 0), **EXACT)


def test_frames_follow_the_ratio_of_the_keys_times_whatever_the_fps():
    keys = [key(10.0, easing="linear"), key(13.0, (3, 0, 0), easing="linear"), key(14.0, (4, 0, 0))]
    path = read(keys, 5, position="linear")
    torch.testing.assert_close(path.positions[:, 0], vector(0, 1, 2, 3, 4), **EXACT)
    assert path.times_sec.tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: read([key(0), key(0, (1, 0, 0))], 3), "times must increase .* at keyframe 1"),
        (lambda: read([key(1), key(0)], 3), "times must increase"),
        (lambda: read([key(0), key(5e-7)], 3), "by more than 1e-06 s"),
        (lambda: read([key(0)], 0), "num_frames must be 1 or more"),
        (lambda: key(0, hfov_deg=180.0), "hfov_deg must lie between 1 and 170"),
        (lambda: key(math.nan), "must be finite"),
        (lambda: key(0, easing="bouncy"), "easing must be one of smooth, linear"),
        (lambda: key(0, tcb=(2, 0, 0)), "tcb must hold"),
        (lambda: key(0, handle_in=(1, 0)), "handle_in must hold x, y, z"),
        (lambda: SplineOptions(position="nurbs"), "position must be one of catmull-rom"),
        (lambda: SplineOptions(rotation="euler"), "rotation must be one of squad"),
        (lambda: SplineOptions(speed="fast"), "speed must be one of keys"),
        (lambda: SplineOptions(closing_sec=0.0), "closing_sec must be positive"),
        (lambda: read([Keyframe(0, torch.eye(3))], 3), "4x4; got shape .* at keyframe 0"),
        (lambda: read([key(0), Keyframe(1, 2 * torch.eye(4))], 3), "must be rigid .* camera 1"),
        (lambda: ease(vector(1.5), "linear"), "time_share must lie between 0 and 1"),
    ],
)
def test_what_makes_no_path_is_refused_with_its_rule(make, rule):
    with pytest.raises(InputError, match=rule):
        make()


def test_quaternions_of_the_golden_file_are_scalar_first():
    """A turn of 30 degrees about +Y (pan right) is (cos 15, 0, sin 15, 0)."""
    pose = key(0, turn_deg=(0, 30, 0)).world_from_cam
    half = math.radians(15)
    torch.testing.assert_close(
        quaternion_wxyz_from_rotation(pose[:3, :3]),
        vector(math.cos(half), 0, math.sin(half), 0),
        **EXACT,
    )
