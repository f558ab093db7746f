"""A table for spreadsheets: comma-separated, one line a frame, units in the column names."""

from pathlib import Path
from typing import Any

import numpy as np

from rays_as_pixels.errors import InputError
from rays_as_pixels.files import write_text
from rays_as_pixels.trajectories.formats.about import about_from_comments, about_of, comment_lines
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

POSE = ("x", "y", "z", "qw", "qx", "qy", "qz")
LENS = ("fx_px", "fy_px", "cx_px", "cy_px")
COLUMNS = ("frame", "time_sec", *POSE, *LENS)


def read(path: Path, options: ReadOptions) -> PathData:
    """Read a table by its column names: x y z qw qx qy qz are needed, others optional."""
    text = read_text(path)
    lines = text.split("\n")
    head = next((i for i, line in enumerate(lines) if line.strip() and line[0] != "#"), 0)
    names = [name.strip() for name in lines[head].split(",")]
    missing = [name for name in POSE if name not in names]
    if missing or len(set(names)) != len(names):
        got = "a column twice" if not missing else "no " + ", ".join(missing)
        raise InputError(
            f"{path.name}, line {head + 1}, column 1: the header must name {', '.join(POSE)} once "
            f"each; got {got}. Name the columns as an exported table does."
        )
    table = parse_table(
        text,
        path.name,
        columns=(len(names),),
        skip_lines=head + 1,
        separator=",",
        remedy="Each line must have a value per column of the header.",
    )
    column = {name: table.values[:, index] for index, name in enumerate(names)}
    notes: list[str] = []

    def stack(*wanted: str) -> np.ndarray:
        return np.stack([column[name] for name in wanted], axis=1)

    has_lens, has_center = {"fx_px", "fy_px"} <= set(names), {"cx_px", "cy_px"} <= set(names)
    return PathData(
        world_from_cam=compose(
            rotations_from_wxyz(stack(*POSE[3:]), table.where, notes), stack(*POSE[:3])
        ),
        where=table.where,
        focal_px=stack("fx_px", "fy_px") if has_lens else None,
        center_px=stack("cx_px", "cy_px") if has_lens and has_center else None,
        time_sec=column.get("time_sec"),
        notes=notes,
        about=about_from_comments([line[1:].strip() for line in lines[:head]], path.name),
    )


def write(frames: Frames, path: Path, extra: "dict[str, Any]") -> Written:
    """Write the table; comment lines at its top carry size, rate and convention."""
    about = about_of(frames, SPEC.convention, extra)
    for key in ("intrinsics_px", "time_sec"):
        about.pop(key, None)
    values = np.column_stack(
        [
            frames.time_sec,
            frames.world_from_cam[:, :3, 3],
            wxyz_of(frames.world_from_cam[:, :3, :3]),
            frames.focal_px,
            frames.center_px,
        ]
    )
    rows = (f"{index},{row}" for index, row in enumerate(number_rows(values, ",")))
    write_text(path, join_lines([*comment_lines(about), ",".join(COLUMNS), *rows]))
    return Written((path,))


def sniff(content: FileContent) -> bool:
    """Look for our column names in the first line."""
    return {"x", "y", "z", "qw"} <= set(content.header)


SPEC = FormatSpec(
    name="csv",
    title="CSV table",
    convention="world_from_cam, OpenCV axes, quaternion w x y z (w first), seconds, pixels",
    read=read,
    sniff=sniff,
    write=write,
    file_name="trajectory.csv",
    extensions=(".csv",),
)
