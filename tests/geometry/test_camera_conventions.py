"""Cameras and rays: axes, pixel centres and frames, pinned by numbers worked out by hand."""

import math

import pytest
import torch
from geometry_cases import (
    BATCHES,
    EXACT,
    F64,
    TURN_RIGHT,
    camera_at,
    joined,
    random_cameras,
)

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, invert_rigid, kind_of_move, rigid
from rays_as_pixels.geometry.rays import pixel_grid_px, rays_from_cameras, rays_in_cam


def _tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=F64)


def test_an_unrotated_camera_looks_forward_with_x_right_and_y_down():
    ray = rays_from_cameras(camera_at((0, 0, 0), focal_px=(1.5, 1.5), height=3, width=3))
    torch.testing.assert_close(ray[1, 1], _tensor(0, 0, 1), **EXACT)
    # The right column's centre is 1 pixel off: x = 1 / 1.5, so the ray is (2, 0, 3) / root 13.
    torch.testing.assert_close(ray[1, 2], _tensor(2, 0, 3) / math.sqrt(13), **EXACT)
    torch.testing.assert_close(ray[2, 1], _tensor(0, 2, 3) / math.sqrt(13), **EXACT)
    torch.testing.assert_close(ray[0, 0], _tensor(-2, -2, 3) / math.sqrt(17), **EXACT)


def test_each_axis_has_its_own_focal_length_and_centre():
    ray = rays_in_cam(_tensor(2, 1), _tensor(1, 0.5), height=2, width=4)
    assert ray.shape == (2, 4, 3)
    # Row 1, column 3: x = (3.5 - 1) / 2 = 1.25, y = (1.5 - 0.5) / 1 = 1.
    expected = _tensor(1.25, 1, 1) / math.sqrt(1.25**2 + 2)
    torch.testing.assert_close(ray[1, 3], expected, **EXACT)


def test_pixel_centres_start_at_one_half_and_x_comes_first():
    grid = pixel_grid_px(2, 3, dtype=F64, device="cpu")
    assert grid[0, 0].tolist() == [0.5, 0.5]
    assert grid[0, 2].tolist() == [2.5, 0.5]
    assert grid[1, 0].tolist() == [0.5, 1.5]


def test_a_camera_turned_right_looks_along_world_x():
    ray = rays_from_cameras(
        camera_at((5, 6, 7), TURN_RIGHT, height=3, width=3, focal_px=(1.5,) * 2)
    )
    torch.testing.assert_close(ray[1, 1], _tensor(1, 0, 0), **EXACT)
    # Its right-hand side is world -Z.
    torch.testing.assert_close(ray[1, 2], _tensor(3, 0, -2) / math.sqrt(13), **EXACT)


@pytest.mark.parametrize("batch", BATCHES)
def test_rays_hit_the_pixels_they_came_from(batch):
    """Project a point of every ray with K [R|t]^-1 written out, over batches."""
    cameras = random_cameras(batch, height=6, width=8)
    ray = rays_from_cameras(cameras)
    assert ray.shape == (*batch, 6, 8, 3)
    torch.testing.assert_close(ray.norm(dim=-1), torch.ones(*batch, 6, 8, dtype=F64), **EXACT)
    centre = cameras.world_from_cam[..., None, None, :3, 3]
    point_in_world = centre + 2.5 * ray
    cam_from_world = torch.linalg.inv(cameras.world_from_cam)[..., None, None, :, :]
    point = (cam_from_world[..., :3, :3] @ point_in_world[..., None]).squeeze(-1)
    point = point + cam_from_world[..., :3, 3]
    focal, center = cameras.focal_px[..., None, None, :], cameras.center_px[..., None, None, :]
    pixel = focal * point[..., :2] / point[..., 2:] + center
    grid = pixel_grid_px(6, 8, dtype=F64, device="cpu").expand_as(pixel)
    torch.testing.assert_close(pixel, grid, **EXACT)


@pytest.mark.parametrize("batch", BATCHES)
def test_inverting_a_rigid_transform_agrees_with_the_general_inverse(batch):
    pose = random_cameras(batch).world_from_cam
    torch.testing.assert_close(invert_rigid(pose), torch.linalg.inv(pose), **EXACT)
    torch.testing.assert_close(invert_rigid(invert_rigid(pose)), pose, **EXACT)


def test_rigid_puts_each_part_in_its_place():
    expected = torch.tensor([[0, 0, 1, 7], [0, 1, 0, 8], [-1, 0, 0, 9], [0, 0, 0, 1]], dtype=F64)
    assert torch.equal(rigid(TURN_RIGHT, _tensor(7, 8, 9)), expected)


def test_relative_poses_by_hand():
    """Camera 1 stands one unit to the right and looks right, so camera 0 is right behind it."""
    path = joined(camera_at((0, 0, 0)), camera_at((1, 0, 0), TURN_RIGHT))
    relative = path.relative_to(1)
    torch.testing.assert_close(relative.world_from_cam[1], torch.eye(4, dtype=F64), **EXACT)
    torch.testing.assert_close(relative.world_from_cam[0, :3, 3], _tensor(0, 0, -1), **EXACT)
    torch.testing.assert_close(relative.world_from_cam[0, :3, :3], TURN_RIGHT.T, **EXACT)
    torch.testing.assert_close(relative.relative_to(0).world_from_cam, path.world_from_cam, **EXACT)


def test_relative_poses_over_a_batch_use_each_sequence_own_reference():
    cameras = random_cameras((2, 3))
    together = cameras.relative_to(-1)
    for row in range(2):
        alone = cameras[row].relative_to(2)
        torch.testing.assert_close(together.world_from_cam[row], alone.world_from_cam, **EXACT)


@pytest.mark.parametrize("reference", [3, -4])
def test_a_reference_outside_the_path_is_refused(reference):
    with pytest.raises(InputError, match=f"one of the 3 frames; got {reference}"):
        random_cameras((3,)).relative_to(reference)
    with pytest.raises(InputError, match="one of the 0 frames"):
        random_cameras(()).relative_to(0)


def test_fields_of_view_by_hand():
    camera = camera_at((0, 0, 0), focal_px=(2.0, 0.5), height=1, width=4)
    assert float(camera.hfov_rad) == pytest.approx(math.pi / 2)
    assert float(camera.vfov_rad) == pytest.approx(math.pi / 2)
    wide = camera_at((0, 0, 0), focal_px=(2.0, 2.0), height=4, width=8)
    assert math.tan(float(wide.hfov_rad) / 2) == pytest.approx(2)
    assert math.tan(float(wide.vfov_rad) / 2) == pytest.approx(1)


def test_resizing_by_hand_scales_each_axis_by_its_own_factor():
    camera = camera_at((1, 2, 3), focal_px=(6.0, 8.0), height=10, width=20)
    half = camera.resized(height=30, width=10)
    assert half.focal_px.tolist() == [3.0, 24.0]
    assert half.center_px.tolist() == [5.0, 15.0]
    assert (half.height, half.width) == (30, 10)
    assert torch.equal(half.world_from_cam, camera.world_from_cam)


def test_cropping_keeps_the_rays_of_the_kept_pixels():
    camera = random_cameras((), height=12, width=16)
    window = camera.cropped(top=3, left=5, height=6, width=7)
    torch.testing.assert_close(
        rays_from_cameras(window), rays_from_cameras(camera)[3:9, 5:12], **EXACT
    )
    assert window.center_px.tolist() == [8 - 5, 6 - 3]
    back = window.cropped(top=-3, left=-5, height=12, width=16)
    torch.testing.assert_close(rays_from_cameras(back), rays_from_cameras(camera), **EXACT)


def test_resizing_keeps_the_directions_of_areas():
    """The corner shared by 2x2 pixels is the centre of the pixel that replaces them."""
    camera = camera_at((0, 0, 0), focal_px=(5.0, 7.0), height=4, width=4)
    fine = rays_in_cam(camera.focal_px * 3, camera.center_px * 3, height=12, width=12)
    coarse = rays_from_cameras(camera)
    torch.testing.assert_close(fine[1::3, 1::3], coarse, **EXACT)
    torch.testing.assert_close(
        rays_from_cameras(camera.resized(height=12, width=12)), fine, **EXACT
    )


def test_scaling_moves_centres_only():
    cameras = random_cameras((3,))
    before = cameras.world_from_cam.clone()
    twice = cameras.scaled(2.0)
    assert torch.equal(twice.world_from_cam[:, :3, 3], 2 * before[:, :3, 3])
    assert torch.equal(twice.world_from_cam[:, :3, :3], before[:, :3, :3])
    each = cameras.scaled(torch.tensor([1.0, 2.0, 3.0], dtype=F64))
    assert torch.equal(each.world_from_cam[2, :3, 3], 3 * before[2, :3, 3])
    assert torch.equal(cameras.world_from_cam, before), "the argument changed"
    for bad in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="finite and positive"):
            cameras.scaled(bad)


def test_selecting_and_converting_keep_everything_together():
    cameras = random_cameras((2, 3))
    one = cameras[1, 2]
    assert one.batch_shape == ()
    assert torch.equal(one.world_from_cam, cameras.world_from_cam[1, 2])
    assert torch.equal(one.focal_px, cameras.focal_px[1, 2])
    assert torch.equal(one.center_px, cameras.center_px[1, 2])
    single = cameras.to(dtype=torch.float32)
    assert {t.dtype for t in (single.world_from_cam, single.focal_px, single.center_px)} == {
        torch.float32
    }


def _changed(**changes: object) -> dict:
    camera = random_cameras((3,))
    fields = ("world_from_cam", "focal_px", "center_px", "height", "width")
    return {**{name: getattr(camera, name) for name in fields}, **changes}


def _pose(edit) -> torch.Tensor:
    pose = random_cameras((3,)).world_from_cam.clone()
    edit(pose)
    return pose


def _set(*index_and_value):
    *index, value = index_and_value

    def edit(pose: torch.Tensor) -> None:
        pose[tuple(index)] = value

    return edit


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"world_from_cam": torch.eye(4, dtype=F64)[:3].expand(3, 3, 4)}, "must end in 4x4"),
        ({"focal_px": torch.ones(2, dtype=F64)}, "focal_px must have shape"),
        ({"center_px": torch.ones(3, 3, dtype=F64)}, "center_px must have shape"),
        ({"height": 0}, "height must be a positive whole number"),
        ({"height": 2.0}, "height must be a positive whole number"),
        ({"width": -3}, "width must be a positive whole number"),
        ({"width": True}, "width must be a positive whole number"),
        ({"focal_px": torch.zeros(3, 2, dtype=F64)}, "focal_px must be positive"),
        ({"focal_px": -torch.ones(3, 2, dtype=F64)}, "focal_px must be positive"),
        ({"focal_px": torch.full((3, 2), math.nan, dtype=F64)}, "focal_px must be finite"),
        ({"center_px": torch.full((3, 2), math.inf, dtype=F64)}, "center_px must be finite"),
        ({"world_from_cam": _pose(_set(1, 0, 3, math.nan))}, "finite; got nan at flat index 19"),
        ({"world_from_cam": _pose(lambda p: p[1, :3, :3].mul_(1.01))}, "at camera 1"),
        ({"world_from_cam": _pose(lambda p: p[2, :3, 0].mul_(-1))}, "rigid.*at camera 2"),
        ({"world_from_cam": _pose(_set(0, 3, 0, 0.1))}, "rigid.*at camera 0"),
        ({"world_from_cam": _pose(_set(0, 3, 3, 2.0))}, "rigid.*at camera 0"),
    ],
)
def test_cameras_that_are_none_are_refused(changes, words):
    with pytest.raises(InputError, match=words):
        Cameras(**_changed(**changes))


def test_a_pose_rounded_by_a_file_passes():
    rounded = (random_cameras((3,)).world_from_cam * 1e5).round() / 1e5
    assert Cameras(**_changed(world_from_cam=rounded)).batch_shape == (3,)


@pytest.mark.parametrize(
    ("end", "turn", "kind"),
    [
        ((1, 2, 3), False, "still"),
        ((1, 2, 3), True, "turns"),
        ((1, 2, 3.001), False, "travels"),
        ((1, 2.5, 3), True, "both"),
    ],
)
def test_the_kind_of_move_is_what_the_cameras_do_wherever_their_world_is(end, turn, kind):
    start = camera_at((1, 2, 3), TURN_RIGHT)
    tenth = _tensor(math.cos(0.1), -math.sin(0.1), math.sin(0.1), math.cos(0.1)).view(2, 2)
    roll = torch.block_diag(tenth, torch.ones(1, 1, dtype=F64))
    path = joined(start, camera_at(end, TURN_RIGHT @ roll if turn else TURN_RIGHT))
    assert kind_of_move(path) == kind
    assert kind_of_move(path.to(dtype=torch.float32)) == kind
