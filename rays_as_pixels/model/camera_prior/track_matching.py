"""How well positions in each frame match the cells of frame 0, by learned features.

Not in the paper. The correlation volumes of RAFT (2003.12039): all pairs are compared once, and a
window around the current track is read from them in every round.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.model.cell_layers import NearCells
from rays_as_pixels.model.config import CameraPriorConfig
from rays_as_pixels.model.latent_pictures import SIDE

FEATURES_PER_CELL = 2  # along each side


class TrackMatching(nn.Module):
    """Features of pictures (`latent_pictures.Pictures`), two to a cell along each side.

    Args:
        config: Sizes, of which those of the matching are used.
    """

    def __init__(self, config: CameraPriorConfig) -> None:
        super().__init__()
        width, stride = config.matching_width, SIDE // FEATURES_PER_CELL
        self.levels = config.matching_levels
        self.inward = nn.Conv2d(3, width, 5, padding=2, stride=stride)
        self.blocks = nn.ModuleList([NearCells(width) for _ in range(config.matching_blocks)])
        self.outward = nn.Conv2d(width, width, 1)

    def forward(self, pictures: Float[Tensor, "batch t 3 height width"]) -> list[Tensor]:
        """Compare every cell of frame 0 with every position in the other frames.

        Returns:
            Per level, (batch * F * N, 1, rows, columns): products of features, over the root of
            their number.
        """
        batch, frames = pictures.shape[:2]
        # Weights of convolutions may be kept in 8 bits; those of norms never are.
        kind = next(self.blocks.parameters()).dtype
        hidden = self.inward((pictures.flatten(0, 1) - 0.5).to(kind))
        for block in self.blocks:
            hidden = block(hidden)
        features = self.outward(hidden).unflatten(0, (batch, frames))
        size = features.shape[-2:]
        cells = nn.functional.avg_pool2d(features[:, 0], FEATURES_PER_CELL).flatten(2).mT
        others = features[:, 1:].flatten(3)
        volume = torch.einsum("bnc,bfcp->bfnp", cells, others) / features.shape[2] ** 0.5
        levels = [volume.reshape(-1, 1, *size)]
        for _ in range(self.levels - 1):
            levels.append(nn.functional.avg_pool2d(levels[-1], 2))
        return levels


def matches_around(
    levels: list[Tensor], tracks: Float[Tensor, "batch f cells 2"], radius: int
) -> Float[Tensor, "batch f cells k"]:
    """Read windows around tracks, coarser levels in a wider window.

    Args:
        levels: Of `TrackMatching`.
        tracks: Positions from the image's centre, normalised by sqrt(H W), (x, y).
        radius: Of the window, in elements of each level.
    """
    step = torch.arange(-radius, radius + 1, device=tracks.device, dtype=torch.float32)
    window = torch.stack(torch.meshgrid(step, step, indexing="xy"), -1)
    result = []
    for volume in levels:
        height, width = volume.shape[-2:]
        side = window.new_tensor([2 / width, 2 / height])
        middle = tracks.float().flatten(0, 2) * (height * width) ** 0.5 * side
        grid = middle[:, None, None] + window * side
        read = nn.functional.grid_sample(volume.float(), grid, align_corners=False)
        result.append(read.flatten(1))
    return torch.cat(result, 1).unflatten(0, tracks.shape[:3])
