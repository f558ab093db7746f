"""The box a scene is shown in, and the ground grid at its bottom."""

import math

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

MARGIN = 0.08  # of the longest side, left free around the content
THINNEST = 0.45  # no side of the box is shorter than this part of the longest
MOST_LINES = 10  # along the longest side of the ground


def scene_box(points_in_world: Float[Tensor, "n 3"]) -> Float[Tensor, "2 3"]:
    """Return the lowest and highest corner of a box around the points, with a margin."""
    low, high = points_in_world.amin(0), points_in_world.amax(0)
    longest = (high - low).max().clamp_min(1e-6)
    span = (high - low + 2 * MARGIN * longest).clamp_min(THINNEST * longest)
    middle = (low + high) / 2
    return torch.stack([middle - span / 2, middle + span / 2])


def grid_step(extent: float) -> float:
    """Return 1, 2 or 5 times a power of ten, such that MOST_LINES of it or fewer fill `extent`."""
    rough = extent / MOST_LINES
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))


def ground_trace(box: Float[Tensor, "2 3"]) -> go.Scatter3d:
    """Draw a square grid at the bottom of the box: the largest Y, since Y points down."""
    (x0, y_top, z0), (x1, y_bottom, z1) = box.tolist()
    y_ground = y_bottom - 0.002 * (y_bottom - y_top)  # Plotly clips lines on the box itself
    step = grid_step(max(x1 - x0, z1 - z0))
    x: list[float | None] = []
    z: list[float | None] = []
    for k in range(math.ceil(x0 / step), math.floor(x1 / step) + 1):
        x += [k * step, k * step, None]
        z += [z0, z1, None]
    for k in range(math.ceil(z0 / step), math.floor(z1 / step) + 1):
        x += [x0, x1, None]
        z += [k * step, k * step, None]
    return go.Scatter3d(
        x=x,
        y=z,
        z=[None if value is None else y_ground for value in x],
        mode="lines",
        line={"width": 1.5, "color": "#b6bcc6"},
        hoverinfo="skip",
        name=f"Grid: {step:g} scene units",
        meta="ground",
    )
