import pytest
import torch
from geometry_cases import camera_at, joined, random_cameras

from rays_as_pixels.geometry.flips import mirrored_cameras, reversed_cameras


@pytest.mark.parametrize("batch", [(3,), (2, 3)])
def test_flipping_twice_gives_the_same_cameras(batch):
    cameras = random_cameras(batch)
    for axis in "xyz":
        again = mirrored_cameras(mirrored_cameras(cameras, axis), axis)
        assert torch.equal(again.world_from_cam, cameras.world_from_cam)
        torch.testing.assert_close(again.center_px, cameras.center_px)
    again = reversed_cameras(reversed_cameras(cameras))
    assert torch.equal(again.world_from_cam, cameras.world_from_cam)
    assert torch.equal(again.focal_px, cameras.focal_px)


def test_a_camera_on_the_right_is_on_the_left_in_the_mirrored_clip():
    mirrored = mirrored_cameras(camera_at((1.0, 2.0, 3.0)))
    assert mirrored.world_from_cam[:3, 3].tolist() == [-1.0, 2.0, 3.0]


def test_played_backwards_the_last_camera_comes_first():
    path = joined(camera_at((0.0, 0.0, 0.0)), camera_at((0.0, 0.0, 1.0), focal_px=(5.0, 6.0)))
    back = reversed_cameras(path)
    assert back.world_from_cam[:, 2, 3].tolist() == [1.0, 0.0]
    assert back.focal_px[0].tolist() == [5.0, 6.0]
