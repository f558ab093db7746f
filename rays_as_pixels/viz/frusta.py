"""Camera frusta as points and lines in world axes; what every picture of a path is drawn from."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.trajectory import Trajectory

# Vertices of one frustum: 0 the camera centre; 1 to 4 the image's corners top left, top right,
# bottom right, bottom left; 5 the tip of the triangle that marks the image's upper edge.
NUM_VERTICES = 6
EDGES = ((0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (2, 3), (3, 4), (4, 1), (1, 5), (5, 2))
FACES = ((0, 1, 2), (0, 2, 3), (0, 3, 4), (0, 4, 1), (1, 2, 3), (1, 3, 4), (1, 5, 2))
UP_MARK = 0.35  # height of the upper edge's triangle, as a fraction of half the image's height

SIZE_OF_EXTENT = 0.14  # depth of a frustum, as a fraction of the path's extent
SMALLEST_SIZE = 0.1  # scene units; keeps a camera that only turns visible, and noise small


def frustum_vertices(cameras: Cameras, *, depth: float) -> Float[Tensor, "*batch {NUM_VERTICES} 3"]:
    """Return each camera's frustum, cut off at `depth`.

    Args:
        cameras: Any batch shape.
        depth: Distance from the camera centre to the drawn image plane, in scene units.

    Returns:
        Points in world axes, ordered as `NUM_VERTICES` says: centre, top left, top right, bottom
        right, bottom left, tip above the upper edge.

    Raises:
        InputError: The depth is not positive.
    """
    if not (depth > 0 and math.isfinite(depth)):
        raise InputError(
            f"depth must be positive; got {depth}. Use about a tenth of the path's extent."
        )
    width, height = float(cameras.width), float(cameras.height)
    tip = [width / 2, -UP_MARK * height / 2]
    corner_px = cameras.focal_px.new_tensor(
        [[0.0, 0.0], [width, 0.0], [width, height], [0.0, height], tip]
    )
    offset_px = corner_px - cameras.center_px[..., None, :]
    xy_in_cam = offset_px / cameras.focal_px[..., None, :] * depth
    z_in_cam = torch.full_like(xy_in_cam[..., :1], depth)
    point_in_cam = torch.cat([xy_in_cam, z_in_cam], dim=-1)
    rotation = cameras.world_from_cam[..., :3, :3]
    centre = cameras.world_from_cam[..., None, :3, 3]
    point_in_world = point_in_cam @ rotation.transpose(-1, -2) + centre
    return torch.cat([centre, point_in_world], dim=-2)


def frustum_depth(*trajectories: Trajectory) -> float:
    """Return a depth, in scene units, at which the frusta of these paths can be told apart."""
    position = torch.cat([path.positions.to(torch.float64) for path in trajectories])
    extent = (position.amax(0) - position.amin(0)).norm().item()
    return max(SIZE_OF_EXTENT * extent, SMALLEST_SIZE)


def stacked_index(
    pattern: tuple[tuple[int, ...], ...], num_frames: int
) -> Int[Tensor, "frames_times_rows width"]:
    """Repeat EDGES or FACES for every frame of a stack of `frustum_vertices`."""
    index = torch.tensor(pattern, dtype=torch.long)
    offset = torch.arange(num_frames)[:, None, None] * NUM_VERTICES
    return (index + offset).flatten(0, 1)
