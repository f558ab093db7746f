"""Sample images at displaced pixels (backward warping)."""

import torch
from jaxtyping import Float
from torch import Tensor


def warped(
    images: Float[Tensor, "n c height width"], displacement: Float[Tensor, "n 2 height width"]
) -> Float[Tensor, "n c height width"]:
    """Return what lies `displacement` from each element of `images`; edges repeat."""
    height, width = images.shape[-2:]
    rows, columns = (torch.arange(n, device=images.device) + 0.5 for n in (height, width))
    x = (columns + displacement[:, 0]) * (2 / width) - 1
    y = (rows[:, None] + displacement[:, 1]) * (2 / height) - 1
    grid = torch.stack([x, y], -1)
    return torch.nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
