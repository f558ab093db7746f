"""The frames of a video as one picture, small enough to travel with the view's value."""

import base64
import io
import math

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from rays_as_pixels.errors import InputError

CELL_HEIGHT = 96  # pixels; the strip shows pictures at about half of it, the hover at all of it
MOST_COLUMNS = 16
SHEET_PIXELS = 2_000_000  # of one sheet; longer videos get smaller pictures
SMALLEST = 24
JPEG_QUALITY = 82

Sprite = dict[str, "str | int"]


def sprite_of(video: Float[Tensor, "frames 3 h w"], *, name: str, num_frames: int) -> Sprite:
    """Put all frames on one JPEG sheet, row by row, and return it with its raster.

    Args:
        video: Values in [0, 1].
        name: What to call the video in an error.
        num_frames: How many frames it must have.

    Returns:
        `url` (a data: URI), `columns`, `rows`, and `width` and `height` of one picture in pixels.

    Raises:
        InputError: The video has another shape.
    """
    if video.ndim != 4 or video.shape[:2] != (num_frames, 3):
        raise InputError(
            f"{name} must have shape ({num_frames}, 3, height, width), one picture per camera; got "
            f"{tuple(video.shape)}. Pass those of the path that is shown."
        )
    height, width = _cell_size(num_frames, *video.shape[-2:])
    small = torch.nn.functional.interpolate(
        video.detach().to(torch.float32).cpu(),
        size=(height, width),
        mode="bilinear",
        antialias=True,
    )
    columns = min(num_frames, MOST_COLUMNS)
    rows = math.ceil(num_frames / columns)
    sheet = torch.zeros(rows * height, columns * width, 3, dtype=torch.uint8)
    pixels = small.clamp(0, 1).mul(255).round().to(torch.uint8).movedim(1, -1)  # F h w 3
    for frame in range(num_frames):
        row, column = divmod(frame, columns)
        top, left = row * height, column * width
        sheet[top : top + height, left : left + width] = pixels[frame]
    buffer = io.BytesIO()
    # Raxels are colour edges throughout: no chroma subsampling.
    Image.fromarray(sheet.numpy()).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return {
        "url": f"data:image/jpeg;base64,{data}",
        "columns": columns,
        "rows": rows,
        "width": width,
        "height": height,
    }


def _cell_size(num_frames: int, height: int, width: int) -> tuple[int, int]:
    """Return (height, width) of one picture: CELL_HEIGHT or less, in the budget of the sheet."""
    scale = CELL_HEIGHT / height
    pixels = num_frames * height * width * scale**2
    scale *= min(1.0, math.sqrt(SHEET_PIXELS / pixels))
    size = (max(SMALLEST, round(height * scale)), max(SMALLEST, round(width * scale)))
    return size
