"""A first estimate of the clip's cameras from motion features, as an offset of the ray output.

Not in the paper. A few numbers per frame say what a camera does; here a small head tells them,
draws their raxels and codes these with a linear map, and the network adds what is still missing.
From 10 minutes of taught motion features such a head read rotations at half the error of standing
still within 2 minutes, while the network alone had hardly begun to after 30.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.geometry.rays import rays_in_cam
from rays_as_pixels.geometry.rotations import rotation_from_vector

CAMERA_NUMBERS = 8  # rotation vector, centre, log fx, log fy per root of the image's area
_GRID = 4  # features are averaged over this many parts of the image along each side
_HIDDEN = 256
_CELL = 8  # raxel pixels per ray latent


class CameraPrior(nn.Module):
    """Tell every frame's camera and code its raxels as ray latents.

    Args:
        width: Channels of the motion features.
        channels: Of ray latents.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.frame = nn.Linear(width * _GRID**2 + 1, _HIDDEN)
        self.clip = nn.Linear(2 * _HIDDEN, _HIDDEN)
        self.camera = nn.Linear(_HIDDEN, CAMERA_NUMBERS)
        self.code = nn.Conv2d(3, channels, _CELL, stride=_CELL)
        self.register_buffer("mean", torch.zeros(CAMERA_NUMBERS))
        self.register_buffer("spread", torch.ones(CAMERA_NUMBERS))

    def numbers(self, features: Float[Tensor, "batch width t h w"]) -> Float[Tensor, "batch t 8"]:
        """Return rotation vector (radians) and centre (scene units) from frame 0, and log lens."""
        batch, _, frames, height, width = features.shape
        parts = nn.functional.adaptive_avg_pool2d(features.transpose(1, 2).flatten(0, 1), _GRID)
        rows = parts.flatten(1).unflatten(0, (batch, frames))
        shape = rows.new_tensor(width / height).log().expand(batch, frames, 1)
        own = nn.functional.gelu(self.frame(torch.cat([rows, shape], -1)))
        whole = own.mean(dim=1, keepdim=True).expand_as(own)
        mixed = nn.functional.gelu(self.clip(torch.cat([own, whole], -1)))
        numbers = self.camera(mixed) * self.spread + self.mean
        moves = (torch.arange(frames, device=rows.device) > 0).to(rows)[:, None]
        return torch.cat([numbers[..., :6] * moves, numbers[..., 6:]], -1)

    def forward(
        self, features: Float[Tensor, "batch width t h w"], raster: tuple[int, int]
    ) -> Float[Tensor, "batch c t hr wr"]:
        """Return ray latents of the cameras; `raster` is (hr, wr)."""
        return self.coded(self.numbers(features), raster)

    def coded(
        self, numbers: Float[Tensor, "batch t 8"], raster: tuple[int, int]
    ) -> Float[Tensor, "batch c t hr wr"]:
        """Draw the raxels of cameras and map them to latents, cell by cell."""
        batch, frames = numbers.shape[:2]
        images = self.code(raxels_of_numbers(numbers, raster).flatten(0, 1))
        return images.unflatten(0, (batch, frames)).transpose(1, 2)


def raxels_of_numbers(
    numbers: Float[Tensor, "batch t 8"], raster: tuple[int, int]
) -> Float[Tensor, "batch t 3 height width"]:
    """Draw halved raxels, as the autoencoder gets them; 8x8 pixels per ray latent."""
    height, width = _CELL * raster[0], _CELL * raster[1]
    focal = numbers[..., 6:].clamp(-3, 3).exp() * (height * width) ** 0.5
    center = numbers.new_tensor([width / 2, height / 2]).expand_as(focal)
    ray = rays_in_cam(focal, center, height=height, width=width)  # batch t height width 3
    turned = ray @ rotation_from_vector(numbers[..., :3])[..., None, :, :].mT
    return (turned + numbers[..., None, None, 3:6]).movedim(-1, 2) / 2


def camera_numbers(
    pose: Float[Tensor, "batch t 8"], height: int, width: int
) -> Float[Tensor, "batch t 8"]:
    """Turn `auxiliary.pose_numbers`, whose lens is per image width, into those of the prior."""
    lens = pose[..., 6:] + 0.5 * torch.log(pose.new_tensor(width / height))
    return torch.cat([pose[..., :6], lens], -1)
