import math

import pytest
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.evaluation.ablation.representations import REPRESENTATIONS, representation
from rays_as_pixels.geometry.camera_metrics import rotation_error_deg
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import rotation_from_vector


def some_cameras() -> Cameras:
    """Two clips of four cameras, up to half a radian and 0.3 scene units apart."""
    generator = torch.Generator().manual_seed(0)

    def normal(size: float) -> torch.Tensor:
        return size * torch.randn(2, 4, 3, generator=generator, dtype=torch.float64)

    pose = rigid(rotation_from_vector(normal(0.2)), normal(0.15))
    focal = 30 + 20 * torch.rand(2, 4, 1, generator=generator, dtype=torch.float64)
    center = torch.tensor([16.0, 24.0], dtype=torch.float64).expand(2, 4, 2)
    return Cameras(pose, focal.expand(2, 4, 2).contiguous(), center, 48, 32).relative_to(0)


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_cameras_come_back_from_their_images(name):
    cameras = some_cameras()
    kind = representation(name)
    images = kind.images_from_cameras(cameras)
    assert all(image.shape == (2, 4, 3, 24, 16) for image in images)
    found = kind.cameras_from_images(images)
    # The focal length is a median over pixels, exact but for float64's digits.
    torch.testing.assert_close(found.focal_px, cameras.focal_px, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.world_from_cam, cameras.world_from_cam, rtol=0, atol=1e-6)
    assert (found.height, found.width) == (48, 32)


def test_a_plucker_moment_by_hand():
    """The camera sits at (0, 0, 2) and looks ahead: o x d has no part along z."""
    pose = torch.eye(4, dtype=torch.float64).repeat(1, 2, 1, 1)
    pose[0, 1, 2, 3] = 2.0
    focal = torch.full((1, 2, 2), 2.0, dtype=torch.float64)
    center = torch.full((1, 2, 2), 1.0, dtype=torch.float64)
    direction, moment = representation("plucker").images_from_cameras(
        Cameras(pose, focal, center, 2, 2)
    )
    # One pixel in the middle of the half-size raster: d = (0, 0, 1), so m = 0.
    torch.testing.assert_close(direction[0, 1, :, 0, 0], torch.tensor([0.0, 0, 1]).double())
    torch.testing.assert_close(moment[0, 1, :, 0, 0], torch.zeros(3).double())
    wide = Cameras(pose, focal, 2 * center, 4, 4)
    direction, moment = representation("plucker").images_from_cameras(wide)
    x, y, _ = direction[0, 1, :, 0, 1].tolist()
    assert x > 0 > y, "the upper right pixel looks right (+X) and up (-Y)"
    # (0, 0, 2) x (x, y, z) = (-2 y, 2 x, 0), drawn at half its size
    torch.testing.assert_close(moment[0, 1, :, 0, 1], torch.tensor([-y, x, 0.0]).double())


def test_a_shared_error_of_all_frames_does_not_turn_the_cameras():
    """What the autoencoder does to the reference and to the others alike cancels (Eq. 6)."""
    cameras = some_cameras()
    tilt = rotation_from_vector(torch.tensor([0.0, 0.05, 0.0], dtype=torch.float64))
    direction, origin = representation("apart").images_from_cameras(cameras)
    tilted = torch.einsum("ij,bfjhw->bfihw", tilt, direction)
    found = representation("apart").cameras_from_images((tilted, origin))
    inner = tilt.T @ found.world_from_cam[..., :3, :3] @ tilt
    error = rotation_error_deg(inner, cameras.world_from_cam[..., :3, :3])
    assert float(error.max()) < 1e-4
    assert math.degrees(0.05) > 2, "the error was not a small one"


def test_an_unknown_representation_is_refused():
    with pytest.raises(InputError, match="representation must be one of raxels, apart, plucker"):
        representation("pluecker")
