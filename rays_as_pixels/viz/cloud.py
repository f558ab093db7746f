"""A point cloud under a camera path, thinned so that the path can still be animated."""

from dataclasses import dataclass

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError

MOST_POINTS = 2000  # one more trace of so many costs a software renderer a few milliseconds


@dataclass(frozen=True)
class PointCloud:
    """Points of the scene.

    Attributes:
        points: (N, 3) in the path's world frame, scene units.
        colors: (N, 3) RGB in [0, 1], or None for one grey.

    Raises:
        InputError: A shape disagrees or a point is not finite.
    """

    points: Float[Tensor, "n 3"]
    colors: Float[Tensor, "n 3"] | None = None

    def __post_init__(self) -> None:
        """Check every rule in the class docstring."""
        if self.points.ndim != 2 or self.points.shape[1] != 3:
            raise InputError(
                f"points must have shape (n, 3); got {tuple(self.points.shape)}. "
                "Flatten a depth map's points first."
            )
        if not bool(torch.isfinite(self.points).all()):
            raise InputError("points must be finite; got NaN or infinity. Drop those points.")
        if self.colors is not None and self.colors.shape != self.points.shape:
            raise InputError(
                f"colors must have shape {tuple(self.points.shape)}, as points; got "
                f"{tuple(self.colors.shape)}. Give one RGB triple per point."
            )

    def thinned(self, most: int = MOST_POINTS) -> "PointCloud":
        """Return `most` points or fewer, drawn evenly and always the same ones."""
        count = len(self.points)
        if count <= most:
            return self
        chosen = torch.randperm(count, generator=torch.Generator().manual_seed(0))[:most]
        colors = None if self.colors is None else self.colors[chosen]
        return PointCloud(self.points[chosen], colors)


def cloud_trace(cloud: PointCloud) -> go.Scatter3d:
    """Draw the points as small dots; thin the cloud first."""
    points = cloud.points.detach().to(torch.float32).cpu()
    color: str | list[str] = "#8b95a5"
    if cloud.colors is not None:
        rgb = cloud.colors.detach().cpu().clamp(0, 1).mul(255).round().to(torch.uint8)
        color = [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in rgb.tolist()]
    return go.Scatter3d(
        x=points[:, 0].numpy(),
        y=points[:, 2].numpy(),
        z=points[:, 1].numpy(),
        mode="markers",
        marker={"size": 2.2, "color": color, "line": {"width": 0}},
        hoverinfo="skip",
        showlegend=False,
        meta="cloud",
    )
