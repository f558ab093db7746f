"""The motion of whole frames as a few numbers: a robust polynomial of the flow in the image.

Not in the paper. A rotating camera, and a plane seen from a moving one, make flows that are smooth
functions of the place in the image. The coefficients of a cubic polynomial, 50 numbers per frame,
told cameras of unseen worlds better than the flow itself, 768 numbers, or 1024 learned features:
median rotation from frame 0 of 1.41, 1.51 and 1.44 degrees after 3 minutes of learning each.
"""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.model.image_flow import SIDE, Flow, Pictures, flow_between, warped

_DEGREE = 3
_TERMS = (_DEGREE + 1) * (_DEGREE + 2) // 2
MOMENTS = 2 * (2 * _TERMS + 5)  # of the flow to the frame before and of that to frame 0
_ROUNDS = 3  # of reweighting
_RIDGE = 0.03
_INLIER = 0.15 / 8  # of the root of the image's area; a flow that far from the fit counts half
_FLOOR = 1e-4


class GlobalMotion(nn.Module):
    """Describe how every frame of a clip moved since the frame before it and since frame 0.

    Args:
        channels: Of the latents, one per video frame.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pictures = Pictures(channels)

    @torch.no_grad()
    def forward(self, latents: Float[Tensor, "batch c t h w"]) -> Float[Tensor, "batch t m"]:
        """Return MOMENTS numbers per frame in float32; frame 0's are zeros.

        Per flow: coefficients of products of Legendre polynomials in x and y, each for the flow's
        (x, y) in roots of the image's area; the logarithm of the mean distance from the fit; the
        share of the image that fits; mean logarithms of gradients (x, y) and of the mismatch.
        """
        batch, _, frames, height, width = latents.shape
        if frames == 1:
            return latents.new_zeros((batch, 1, MOMENTS), dtype=torch.float32)
        kind = latents.device.type
        known = torch.amp.is_autocast_available(kind)  # not on the meta device
        with torch.autocast(kind if known else "cpu", enabled=False):
            pictures = self.pictures(latents)
            here = pictures[:, 1:].flatten(0, 1)
            before = flow_between(here, pictures[:, :-1].flatten(0, 1))
            steps = before.displacement.unflatten(0, (batch, frames - 1))
            path = [steps[:, 0]]
            for frame in range(1, frames - 1):
                path.append(steps[:, frame] + warped(path[-1], steps[:, frame]))
            first = pictures[:, :1].expand(-1, frames - 1, -1, -1, -1).flatten(0, 1)
            whole = flow_between(here, first, torch.stack(path, dim=1).flatten(0, 1))
            parts = [_moments(flow, (height, width)) for flow in (before, whole)]
        moments = torch.cat(parts, dim=-1).unflatten(0, (batch, frames - 1))
        return nn.functional.pad(moments, (0, 0, 1, 0))


def mirrored(moments: Float[Tensor, "batch t m"]) -> Float[Tensor, "batch t m"]:
    """Return the moments of the clip seen in a mirror, left for right."""
    signs = [
        sign * (-1) ** i
        for i in range(_DEGREE + 1)
        for _ in range(_DEGREE + 1 - i)
        for sign in (-1, 1)
    ]
    return moments * moments.new_tensor((signs + [1] * 5) * 2)


def _moments(flow: Flow, grid: tuple[int, int]) -> Float[Tensor, "n m"]:
    """Fit the polynomial to cell means of a flow, counting less what is far off or unsure."""
    cells = [
        nn.functional.avg_pool2d(one, SIDE).flatten(2)
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
    sure = torch.sigmoid(gradient.amin(1) - 1.5) * torch.sigmoid(-(mismatch[:, 0] + 5.0))
    sure = sure / sure.mean(-1, keepdim=True).clamp_min(1e-3)
    weight = sure
    ridge = _RIDGE * torch.eye(_TERMS).to(moved)
    coefficients = distance = moved
    for _ in range(_ROUNDS):
        weighted = weight[..., None] * basis / count
        gram = weighted.mT @ basis + ridge
        coefficients = torch.linalg.solve(gram, weighted.mT @ moved.mT)  # n terms 2
        distance = (moved.mT - basis @ coefficients).norm(dim=-1)
        fitting = 1 / (1 + (distance / _INLIER) ** 2)
        weight = sure * fitting
    off = (weight * distance).mean(-1, keepdim=True).clamp_min(1e-5).log()
    means = torch.cat([gradient.mean(-1), mismatch.mean(-1)], dim=-1)
    return torch.cat([coefficients.flatten(1), off, weight.mean(-1, keepdim=True), means], dim=-1)


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
