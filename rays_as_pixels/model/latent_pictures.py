"""Pictures read from latents by a fitted linear map, for optical flow and matching.

Not in the paper. Latents of whole cells are nearly a linear code of the picture; a linear map back
to half its raster keeps 34 dB. Nothing is learned but this map, which is fitted.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

SIDE = 4  # picture elements per latent cell along each side


class Pictures(nn.Module):
    """Read pictures at half the video's raster from latents, by a fitted linear map.

    Args:
        channels: Of the latents.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        # Buffers: set by `training.stages.fit_motion` and never by gradients.
        self.register_buffer("weight", torch.zeros(3 * SIDE**2, channels))
        self.register_buffer("bias", torch.zeros(3 * SIDE**2))

    def forward(
        self, latents: Float[Tensor, "batch c t h w"]
    ) -> Float[Tensor, "batch t 3 height width"]:
        """Return pictures of about [0, 1], SIDE elements per cell, in float32."""
        images = latents.float().transpose(1, 2).flatten(0, 1)
        weight, bias = self.weight.float()[:, :, None, None], self.bias.float()
        patches = nn.functional.conv2d(images, weight, bias)
        pictures = nn.functional.pixel_shuffle(patches, SIDE)
        return pictures.unflatten(0, (latents.shape[0], latents.shape[2]))
