"""The frames of a video on the image planes of their frusta."""

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.viz.frusta import frustum_vertices

MOST_POINTS = 16_000  # of all thumbnails together: about half a megabyte of figure
FINEST = 48  # points along the longer side of one thumbnail


def thumbnail_size(num_frames: int, height: int, width: int) -> tuple[int, int]:
    """Return the (rows, columns) of points at which each thumbnail is drawn."""
    budget = (MOST_POINTS / (num_frames * height * width)) ** 0.5
    scale = min(1.0, FINEST / max(height, width), budget)
    return max(2, round(height * scale)), max(2, round(width * scale))


def thumbnail_trace(
    trajectory: Trajectory, images: Float[Tensor, "frames 3 h w"], *, depth: float
) -> go.Mesh3d:
    """Draw every image on the plane at `depth` of its camera, as one mesh with coloured points.

    Raises:
        InputError: There is not one image per camera.
    """
    num_frames = len(trajectory)
    if images.ndim != 4 or images.shape[:2] != (num_frames, 3):
        raise InputError(
            f"images must have shape ({num_frames}, 3, height, width), one per camera; got "
            f"{tuple(images.shape)}. Pass the frames that the path was estimated from."
        )
    rows, columns = thumbnail_size(num_frames, *images.shape[-2:])
    small = torch.nn.functional.interpolate(
        images.to(torch.float32), size=(rows, columns), mode="area"
    )
    color = small.clamp(0, 1).mul(255).round().to(torch.uint8).movedim(1, -1).reshape(-1, 3)
    points = _plane_points(trajectory, rows=rows, columns=columns, depth=depth)
    i, j, k = _triangles(num_frames, rows=rows, columns=columns).unbind(-1)
    points = points.to(torch.float32)
    return go.Mesh3d(
        x=points[:, 0].numpy(),
        y=points[:, 2].numpy(),
        z=points[:, 1].numpy(),
        i=i.numpy(),
        j=j.numpy(),
        k=k.numpy(),
        vertexcolor=[f"#{r:02x}{g:02x}{b:02x}" for r, g, b in color.tolist()],
        lighting={"ambient": 1.0, "diffuse": 0.0, "specular": 0.0, "fresnel": 0.0},
        hoverinfo="skip",
        showlegend=False,
        meta="images",
    )


def _plane_points(
    trajectory: Trajectory, *, rows: int, columns: int, depth: float
) -> Float[Tensor, "points 3"]:
    """Spread rows x columns points over each image plane, corner to corner."""
    _, top_left, top_right, _, bottom_left, _ = frustum_vertices(
        trajectory.cameras, depth=depth
    ).unbind(-2)
    right = torch.linspace(0, 1, columns, dtype=top_left.dtype)[None, None, :, None]
    down = torch.linspace(0, 1, rows, dtype=top_left.dtype)[None, :, None, None]
    origin = top_left[:, None, None]
    points = origin + right * (top_right[:, None, None] - origin)
    points = points + down * (bottom_left[:, None, None] - origin)
    return points.reshape(-1, 3)


def _triangles(num_frames: int, *, rows: int, columns: int) -> Tensor:
    index = torch.arange(num_frames * rows * columns, dtype=torch.int32)
    index = index.reshape(num_frames, rows, columns)
    a, b = index[:, :-1, :-1], index[:, :-1, 1:]
    c, d = index[:, 1:, 1:], index[:, 1:, :-1]
    return torch.cat(
        [torch.stack([a, b, c], -1).reshape(-1, 3), torch.stack([a, c, d], -1).reshape(-1, 3)]
    )
