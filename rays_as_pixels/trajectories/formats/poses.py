"""Poses between conventions: camera axes, world axes, direction, quaternion order (float64)."""

import numpy as np
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.rotations import (
    quaternion_wxyz_from_rotation,
    rotation_from_quaternion_wxyz,
)

OPENGL_FROM_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
"""Turns by 180 degrees about x: y down, z forward becomes y up, z back. Its own inverse."""

BLENDER_FROM_OPENCV_WORLD = np.array(
    [[1.0, 0, 0, 0], [0, 0, 1.0, 0], [0, -1.0, 0, 0], [0, 0, 0, 1.0]]
)
"""Turns a world with y down, z forward into one with z up, y forward."""


def flip_camera(world_from_cam: np.ndarray) -> np.ndarray:
    """Exchange OpenCV camera axes (y down, z forward) with OpenGL ones (y up, z back)."""
    return world_from_cam @ OPENGL_FROM_OPENCV


def invert(a_from_b: np.ndarray) -> np.ndarray:
    """Return b_from_a of rigid transforms (F, 4, 4)."""
    rotation_t = a_from_b[:, :3, :3].transpose(0, 2, 1)
    return compose(rotation_t, -(rotation_t @ a_from_b[:, :3, 3:])[:, :, 0])


def compose(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Put rotations (F, 3, 3) and translations (F, 3) into (F, 4, 4)."""
    pose = np.zeros((len(rotation), 4, 4))
    pose[:, :3, :3], pose[:, :3, 3], pose[:, 3, 3] = rotation, translation, 1.0
    return pose


def from_rows(rows: np.ndarray) -> np.ndarray:
    """Complete 3x4 transforms, given row by row as (F, 12) or as (F, 3, 4), to (F, 4, 4)."""
    top = rows.reshape(-1, 3, 4)
    return compose(top[:, :, :3], top[:, :, 3])


def wxyz_of(rotation: np.ndarray, *, continuous: bool = True) -> np.ndarray:
    """Return unit quaternions (w, x, y, z) of (F, 3, 3).

    Args:
        rotation: The rotations.
        continuous: Choose signs so that neighbours are on the same side, as interpolation needs;
            else w >= 0.
    """
    wxyz = quaternion_wxyz_from_rotation(torch.from_numpy(np.array(rotation))).numpy()
    if continuous and len(wxyz) > 1:
        flips = np.where((wxyz[1:] * wxyz[:-1]).sum(1) < 0, -1.0, 1.0)
        wxyz[1:] *= np.cumprod(flips)[:, None]
    return wxyz


def rotations_from_wxyz(wxyz: np.ndarray, where, notes: list[str]) -> np.ndarray:
    """Return (F, 3, 3) of quaternions (w, x, y, z) that files round to a few digits.

    Args:
        wxyz: (F, 4).
        where: Names the place of a frame, for messages.
        notes: Gains a sentence if lengths had to be made 1 by more than 1e-6.

    Raises:
        InputError: A length is further than 1 % from 1.
    """
    length = np.linalg.norm(wxyz, axis=1)
    off = np.abs(length - 1)
    if (off > 0.01).any():
        bad = int(np.argmax(off > 0.01))
        raise InputError(
            f"{where(bad)}: a rotation quaternion must have length 1 to 1 %; got "
            f"{length[bad]:.6g}. Check the column order."
        )
    if off.max() > 1e-6:
        notes.append(
            f"Quaternions are written with few digits: their lengths, off by up to "
            f"{off.max():.1g}, were made 1."
        )
    return rotation_from_quaternion_wxyz(torch.from_numpy(np.array(wxyz))).numpy()


def focal_from_fov(fov_rad: np.ndarray, extent_px: float) -> np.ndarray:
    """Return the focal length in pixels of a field of view across `extent_px` pixels."""
    return extent_px / (2 * np.tan(np.asarray(fov_rad) / 2))


def fov_from_focal(focal_px: np.ndarray, extent_px: float) -> np.ndarray:
    """Return the field of view in radians across `extent_px` pixels. Inverse: `focal_from_fov`."""
    return 2 * np.arctan(extent_px / (2 * np.asarray(focal_px)))


def checked_fov_deg(value: np.ndarray, where, name: str = "fov") -> np.ndarray:
    """Return angles in radians of degrees that must lie strictly between 0 and 180.

    Raises:
        InputError: One does not; the message names its place.
    """
    outside = (value <= 0) | (value >= 180)
    if outside.any():
        bad = int(np.argmax(outside))
        raise InputError(
            f"{where(bad)}: {name} must lie between 0 and 180 degrees; got {value[bad]:g}. "
            "Check its unit."
        )
    return np.deg2rad(value)


def rigid_deviation(pose: np.ndarray) -> np.ndarray:
    """Return for each (F, 4, 4) transform how far it is from rigid; 2 where it is mirrored."""
    rotation = pose[:, :3, :3]
    off = np.abs(rotation.transpose(0, 2, 1) @ rotation - np.eye(3)).max((1, 2))
    off = np.maximum(off, np.abs(pose[:, 3] - [0.0, 0.0, 0.0, 1.0]).max(1))
    return np.where(np.linalg.det(rotation) > 0, off, 2.0)
