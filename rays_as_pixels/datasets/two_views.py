"""Two views with known cameras: how well matched points agree with them, and where they lie."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.datasets.matching import Matches
from rays_as_pixels.geometry.cameras import Cameras, invert_rigid


@dataclass(frozen=True)
class Triangulated:
    """Points between two rays each.

    Attributes:
        xyz: (N, 3) in world axes, halfway between the rays where they pass each other.
        depth: (N, 2) in the first and in the second camera; negative is behind it.
        angle_rad: (N,) between the rays.
    """

    xyz: Float[Tensor, "n 3"]
    depth: Float[Tensor, "n 2"]
    angle_rad: Float[Tensor, "n"]


def _camera_rays(camera: Cameras, pixel: Float[Tensor, "n 2"]) -> Float[Tensor, "n 3"]:
    """Return K^-1 u, with z = 1, in camera axes."""
    xy = (pixel - camera.center_px.double()) / camera.focal_px.double()
    return torch.cat([xy, torch.ones_like(xy[:, :1])], dim=1)


def sampson_px(cameras: Cameras, matches: Matches) -> Float[Tensor, "n"]:
    """Return the Sampson distance in pixels of each match to the stated epipolar geometry.

    Where the two cameras share their centre, every match is compared with the pixel that the
    stated rotation alone sends it to.
    """
    one, two = cameras[matches.first], cameras[matches.second]
    relative = invert_rigid(two.world_from_cam.double()) @ one.world_from_cam.double()
    first = _camera_rays(one, matches.first_px)
    second = _camera_rays(two, matches.second_px)
    baseline = relative[:3, 3]
    if float(baseline.norm()) < 1e-12:
        turned = first @ relative[:3, :3].T
        pixel = turned[:, :2] / turned[:, 2:] * two.focal_px.double() + two.center_px.double()
        return (pixel - matches.second_px).norm(dim=1)
    x, y, z = (baseline / baseline.norm()).tolist()
    cross = relative.new_tensor([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    line_in_second = first @ (cross @ relative[:3, :3]).T
    line_in_first = second @ (cross @ relative[:3, :3])
    distance = (second * line_in_second).sum(1).abs()
    slope = (line_in_second[:, :2] / two.focal_px.double()).square().sum(1)
    slope = slope + (line_in_first[:, :2] / one.focal_px.double()).square().sum(1)
    return distance / slope.clamp_min(1e-30).sqrt()


def triangulate(cameras: Cameras, matches: Matches) -> Triangulated:
    """Find the point nearest to both rays of each match."""
    one, two = cameras[matches.first], cameras[matches.second]
    rays, centers = [], []
    for camera, pixel in ((one, matches.first_px), (two, matches.second_px)):
        pose = camera.world_from_cam.double()
        rays.append(torch.nn.functional.normalize(_camera_rays(camera, pixel) @ pose[:3, :3].T))
        centers.append(pose[:3, 3])
    cosine = (rays[0] * rays[1]).sum(1)
    between = centers[1] - centers[0]
    along = rays[0] @ between, rays[1] @ between
    # Least squares for the two lengths: [1 -c; -c 1] [a b] = [along_1, -along_2].
    inverse = 1 / (1 - cosine.square()).clamp_min(1e-18)
    first = (along[0] - cosine * along[1]) * inverse
    second = (cosine * along[0] - along[1]) * inverse
    xyz = (centers[0] + first[:, None] * rays[0] + centers[1] + second[:, None] * rays[1]) / 2
    forward = torch.stack([one.world_from_cam[:3, 2], two.world_from_cam[:3, 2]]).double()
    depth = torch.stack([(xyz - centers[0]) @ forward[0], (xyz - centers[1]) @ forward[1]], dim=1)
    sine = torch.linalg.cross(rays[0], rays[1]).norm(dim=1)
    return Triangulated(xyz, depth, torch.atan2(sine, cosine))
