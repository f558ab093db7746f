"""A camera path in the making: poses of the frames that have one, focal lengths, scene points."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from rays_as_pixels.geometry.rotations import skew, slerp
from rays_as_pixels.geometry.scene_points import ScenePoints


@dataclass(frozen=True, eq=False)
class VideoPath:
    """Cameras of a clip's frames, pinholes with their principal point at the centre.

    Attributes:
        cam_from_world: (F, 3, 4) poses, world to camera, OpenCV axes; NaN where a frame has none.
        focal_px: (F,) focal lengths, in pixels of the frames.
        points: Scene points that the path was fitted to.
        turns_only: Whether the camera only turns, so that no point has a distance.
    """

    cam_from_world: Float[np.ndarray, "F 3 4"]
    focal_px: Float[np.ndarray, "F"]
    points: ScenePoints
    turns_only: bool = False

    @property
    def posed(self) -> Bool[np.ndarray, "F"]:
        """Tell which frames have a pose."""
        return np.asarray(np.isfinite(self.cam_from_world).all(axis=(1, 2)))

    @property
    def centers(self) -> Float[np.ndarray, "F 3"]:
        """Return the camera centres in the world: -R^T t; NaN where a frame has no pose."""
        rotation, translation = self.cam_from_world[:, :, :3], self.cam_from_world[:, :, 3]
        return -np.einsum("fji,fj->fi", rotation, translation)


def mixed_poses(
    first: Float[np.ndarray, "n 3 4"],
    second: Float[np.ndarray, "n 3 4"],
    share: Float[np.ndarray, "n"],
) -> Float[np.ndarray, "n 3 4"]:
    """Return poses between two (world to camera), `share` of the way from the first to the second.

    Rotations turn along the shortest arc, centres move along a line.
    """
    a, b = (torch.from_numpy(one[:, :, :3]) for one in (first, second))
    rotation = slerp(a, b, torch.from_numpy(share)).numpy()
    centers = [-np.einsum("nji,nj->ni", one[:, :, :3], one[:, :, 3]) for one in (first, second)]
    center = centers[0] + share[:, None] * (centers[1] - centers[0])
    translation = -np.einsum("nij,nj->ni", rotation, center)
    return np.concatenate([rotation, translation[:, :, None]], axis=2)


def rays_in_cam(
    points_px: Float[np.ndarray, "n 2"],
    focal_px: Float[np.ndarray, "n"],
    size: tuple[int, int],
) -> Float[np.ndarray, "n 3"]:
    """Return unit directions, in camera axes, of places in pixels from the image's corner.

    Args:
        points_px: Places (x, y).
        focal_px: Focal length of each one's camera.
        size: (height, width) of the images, in pixels; the principal point is their centre.
    """
    center = np.array([size[1] / 2, size[0] / 2])
    xy = (points_px - center) / focal_px[:, None]
    rays = np.concatenate([xy, np.ones((len(xy), 1))], axis=1)
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def cross_matrix(vectors: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3 3"]:
    """Return the matrices [v]_x with [v]_x u = v x u."""
    return skew(torch.from_numpy(np.ascontiguousarray(vectors))).numpy()
