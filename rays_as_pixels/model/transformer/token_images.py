"""Between images and tokens: noise levels embedded, positions and outputs parted by image."""

import torch
from diffusers.models.embeddings import PixArtAlphaTextProjection, TimestepEmbedding, Timesteps
from jaxtyping import Float, Int
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
    """Add to the clip's images, which come after the reference images."""
    reference_images = images.shape[2] - clip.shape[2]
    return images + nn.functional.pad(clip, (0, 0, 0, 0, reference_images, 0))


def token_rows(
    embedded: Float[Tensor, "batch width s h w"],
    table: Float[Tensor, "kinds width"],
    kind: Int[Tensor, "batch s"],
) -> Float[Tensor, "batch s n width"]:
    """Lay embedded patches in rows and add the embedding of each image's kind."""
    tokens = embedded.flatten(3).permute(0, 2, 3, 1)
    return tokens + table[kind][:, :, None].type_as(tokens)


def modulated_head(
    hidden: Float[Tensor, "batch m width"],
    temb: Float[Tensor, "batch s width"],
    norm: nn.Module,
    table: Float[Tensor, "1 2 width"],
    proj: nn.Linear,
) -> Float[Tensor, "batch s n cpp"]:
    """Project tokens to patches after a norm that is shifted and scaled by the noise level.

    Args:
        hidden: Tokens of all S images in a row.
        temb: Embedded noise level of each image.
        norm: Without weights of its own.
        table: Shift and scale to which `temb` is added (DiT's adaLN, 2212.09748).
        proj: From token width to C p p.
    """
    projected = temb[:, :, None].expand(-1, -1, 2, -1)
    shift, scale = (table[:, None] + projected).unbind(2)
    images = hidden.unflatten(1, (temb.shape[1], -1))
    normed = norm(images) * (1 + scale[:, :, None]) + shift[:, :, None]
    return proj(normed.type_as(hidden))


def by_image(tables: Tables, tokens: Float[Tensor, "batch s n width"]) -> Tables:
    """Part position tables into images, as tokens are."""
    images = tokens.shape[1]
    return tables[0].unflatten(1, (images, -1)), tables[1].unflatten(1, (images, -1))


def unpatchify(tokens: Float[Tensor, "batch s n cpp"], like: torch.Size, patch: int) -> Tensor:
    """Put S images of tokens back into (B, C, S, h, w). Inverse of the patch embedding's order."""
    height, width = like[-2] // patch, like[-1] // patch
    grid = tokens.unflatten(3, (patch, patch, -1)).unflatten(2, (height, width))
    return grid.permute(0, 6, 1, 2, 4, 3, 5).flatten(5, 6).flatten(3, 4)
