"""RealEstate10K camera files, also those of CameraCtrl and Wan-Fun.

Line 1 is any text (a URL). Every other line has 19 columns: timestamp in microseconds (0 allowed);
fx fy cx cy divided by image width or height; two zeros; 12 numbers, the 3x4 cam_from_world row by
row, OpenCV axes. The image size is not in the file; our header line holds it.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from rays_as_pixels.errors import InputError
from rays_as_pixels.files import write_text
from rays_as_pixels.trajectories.formats.about import (
    KEY,
    about_from_comments,
    about_of,
    fill_from_about,
)
from rays_as_pixels.trajectories.formats.base import (
    FormatSpec,
    Frames,
    PathData,
    ReadOptions,
    Written,
)
from rays_as_pixels.trajectories.formats.content import FileContent
from rays_as_pixels.trajectories.formats.poses import from_rows, invert
from rays_as_pixels.trajectories.formats.textfile import (
    join_lines,
    number_rows,
    parse_table,
    read_text,
)

COLUMNS = 19
ASSUMED_HEIGHT = 720


def read(path: Path, options: ReadOptions) -> PathData:
    """Read a RealEstate10K file."""
    text = read_text(path)
    header = text.split("\n", 1)[0].strip()
    has_header = len(header.split()) != COLUMNS
    table = parse_table(
        text,
        path.name,
        columns=(COLUMNS,),
        skip_lines=int(has_header),
        remedy="RealEstate10K lines have 19 columns; choose another --input-format.",
    )
    values = table.values
    data = PathData(
        world_from_cam=invert(from_rows(values[:, 7:])),
        where=table.where,
        about=about_from_comments([header], path.name) if has_header else None,
    )
    if not has_header:
        data.notes.append("The file has no header line: line 1 was read as the first camera.")
    stamps_sec = values[:, 0] / 1e6
    fill_from_about(data, f"the header of {path.name}")
    data.about = None
    if len(values) > 1 and np.ptp(stamps_sec) == 0:
        data.notes.append("All timestamps are the same, so the file holds no times.")
    elif data.time_sec is None or np.abs(data.time_sec - stamps_sec).max() > 0.6e-6:
        data.time_sec = stamps_sec
    size = np.array(_settle_size(data, values, options), dtype=np.float64)
    data.focal_px, data.center_px = values[:, 1:3] * size, values[:, 3:5] * size
    return data


def _settle_size(data: PathData, values: np.ndarray, options: ReadOptions) -> tuple[int, int]:
    if (values[:, 1:3] <= 0).any():
        bad = int(np.argmax((values[:, 1:3] <= 0).any(1)))
        raise InputError(
            f"{data.where(bad)}: fx and fy must be positive; got {values[bad, 1]:g} and "
            f"{values[bad, 2]:g}. Check the columns."
        )
    data.size = data.size or options.size
    if data.size is None:
        width = max(1, round(ASSUMED_HEIGHT * float(values[0, 2] / values[0, 1])))
        data.size = (width, ASSUMED_HEIGHT)
        data.assumed.append("size")
        data.notes.append(
            f"Assumed: images of {width}x{ASSUMED_HEIGHT}, the aspect ratio at which the first "
            "camera's pixels are square, since the file holds no size. Give --size WxH."
        )
    return data.size


def write(frames: Frames, path: Path, extra: "dict[str, Any]") -> Written:
    """Write a RealEstate10K file; line 1 carries size, rate, exact times and the convention."""
    about = about_of(frames, SPEC.convention, extra)
    del about["intrinsics_px"]
    size = np.array(frames.size, dtype=np.float64)
    numbers = np.hstack(
        [
            frames.focal_px / size,
            frames.center_px / size,
            np.zeros((len(frames), 2)),
            invert(frames.world_from_cam)[:, :3].reshape(-1, 12),
        ]
    )
    stamps = np.rint(frames.time_sec * 1e6).astype(np.int64).tolist()
    rows = (f"{t} {row}" for t, row in zip(stamps, number_rows(numbers), strict=True))
    write_text(path, join_lines([f"{KEY} {json.dumps(about, allow_nan=False)}", *rows]))
    return Written((path,), ("Timestamps are whole microseconds; line 1 holds the exact times.",))


def sniff(content: FileContent) -> bool:
    """Look for 19 columns in the first line or, below a header, the second."""
    return COLUMNS in content.column_counts[:2]


SPEC = FormatSpec(
    name="re10k",
    title="RealEstate10K / CameraCtrl / Wan-Fun txt",
    convention="cam_from_world 3x4 row by row, OpenCV axes; fx cx divided by width, fy cy by "
    "height; timestamps in microseconds",
    read=read,
    sniff=sniff,
    write=write,
    file_name="re10k.txt",
)
