"""A first estimate of the clip's cameras from the motion of its frames, added to the ray output.

Not in the paper. A few numbers per frame say what a camera does; here a small head tells them from
`global_motion`, draws their raxels and codes these with a linear map, and the network adds what is
still missing.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.geometry.rays import rays_in_cam
from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.model.global_motion import MOMENTS, GlobalMotion, mirrored

CAMERA_NUMBERS = 8  # rotation vector, centre, log fx, log fy per root of the image's area
_WIDTH = 192
_LAYERS = 3
_LIMIT = 6.0  # deviations of a moment
_CELL = 8  # raxel pixels per ray latent


class CameraPrior(nn.Module):
    """Tell every frame's camera and code its raxels as ray latents.

    Args:
        channels: Of video latents, one per video frame.
        ray_channels: Of ray latents.
    """

    mean: Tensor
    spread: Tensor
    moment_mean: Tensor
    moment_spread: Tensor

    def __init__(self, channels: int, ray_channels: int) -> None:
        super().__init__()
        self.motion = GlobalMotion(channels)
        self.frame = nn.Linear(MOMENTS + 2, _WIDTH)
        self.layers = nn.ModuleList([_Layer() for _ in range(_LAYERS)])
        self.norm = nn.LayerNorm(_WIDTH)
        self.camera = nn.Linear(_WIDTH, CAMERA_NUMBERS)
        self.code = nn.Conv2d(3, ray_channels, _CELL, stride=_CELL)
        self.register_buffer("mean", torch.zeros(CAMERA_NUMBERS))
        self.register_buffer("spread", torch.ones(CAMERA_NUMBERS))
        self.register_buffer("moment_mean", torch.zeros(MOMENTS))
        self.register_buffer("moment_spread", torch.ones(MOMENTS))

    def numbers(
        self, moments: Float[Tensor, "batch t m"], aspect: Float[Tensor, "batch"]
    ) -> Float[Tensor, "batch t 8"]:
        """Return rotation vector (radians) and centre (scene units) from frame 0, and log lens.

        Args:
            moments: What `GlobalMotion` says.
            aspect: Logarithm of the image's width over its height.
        """
        batch, frames = moments.shape[:2]
        scaled = (moments - self.moment_mean) / self.moment_spread
        scaled = scaled.clamp(-_LIMIT, _LIMIT).type_as(self.spread)
        time = torch.linspace(-1, 1, frames).to(scaled).expand(batch, frames)
        shape = aspect.to(scaled)[:, None].expand(batch, frames)
        # Frame 0 has no motion and is left out; it is the reference.
        rows = self.frame(torch.cat([scaled, time[..., None], shape[..., None]], -1))[:, 1:]
        for layer in self.layers:
            rows = layer(rows)
        told = self.camera(self.norm(rows)) * self.spread + self.mean
        lens = told[:, :1, 6:] if frames > 1 else self.mean[6:].expand(batch, 1, 2)
        return torch.cat([nn.functional.pad(lens, (6, 0)), told], dim=1)

    def forward(
        self, latents: Float[Tensor, "batch c t h w"], raster: tuple[int, int]
    ) -> Float[Tensor, "batch c t hr wr"]:
        """Return ray latents of the cameras; `raster` is (hr, wr).

        The cameras are the mean of what is told of the clip and of its mirror image.
        """
        aspect = latents.new_tensor(latents.shape[-1] / latents.shape[-2]).log()
        aspect = aspect.expand(len(latents))
        moments = self.motion(latents)
        told = [self.numbers(moments, aspect)]
        told.append(mirrored_numbers(self.numbers(mirrored(moments), aspect)))
        return self.coded((told[0] + told[1]) / 2, raster)

    def coded(
        self, numbers: Float[Tensor, "batch t 8"], raster: tuple[int, int]
    ) -> Float[Tensor, "batch c t hr wr"]:
        """Draw the raxels of cameras and map them to latents, cell by cell."""
        batch, frames = numbers.shape[:2]
        images = self.code(raxels_of_numbers(numbers, raster).flatten(0, 1))
        return images.unflatten(0, (batch, frames)).transpose(1, 2)


class _Layer(nn.Module):
    """Mix each frame with the frames beside it and with the clip's mean, then within itself."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_time, self.norm = nn.LayerNorm(_WIDTH), nn.LayerNorm(_WIDTH)
        self.time = nn.Linear(4 * _WIDTH, _WIDTH)
        self.up, self.down = nn.Linear(_WIDTH, 2 * _WIDTH), nn.Linear(2 * _WIDTH, _WIDTH)

    def forward(self, rows: Float[Tensor, "batch t width"]) -> Float[Tensor, "batch t width"]:
        own = self.norm_time(rows)
        padded = nn.functional.pad(own, (0, 0, 1, 1))
        beside = [padded[:, :-2], own, padded[:, 2:], own.mean(1, keepdim=True).expand_as(own)]
        rows = rows + self.time(torch.cat(beside, -1))
        return rows + self.down(nn.functional.gelu(self.up(self.norm(rows))))


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


def mirrored_numbers(numbers: Float[Tensor, "batch t 8"]) -> Float[Tensor, "batch t 8"]:
    """Return the cameras of the clip seen in a mirror, left for right."""
    return numbers * numbers.new_tensor([1, -1, -1, -1, 1, 1, 1, 1])


def camera_numbers(
    pose: Float[Tensor, "batch t 8"], height: int, width: int
) -> Float[Tensor, "batch t 8"]:
    """Turn `auxiliary.pose_numbers`, whose lens is per image width, into those of the prior."""
    lens = pose[..., 6:] + 0.5 * torch.log(pose.new_tensor(width / height))
    return torch.cat([pose[..., :6], lens], -1)
