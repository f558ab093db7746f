"""What a real camera and codec do to an image: exposure, noise, blur, JPEG-like blocks."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.worlds.seeded_random import SeededRandom

# Luminance quantisation of JPEG (ITU-T T.81, Table K.1).
_JPEG_TABLE = (
    16,
    11,
    10,
    16,
    24,
    40,
    51,
    61,
    12,
    12,
    14,
    19,
    26,
    58,
    60,
    55,
    14,
    13,
    16,
    24,
    40,
    57,
    69,
    56,
    14,
    17,
    22,
    29,
    51,
    87,
    80,
    62,
    18,
    22,
    37,
    56,
    68,
    109,
    103,
    77,
    24,
    35,
    55,
    64,
    81,
    104,
    113,
    92,
    49,
    64,
    78,
    87,
    103,
    121,
    120,
    101,
    72,
    92,
    95,
    98,
    112,
    100,
    103,
    99,
)


def _dct_matrix(device: torch.device) -> Float[Tensor, "8 8"]:
    k = torch.arange(8, device=device, dtype=torch.float32)
    basis = torch.cos(math.pi * (2 * k[None] + 1) * k[:, None] / 16) * 0.5
    basis[0] = math.sqrt(1 / 8)
    return basis


def jpeg_like(
    video: Float[Tensor, "batch frames 3 height width"], coarseness: Float[Tensor, "batch"]
) -> Float[Tensor, "batch frames 3 height width"]:
    """Quantise 8x8 DCT blocks with JPEG's luminance table times `coarseness` (1 is quality 50)."""
    height, width = video.shape[-2:]
    basis = _dct_matrix(video.device)
    table = video.new_tensor(_JPEG_TABLE).reshape(8, 8) / 255
    step = (table * coarseness[:, None, None])[:, None, None, None, None]
    blocks = video.unflatten(-2, (height // 8, 8)).unflatten(-1, (width // 8, 8)).transpose(-3, -2)
    coefficients = basis @ blocks @ basis.T
    rounded = torch.round(coefficients / step) * step
    back = (basis.T @ rounded @ basis).transpose(-3, -2)
    return back.flatten(-4, -3).flatten(-2)


def degrade(
    video: Float[Tensor, "batch frames 3 height width"], rng: SeededRandom
) -> Float[Tensor, "batch frames 3 height width"]:
    """Apply a random camera to each clip; every effect is drawn per clip, some are absent."""
    _, frames, _, height, width = video.shape
    gain = 1 + 0.1 * rng.normal(1)
    drift = 0.12 * rng.normal(1) * torch.linspace(0, 1, frames, device=video.device)
    contrast = rng.uniform(0.8, 1.15, 1, 1, 1, 1)
    video = (video - 0.5) * contrast + 0.5
    video = video * (gain + drift)[:, :, None, None, None]
    y = torch.linspace(-1, 1, height, device=video.device)[:, None]
    x = torch.linspace(-1, 1, width, device=video.device)[None]
    vignette = 1 - rng.uniform(0.0, 0.3, 1, 1, 1, 1) * (x * x + y * y) / 2
    video = video * vignette
    blur = (rng.uniform(0.0, 0.5) * rng.chance(0.4))[:, None, None, None, None]
    soft = torch.nn.functional.avg_pool2d(
        torch.nn.functional.pad(video.flatten(0, 1), (1, 1, 1, 1), mode="replicate"), 3, stride=1
    ).reshape(video.shape)
    video = torch.lerp(video, soft, blur)
    amount = rng.uniform(0.0, 0.02) * rng.chance(0.5)
    video = video + amount[:, None, None, None, None] * rng.normal(frames, 3, height, width)
    blocky = rng.chance(0.3)
    coarse = rng.log_uniform(0.05, 0.5)
    video = torch.where(blocky[:, None, None, None, None], jpeg_like(video, coarse), video)
    return video.clamp(0, 1)
