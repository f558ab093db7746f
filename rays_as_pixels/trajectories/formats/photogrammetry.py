"""Two older structure-from-motion files, read only: Bundler's bundle.out and VisualSFM's nvm."""

from pathlib import Path

import numpy as np

from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.formats.base import FormatSpec, PathData, ReadOptions
from rays_as_pixels.trajectories.formats.content import FileContent
from rays_as_pixels.trajectories.formats.naming import natural_order
from rays_as_pixels.trajectories.formats.poses import (
    OPENGL_FROM_OPENCV,
    compose,
    invert,
    rotations_from_wxyz,
)
from rays_as_pixels.trajectories.formats.textfile import column_of_token, read_text, to_numbers

BUNDLER_MAGIC, NVM_MAGIC = "# Bundle file", "NVM_V3"


def _lines(text: str) -> "list[tuple[int, list[str]]]":
    """Return (line number, tokens) of lines that are neither empty nor comments."""
    rows = ((number, line.split()) for number, line in enumerate(text.split("\n"), start=1))
    return [(number, row) for number, row in rows if row and not row[0].startswith("#")]


def _numbers(
    text: str, name: str, row: "tuple[int, list[str]]", tokens: list[str], count: int
) -> np.ndarray:
    number, _ = row
    if len(tokens) != count:
        raise InputError(
            f"{name}, line {number}, column 1: must hold {count} numbers; got {len(tokens)}. "
            "The file is cut off or of another kind."
        )
    return to_numbers(tokens, text, name, [number], count)


def _count(text: str, name: str, row: "tuple[int, list[str]]") -> int:
    number, tokens = row
    value = to_numbers(tokens[:1], text, name, [number], 1)[0]
    if value < 1 or value != int(value):
        column = column_of_token(text.split("\n")[number - 1], 0)
        raise InputError(
            f"{name}, line {number}, column {column}: the number of cameras must be 1 or more; "
            f"got {tokens[0]}. Export the file again."
        )
    return int(value)


def read_bundler(path: Path, options: ReadOptions) -> PathData:
    """Read bundle.out: five lines a camera, "f k1 k2", three rows of R, t; y up, looking along -z.

    f = 0 marks a camera that was not registered; those are left out and a note says which.
    """
    text = read_text(path)
    lines = _lines(text)
    count = _count(text, path.name, lines[0]) if lines else 0
    if len(lines) < 1 + 5 * count or not count:
        raise InputError(
            f"{path.name}, line {len(text.splitlines())}, column 1: must hold 5 lines for each of "
            f"{count} cameras; got {len(lines) - 1}. The file is cut off: copy it again."
        )
    rows = lines[1 : 1 + 5 * count]
    values = np.array([_numbers(text, path.name, row, row[1], 3) for row in rows])
    values = values.reshape(count, 5, 3)
    registered = np.flatnonzero(values[:, 0, 0] > 0)
    notes = []
    if len(registered) < count:
        missing = ", ".join(map(str, sorted(set(range(count)) - set(registered.tolist()))))
        notes.append(f"Cameras without a pose (f = 0) are left out: {missing} of 0 to {count - 1}.")
    if not len(registered):
        raise InputError(
            f"{path.name}, line {lines[1][0]}, column 1: a camera must have a focal length; got 0 "
            "for all. No camera was registered: run the reconstruction again."
        )
    if np.any(values[registered, 0, 1:]):
        notes.append("Lens distortion k1 k2 is left out: a path holds pinhole cameras.")
    kept = values[registered]
    cam_from_world = OPENGL_FROM_OPENCV @ compose(kept[:, 1:4], kept[:, 4])
    return PathData(
        world_from_cam=invert(cam_from_world),
        where=lambda frame: f"{path.name}, line {rows[5 * registered[frame]][0]}, column 1",
        focal_px=np.repeat(kept[:, :1, 0], 2, axis=1),
        source_frame=tuple(registered.tolist()) if len(registered) < count else None,
        notes=notes,
    )


def read_nvm(path: Path, options: ReadOptions) -> PathData:
    """Read an NVM file: "name f qw qx qy qz cx cy cz k 0"; the last three are the camera centre."""
    text = read_text(path)
    lines = _lines(text)[1:]
    count = _count(text, path.name, lines[0]) if lines else 0
    rows = lines[1 : 1 + count]
    if len(rows) < count or not count:
        raise InputError(
            f"{path.name}, line {len(text.splitlines())}, column 1: must hold a line for each of "
            f"{count} cameras; got {len(rows)}. The file is cut off: copy it again."
        )
    notes: list[str] = []
    order = natural_order([" ".join(row[1][:-10]) for row in rows], "names", notes)
    rows = [rows[index] for index in order]
    values = np.array([_numbers(text, path.name, row, row[1][-10:], 10) for row in rows])

    def where(frame: int) -> str:
        return f"{path.name}, line {rows[frame][0]}, column 1"

    if np.any(values[:, 8]):
        notes.append("Lens distortion is left out: a path holds pinhole cameras.")
    cam_from_world = rotations_from_wxyz(values[:, 1:5], where, notes)
    return PathData(
        world_from_cam=compose(cam_from_world.transpose(0, 2, 1), values[:, 5:8]),
        where=where,
        focal_px=np.repeat(values[:, :1], 2, axis=1),
        notes=notes,
    )


def sniff_bundler(content: FileContent) -> bool:
    """Look for Bundler's first line."""
    return content.text.startswith(BUNDLER_MAGIC)


def sniff_nvm(content: FileContent) -> bool:
    """Look for VisualSFM's first line."""
    return content.text.startswith(NVM_MAGIC)


SPEC_BUNDLER = FormatSpec(
    name="bundler",
    title="Bundler bundle.out",
    convention="cam_from_world, OpenGL camera axes (y up, looks along -z), principal point at the "
    "image centre",
    read=read_bundler,
    sniff=sniff_bundler,
)
SPEC_NVM = FormatSpec(
    name="nvm",
    title="VisualSFM nvm",
    convention="rotation cam_from_world as quaternion w x y z, then the camera centre in the "
    "world; OpenCV axes; principal point at the image centre",
    read=read_nvm,
    sniff=sniff_nvm,
)
