"""Raxels: values worked out by hand, round trips to 1e-8, and each closed form on its own."""

import math

import pytest
import torch
from geometry_cases import (
    EXACT,
    F64,
    TURN_RIGHT,
    camera_at,
    joined,
    largest_turn_rad,
    random_cameras,
    random_rotations,
    seeded,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.raxels import (
    cameras_from_raxels,
    check_raster,
    focal_from_raxel,
    procrustes_pose,
    raxels_from_cameras,
)
from rays_as_pixels.geometry.refine import refine_cameras
from rays_as_pixels.geometry.rotations import rotation_from_vector

ROUND_TRIP = 1e-8


def _assert_same_cameras(actual: Cameras, expected: Cameras, *, within: float) -> None:
    close = {"atol": within, "rtol": 0}
    torch.testing.assert_close(actual.world_from_cam, expected.world_from_cam, **close)
    relative = actual.focal_px / expected.focal_px
    torch.testing.assert_close(relative, torch.ones_like(relative), **close)
    torch.testing.assert_close(actual.center_px, expected.center_px, **close)
    assert (actual.height, actual.width) == (expected.height, expected.width)


def test_values_are_direction_plus_origin_at_half_size_by_hand():
    """A 4x4 video with f = 4 has a 2x2 raster with f = 2: its first ray is (-1/4, -1/4, 1)."""
    path = joined(camera_at((0, 0, 0)), camera_at((1, 2, 3)), camera_at((1, 0, 0), TURN_RIGHT))
    raxels = raxels_from_cameras(path)
    assert raxels.shape == (3, 3, 2, 2)
    length = math.sqrt(1.125)
    first = torch.tensor([-0.25, -0.25, 1.0], dtype=F64) / length
    torch.testing.assert_close(raxels[0, :, 0, 0], first, **EXACT)
    moved = first + torch.tensor([1.0, 2.0, 3.0], dtype=F64)
    torch.testing.assert_close(raxels[1, :, 0, 0], moved, **EXACT)
    # Row 0, column 1 is (+1/4, -1/4, 1); turned right x becomes -z and z becomes x.
    turned = torch.tensor([1.0, -0.25, -0.25], dtype=F64) / length
    origin = torch.tensor([1.0, 0.0, 0.0], dtype=F64)
    torch.testing.assert_close(raxels[2, :, 0, 1], turned + origin, **EXACT)


def test_values_are_in_the_axes_of_the_reference_camera():
    path = joined(camera_at((0, 0, 0)), camera_at((1, 0, 0), TURN_RIGHT))
    raxels = raxels_from_cameras(path, reference=1)
    # Camera 0 stands one unit behind camera 1 and looks to its left.
    centre = raxels[0].mean(dim=(-1, -2))
    length = math.sqrt(1.125)
    torch.testing.assert_close(centre, torch.tensor([-1 / length, 0.0, -1.0], dtype=F64), **EXACT)
    torch.testing.assert_close(raxels[1], raxels_from_cameras(path[:1])[0], **EXACT)


def test_values_do_not_depend_on_the_world_frame():
    cameras = random_cameras((4,))
    world = rigid(random_rotations(()), torch.tensor([3.0, -2.0, 1.0], dtype=F64))
    elsewhere = Cameras(
        world @ cameras.world_from_cam,
        cameras.focal_px,
        cameras.center_px,
        cameras.height,
        cameras.width,
    )
    torch.testing.assert_close(
        raxels_from_cameras(elsewhere), raxels_from_cameras(cameras), **EXACT
    )


@pytest.mark.parametrize("batch", [(3,), (1,), (2, 3), (2, 2, 3)])
@pytest.mark.parametrize("reference", [0, -1])
def test_cameras_come_back_from_their_raxels_over_batches(batch, reference):
    cameras = random_cameras(batch).relative_to(reference)
    fit = cameras_from_raxels(
        raxels_from_cameras(cameras, reference=reference), reference=reference
    )
    _assert_same_cameras(fit.cameras, cameras, within=ROUND_TRIP)
    assert fit.residual.shape == batch
    assert float(fit.residual.max()) < ROUND_TRIP


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 10**6), st.floats(0.0, 2.0), st.floats(0.0, 3.0))
def test_random_cameras_come_back_to_1e_8(seed, turn_rad, travel):
    cameras = random_cameras((3,), seed=seed, turn_rad=turn_rad, travel=travel).relative_to(0)
    fit = cameras_from_raxels(raxels_from_cameras(cameras))
    _assert_same_cameras(fit.cameras, cameras, within=ROUND_TRIP)


@pytest.mark.parametrize("angle", [1e-9, 1e-6, math.pi / 2, math.pi])
def test_tiny_and_half_turns_come_back(angle):
    axis = torch.tensor([2.0, -3.0, 6.0], dtype=F64) / 7
    turn = rotation_from_vector(angle * axis)
    lens = {"height": 16, "width": 24, "focal_px": (20.0, 22.0)}
    cameras = joined(camera_at((0, 0, 0), **lens), camera_at((1e-6, 0, 0), turn, **lens))
    fit = cameras_from_raxels(raxels_from_cameras(cameras))
    _assert_same_cameras(fit.cameras, cameras, within=1e-12)


def test_a_known_off_centre_principal_point_comes_back():
    cameras = random_cameras((3,)).relative_to(0)
    off_centre = torch.tensor([0.6 * cameras.width, 0.42 * cameras.height], dtype=F64).expand(3, 2)
    cameras = Cameras(cameras.world_from_cam, cameras.focal_px, off_centre, 24, 32)
    fit = cameras_from_raxels(raxels_from_cameras(cameras), center_norm=(0.6, 0.42))
    _assert_same_cameras(fit.cameras, cameras, within=ROUND_TRIP)


def test_single_precision_raxels_give_cameras_to_single_precision():
    cameras = random_cameras((3,)).relative_to(0)
    fit = cameras_from_raxels(raxels_from_cameras(cameras).float())
    assert fit.cameras.world_from_cam.dtype == torch.float32
    _assert_same_cameras(fit.cameras.to(dtype=F64), cameras, within=1e-5)


def test_the_residual_is_the_root_mean_square_distance():
    cameras = random_cameras((3,), height=64, width=64).relative_to(0)
    exact = raxels_from_cameras(cameras)
    noise = torch.randn(exact.shape, generator=seeded(), dtype=F64) * 0.01
    fit = cameras_from_raxels(exact + noise)
    # 3 x 1024 values of deviation 0.01 spread by 1.3 %; eight of them go into the camera.
    expected = torch.full((3,), 0.01 * math.sqrt(3), dtype=F64)
    torch.testing.assert_close(fit.residual, expected, atol=0, rtol=0.05)


def test_procrustes_finds_any_rigid_motion_of_any_reference_values():
    """The reference need not be an ideal raxel: what a codec did to both images cancels."""
    reference = torch.randn(5, 7, 3, generator=seeded(), dtype=F64)
    turn = random_rotations((2,))
    shift = torch.tensor([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0]], dtype=F64)
    moved = torch.einsum("bij,hwj->bhwi", turn, reference) + shift[:, None, None]
    pose = procrustes_pose(moved, reference.expand(2, 5, 7, 3))
    torch.testing.assert_close(pose, rigid(turn, shift), **EXACT)


def test_focal_lengths_are_medians_of_ratios_by_axis():
    camera = random_cameras((), height=32, width=48)
    raster = camera.resized(height=16, width=24)
    path = Cameras(
        camera.world_from_cam[None], camera.focal_px[None], camera.center_px[None], 32, 48
    )
    raxel = raxels_from_cameras(path)[0].movedim(0, -1)
    identity = torch.eye(4, dtype=F64)
    focal = focal_from_raxel(raxel, identity, raster.center_px)
    torch.testing.assert_close(focal, raster.focal_px, **EXACT)
    wild = torch.rand(16, 24, 1, generator=seeded()) < 0.2
    spoiled = torch.where(wild, torch.randn(raxel.shape, generator=seeded(), dtype=F64), raxel)
    # The clean majority holds the median exactly only if outliers fall evenly on both sides.
    robust = focal_from_raxel(spoiled, identity, raster.center_px)
    torch.testing.assert_close(robust, raster.focal_px, atol=0, rtol=1e-3)


def test_focal_lengths_are_read_in_the_camera_axes_of_a_moved_frame():
    cameras = random_cameras((2,), same_focal=True).relative_to(0)
    raxel = raxels_from_cameras(cameras)[1].movedim(0, -1)
    raster = cameras.resized(height=12, width=16)
    focal = focal_from_raxel(raxel, raster.world_from_cam[1], raster.center_px[1])
    torch.testing.assert_close(focal, raster.focal_px[1], **EXACT)


def test_without_refinement_the_closed_forms_alone_are_exact_for_one_lens():
    cameras = random_cameras((4,), same_focal=True).relative_to(0)
    fit = cameras_from_raxels(raxels_from_cameras(cameras), iterations=0)
    assert bool(fit.focal_determined.all())
    _assert_same_cameras(fit.cameras, cameras, within=1e-10)


def _noisy(cameras: Cameras, *, size: float, reference: int = 0) -> torch.Tensor:
    exact = raxels_from_cameras(cameras, reference=reference)
    return exact + size * torch.randn(exact.shape, generator=seeded(7), dtype=F64)


def test_poses_are_read_against_the_reference_as_decoded():
    """Noise in the reference frame's own values moves all poses as Eq. 6 says, and no other way."""
    raxels = _noisy(random_cameras((4,), same_focal=True), size=0.02, reference=2)
    values = raxels.movedim(-3, -1)
    expected = procrustes_pose(values, values[2].expand_as(values))
    found = cameras_from_raxels(raxels, reference=2, iterations=0).cameras.world_from_cam
    torch.testing.assert_close(found, expected, **EXACT)
    # Against frame 0 instead, and re-anchored, the answer is another one.
    other = procrustes_pose(values, values[0].expand_as(values))
    assert float((torch.linalg.inv(other[2]) @ other - expected).abs().max()) > 1e-3


@pytest.mark.parametrize("reference", [0, 2])
def test_refined_poses_are_stated_relative_to_the_refined_reference(reference):
    cameras = random_cameras((4,))
    raxels = _noisy(cameras, size=0.02, reference=reference)
    start = cameras.relative_to(reference).resized(height=12, width=16)
    free, _ = refine_cameras(start, raxels.movedim(-3, -1))
    world_from_cam = free.world_from_cam
    assert float((world_from_cam[reference] - torch.eye(4, dtype=F64)).abs().max()) > 1e-3
    expected = torch.linalg.inv(world_from_cam[reference]) @ world_from_cam
    found = cameras_from_raxels(raxels, reference=reference).cameras.world_from_cam
    # Two starts, one optimum; the last accepted steps are of 1e-9.
    torch.testing.assert_close(found, expected, atol=1e-7, rtol=0)


def test_reading_does_not_change_the_raxels():
    raxels = raxels_from_cameras(random_cameras((3,)))
    before = raxels.clone()
    cameras_from_raxels(raxels)
    assert torch.equal(raxels, before)


@pytest.mark.parametrize(("height", "width"), [(5, 4), (4, 5)])
def test_odd_video_sizes_have_no_raster(height, width):
    with pytest.raises(InputError, match=f"multiples of 2; got {height} x {width}"):
        check_raster(height, width)
    with pytest.raises(InputError, match="multiples of 2"):
        raxels_from_cameras(random_cameras((2,), height=height, width=width))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda r: torch.full_like(r, math.nan), "raxels must be finite"),
        (lambda r: torch.full_like(r, math.inf), "raxels must be finite"),
        (torch.zeros_like, "rank 2"),
        (lambda r: r[..., :1, :1], "rank 2"),
        (lambda r: r[:, :2], "must have shape"),
        (lambda r: r[0], "must have shape"),
    ],
)
def test_raxels_that_determine_no_camera_are_refused(spoil, words):
    with pytest.raises(InputError, match=words):
        cameras_from_raxels(spoil(raxels_from_cameras(random_cameras((3,)))))


def test_a_reference_outside_the_frames_is_refused():
    raxels = raxels_from_cameras(random_cameras((3,)))
    with pytest.raises(InputError, match="one of the 3 frames; got 3"):
        cameras_from_raxels(raxels, reference=3)
    with pytest.raises(InputError, match="one of the 3 frames; got -4"):
        raxels_from_cameras(random_cameras((3,)), reference=-4)


def test_pure_noise_gives_some_camera_and_a_residual_that_says_so():
    noise = torch.randn(2, 3, 12, 16, generator=seeded(), dtype=F64)
    fit = cameras_from_raxels(noise)
    assert float(fit.residual.min()) > 0.5
    assert not bool(fit.focal_determined.all())
    assert largest_turn_rad(fit.cameras.world_from_cam[:1], torch.eye(4, dtype=F64)[None]) < 1e-7


@pytest.mark.parametrize(("height", "width"), [(192, 320), (324, 500)])
def test_large_images_are_refined_on_a_few_pixels_and_read_exactly(height, width):
    """Rasters of 96x160 and 162x250, of which every fifth and every ninth pixel are looked at."""
    cameras = random_cameras((5,), seed=2, height=height, width=width).relative_to(0)
    center = cameras.center_px * torch.tensor([0.9, 1.06], dtype=F64)
    cameras = Cameras(cameras.world_from_cam, cameras.focal_px, center, height, width)
    raxels = raxels_from_cameras(cameras)
    found = cameras_from_raxels(raxels, center_norm=(0.45, 0.53))
    _assert_same_cameras(found.cameras, cameras, within=ROUND_TRIP)
    assert found.residual.max() < ROUND_TRIP
    wild = torch.rand(raxels.shape[-2:], generator=seeded(3)) < 0.2
    spoilt = torch.where(wild, raxels + torch.randn(raxels.shape, generator=seeded(4)), raxels)
    found = cameras_from_raxels(spoilt, center_norm=(0.45, 0.53))
    _assert_same_cameras(found.cameras, cameras, within=1e-6)  # where refinement stops
