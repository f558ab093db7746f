"""MotionCtrl camera poses: a JSON list of frames, each 12 numbers, 3x4 cam_from_world row by row.

OpenCV axes. No times, no intrinsics, no room for either.
"""

from pathlib import Path
from typing import Any

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
from rays_as_pixels.trajectories.formats.jsonfile import parse_json
from rays_as_pixels.trajectories.formats.poses import from_rows, invert
from rays_as_pixels.trajectories.formats.textfile import read_text


def read(path: Path, options: ReadOptions) -> PathData:
    """Read a MotionCtrl file."""
    file = parse_json(read_text(path), path.name)
    rows = file.numbers((), (-1, 12))
    return PathData(
        world_from_cam=invert(from_rows(rows)),
        where=file.where,
        about=read_side_file(path),
    )


def write(frames: Frames, path: Path, extra: "dict[str, Any]") -> Written:
    """Write a MotionCtrl file, and a side file with times, size and intrinsics."""
    rows = invert(frames.world_from_cam)[:, :3].reshape(-1, 12).tolist()
    write_text(path, "[\n" + ",\n".join(map(repr, rows)) + "\n]\n")
    side = write_side_file(path, about_of(frames, SPEC.convention, extra))
    note = f"MotionCtrl files have no room for times and intrinsics: {side.name} holds them."
    return Written((path, side), (note,))


def sniff(content: FileContent) -> bool:
    """Look for a list of lists of 12 numbers."""
    first = content.json_list[0] if content.json_list else None
    return isinstance(first, list) and len(first) == 12


SPEC = FormatSpec(
    name="motionctrl",
    title="MotionCtrl json",
    convention="cam_from_world 3x4 row by row, OpenCV axes",
    read=read,
    sniff=sniff,
    write=write,
    file_name="motionctrl.json",
)
