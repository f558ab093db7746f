"""Small layers on the cells of an image: attention among tokens, and the depths of cells."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

_GROUPS = 8  # of channels that are normalised together


class TokenAttention(nn.Module):
    """Self-attention among tokens, from normalised tokens.

    Args:
        width: Of the tokens.
        heads: Of the attention.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.inward, self.outward = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, tokens: Float[Tensor, "n tokens width"]) -> Float[Tensor, "n tokens width"]:
        """Return what is to be added to the tokens."""
        parts = self.inward(self.norm(tokens)).unflatten(-1, (3, self.heads, -1))
        query, key, value = parts.movedim(2, 0).transpose(2, 3).unbind(0)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        return self.outward(mixed.transpose(1, 2).flatten(2))


class CellDepths(nn.Module):
    """Estimate the depth of every cell of an image, from its latents alone.

    Args:
        channels: Of the latents.
        width: Channels of the blocks.
        blocks: Their number.
        heads: Of the blocks' attention.
    """

    def __init__(self, channels: int, *, width: int, blocks: int, heads: int) -> None:
        super().__init__()
        self.inward = nn.Conv2d(channels + 2, width, 3, padding=1)
        self.blocks = nn.ModuleList([_Block(width, heads) for _ in range(blocks)])
        self.norm = nn.GroupNorm(_GROUPS, width)
        self.outward = nn.Conv2d(width, 1, 1)

    def initialise_from_scratch(self) -> None:
        """Take every depth as 1."""
        nn.init.zeros_(self.outward.weight)
        if self.outward.bias is not None:
            nn.init.zeros_(self.outward.bias)

    def forward(self, latents: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 1 h w"]:
        """Return the logarithm of every cell's depth, in scene units."""
        height, width = latents.shape[-2:]
        y = torch.linspace(-1, 1, height).to(latents)[:, None].expand(height, width)
        x = torch.linspace(-1, 1, width).to(latents).expand(height, width)
        position = torch.stack([x, y]).expand(len(latents), -1, -1, -1)
        hidden = self.inward(torch.cat([latents, position], 1))
        for block in self.blocks:
            hidden = block(hidden)
        return self.outward(self.norm(hidden))


class NearCells(nn.Module):
    """Residual convolutions: every cell is changed by its neighbours.

    Args:
        width: Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(_GROUPS, width)
        self.near = nn.Conv2d(width, width, 3, padding=1)
        self.mix = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, hidden: Float[Tensor, "n width h w"]) -> Float[Tensor, "n width h w"]:
        """Return the cells, changed."""
        near = self.near(nn.functional.gelu(self.norm(hidden)))
        return hidden + self.mix(nn.functional.gelu(near))


class _Block(NearCells):
    """Compare cells with their neighbours, then with all cells."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width)
        self.all = TokenAttention(width, heads)

    def forward(self, hidden: Float[Tensor, "n width h w"]) -> Float[Tensor, "n width h w"]:
        hidden = super().forward(hidden)
        far = self.all(hidden.flatten(2).mT)
        return hidden + far.mT.unflatten(2, hidden.shape[-2:])
