"""TUM trajectories: "time tx ty tz qx qy qz qw", seconds, camera to world, w last.

Single spaces and none at a line's end, as strict readers demand. Comments start with #; ours hold
what the format has no column for (size, rate, intrinsics).
"""

from pathlib import Path
from typing import Any

import numpy as np

from rays_as_pixels.files import write_text
from rays_as_pixels.trajectories.formats.about import (
    about_from_comments,
    about_of,
    comment_lines,
)
from rays_as_pixels.trajectories.formats.base import (
    FormatSpec,
    Frames,
    PathData,
    ReadOptions,
    Written,
)
from rays_as_pixels.trajectories.formats.content import FileContent
from rays_as_pixels.trajectories.formats.poses import compose, rotations_from_wxyz, wxyz_of
from rays_as_pixels.trajectories.formats.textfile import (
    join_lines,
    number_rows,
    parse_table,
    read_text,
)

COLUMNS = 8


def read(path: Path, options: ReadOptions) -> PathData:
    """Read a TUM file."""
    table = parse_table(
        read_text(path),
        path.name,
        columns=(COLUMNS,),
        remedy="TUM lines are 'time tx ty tz qx qy qz qw'; choose another --input-format.",
    )
    values, notes = table.values, []

    rotation = rotations_from_wxyz(values[:, [7, 4, 5, 6]], table.where, notes)
    return PathData(
        world_from_cam=compose(rotation, values[:, 1:4]),
        where=table.where,
        time_sec=values[:, 0].copy(),
        notes=notes,
        about=about_from_comments(table.comments, path.name),
    )


def write(frames: Frames, path: Path, extra: "dict[str, Any]") -> Written:
    """Write a TUM file; comments carry size, rate and intrinsics."""
    wxyz = wxyz_of(frames.world_from_cam[:, :3, :3])
    values = np.hstack(
        [frames.time_sec[:, None], frames.world_from_cam[:, :3, 3], wxyz[:, [1, 2, 3, 0]]]
    )
    head = comment_lines(about_of(frames, SPEC.convention, extra))
    lines = [*head, "# time_sec tx ty tz qx qy qz qw", *number_rows(values)]
    write_text(path, join_lines(lines))
    note = "TUM has no columns for intrinsics: the comments at the top hold them."
    return Written((path,), (note,))


def sniff(content: FileContent) -> bool:
    """Look for a table of eight columns."""
    return content.is_table(COLUMNS)


SPEC = FormatSpec(
    name="tum",
    title="TUM",
    convention="world_from_cam, OpenCV axes, quaternion x y z w (w last), seconds",
    read=read,
    sniff=sniff,
    write=write,
    file_name="tum.txt",
    extensions=(".tum",),
)
