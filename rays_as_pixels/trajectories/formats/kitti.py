"""KITTI odometry poses: 12 numbers a line, the 3x4 world_from_cam row by row, OpenCV axes.

No times, no intrinsics, no comments: readers demand exactly 12 numbers on every line. A file
`NAME_times.txt` beside `NAME.txt`, one time in seconds a line, is KITTI's own way to give times.
"""

from pathlib import Path
from typing import Any

from rays_as_pixels.errors import InputError
from rays_as_pixels.files import write_text
from rays_as_pixels.trajectories.formats.about import about_of, read_side_file, write_side_file
from rays_as_pixels.trajectories.formats.base import (
    FormatSpec,
    Frames,
    PathData,
    ReadOptions,
    Written,
)
from rays_as_pixels.trajectories.formats.content import FileContent
from rays_as_pixels.trajectories.formats.poses import from_rows
from rays_as_pixels.trajectories.formats.textfile import (
    join_lines,
    number_rows,
    parse_table,
    read_text,
)

COLUMNS = 12


def read(path: Path, options: ReadOptions) -> PathData:
    """Read KITTI poses, and times from `NAME_times.txt` if it lies beside them."""
    table = parse_table(
        read_text(path),
        path.name,
        columns=(COLUMNS,),
        remedy="KITTI lines are a 3x4 matrix, 12 numbers; choose another --input-format.",
    )
    data = PathData(
        world_from_cam=from_rows(table.values),
        where=table.where,
        about=read_side_file(path),
    )
    times = path.with_name(f"{path.stem}_times.txt")
    if data.about is None and times.is_file():
        stamps = parse_table(
            read_text(times), times.name, columns=(1,), remedy="Write one time in seconds a line."
        ).values[:, 0]
        if len(stamps) != len(data.world_from_cam):
            raise InputError(
                f"{times.name} must hold one time per pose, {len(data.world_from_cam)}; got "
                f"{len(stamps)}. Remove it or give --fps N."
            )
        data.time_sec = stamps.copy()
        data.notes.append(f"Times are from {times.name}.")
    return data


def write(frames: Frames, path: Path, extra: "dict[str, Any]") -> Written:
    """Write KITTI poses, and a side file with times, size and intrinsics."""
    rows = number_rows(frames.world_from_cam[:, :3].reshape(-1, COLUMNS))
    write_text(path, join_lines(rows))
    side = write_side_file(path, about_of(frames, SPEC.convention, extra))
    note = f"KITTI has no room for times and intrinsics: {side.name} holds them."
    return Written((path, side), (note,))


def sniff(content: FileContent) -> bool:
    """Look for a table of twelve columns."""
    return content.is_table(COLUMNS)


SPEC = FormatSpec(
    name="kitti",
    title="KITTI odometry",
    convention="world_from_cam 3x4 row by row, OpenCV axes",
    read=read,
    sniff=sniff,
    write=write,
    file_name="kitti.txt",
    extensions=(".kitti",),
)
