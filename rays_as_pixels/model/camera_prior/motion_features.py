"""How each latent cell moved and what it matches in other frames, as an input of the network.

Not in the paper, which starts from a video model that has learned to follow things. A small network
that learns from nothing has to find correspondences first, and finds them sooner where it is given
what networks for optical flow are given: matching costs (PWC-Net 1709.02371), and the step of Lucas
and Kanade (1981) from the latents' own derivatives.
"""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.model.config import MotionFeaturesConfig

_GAIN = 3.0  # on cosines, so that a match stands out at the start
_MOTION_LIMIT = 3.0  # cells


class MotionFeatures(nn.Module):
    """Compare every frame with the one before it and with frame 0, cell by cell.

    Matching: cosines between a cell and the window of cells around its position in the other frame,
    by groups of channels. Queries and keys start as the same map, so that what looks alike matches
    from the first step. Displacement: `LatentFlow`.

    Args:
        channels: Of the latents.
        config: Sizes.
    """

    def __init__(self, channels: int, config: MotionFeaturesConfig) -> None:
        super().__init__()
        self.config = config
        matching = config.groups * config.group_width
        self.query = nn.Conv2d(channels, matching, 3, padding=1)
        self.key = nn.Conv2d(channels, matching, 3, padding=1)
        self.flow = LatentFlow(channels, config.windows)
        costs = 2 * config.groups * (2 * config.radius + 1) ** 2
        self.mix = nn.Sequential(
            nn.Conv2d(costs + self.flow.num_maps, config.hidden, 1),
            nn.GELU(),
            nn.Conv2d(config.hidden, config.width, 3, padding=1),
            nn.GELU(),
        )

    def initialise_from_scratch(self) -> None:
        """Make queries and keys the same map."""
        self.key.load_state_dict(self.query.state_dict())

    def forward(
        self, latents: Float[Tensor, "batch c t h w"], sigma: Float[Tensor, "batch t"]
    ) -> Float[Tensor, "batch width t h w"]:
        """Return features of every cell; what compares two frames fades where either is noise."""
        batch, frames = latents.shape[0], latents.shape[2]
        clear = (1 - sigma).clamp_min(0).type_as(latents)
        before = torch.arange(frames, device=latents.device).sub(1).clamp_min(0)
        others = (before, torch.zeros_like(before))
        shares = [clear * clear[:, other] for other in others]
        maps = [self._matches(latents, others, shares), self.flow(latents, others, shares)]
        mixed = self.mix(torch.cat(maps, dim=2).flatten(0, 1))
        return mixed.unflatten(0, (batch, frames)).transpose(1, 2)

    def _matches(
        self, latents: Tensor, others: tuple[Tensor, Tensor], shares: list[Tensor]
    ) -> Float[Tensor, "batch t maps h w"]:
        batch, _, frames, height, width = latents.shape
        images = latents.transpose(1, 2).flatten(0, 1)
        query, key = (
            nn.functional.normalize(
                one(images).view(batch, frames, self.config.groups, -1, height * width), dim=3
            )
            for one in (self.query, self.key)
        )
        index, inside = _window_index(height, width, self.config.radius)
        index, inside = index.to(latents.device), inside.to(latents)
        costs = []
        for other, share in zip(others, shares, strict=True):
            pairs = query.mT @ key[:, other]  # B T groups cells cells
            near = pairs.gather(-1, index.expand(*pairs.shape[:-1], -1)) * inside
            costs.append(near * _GAIN * share[:, :, None, None, None])
        stacked = torch.stack(costs, dim=2)  # B T 2 groups cells window
        return stacked.movedim(-1, 4).flatten(2, 4).unflatten(3, (height, width))


class LatentFlow(nn.Module):
    """Displacement of every cell by one step of Lucas and Kanade on latents.

    `gradient` says how latents change as the picture moves by one cell along x and along y; where
    z_t - z_r is that change times a displacement, the displacement follows by least squares over a
    window of cells (Lucas and Kanade 1981). `training.stages.fit_motion` sets `gradient` from
    shifted images, so that it is right for small motions before anything is learned.

    Args:
        channels: Of the latents.
        windows: Odd sides, in cells, of the windows over which one displacement is assumed.
    """

    def __init__(self, channels: int, windows: tuple[int, ...]) -> None:
        super().__init__()
        self.windows = windows
        # Per window: displacement and certainty (2 each) in two other frames, and a path (2).
        self.num_maps = (2 * 4 + 2) * len(windows)
        self.gradient = nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=False)
        self.log_weight = nn.Parameter(torch.zeros(channels))
        self.log_damping = nn.Parameter(torch.full((1,), -4.0))  # FSDP takes no scalars

    def forward(
        self,
        latents: Float[Tensor, "batch c t h w"],
        others: tuple[Tensor, Tensor],
        shares: list[Tensor],
    ) -> Float[Tensor, "batch t maps h w"]:
        """Return, per other frame and window, displacement and certainty; then the summed path.

        The displacement is where a cell's content was in the other frame minus where it is, in
        cells, as (x, y); certainty is the logarithm of the squared gradient along x and y. The path
        is the running sum of displacements since the frame before.
        """
        images = latents.transpose(1, 2)
        maps, path = [], []
        for other, share in zip(others, shares, strict=True):
            found = self._displacements(images, images[:, other], share[:, :, None, None, None])
            maps += [part for pair in found for part in pair]
            if not path:
                path = [step.cumsum(dim=1) for step, _ in found]
        return torch.cat([*maps, *path], dim=2)

    def _displacements(
        self,
        here: Float[Tensor, "batch t c h w"],
        there: Float[Tensor, "batch t c h w"],
        share: Tensor,
    ) -> list[tuple[Tensor, Tensor]]:
        batch = here.shape[0]
        mean, change = ((here + there) / 2).flatten(0, 1), (here - there).flatten(0, 1)
        slope_x, slope_y = self.gradient(mean).chunk(2, dim=1)
        weight = torch.softmax(self.log_weight, 0)[:, None, None]
        products = torch.stack(
            [
                (weight * a * b).sum(1)
                for a, b in (
                    (slope_x, slope_x),
                    (slope_y, slope_y),
                    (slope_x, slope_y),
                    (slope_x, change),
                    (slope_y, change),
                )
            ],
            dim=1,
        )
        damping = self.log_damping.exp()
        result = []
        for size in self.windows:
            xx, yy, xy, xc, yc = nn.functional.avg_pool2d(
                products, size, 1, size // 2, count_include_pad=False
            ).unbind(1)
            xx, yy = xx + damping, yy + damping
            moved = torch.stack([yy * xc - xy * yc, xx * yc - xy * xc], 1)
            moved = moved / (xx * yy - xy**2)[:, None]
            moved = moved.clamp(-_MOTION_LIMIT, _MOTION_LIMIT)
            sure = torch.stack([xx, yy], 1).div(damping).log()
            pair = (part.unflatten(0, (batch, -1)) * share for part in (moved, sure))
            result.append(tuple(pair))
        return result


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
