"""Clips of three textured planes at different depths, rendered exactly by homographies."""

from dataclasses import dataclass

import cv2
import numpy as np

HEIGHT, WIDTH, FOCAL_PX = 240, 320, 300.0
CALIBRATION = np.array([[FOCAL_PX, 0, WIDTH / 2], [0, FOCAL_PX, HEIGHT / 2], [0, 0, 1]])
_SIDE = 700  # pixels of a texture
# corner (x, y), size and depth of each plane, far ones first, in the first camera's axes
_PLANES = (((-12.0, -10.0), 24.0, 9.0), ((-4.0, -2.0), 3.4, 5.0), ((0.6, -1.0), 2.6, 4.0))


@dataclass(frozen=True)
class PlanarClip:
    """Frames and their true cameras.

    Attributes:
        frames: (F, HEIGHT, WIDTH, 3) RGB, 8 bits.
        cam_from_world: (F, 3, 4) poses.
    """

    frames: np.ndarray
    cam_from_world: np.ndarray


def texture(seed: int) -> np.ndarray:
    """Return noise of several scales, grey, 8 bits."""
    generator = np.random.default_rng(seed)
    total = np.zeros((_SIDE, _SIDE), np.float32)
    for sigma in (1.5, 4, 12):
        noise = generator.normal(size=(_SIDE, _SIDE)).astype(np.float32)
        blurred = cv2.GaussianBlur(noise, (0, 0), sigma)
        total += blurred / blurred.std()
    return np.clip(128 + 38 * total, 0, 255).astype(np.uint8)


def turned(x_deg: float = 0.0, y_deg: float = 0.0) -> np.ndarray:
    """Return a rotation about x, then y."""
    return cv2.Rodrigues(np.radians([x_deg, 0, 0]))[0] @ cv2.Rodrigues(np.radians([0, y_deg, 0]))[0]


def render(cam_from_world: np.ndarray) -> PlanarClip:
    """Render the planes from every pose."""
    textures = [texture(seed) for seed in range(len(_PLANES))]
    half = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])  # OpenCV's pixel centres are at 0
    frames = []
    for pose in cam_from_world:
        image = np.zeros((HEIGHT, WIDTH), np.uint8)
        for ((x, y), size, depth), picture in zip(_PLANES, textures, strict=True):
            scale = size / _SIDE
            world_from_texture = np.array([[scale, 0, x], [0, scale, y], [0, 0, depth], [0, 0, 1]])
            image_from_texture = half @ CALIBRATION @ pose @ world_from_texture
            drawn = cv2.warpPerspective(
                picture, image_from_texture @ np.linalg.inv(half), (WIDTH, HEIGHT)
            )
            covered = cv2.warpPerspective(
                np.full_like(picture, 255),
                image_from_texture @ np.linalg.inv(half),
                (WIDTH, HEIGHT),
            )
            image = np.where(covered > 254, drawn, image)
        frames.append(image)
    return PlanarClip(np.repeat(np.array(frames)[..., None], 3, axis=3), cam_from_world)


def poses_from(centers: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """Return cam_from_world of cameras at `centers`, turned by `rotations` (camera from world)."""
    translation = -np.einsum("fij,fj->fi", rotations, centers)
    return np.concatenate([rotations, translation[:, :, None]], axis=2)


def travelling(num_frames: int = 16) -> PlanarClip:
    """A camera that moves sideways and up, and turns back towards what it sees."""
    share = np.linspace(0, 1, num_frames)
    centers = np.stack([1.6 * share, -0.3 * np.sin(2 * share), 0.4 * share], axis=1)
    rotations = np.array([turned(2 * part, 12 * part) for part in share])
    return render(poses_from(centers, rotations))


def turning(num_frames: int = 12) -> PlanarClip:
    """A camera on a tripod that pans 14 degrees and tilts 5."""
    share = np.linspace(0, 1, num_frames)
    rotations = np.array([turned(5 * part, 14 * part) for part in share])
    return render(poses_from(np.zeros((num_frames, 3)), rotations))
