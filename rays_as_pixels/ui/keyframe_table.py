"""The keyframe table: a path as rows of numbers a person can read and edit.

A row is time (s), x, y, z (scene units), yaw, pitch, roll, hFOV (deg). The rotation is
R = Ry(yaw) Rx(pitch) Rz(roll) in OpenCV axes: positive yaw looks right, positive pitch looks up,
positive roll leans clockwise.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import rigid
from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.splines import Keyframe, trajectory_from_keyframes
from rays_as_pixels.ui import text

MOST_ROWS = 200
DECIMALS = 3  # thousandths of a scene unit and of a degree: what fits a narrow column
Row = list[float]


def rotation_from_yaw_pitch_roll_deg(
    yaw_deg: float, pitch_deg: float, roll_deg: float
) -> Float[Tensor, "3 3"]:
    """Return Ry(yaw) Rx(pitch) Rz(roll). Inverse of `yaw_pitch_roll_deg_from_rotation`."""
    angles = torch.deg2rad(torch.tensor([yaw_deg, pitch_deg, roll_deg], dtype=torch.float64))
    axes = torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    turn = rotation_from_vector(angles[:, None] * axes)
    return turn[0] @ turn[1] @ turn[2]


def yaw_pitch_roll_deg_from_rotation(rotation: Float[Tensor, "3 3"]) -> tuple[float, float, float]:
    """Return yaw and roll in (-180, 180] and pitch in [-90, 90] degrees.

    Straight up or down yaw and roll turn about one axis; roll is then called 0.
    """
    r = rotation.to(torch.float64)
    sine = float((-r[1, 2]).clamp(-1, 1))
    if abs(sine) > 1 - 1e-9:
        yaw = math.atan2(-float(r[2, 0]), float(r[0, 0]))
        return math.degrees(yaw), math.copysign(90.0, sine), 0.0
    yaw = math.atan2(float(r[0, 2]), float(r[2, 2]))
    roll = math.atan2(float(r[1, 0]), float(r[1, 1]))
    return math.degrees(yaw), math.degrees(math.asin(sine)), math.degrees(roll)


def rows_from_trajectory(trajectory: Trajectory, *, num_keys: int) -> list[Row]:
    """Pick `num_keys` frames of a path, first and last included, as rows of the table."""
    last = len(trajectory) - 1
    num_keys = min(num_keys, len(trajectory))
    picked = [round(k * last / max(1, num_keys - 1)) for k in range(num_keys)]
    hfov_deg = torch.rad2deg(trajectory.cameras.hfov_rad)
    rows = []
    for frame in picked:
        pose = trajectory.cameras.world_from_cam[frame]
        angles = yaw_pitch_roll_deg_from_rotation(pose[:3, :3])
        numbers = [trajectory.times_sec[frame].item(), *pose[:3, 3].tolist(), *angles]
        rows.append([round(value, DECIMALS) + 0.0 for value in (*numbers, hfov_deg[frame].item())])
    return rows


def keyframes_from_rows(rows: Sequence[Sequence[object]]) -> list[Keyframe]:
    """Read the table, in the order of its times; rows without any number are passed over.

    Raises:
        InputError: A cell is empty or no number, or there are too many rows.
    """
    if len(rows) > MOST_ROWS:
        raise InputError(text.NEED_ROWS.format(most=MOST_ROWS, count=len(rows)))
    numbers = []
    for index, row in enumerate(rows):
        if all(cell is None or str(cell).strip() == "" for cell in row):
            continue
        if len(row) != len(text.TABLE_HEADERS):
            raise InputError(
                text.NEED_CELL.format(name="every column", row=index + 1, value=list(row))
            )
        names = zip(text.TABLE_HEADERS, row, strict=True)
        numbers.append([_number(cell, name, index + 1) for name, cell in names])
    numbers.sort(key=lambda row: row[0])
    return [
        Keyframe(
            time_sec=time,
            world_from_cam=rigid(
                rotation_from_yaw_pitch_roll_deg(yaw, pitch, roll),
                torch.tensor([x, y, z], dtype=torch.float64),
            ),
            hfov_deg=hfov,
        )
        for time, x, y, z, yaw, pitch, roll, hfov in numbers
    ]


def trajectory_from_rows(
    rows: Sequence[Sequence[object]], *, num_frames: int, height: int, width: int
) -> Trajectory:
    """Draw the smooth path through the table's keyframes, at the table's own pace.

    Raises:
        InputError: As `keyframes_from_rows` and `trajectory_from_keyframes`.
    """
    keyframes = keyframes_from_rows(rows)
    span = keyframes[-1].time_sec - keyframes[0].time_sec if keyframes else 0.0
    fps = (num_frames - 1) / span if span > 0 else 10.0
    return trajectory_from_keyframes(
        keyframes, num_frames=num_frames, fps=fps, height=height, width=width
    )


def _number(cell: object, name: str, row: int) -> float:
    try:
        value = float(str(cell).strip())
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(text.NEED_CELL.format(name=name, row=row, value=cell))
    return value
