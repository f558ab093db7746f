"""Cameras of a clip that is mirrored or played backwards; each flip is its own inverse."""

from dataclasses import replace

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras

_AXES = ("x", "y", "z")


def mirrored_cameras(cameras: Cameras, axis: str = "x") -> Cameras:
    """Reflect cameras in the world plane through the origin across an axis.

    P becomes M P M with M = diag(-1, 1, 1, 1) for "x".
    "x" gives the cameras of the same video flipped left to right, "y" top to bottom, and the
    principal point flips with it. "z" turns forward moves into backward ones; no flip of the video
    does that.

    Raises:
        InputError: The axis is not x, y or z.
    """
    if axis not in _AXES:
        raise InputError(f"axis must be x, y or z; got {axis!r}. Use x for left to right.")
    column = _AXES.index(axis)
    signs = cameras.world_from_cam.new_ones(4)
    signs[column] = -1
    center = cameras.center_px.clone()
    if axis != "z":
        center[..., column] = (cameras.width, cameras.height)[column] - center[..., column]
    pose = signs[:, None] * cameras.world_from_cam * signs
    return replace(cameras, world_from_cam=pose, center_px=center)


def reversed_cameras(cameras: Cameras) -> Cameras:
    """Return (..., F) cameras with the last frame first; their world stays as it is."""
    return replace(
        cameras,
        world_from_cam=cameras.world_from_cam.flip(-3),
        focal_px=cameras.focal_px.flip(-2),
        center_px=cameras.center_px.flip(-2),
    )
