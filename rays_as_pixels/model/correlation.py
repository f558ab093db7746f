"""How well each latent cell matches its neighbourhood in other frames, as an input of the network.

Not in the paper, which starts from a video model that has learned to follow things. A small network
that learns from nothing has to find correspondences first, and finds them sooner where matching
costs are laid out for it, as networks for optical flow do (PWC-Net 1709.02371).
"""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

_GAIN = 3.0  # on cosines, so that a match stands out at the start
_HIDDEN = 160


class LocalCorrelation(nn.Module):
    """Match every frame with the one before it and with frame 0, in windows of cells.

    Queries and keys start as the same map, so that what looks alike matches from the first step.

    Args:
        channels: Of the latents.
        width: Channels of the result.
        groups: Matching costs per pair of cells.
        group_width: Channels per cost.
        radius: Cells to each side of a cell's own place.
    """

    def __init__(
        self, channels: int, width: int, *, groups: int = 8, group_width: int = 8, radius: int = 2
    ) -> None:
        super().__init__()
        self.groups, self.radius = groups, radius
        self.query = nn.Conv2d(channels, groups * group_width, 3, padding=1)
        self.key = nn.Conv2d(channels, groups * group_width, 3, padding=1)
        self.mix = nn.Sequential(
            nn.Conv2d(2 * groups * (2 * radius + 1) ** 2, _HIDDEN, 1),
            nn.GELU(),
            nn.Conv2d(_HIDDEN, width, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GELU(),
        )

    def initialise_from_scratch(self) -> None:
        """Make queries and keys the same map."""
        self.key.load_state_dict(self.query.state_dict())

    def forward(
        self, latents: Float[Tensor, "batch c t h w"], sigma: Float[Tensor, "batch t"]
    ) -> Float[Tensor, "batch width t h w"]:
        """Return features of every cell; costs fade out where either frame is noise."""
        batch, _, frames, height, width = latents.shape
        images = latents.transpose(1, 2).flatten(0, 1)
        query, key = (
            nn.functional.normalize(
                one(images).view(batch, frames, self.groups, -1, height * width), dim=3
            )
            for one in (self.query, self.key)
        )
        clear = (1 - sigma).clamp_min(0).type_as(latents)
        before = torch.arange(frames, device=latents.device).sub(1).clamp_min(0)
        costs = []
        for other in (before, torch.zeros_like(before)):
            weight = (_GAIN * clear * clear[:, other])[:, :, None, None, None]
            costs.append(self._windows(query.mT @ key[:, other], height, width) * weight)
        stacked = torch.stack(costs, dim=2).flatten(0, 1)  # B*T 2 groups cells window
        maps = stacked.movedim(-1, 3).flatten(1, 3).unflatten(2, (height, width))
        return self.mix(maps).unflatten(0, (batch, frames)).transpose(1, 2)

    def _windows(
        self, costs: Float[Tensor, "*n cells cells"], height: int, width: int
    ) -> Float[Tensor, "*n cells window"]:
        index, inside = _window_index(height, width, self.radius)
        index, inside = index.to(costs.device), inside.to(costs)
        return costs.gather(-1, index.expand(*costs.shape[:-1], -1)) * inside


@lru_cache(maxsize=16)
def _window_index(height: int, width: int, radius: int) -> tuple[Tensor, Tensor]:
    """Return the cells (N, window) around each cell, and whether they lie in the image."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    step = torch.arange(-radius, radius + 1)
    y = rows.reshape(-1, 1, 1) + step[:, None]
    x = columns.reshape(-1, 1, 1) + step
    y, x = (part.expand(-1, len(step), len(step)).flatten(1) for part in (y, x))
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return y.clamp(0, height - 1) * width + x.clamp(0, width - 1), inside
