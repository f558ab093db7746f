"""Between images and tokens: noise levels embedded, positions and outputs parted by image."""

import torch
from diffusers.models.embeddings import PixArtAlphaTextProjection, TimestepEmbedding, Timesteps
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.model.transformer.rope import Tables

TIMESTEPS_PER_SIGMA = 1000.0  # Wan's time embedding reads noise level 1 as timestep 1000


class TimeEmbedder(nn.Module):
    """Names as in Wan's condition embedder; text is optional."""

    def __init__(self, dim: int, *, freq_dim: int, text_dim: int | None) -> None:
        super().__init__()
        self.timesteps_proj = Timesteps(freq_dim, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedder = TimestepEmbedding(in_channels=freq_dim, time_embed_dim=dim)
        self.act_fn = nn.SiLU()
        self.time_proj = nn.Linear(dim, 6 * dim)
        self.text_embedder = (
            None
            if text_dim is None
            else PixArtAlphaTextProjection(text_dim, dim, act_fn="gelu_tanh")
        )

    def embed(self, sigma: Float[Tensor, "batch s"]) -> Float[Tensor, "batch s width"]:
        """Embed noise levels."""
        wave = self.timesteps_proj(sigma.flatten() * TIMESTEPS_PER_SIGMA)
        weight = next(self.time_embedder.parameters())
        return self.time_embedder(wave.to(weight.dtype)).unflatten(0, sigma.shape)


def plus_last(
    images: Float[Tensor, "batch width s h w"], clip: Float[Tensor, "batch width t h w"]
) -> Float[Tensor, "batch width s h w"]:
    """Add to the clip's images, which come after the stills."""
    reference_images = images.shape[2] - clip.shape[2]
    return images + nn.functional.pad(clip, (0, 0, 0, 0, reference_images, 0))


def by_image(tables: Tables, tokens: Float[Tensor, "batch s n width"]) -> Tables:
    """Part position tables into images, as tokens are."""
    images = tokens.shape[1]
    return tables[0].unflatten(1, (images, -1)), tables[1].unflatten(1, (images, -1))


MIN_SIGMA = 0.02  # a clean ray token's velocity is not used; this keeps it finite


def velocity_of_sample(sample: Tensor, noisy: Tensor, sigma: Tensor) -> Tensor:
    """Return (x_t - x_0) / t, the velocity of x_t = (1 - t) x_0 + t x_1."""
    return (noisy - sample) / sigma.clamp_min(MIN_SIGMA)[:, None, :, None, None].type_as(sample)


def unpatchify(tokens: Float[Tensor, "batch s n cpp"], like: torch.Size, patch: int) -> Tensor:
    """Put S images of tokens back into (B, C, S, h, w). Inverse of the patch embedding's order."""
    height, width = like[-2] // patch, like[-1] // patch
    grid = tokens.unflatten(3, (patch, patch, -1)).unflatten(2, (height, width))
    return grid.permute(0, 6, 1, 2, 4, 3, 5).flatten(5, 6).flatten(3, 4)
