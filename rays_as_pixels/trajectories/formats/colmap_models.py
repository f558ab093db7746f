"""COLMAP's camera models, and one camera of each as a pinhole."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rays_as_pixels.errors import InputError

# name: (id in binary files, number of parameters, whether the first two are fx fy or one f)
MODELS = {
    "SIMPLE_PINHOLE": (0, 3, False),
    "PINHOLE": (1, 4, True),
    "SIMPLE_RADIAL": (2, 4, False),
    "RADIAL": (3, 5, False),
    "OPENCV": (4, 8, True),
    "OPENCV_FISHEYE": (5, 8, True),
    "FULL_OPENCV": (6, 12, True),
    "FOV": (7, 5, True),
    "SIMPLE_RADIAL_FISHEYE": (8, 4, False),
    "RADIAL_FISHEYE": (9, 5, False),
    "THIN_PRISM_FISHEYE": (10, 12, True),
    "RAD_TAN_THIN_PRISM_FISHEYE": (11, 16, True),
}
MODEL_OF_ID = {number: name for name, (number, _, _) in MODELS.items()}


@dataclass(frozen=True)
class ColmapCamera:
    """One line of cameras.txt.

    Attributes:
        camera_id: Its id.
        model: A name in MODELS.
        width: In pixels.
        height: In pixels.
        params: What the model says, focal lengths and principal point first, in pixels; the first
            pixel's centre is at (0.5, 0.5).
        place: Where it stands in its file, for messages.
    """

    camera_id: int
    model: str
    width: int
    height: int
    params: tuple[float, ...]
    place: str

    def pinhole(self) -> tuple[float, float, float, float]:
        """Return fx, fy, cx, cy.

        Raises:
            InputError: The model is a fisheye: no pinhole is near it.
        """
        if "FISHEYE" in self.model or self.model == "FOV":
            raise InputError(
                f"{self.place}: the camera model must be a pinhole with or without distortion; "
                f"got {self.model}. Undistort the images first (colmap image_undistorter)."
            )
        if MODELS[self.model][2]:
            fx, fy, cx, cy = self.params[:4]
            return fx, fy, cx, cy
        f, cx, cy = self.params[:3]
        return f, f, cx, cy

    @property
    def distortion(self) -> tuple[float, ...]:
        """The parameters behind focal lengths and principal point."""
        return self.params[4:] if MODELS[self.model][2] else self.params[3:]


def check_camera(camera: ColmapCamera) -> None:
    """Refuse a camera whose numbers cannot be.

    Raises:
        InputError: Unknown model, wrong number of parameters, or a number out of range.
    """
    if camera.model not in MODELS:
        known = ", ".join(MODELS)
        raise InputError(
            f"{camera.place}: the camera model must be one of {known}; got {camera.model!r}. "
            "Convert it with COLMAP first."
        )
    wanted = MODELS[camera.model][1]
    if len(camera.params) != wanted:
        raise InputError(
            f"{camera.place}: {camera.model} must have {wanted} parameters; got "
            f"{len(camera.params)}. Check that line."
        )
    if not np.isfinite(camera.params).all() or min(camera.width, camera.height) < 1:
        raise InputError(
            f"{camera.place}: size must be positive and parameters finite; got {camera.width}x"
            f"{camera.height} and {camera.params}. Repair that camera."
        )


def pinholes_of(
    cameras: Mapping[int, ColmapCamera], used: list[int], notes: list[str]
) -> tuple[np.ndarray, tuple[int, int]]:
    """Return fx, fy, cx, cy for each image, and the size they share.

    Args:
        cameras: By id.
        used: The camera id of each image.
        notes: Gains a sentence if lens distortion is left out.

    Raises:
        InputError: Image sizes differ, or a camera is no pinhole.
    """
    sizes = sorted({(cameras[i].width, cameras[i].height) for i in set(used)})
    if len(sizes) > 1:
        listed = ", ".join(f"{w}x{h}" for w, h in sizes)
        ids = ", ".join(str(i) for i in sorted(set(used))[:8])
        raise InputError(
            f"images must share one size; got {listed}. Choose one camera: --camera with one of "
            f"{ids}."
        )
    rows = {camera_id: cameras[camera_id].pinhole() for camera_id in set(used)}
    if any(value != 0 for i in rows for value in cameras[i].distortion):
        first = next(cameras[i] for i in sorted(rows) if any(cameras[i].distortion))
        values = " ".join(f"{value:g}" for value in first.distortion)
        notes.append(
            f"Lens distortion ({first.model} {values}) is left out: a path holds pinhole cameras. "
            "Undistort the images to match."
        )
    return np.array([rows[camera_id] for camera_id in used]), sizes[0]
