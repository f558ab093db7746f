"""Two more ground-truth tables, read only: EuRoC csv and pySLAM's nine columns."""

from pathlib import Path

import numpy as np

from rays_as_pixels.trajectories.formats.about import KEY
from rays_as_pixels.trajectories.formats.base import FormatSpec, PathData, ReadOptions
from rays_as_pixels.trajectories.formats.content import FileContent
from rays_as_pixels.trajectories.formats.poses import compose, rotations_from_wxyz
from rays_as_pixels.trajectories.formats.textfile import parse_table, read_text

EUROC_COLUMNS = (8, 17)
PYSLAM_COLUMNS = 9


def read_euroc(path: Path, options: ReadOptions) -> PathData:
    """Read EuRoC ground truth: nanoseconds, xyz, quaternion w x y z, then what is not a pose."""
    table = parse_table(
        read_text(path),
        path.name,
        columns=EUROC_COLUMNS,
        separator=",",
        remedy="EuRoC lines have 17 values (8 for a pose alone).",
    )
    values = table.values
    notes = [
        "These are poses of the body (IMU), not of a camera: multiply by the sensor's "
        "body_from_cam to get a camera path."
    ]

    stamps = _nanoseconds(read_text(path), table.lines)
    rotation = rotations_from_wxyz(values[:, 4:8], table.where, notes)
    data = PathData(
        world_from_cam=compose(rotation, values[:, 1:4]),
        where=table.where,
        time_sec=(stamps - stamps[0]) / 1e9,
        notes=notes,
        extra={"clock_start_ns": int(stamps[0])},
    )
    notes.append(f"Times are a clock's: {stamps[0]} ns was subtracted from all.")
    return data


def _nanoseconds(text: str, lines: list[int]) -> np.ndarray:
    """Return the first column as whole numbers: float64 would round nanoseconds of a clock."""
    all_lines = text.split("\n")
    tokens = [all_lines[line - 1].split(",", 1)[0].strip() for line in lines]
    return np.array([int(t) if t.isdigit() else int(float(t)) for t in tokens], dtype=np.int64)


def read_pyslam(path: Path, options: ReadOptions) -> PathData:
    """Read pySLAM's table: time x y z qx qy qz qw, then the distance to the previous frame."""
    table = parse_table(
        read_text(path),
        path.name,
        columns=(PYSLAM_COLUMNS,),
        remedy="pySLAM lines are 'time x y z qx qy qz qw distance'.",
    )
    values, notes = table.values, ["The ninth column (distance to the previous frame) is left out."]

    rotation = rotations_from_wxyz(values[:, [7, 4, 5, 6]], table.where, notes)
    return PathData(
        world_from_cam=compose(rotation, values[:, 1:4]),
        where=table.where,
        time_sec=values[:, 0].copy(),
        notes=notes,
    )


def sniff_euroc(content: FileContent) -> bool:
    """Look for 8 or 17 columns separated by commas, in a file that is not our CSV table."""
    is_ours = any(KEY in line for line in content.lines)
    return len(content.header) in EUROC_COLUMNS and not is_ours


def sniff_pyslam(content: FileContent) -> bool:
    """Look for a table of nine columns."""
    return content.is_table(PYSLAM_COLUMNS)


SPEC_EUROC = FormatSpec(
    name="euroc",
    title="EuRoC ground-truth csv",
    convention="world from body (IMU), quaternion w x y z, nanoseconds",
    read=read_euroc,
    sniff=sniff_euroc,
)
SPEC_PYSLAM = FormatSpec(
    name="pyslam",
    title="pySLAM ground truth",
    convention="world_from_cam, OpenCV axes, quaternion x y z w, seconds; ninth column a distance",
    read=read_pyslam,
    sniff=sniff_pyslam,
)
