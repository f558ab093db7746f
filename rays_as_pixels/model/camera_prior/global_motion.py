"""The motion of whole frames as a few numbers: a robust polynomial of the flow in the image.

Not in the paper. A rotating camera, and a plane seen from a moving one, make flows that are smooth
functions of the position in the image. The coefficients of a cubic polynomial, 50 numbers a frame,
gave better cameras of unseen worlds than the flow itself, 768 numbers, or 1024 learned features:
median rotation from frame 0 of 1.41, 1.51 and 1.44 degrees after 3 minutes of learning each.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.geometry.warp import warped
from rays_as_pixels.model.latent_pictures import SIDE, Pictures
from rays_as_pixels.solve.depth_reprojection import pixels_from_middle
from rays_as_pixels.solve.lucas_kanade import Flow, flow_between

_DEGREE = 3
_TERMS = (_DEGREE + 1) * (_DEGREE + 2) // 2
MOMENTS = 2 * (2 * _TERMS + 5)  # of the flow from the frame before and of that from frame 0
_ROUNDS = 3  # of reweighting
_RIDGE = 0.03
_INLIER = 0.15 / 8  # normalised by sqrt(H W); a flow that far from the fit counts half
_FLOOR = 1e-4


TRACK_MAPS = 7  # left-over motion (x, y), log gradients (x, y), log mismatch, inside, certainty


@dataclass(frozen=True)
class ClipMotion:
    """How the frames of a clip moved; F is the number of frames after frame 0.

    Attributes:
        pictures: (B, F + 1, 3, H, W) at half the raster.
        moments: (B, F, MOMENTS) of every frame since the frame before it and since frame 0.
        centers: (N, 2) centres of frame 0's cells from the image's centre, x and y.
        seen: (B, F, N, 2) where the content of those cells is in each frame, likewise.
        maps: (B, F, N, TRACK_MAPS) what else is known of each cell's track: the motion that the
            polynomial does not explain, logarithms of squared gradients and of the mismatch,
            whether the track ends inside the image, and its weight in the polynomial.

    Positions are normalised by sqrt(H W).
    """

    pictures: Float[Tensor, "batch t 3 height width"]
    moments: Float[Tensor, "batch f m"]
    centers: Float[Tensor, "cells 2"]
    seen: Float[Tensor, "batch f cells 2"]
    maps: Float[Tensor, "batch f cells k"]


class GlobalMotion(nn.Module):
    """Describe how every frame of a clip moved since the frame before it and since frame 0.

    Args:
        channels: Of the latents, one per video frame.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pictures = Pictures(channels)

    @torch.no_grad()
    def forward(self, latents: Float[Tensor, "batch c t h w"]) -> ClipMotion:
        """Measure the motion of a clip of two frames or more, in float32.

        Moments, per flow: coefficients of products of Legendre polynomials in x and y, each for the
        flow's (x, y), normalised by sqrt(H W); the logarithm of the mean distance from the fit;
        the share of the image that fits; mean logarithms of gradients (x, y) and of the mismatch.
        """
        batch, _, frames, height, width = latents.shape
        kind = latents.device.type
        known = torch.amp.is_autocast_available(kind)  # not on the meta device
        with torch.autocast(kind if known else "cpu", enabled=False):
            pictures = self.pictures(latents)
            there = pictures[:, 1:].flatten(0, 1)
            after = flow_between(pictures[:, :-1].flatten(0, 1), there)
            steps = after.displacement.unflatten(0, (batch, frames - 1))
            path = [steps[:, 0]]
            for frame in range(1, frames - 1):
                path.append(path[-1] + warped(steps[:, frame], path[-1]))
            first = pictures[:, :1].expand(-1, frames - 1, -1, -1, -1).flatten(0, 1)
            whole = flow_between(first, there, torch.stack(path, dim=1).flatten(0, 1))
            grid = (height, width)
            fits = [_fitted(flow, grid) for flow in (after, whole)]
            moments = torch.cat([fit.moments for fit in fits], dim=-1)
            fit, centers = fits[1], cell_centers(*grid).to(latents.device)
            seen = centers + fit.moved
            limit = torch.tensor([width, height]).to(seen) / (2 * (height * width) ** 0.5)
            inside = (seen.abs() < limit).all(-1).to(seen)
            maps = torch.cat(
                [fit.left_over, fit.gradient, torch.stack([fit.mismatch, inside, fit.weight], -1)],
                dim=-1,
            )
        shape = (batch, frames - 1)
        return ClipMotion(
            pictures,
            moments.unflatten(0, shape),
            centers,
            seen.unflatten(0, shape),
            maps.unflatten(0, shape),
        )


@dataclass(frozen=True)
class _Fit:
    """A polynomial fitted to the cell means of n flows, and what those means are.

    Attributes:
        moments: (n, MOMENTS / 2).
        moved: (n, N, 2) displacements, normalised by sqrt(H W).
        left_over: (n, N, 2) of them, not explained.
        gradient: (n, N, 2) logarithms of squared gradients.
        mismatch: (n, N) logarithm of it.
        weight: (n, N) of each cell in the fit.
    """

    moments: Tensor
    moved: Tensor
    left_over: Tensor
    gradient: Tensor
    mismatch: Tensor
    weight: Tensor


def _fitted(flow: Flow, grid: tuple[int, int]) -> _Fit:
    """Fit the polynomial to cell means of a flow by iteratively reweighted least squares.

    (B^T W B + r I) c = B^T W u for basis B, displacements u and ridge r. Weights are Cauchy's,
    1 / (1 + (|u - B c| / s)^2), times how textured and how well matched a cell is.
    """
    cells = [
        nn.functional.avg_pool2d(one, SIDE).flatten(2).mT
        for one in (
            flow.displacement,
            (flow.gradient / 1e-3 + 1).log(),
            (flow.mismatch + _FLOOR).log(),
        )
    ]
    moved = cells[0] / (SIDE * (grid[0] * grid[1]) ** 0.5)
    gradient, mismatch = cells[1], cells[2]
    basis = _basis(*grid).to(moved)
    count = basis.shape[0]
    sure = torch.sigmoid(gradient.amin(-1) - 1.5) * torch.sigmoid(-(mismatch[..., 0] + 5.0))
    sure = sure / sure.mean(-1, keepdim=True).clamp_min(1e-3)
    weight = sure
    ridge = _RIDGE * torch.eye(_TERMS).to(moved)
    coefficients = left_over = distance = moved
    for _ in range(_ROUNDS):
        weighted = weight[..., None] * basis / count
        gram = weighted.mT @ basis + ridge
        coefficients = torch.linalg.solve_ex(gram, weighted.mT @ moved)[0]  # n terms 2
        left_over = moved - basis @ coefficients
        distance = left_over.norm(dim=-1)
        fitting = 1 / (1 + (distance / _INLIER) ** 2)
        weight = sure * fitting
    off = (weight * distance).mean(-1, keepdim=True).clamp_min(1e-5).log()
    means = torch.cat([gradient.mean(-2), mismatch.mean(-2)], dim=-1)
    moments = torch.cat(
        [coefficients.flatten(1), off, weight.mean(-1, keepdim=True), means], dim=-1
    )
    return _Fit(moments, moved, left_over, gradient, mismatch[..., 0], weight)


@lru_cache(maxsize=16)
def cell_centers(height: int, width: int) -> Float[Tensor, "cells 2"]:
    """Return cells' centres from the image's centre as (x, y), normalised by sqrt(H W)."""
    return pixels_from_middle((height, width)) / (height * width) ** 0.5


@lru_cache(maxsize=16)
def _basis(height: int, width: int) -> Float[Tensor, "cells terms"]:
    """Products of Legendre polynomials of x and y in [-1, 1], of unit mean square, at cells."""
    sides = []
    for count in (height, width):
        x = (torch.arange(count) + 0.5) * (2 / count) - 1
        polynomials = [torch.ones_like(x), x, (3 * x**2 - 1) / 2, (5 * x**3 - 3 * x) / 2]
        sides.append([(2 * n + 1) ** 0.5 * one for n, one in enumerate(polynomials)])
    rows, columns = sides
    terms = [
        rows[j][:, None] * columns[i] for i in range(_DEGREE + 1) for j in range(_DEGREE + 1 - i)
    ]
    return torch.stack([term.flatten() for term in terms], dim=-1)
