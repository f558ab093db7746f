"""Raxels as images one can look at, and contact sheets of frames beside them."""

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError

RAXEL_RANGE = 4.0  # display maps raxel values -2..2 to black..white


def images_from_raxels(raxels: Float[Tensor, "*batch 3 h w"]) -> Float[Tensor, "*batch 3 h w"]:
    """Map raxels to colours: value / 4 + 0.5, so X, Y, Z are red, green, blue and 0 is mid grey.

    Values beyond -2..2, of cameras further than a scene unit away, saturate on screen only.

    Raises:
        InputError: The raxels are not finite or have no three channels.
    """
    if raxels.ndim < 3 or raxels.shape[-3] != 3:
        raise InputError(
            f"raxels must have shape (..., 3, height, width); got {tuple(raxels.shape)}. "
            "Move the channel axis to third from last."
        )
    if not bool(torch.isfinite(raxels).all()):
        raise InputError(
            "raxels must be finite; got NaN or infinity. "
            "Run the model in float32 or check the trajectory they were drawn from."
        )
    return (raxels / RAXEL_RANGE + 0.5).clamp(0, 1)


def contact_sheet(
    rows: "list[Float[Tensor, 'frames 3 _ _']]",
    *,
    cell_height: int = 96,
    gap: int = 4,
    columns: int | None = None,
) -> Float[Tensor, "3 height width"]:
    """Lay videos out as a sheet: each video is a row, frame k of all of them one column.

    Args:
        rows: Videos in [0, 1] with equally many frames, for instance frames and raxel images; each
            is resized to the first one's aspect.
        cell_height: Height of one picture, in pixels.
        gap: White pixels between pictures.
        columns: Frames per line; a longer video continues in a further group of rows.

    Raises:
        InputError: No video, or videos with different numbers of frames.
    """
    if not rows:
        raise InputError("rows must hold one video or more; got none. Pass at least the frames.")
    lengths = [len(video) for video in rows]
    if min(lengths) != max(lengths) or lengths[0] == 0:
        raise InputError(
            f"rows must have equally many frames, 1 or more; got {lengths}. "
            "Resample them to the same times."
        )
    if columns is not None and columns < 1:
        raise InputError(f"columns must be 1 or more; got {columns}. Use 9 for a short clip.")
    height, width = rows[0].shape[-2:]
    size = (cell_height, max(1, round(cell_height * width / height)))
    cells = [_resized(video, size) for video in rows]
    num_frames, columns = lengths[0], min(columns or lengths[0], lengths[0])
    groups = -(-num_frames // columns)
    sheet = torch.ones(
        3,
        groups * len(rows) * (size[0] + gap) + gap,
        columns * (size[1] + gap) + gap,
    )
    for frame in range(num_frames):
        group, column = divmod(frame, columns)
        for row, video in enumerate(cells):
            top = gap + (group * len(rows) + row) * (size[0] + gap)
            left = gap + column * (size[1] + gap)
            sheet[:, top : top + size[0], left : left + size[1]] = video[frame]
    return sheet


def _resized(
    video: Float[Tensor, "frames 3 _ _"], size: tuple[int, int]
) -> Float[Tensor, "frames 3 _ _"]:
    resized = torch.nn.functional.interpolate(
        video.to(torch.float32), size=size, mode="bilinear", antialias=True
    )
    return resized.clamp(0, 1)
