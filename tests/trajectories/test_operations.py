"""Operations on whole paths: hand numbers, inverses, and what is refused."""

import math
from dataclasses import replace

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from path_edits import moved, rotated, shaken

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rays import rays_from_cameras
from rays_as_pixels.geometry.rotations import rotation_angle_rad, rotation_from_vector
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories import operations as ops
from rays_as_pixels.trajectories.presets import make_preset

EXACT = {"atol": 1e-12, "rtol": 0}  # float64 products of numbers near 1
seeds = st.integers(0, 10_000)
fast = settings(deadline=None, derandomize=True, max_examples=20)


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


def preset(name, num_frames=9, **options):
    return make_preset(name, num_frames=num_frames, fps=10.0, height=48, width=64, **options)


def random_path(seed, num_frames=12):
    """Return a path with uneven times, changing intrinsics and source frames."""
    random = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    pose = rigid(rotation_from_vector(draw(num_frames, 3)), draw(num_frames, 3))
    cameras = Cameras(pose, 50 + draw(num_frames, 2), 30 + draw(num_frames, 2), 48, 64)
    time = draw(num_frames).abs().add(0.05).cumsum(0)
    return Trajectory(cameras, 10.0, time, tuple(range(3, 3 + num_frames)))


def assert_same(first, second, tolerance=EXACT):
    for name in ("world_from_cam", "focal_px", "center_px"):
        torch.testing.assert_close(
            getattr(first.cameras, name), getattr(second.cameras, name), **tolerance
        )
    torch.testing.assert_close(first.times_sec, second.times_sec, **tolerance)
    assert first.source_frame == second.source_frame


def test_scaling_leaves_its_pivot_in_place():
    path = moved(preset("pan-left"), (1, 2, 3))
    changed = ops.scale(path, 3.0, pivot=(1, 2, 3))
    torch.testing.assert_close(changed.positions, path.positions, **EXACT)


def test_scaling_multiplies_distances_from_the_pivot():
    path = ops.scale(preset("truck-right", amount=1.0), 2.5, pivot=(-1, 0, 0))
    torch.testing.assert_close(path.positions[[0, -1], 0], vector(1.5, 4.0), **EXACT)


@given(seed=seeds)
@fast
def test_operations_undo_themselves(seed):
    path = random_path(seed)
    assert_same(ops.reverse(ops.reverse(path)), path)
    for axis in "xyz":
        assert_same(ops.mirror(ops.mirror(path, axis), axis), path)
    assert_same(ops.scale(ops.scale(path, 4.0, pivot=(1, 0, 2)), 0.25, pivot=(1, 0, 2)), path)
    slow = ops.retime(path, duration_sec=20.0)
    assert_same(ops.retime(slow, duration_sec=float(path.times_sec[-1] - path.times_sec[0])), path)


@given(seed=seeds)
@fast
def test_operations_leave_their_argument_alone(seed):
    path, untouched = random_path(seed), random_path(seed)
    ops.mirror(path, "x")
    ops.smooth(path, 0.5)
    ops.close_loop(path)
    ops.align(path, path)
    assert_same(path, untouched)


@pytest.mark.parametrize("axis", ["x", "y"])
def test_mirroring_gives_the_rays_of_the_flipped_picture(axis):
    """Pixel (i, j) of the flipped video looks along the mirrored ray."""
    path = random_path(5, num_frames=4)
    rays = []
    for cameras in (path.cameras, ops.mirror(path, axis).cameras):
        rays.append(rays_from_cameras(cameras))
    column = "xy".index(axis)
    flipped = rays[0].flip(2 - column)  # F H W 3: width for x, height for y
    flipped[..., column] *= -1
    torch.testing.assert_close(rays[1], flipped, **EXACT)


def test_mirroring_turns_names_round():
    for name, other, axis in (
        ("truck-left", "truck-right", "x"),
        ("pan-left", "pan-right", "x"),
        ("arc-left", "arc-right", "x"),
        ("pedestal-up", "pedestal-down", "y"),
        ("tilt-up", "tilt-down", "y"),
        ("dolly-in", "dolly-out", "z"),
    ):
        assert_same(ops.mirror(preset(name), axis), preset(other))


def test_reversing_a_dolly_in_starts_at_its_end_and_keeps_the_rhythm_backwards():
    path = replace(
        preset("dolly-in", num_frames=3, amount=1.0),
        time_sec=vector(1.0, 1.5, 4.0),
        source_frame=(7, 8, 9),
    )
    back = ops.reverse(path)
    torch.testing.assert_close(back.positions[:, 2], vector(1.0, 0.5, 0.0), **EXACT)
    torch.testing.assert_close(back.times_sec, vector(1.0, 3.5, 4.0), **EXACT)
    assert back.source_frame == (9, 8, 7)


def test_retiming_changes_duration_and_rate_but_no_camera():
    path = preset("orbit", num_frames=11)  # 1 s at 10 fps
    slow = ops.retime(path, duration_sec=4.0)
    assert slow.fps == pytest.approx(2.5)
    assert float(slow.times_sec[-1]) == pytest.approx(4.0)
    assert torch.equal(slow.cameras.world_from_cam, path.cameras.world_from_cam)


def test_retiming_with_an_easing_changes_the_pace_along_the_same_path():
    even = ops.resample(
        replace(preset("truck-right", num_frames=2, amount=1.0), fps=1.0, time_sec=vector(0, 1)),
        num_frames=5,
    )
    eased = ops.retime(even, easing="quad-in")
    torch.testing.assert_close(eased.positions[:, 0], vector(0, 1 / 16, 4 / 16, 9 / 16, 1), **EXACT)
    torch.testing.assert_close(eased.times_sec, even.times_sec, **EXACT)
    held = ops.retime(even, easing="hold")
    assert held.positions[:, 0].tolist() == [0, 0, 0, 0, 1]


def test_resampling_keeps_both_ends_at_any_number_of_frames():
    path = random_path(2)
    for count in (2, 5, 40):
        read = ops.resample(path, num_frames=count)
        assert len(read) == count
        torch.testing.assert_close(
            read.cameras.world_from_cam[[0, -1]], path.cameras.world_from_cam[[0, -1]], **EXACT
        )


def test_resampling_to_a_rate_gives_frames_one_period_apart_as_far_as_the_path_goes():
    path = preset("dolly-in", num_frames=11)  # 1 s
    for fps, count in ((10.0, 11), (24.0, 25), (7.0, 8), (0.6, 1), (1 / 3, 1)):
        read = ops.resample(path, fps=fps)
        assert (len(read), read.fps) == (count, fps)
        torch.testing.assert_close(
            read.times_sec, torch.arange(count, dtype=torch.float64) / fps, **EXACT
        )


@given(seed=seeds, factor=st.floats(0.1, 10))
@fast
def test_aligning_undoes_any_similarity_and_leaves_no_residual(seed, factor):
    path = random_path(seed)
    away = moved(ops.scale(rotated(path, (20, -40, 130)), factor), (3, 1, -2))
    done = ops.align(away, path)
    assert_same(done.trajectory, path, {"atol": 1e-9, "rtol": 0})
    assert float(done.similarity.scale) == pytest.approx(1 / factor)
    assert done.rmse < 1e-9
    assert float(done.residual_deg.max()) < 1e-6


def test_aligning_without_scale_leaves_the_scale_in_the_residual():
    path = random_path(4)
    done = ops.align(ops.scale(path, 2.0), path, with_scale=False)
    assert float(done.similarity.scale) == 1
    spread = (path.positions - path.positions.mean(0)).norm(dim=-1)
    torch.testing.assert_close(done.residual, spread, atol=1e-9, rtol=0)


def test_aligning_by_the_first_frame_works_on_straight_paths():
    path = rotated(preset("dolly-in", amount=1.0), (50, 0, 20))
    away = ops.scale(rotated(path, (0, 70, 10)), 3.0)
    with pytest.raises(InputError, match="points must not all lie on one line"):
        ops.align(away, path)
    assert_same(ops.align(away, path, by="first-frame").trajectory, path)


@given(seed=seeds, strength=st.floats(0.01, 1))
@fast
def test_smoothing_keeps_both_ends_times_and_sources(seed, strength):
    path = random_path(seed)
    smooth = ops.smooth(path, strength)
    for name in ("world_from_cam", "focal_px", "center_px"):
        ends, wanted = (getattr(p.cameras, name)[[0, -1]] for p in (smooth, path))
        torch.testing.assert_close(ends, wanted, **EXACT)
    assert torch.equal(smooth.times_sec, path.times_sec)
    assert smooth.source_frame == path.source_frame


def test_smoothing_leaves_a_straight_even_path_and_an_even_orbit_turn_alone():
    straight = ops.resample(preset("truck-right", num_frames=2), num_frames=30)
    assert_same(ops.smooth(straight, 0.7), straight, {"atol": 1e-9, "rtol": 0})
    turn = torch.linspace(0, 2 * math.pi, 60, dtype=torch.float64)[:, None] * vector(0, 1, 0)
    cameras = Cameras(
        rigid(rotation_from_vector(turn), torch.zeros(60, 3)),
        torch.full((60, 2), 50.0),
        torch.full((60, 2), 25.0),
        48,
        64,
    )
    circle = Trajectory(cameras.to(dtype=torch.float64), 10.0)
    assert_same(ops.smooth(circle, 0.9), circle, {"atol": 1e-9, "rtol": 0})


@pytest.mark.parametrize(("period", "kept"), [(30, 0.5), (60, 16 / 17), (15, 1 / 17)])
def test_a_wobble_as_long_as_the_strength_says_is_halved(period, kept):
    """300 frames at strength 0.1: cut-off period 30. Tolerance: ends disturb the middle by 1 %."""
    frame = torch.arange(300, dtype=torch.float64)
    wave = 0.1 * torch.sin(2 * math.pi * frame / period)
    turn = rotation_from_vector(wave[:, None] * vector(0, 1, 0))
    centre = wave[:, None] * vector(0, 1, 0)
    cameras = Cameras(
        rigid(turn, centre),
        torch.full((300, 2), 50.0).double(),
        torch.full((300, 2), 25.0).double(),
        48,
        64,
    )
    smooth = ops.smooth(Trajectory(cameras, 10.0), 0.1)
    middle = slice(120, 181)
    height = float(smooth.positions[middle, 1].abs().max()) / 0.1
    angle = float(rotation_angle_rad(smooth.cameras.world_from_cam[middle, :3, :3]).max()) / 0.1
    # A sampled wave's peak lies between samples, and its discrete difference is a little weaker.
    assert height == pytest.approx(kept, abs=0.02)
    assert angle == pytest.approx(kept, abs=0.02)


def unevenness(path):
    """Sum the changes of the turn rate from step to step, in degrees per second."""
    rotation = path.cameras.world_from_cam[:, :3, :3]
    turn = torch.rad2deg(rotation_angle_rad(rotation[:-1].mT @ rotation[1:]))
    return float((turn / path.times_sec.diff()).diff().abs().sum())


def test_smoothing_takes_the_shake_off_a_path():
    calm = preset("slide-right", num_frames=65)
    rough_path = shaken(calm, 3.0, seed=4)
    smooth = ops.smooth(rough_path, 0.4)
    rough = [unevenness(path) for path in (calm, smooth, rough_path)]
    assert rough[1] - rough[0] < 0.35 * (rough[2] - rough[0])


@given(seed=seeds, strength=st.floats(0.05, 1), count=st.integers(3, 9))
@fast
def test_smoothing_solves_its_own_equations(seed, strength, count):
    """Oracle: the dense normal equations with both ends fixed."""
    path = random_path(seed, num_frames=count)
    stiffness = (strength * count / (2 * math.pi)) ** 4
    second = torch.eye(count, dtype=torch.float64).diff(dim=0).diff(dim=0)
    system = torch.eye(count, dtype=torch.float64) + stiffness * second.T @ second
    right = path.positions[1:-1] - system[1:-1][:, [0, -1]] @ path.positions[[0, -1]]
    expected = torch.linalg.solve(system[1:-1, 1:-1], right)
    torch.testing.assert_close(
        ops.smooth(path, strength).positions[1:-1], expected, atol=1e-9, rtol=0
    )


def test_smoothing_ten_thousand_frames_is_a_matter_of_seconds():
    path = ops.resample(preset("orbit", num_frames=200), num_frames=10_000)
    assert float(ops.smooth(path, 0.2).positions.isfinite().all())


def test_a_seam_is_what_lies_between_last_and_first_frame():
    path = preset("truck-right", num_frames=21, amount=0.5)
    seam = ops.seam(path)
    assert seam.distance == pytest.approx(0.5)
    assert seam.angle_deg == 0
    turned = ops.seam(preset("pan-left", amount=30.0))
    assert turned.angle_deg == pytest.approx(30.0)
    assert turned.distance == 0
    assert ops.seam(preset("zoom-in", amount=10.0)).hfov_deg == pytest.approx(10.0)


@given(seed=seeds)
@fast
def test_closing_a_loop_closes_it_and_keeps_its_start(seed):
    path = random_path(seed)
    closed = ops.close_loop(path)
    seam = ops.seam(closed)
    assert max(seam.distance, seam.angle_deg, seam.hfov_deg) < 1e-9
    torch.testing.assert_close(
        closed.cameras.world_from_cam[0], path.cameras.world_from_cam[0], **EXACT
    )


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda p: ops.scale(p, 0.0), "factor must be positive"),
        (lambda p: ops.scale(p, -1.0), "Use mirror"),
        (lambda p: ops.mirror(p, "w"), "axis must be x, y or z"),
        (lambda p: ops.retime(p, duration_sec=-1.0), "duration_sec must be positive"),
        (lambda p: ops.retime(p[:1]), "2 frames or more to be retimed"),
        (ops.resample, "either num_frames or fps"),
        (lambda p: ops.resample(p, num_frames=3, fps=2.0), "either num_frames or fps"),
        (lambda p: ops.resample(p, fps=0.0), "fps must be positive"),
        (lambda p: ops.align(p, p[:3]), "same number of frames; got 12 and 3"),
        (lambda p: ops.align(p, p, by="magic"), "by must be centres or first-frame"),
        (
            lambda p: ops.align(preset("pan-left"), preset("pan-left"), by="first-frame"),
            "both paths must move",
        ),
        (lambda p: ops.smooth(p, 1.1), "strength must lie between 0 and 1"),
        (lambda p: ops.seam(p[:1]), "a loop must have 2 frames"),
        (lambda p: ops.close_loop(p[:2]), "a loop must have 3 frames"),
        (lambda p: ops.check_range(p, scene_depth=0.0), "scene_depth must be positive"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_rule(make, rule):
    with pytest.raises(InputError, match=rule):
        make(random_path(0))
