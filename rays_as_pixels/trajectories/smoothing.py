"""Stabilise a path: take out wobbles that are short against the clip, keep both ends.

Whittaker's smoother: the curve x nearest to the data p for which
sum |x - p|^2 + strength^4 sum |second difference of x|^2 is least. A wobble of period T frames
keeps 1 / (1 + (C / T)^4) of its size, C being the cut-off period.
"""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import rotation_from_vector, vector_from_rotation
from rays_as_pixels.geometry.trajectory import Trajectory


def smooth(trajectory: Trajectory, strength: float) -> Trajectory:
    """Take out wobbles shorter than `strength` times the path's length in frames.

    A wobble with just that period is halved; one with half of it keeps 6 %, one with twice of it
    94 %. Centres, rotations and focal lengths are smoothed, the first and the last frame stay as
    they are, and so do times. Rotations are smoothed as turns from frame to frame, so that full
    circles are no trouble.

    Args:
        trajectory: Frames that follow each other evenly; 2 or fewer are returned as they are.
        strength: 0 changes nothing; 1 keeps only moves as long as the path.

    Raises:
        InputError: The strength lies outside 0 to 1.
    """
    if not 0 <= strength <= 1:
        raise InputError(f"strength must lie between 0 and 1; got {strength}. Use 0.3 to start.")
    if strength == 0 or len(trajectory) < 3:
        return trajectory
    cameras = trajectory.cameras.to(dtype=torch.float64)
    stiffness = (strength * len(trajectory) / (2 * math.pi)) ** 4
    centre = _smooth_between_ends(cameras.world_from_cam[:, :3, 3], stiffness)
    rotation = _smooth_turns(cameras.world_from_cam[:, :3, :3], stiffness)
    focal = _smooth_between_ends(cameras.focal_px.log(), stiffness).exp()
    focal[0], focal[-1] = cameras.focal_px[0], cameras.focal_px[-1]
    smoothed = Cameras(
        rigid(rotation, centre), focal, cameras.center_px, cameras.height, cameras.width
    )
    return replace(trajectory, cameras=smoothed)


def _smooth_between_ends(values: Float[Tensor, "f d"], stiffness: float) -> Float[Tensor, "f d"]:
    """Smooth every column with the first and last row held."""
    diagonal, first, second = _bands(len(values), stiffness)
    right = values[1:-1].clone()
    right[0] -= first[0] * values[0]
    right[-1] -= first[-1] * values[-1]
    if len(right) > 1:
        right[1] -= second[0] * values[0]
        right[-2] -= second[-1] * values[-1]
    inner = _solve(diagonal[1:-1], first[1:-1], second[1:-1], right)
    return torch.cat([values[:1], inner, values[-1:]])


def _smooth_turns(rotation: Float[Tensor, "f 3 3"], stiffness: float) -> Float[Tensor, "f 3 3"]:
    """Smooth the turns between frames, add them up, and spread what is missing at the end."""
    turn = vector_from_rotation(rotation[:-1].transpose(-1, -2) @ rotation[1:])
    if len(turn) > 2:
        turn = _solve(*_bands(len(turn), stiffness), turn)
    step = rotation_from_vector(turn)
    summed = [rotation[0]]
    for index in range(len(step)):
        summed.append(summed[-1] @ step[index])
    walked = torch.stack(summed)
    missing = vector_from_rotation(walked[-1].T @ rotation[-1])
    share = torch.linspace(0, 1, len(walked), dtype=walked.dtype)
    smoothed = walked @ rotation_from_vector(share[:, None] * missing)
    return torch.cat([rotation[:1], smoothed[1:-1], rotation[-1:]])


def _bands(count: int, stiffness: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the diagonal and the two bands beside it of 1 + stiffness D^T D, D = 1, -2, 1."""
    diagonal, first, second = (
        torch.zeros(max(0, count - offset), dtype=torch.float64) for offset in range(3)
    )
    rows = count - 2
    for offset, weight in enumerate((1.0, 4.0, 1.0)):
        diagonal[offset : offset + rows] += weight
    for offset in range(2):
        first[offset : offset + rows] -= 2.0
    second += 1.0
    return 1 + stiffness * diagonal, stiffness * first, stiffness * second


def _solve(
    diagonal: Tensor, first: Tensor, second: Tensor, right: Float[Tensor, "n d"]
) -> Float[Tensor, "n d"]:
    """Solve a symmetric positive system of five diagonals by L D L^T, in linear time."""
    count = len(diagonal)
    below, below2 = [0.0] * count, [0.0] * count
    pivot: list[float] = []
    d, e, f = diagonal.tolist(), first.tolist(), second.tolist()
    for i in range(count):
        far = f[i - 2] if i > 1 else 0.0
        near = e[i - 1] if i > 0 else 0.0
        if i > 1:
            below2[i] = far / pivot[i - 2]
            near -= far * below[i - 1]
        if i > 0:
            below[i] = near / pivot[i - 1]
        pivot.append(d[i] - below[i] * near - below2[i] * far)
    rows = list(right.unbind(0))
    for i in range(1, count):
        rows[i] = rows[i] - below[i] * rows[i - 1]
        if i > 1:
            rows[i] = rows[i] - below2[i] * rows[i - 2]
    rows = [row / pivot[i] for i, row in enumerate(rows)]
    for i in range(count - 2, -1, -1):
        rows[i] = rows[i] - below[i + 1] * rows[i + 1]
        if i + 2 < count:
            rows[i] = rows[i] - below2[i + 2] * rows[i + 2]
    return torch.stack(rows)
