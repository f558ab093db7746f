"""Windows cut from a known path, each in a world frame and unit of its own, joined again."""

import math

import pytest
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import rotation_angle_rad, rotation_from_vector
from rays_as_pixels.pipeline.long_video import WindowPlan
from rays_as_pixels.solve.window_alignment import Window, join_levels, join_windows

FRAMES = 120
ALL_STRIDES = WindowPlan()
CHAIN = WindowPlan(strides=(1,))


def draws(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def true_path(frames: int = FRAMES) -> Cameras:
    """Two thirds of a turn, with a curved way, bumps and a zoom."""
    t = torch.linspace(0, 1, frames, dtype=torch.float64)
    turn = torch.stack([0.3 * (7 * t).sin(), 4 * t + 0.2 * (20 * t).sin(), 0.2 * (9 * t).cos()], -1)
    centre = torch.stack([(4 * t).sin(), 0.3 * (9 * t).sin(), 1.5 * (3 * t).cos()], -1)
    focal = (60 + 10 * t)[:, None].expand(frames, 2)
    middle = torch.full((frames, 2), 32.0, dtype=torch.float64)
    return Cameras(rigid(rotation_from_vector(turn), centre), focal, middle, 64, 64).relative_to(0)


def cut(path: Cameras, frames: tuple[int, ...], seed: int, *, noise: float, gauge: float) -> Window:
    """Cut a window, disturb its cameras and put it into another frame and unit."""
    g = draws(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    mine = path[torch.tensor(frames)]
    pose = mine.world_from_cam.clone()
    unit = math.exp(gauge * float(normal(1)))
    pose[:, :3, :3] = rotation_from_vector(noise * normal(len(frames), 3)) @ pose[:, :3, :3]
    pose[:, :3, 3] = unit * (pose[:, :3, 3] + noise * normal(len(frames), 3))
    moved = rigid(rotation_from_vector(normal(3)), normal(3)) @ pose
    return Window(frames, Cameras(moved, mine.focal_px, mine.center_px, 64, 64))


def windows_of(path: Cameras, plan: WindowPlan, *, noise: float = 0.0, gauge: float = 1.0):
    frames = plan.windows(path.batch_shape[0], native=9, longest=17, temporal_stride=4)
    return [cut(path, f, k, noise=noise, gauge=gauge) for k, f in enumerate(frames)]


def errors(found: Cameras, truth: Cameras) -> tuple[float, float]:
    """Return the largest rotation error in radians and centre error after one scale."""
    turn = found.world_from_cam[:, :3, :3].mT @ truth.world_from_cam[:, :3, :3]
    a, b = found.world_from_cam[:, :3, 3], truth.world_from_cam[:, :3, 3]
    scale = (a * b).sum() / (a * a).sum()
    return float(rotation_angle_rad(turn).max()), float((scale * a - b).norm(dim=-1).max())


@pytest.mark.parametrize("plan", [CHAIN, ALL_STRIDES], ids=["chain", "all strides"])
def test_windows_without_noise_are_joined_exactly_whatever_their_frames_and_units(plan):
    truth = true_path()
    joined = join_windows(windows_of(truth, plan), FRAMES)
    turn, distance = errors(joined.cameras, truth)
    assert turn < 1e-6
    assert distance < 1e-6
    torch.testing.assert_close(joined.cameras.focal_px, truth.focal_px)
    assert float(joined.rotation_rad.max()) < 1e-6
    assert float(joined.weight.min()) > 0.1, "nobody is doubted where all agree"


def test_strides_bound_the_drift_that_a_chain_of_neighbours_builds_up():
    truth = true_path()
    chain = join_windows(windows_of(truth, CHAIN, noise=0.01, gauge=0.2), FRAMES)
    strides = join_windows(windows_of(truth, ALL_STRIDES, noise=0.01, gauge=0.2), FRAMES)

    def mean_turn(cameras: Cameras) -> float:
        turn = cameras.world_from_cam[:, :3, :3].mT @ truth.world_from_cam[:, :3, :3]
        return float(rotation_angle_rad(turn).mean())

    # Every camera is off by 0.01 rad per axis, 0.017 in all; frame 0, the anchor, is too.
    assert mean_turn(strides.cameras) < 0.03
    assert errors(strides.cameras, truth)[1] < 0.5 * errors(chain.cameras, truth)[1]


def test_windows_where_the_camera_stands_keep_the_unit_of_their_neighbours():
    """The middle third only turns: between its windows nothing tells the unit but the prior."""
    truth = true_path()
    pose = truth.world_from_cam.clone()
    pose[40:80, :3, 3] = pose[40, :3, 3]
    pose[80:, :3, 3] += pose[40, :3, 3] - pose[80, :3, 3]
    truth = Cameras(pose, truth.focal_px, truth.center_px, 64, 64)
    joined = join_windows(windows_of(truth, CHAIN, noise=0.003, gauge=0.0), FRAMES)
    # Shared frames show only noise there, whose ratios alone are off by a third and more each.
    assert float(joined.scale.log().abs().max()) < 0.4
    still = joined.cameras.world_from_cam[44:76, :3, 3]
    assert float((still - still.mean(0)).norm(dim=-1).max()) < 0.1


def test_one_window_that_is_all_wrong_hardly_counts():
    truth = true_path()
    good = windows_of(truth, ALL_STRIDES, noise=0.002, gauge=0.2)
    wrong = cut(truth, good[-1].frames, 99, noise=0.5, gauge=0.2)
    joined = join_windows([*good[:-1], wrong], FRAMES)
    assert int(joined.weight.argmin()) == len(good) - 1
    assert float(joined.weight[-1]) < 0.1
    assert errors(joined.cameras, truth)[0] < 0.03


def test_long_windows_that_made_up_their_motion_are_left_out():
    """A network that is shown frames without overlap says that little happened."""
    truth = true_path()
    short = windows_of(truth, CHAIN, noise=0.02, gauge=0.1)
    frames = tuple(range(0, FRAMES, 14))
    good = cut(truth, frames, 1, noise=0.002, gauge=0.1)
    still = Cameras(
        torch.eye(4, dtype=torch.float64).repeat(len(frames), 1, 1),
        good.cameras.focal_px,
        good.cameras.center_px,
        64,
        64,
    )
    joined = join_levels([short, [good, Window(frames, still)]], FRAMES)
    assert len(joined.weight) == len(joined.scale) == len(short) + 2
    assert float(joined.weight[-1]) == 0.0
    assert float(joined.weight[-2]) > 0.1
    alone = join_windows(short, FRAMES)
    seen = torch.tensor(frames[1:])  # the frames between have only their own windows' noise
    assert errors(joined.cameras[seen], truth[seen])[0] < (
        0.8 * errors(alone.cameras[seen], truth[seen])[0]
    )


def test_the_spread_is_large_where_windows_disagree():
    truth = true_path()
    found = windows_of(truth, CHAIN, noise=0.001, gauge=0.0)
    noisy = cut(truth, found[6].frames, 7, noise=0.02, gauge=0.0)
    joined = join_windows([*found[:6], noisy, *found[7:]], FRAMES)
    inside = joined.rotation_rad[list(found[6].frames)].mean()
    assert float(inside) > 3 * float(joined.rotation_rad[:20].mean())


def test_a_mirrored_window_is_not_joined_as_if_it_fitted():
    """A flipped axis in one window must show as disagreement."""
    truth = true_path()
    found = windows_of(truth, CHAIN)
    flip = torch.diag(torch.tensor([-1.0, 1, 1, 1], dtype=torch.float64))
    bad = found[3].cameras
    mirrored = Cameras(flip @ bad.world_from_cam @ flip, bad.focal_px, bad.center_px, 64, 64)
    joined = join_windows([*found[:3], Window(found[3].frames, mirrored), *found[4:]], FRAMES)
    assert float(joined.rotation_rad.max()) > 0.01


def test_gaps_and_separate_parts_are_refused():
    truth = true_path()
    found = windows_of(truth, CHAIN)
    with pytest.raises(InputError, match=r"cover the frames 0 to 119 .* none with frame 119"):
        join_windows(found[:-1], FRAMES)
    apart = [
        cut(truth, tuple(range(9)), 0, noise=0, gauge=0),
        cut(truth, tuple(range(9, 18)), 1, noise=0, gauge=0),
    ]
    with pytest.raises(InputError, match="connected by shared frames; got one that begins at"):
        join_windows(apart, 18)
