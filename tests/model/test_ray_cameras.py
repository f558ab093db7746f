"""Cameras come back from a coarse grid of their raxels."""

import torch

from rays_as_pixels.geometry.rotations import rotation_from_vector, vector_from_rotation
from rays_as_pixels.model.camera_prior.camera_params import raxels_from_camera_params
from rays_as_pixels.model.view_prior.ray_cameras import cameras_of_points


def points_of(numbers: torch.Tensor, raster: tuple[int, int]) -> torch.Tensor:
    raxels = raxels_from_camera_params(numbers, raster).flatten(0, 1)
    return torch.nn.functional.avg_pool2d(raxels[..., 3:, 3:], 2, 8)


def test_cameras_of_any_focal_length_rotation_and_position_come_back():
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randn(40, 1, 8, generator=generator)
    numbers = numbers * torch.tensor([0.4, 0.4, 0.4, 0.5, 0.5, 0.5, 0.3, 0.3])
    for raster in ((4, 4), (3, 5)):
        rotation, center, lens = cameras_of_points(points_of(numbers, raster))
        truth = rotation_from_vector(numbers[:, 0, :3])
        off = vector_from_rotation(rotation.mT @ truth).norm(dim=-1).rad2deg()
        assert off.max() < 0.5  # a cell's mean ray is not quite that of its centre
        assert (center - numbers[:, 0, 3:6]).abs().max() < 0.02
        assert (lens - numbers[:, 0, 6:]).abs().max() < 0.02


def test_noise_gives_some_camera():
    points = torch.randn(20, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    for one in cameras_of_points(points):
        assert one.isfinite().all()
    rotation = cameras_of_points(points)[0]
    eye = torch.eye(3).expand(20, 3, 3)
    torch.testing.assert_close(rotation @ rotation.mT, eye, rtol=0, atol=1e-3)
