"""Sample images at displaced pixels (backward warping)."""

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.rays import pixel_grid_px


def warped(
    images: Float[Tensor, "n c height width"], displacement: Float[Tensor, "n 2 height width"]
) -> Float[Tensor, "n c height width"]:
    """Return what lies `displacement` from each element of `images`; edges repeat."""
    height, width = images.shape[-2:]
    pixel = pixel_grid_px(height, width, dtype=torch.float32, device=images.device)
    x, y = (pixel + displacement.movedim(1, -1)).unbind(-1)
    grid = torch.stack([x * (2 / width) - 1, y * (2 / height) - 1], -1)
    return torch.nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
