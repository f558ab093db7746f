"""The spread of an estimate as a tube around the path: as wide as the runs lie apart."""

import math

import plotly.graph_objects as go
import torch
from jaxtyping import Float, Int
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.trajectory import Trajectory

SIDES = 12
CAP_RINGS = 4  # of each rounded end
STILL = 1e-9  # scene units; shorter steps have no direction


def tube_mesh(
    centre: Float[Tensor, "frames 3"], radius: Float[Tensor, "frames"]
) -> tuple[Float[Tensor, "points 3"], Int[Tensor, "triangles 3"]]:
    """Return a tube around a line with a radius per point, its ends rounded.

    A line that stands still gives a ball.

    Args:
        centre: Points of the line, in scene units.
        radius: Not negative, in scene units.

    Returns:
        Points, and triangles as indices into them.
    """
    centre, radius = centre.to(torch.float64), radius.to(torch.float64)
    along = _directions(centre)
    angle = torch.linspace(0, math.pi / 2, CAP_RINGS + 1, dtype=torch.float64)[1:]
    start = centre[0] - along[0] * radius[0] * angle.sin().flip(0)[:, None]
    end = centre[-1] + along[-1] * radius[-1] * angle.sin()[:, None]
    line = torch.cat([start, centre, end])
    width = torch.cat([radius[0] * angle.cos().flip(0), radius, radius[-1] * angle.cos()])
    along = torch.cat([along[:1].expand(len(start), 3), along, along[-1:].expand(len(end), 3)])
    side = _carried_sides(along)
    other = torch.linalg.cross(along, side)
    turn = torch.arange(SIDES, dtype=torch.float64) * 2 * math.pi / SIDES
    ring = side[:, None] * turn.cos()[:, None] + other[:, None] * turn.sin()[:, None]
    points = line[:, None] + width[:, None, None] * ring  # rings SIDES 3
    here = torch.arange(SIDES)
    after = (here + 1) % SIDES
    quad = torch.stack([here, after, after + SIDES, here, after + SIDES, here + SIDES], -1)
    faces = quad.reshape(-1, 3)[None] + SIDES * torch.arange(len(line) - 1)[:, None, None]
    return points.reshape(-1, 3), faces.reshape(-1, 3)


def _directions(centre: Float[Tensor, "frames 3"]) -> Float[Tensor, "frames 3"]:
    """Return unit tangents; where the line stands still, that of the nearest moving step."""
    forward = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
    steps = centre.diff(dim=0)
    moving = (steps.norm(dim=-1) > STILL).nonzero().flatten()
    if not len(moving):
        return forward.expand(len(centre), 3)
    steps = steps / steps.norm(dim=-1, keepdim=True).clamp_min(STILL)
    frame = torch.arange(len(centre), dtype=torch.float64)
    nearest = (frame[:, None] - 0.5 - moving[None].to(torch.float64)).abs().argmin(-1)
    return steps[moving[nearest]]


def _carried_sides(along: Float[Tensor, "rings 3"]) -> Float[Tensor, "rings 3"]:
    """Return a unit vector across each direction, turned as little as can be from one to the next.

    A ring would otherwise twist against its neighbour and pinch the tube.
    """
    least = torch.eye(3, dtype=along.dtype)[along[0].abs().argmin()]
    sides = []
    for direction in along:
        side = least - (least @ direction) * direction
        if side.norm() < 1e-6:  # the line turns straight into the last side
            side = torch.linalg.cross(
                direction, torch.eye(3, dtype=along.dtype)[direction.abs().argmin()]
            )
        least = side / side.norm()
        sides.append(least)
    return torch.stack(sides)


def tube_trace(
    trajectory: Trajectory, radius: Float[Tensor, "frames"], *, color: str = "#26828e"
) -> go.Mesh3d:
    """Draw a see-through tube around the path.

    Raises:
        InputError: There is not one finite radius of 0 or more per frame.
    """
    radius = radius.detach().to(torch.float64).cpu()
    if radius.shape != (len(trajectory),) or not bool((radius >= 0).all()):
        raise InputError(
            f"spread must hold {len(trajectory)} distances of 0 or more; got {radius.tolist()}. "
            "Pass the spread that belongs to the path."
        )
    points, faces = tube_mesh(trajectory.positions, radius)
    points = points.to(torch.float32)
    i, j, k = faces.to(torch.int32).unbind(-1)
    return go.Mesh3d(
        x=points[:, 0].numpy(),
        y=points[:, 2].numpy(),
        z=points[:, 1].numpy(),
        i=i.numpy(),
        j=j.numpy(),
        k=k.numpy(),
        color=color,
        opacity=0.22,
        flatshading=False,
        lighting={"ambient": 0.9, "diffuse": 0.2, "specular": 0.0},
        hoverinfo="skip",
        showlegend=False,
        meta="spread",
    )
