"""A small still picture of a camera path from above, for work that is not finished yet."""

import io

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw

from rays_as_pixels.viz.colors import viridis

SIZE_PX, _MARGIN_PX = (240, 120), 10  # width, height
_GROUND = (24, 26, 32)


def path_picture(centers: Float[np.ndarray, "frames 3"], num_frames: int) -> bytes:
    """Draw camera centres as a line seen from above, as a JPEG.

    Args:
        centers: In world axes (x right, y down, z forward), any unit; x is drawn to the right and z
            upwards.
        num_frames: Of the whole video: colours go from the first frame to this one.
    """
    plane = centers[:, [0, 2]] * [1, -1]
    low, high = plane.min(axis=0), plane.max(axis=0)
    room = np.array(SIZE_PX) - 2 * _MARGIN_PX
    scale = float((room / np.maximum(high - low, 1e-9)).min()) if (high > low).any() else 1.0
    places = (plane - (low + high) / 2) * scale + np.array(SIZE_PX) / 2
    colors = (viridis(np.arange(len(places)) / max(num_frames - 1, 1)) * 255).astype(int)
    image = Image.new("RGB", SIZE_PX, _GROUND)
    pen = ImageDraw.Draw(image)
    for a, b, color in zip(places[:-1], places[1:], colors[1:], strict=True):
        pen.line([tuple(a), tuple(b)], fill=tuple(color), width=2)
    x, y = places[-1]
    pen.ellipse([x - 3, y - 3, x + 3, y + 3], fill=tuple(colors[-1]))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return file.getvalue()
