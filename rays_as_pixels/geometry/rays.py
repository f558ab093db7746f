"""Rays: the unit direction of every pixel's line of sight."""

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.cameras import Cameras


def pixel_grid_px(
    height: int, width: int, *, dtype: torch.dtype, device: "torch.device | str"
) -> Float[Tensor, "{height} {width} 2"]:
    """Return (x, y) of every pixel centre, in pixels: the first is (0.5, 0.5)."""
    x_px = torch.arange(width, dtype=dtype, device=device) + 0.5
    y_px = torch.arange(height, dtype=dtype, device=device) + 0.5
    return torch.stack(torch.meshgrid(x_px, y_px, indexing="xy"), dim=-1)


def rays_in_cam(
    focal_px: Float[Tensor, "*batch 2"],
    center_px: Float[Tensor, "*batch 2"],
    *,
    height: int,
    width: int,
) -> Float[Tensor, "*batch {height} {width} 3"]:
    """Cast one unit ray through the centre of every pixel, in camera axes: K^-1 u / |K^-1 u|."""
    pixel = pixel_grid_px(height, width, dtype=focal_px.dtype, device=focal_px.device)
    xy = (pixel - center_px[..., None, None, :]) / focal_px[..., None, None, :]
    ray = torch.cat([xy, torch.ones_like(xy[..., :1])], dim=-1)
    return torch.nn.functional.normalize(ray, dim=-1)


def rays_from_cameras(cameras: Cameras) -> Float[Tensor, "*batch height width 3"]:
    """Cast one unit ray through the centre of every pixel, in world axes.

    Each ray starts at its camera's centre, `cameras.world_from_cam[..., :3, 3]`.
    """
    ray = rays_in_cam(
        cameras.focal_px, cameras.center_px, height=cameras.height, width=cameras.width
    )
    rotation = cameras.world_from_cam[..., :3, :3]
    return torch.einsum("...ij,...hwj->...hwi", rotation, ray)
