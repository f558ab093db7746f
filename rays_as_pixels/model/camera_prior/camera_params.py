"""Cameras as eight numbers: a rotation vector, a centre, and logarithms of focal lengths."""

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.rays import rays_in_cam
from rays_as_pixels.geometry.rotations import rotation_from_vector, vector_from_rotation
from rays_as_pixels.solve.bundle import BundleState

NUM_CAMERA_PARAMS = 8  # rotation vector, centre, log fx, log fy normalised by sqrt(H W)
RAXELS_PER_LATENT = 8  # along each side


def camera_params_from_scene(scene: BundleState) -> Float[Tensor, "batch t 8"]:
    """Return parameters of all cameras, frame 0's first."""
    log_focal = scene.log_focal[:, None] + scene.log_focal_ratio[..., None]
    return torch.cat([vector_from_rotation(scene.world_from_cam), scene.center, log_focal], -1)


def raxels_from_camera_params(
    params: Float[Tensor, "batch t 8"], raster: tuple[int, int]
) -> Float[Tensor, "batch t 3 height width"]:
    """Draw halved raxels, as the autoencoder gets them; 8x8 pixels per ray latent."""
    height, width = RAXELS_PER_LATENT * raster[0], RAXELS_PER_LATENT * raster[1]
    focal = params[..., 6:].clamp(-3, 3).exp() * (height * width) ** 0.5
    center = params.new_tensor([width / 2, height / 2]).expand_as(focal)
    ray = rays_in_cam(focal, center, height=height, width=width)  # batch t height width 3
    turned = ray @ rotation_from_vector(params[..., :3])[..., None, :, :].mT
    return (turned + params[..., None, None, 3:6]).movedim(-1, 2) / 2


def camera_params_from_pose_params(
    pose: Float[Tensor, "batch t 8"], height: int, width: int
) -> Float[Tensor, "batch t 8"]:
    """Normalise focal lengths by sqrt(H W), where `auxiliary.pose_params` has them by width."""
    log_focal = pose[..., 6:] + 0.5 * torch.log(pose.new_tensor(width / height))
    return torch.cat([pose[..., :6], log_focal], -1)
