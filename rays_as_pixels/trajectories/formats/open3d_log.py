"""Open3D and Redwood trajectories, read only: .log and PinholeCameraTrajectory .json."""

from pathlib import Path

import numpy as np

from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.formats.base import FormatSpec, PathData, ReadOptions
from rays_as_pixels.trajectories.formats.content import FileContent
from rays_as_pixels.trajectories.formats.jsonfile import JsonFile, describe, parse_json
from rays_as_pixels.trajectories.formats.poses import invert
from rays_as_pixels.trajectories.formats.textfile import read_text, to_numbers

JSON_CLASS = "PinholeCameraTrajectory"
HALF_PIXEL = 0.5  # Open3D puts (0, 0) at the first pixel's centre


def read(path: Path, options: ReadOptions) -> PathData:
    """Read either file."""
    text = read_text(path)
    if text.lstrip().startswith("{"):
        return _read_json(parse_json(text, path.name))
    return _read_log(text, path.name)


def _read_log(text: str, name: str) -> PathData:
    """Read blocks of five lines: three whole numbers, then a 4x4 world_from_cam."""
    lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    for index, (number, line) in enumerate(lines):
        wanted = 3 if index % 5 == 0 else 4
        if len(line.split()) != wanted:
            raise InputError(
                f"{name}, line {number}, column 1: must hold {wanted} numbers (blocks are three "
                f"indices, then a 4x4 matrix); got {len(line.split())}. Choose another "
                f"--input-format."
            )
    if not lines or len(lines) % 5:
        raise InputError(
            f"{name}, line {len(text.splitlines())}, column 1: must hold blocks of 5 lines; got "
            f"{len(lines)} lines. The file is cut off: copy it again."
        )
    rows = [entry for index, entry in enumerate(lines) if index % 5]
    tokens = [token for _, line in rows for token in line.split()]
    values = to_numbers(tokens, text, name, [number for number, _ in rows], 4)
    return PathData(
        world_from_cam=values.reshape(-1, 4, 4),
        where=lambda frame: f"{name}, line {rows[4 * frame][0]}, column 1",
    )


def _read_json(file: JsonFile) -> PathData:
    """Read parameters[]: extrinsic is cam_from_world, column by column."""
    entries = file.get("parameters")
    if not isinstance(entries, list) or not entries:
        raise file.fail(("parameters",), "be a list of 1 or more", describe(entries), "Add one.")
    poses, lenses, sizes = [], [], set()
    for index in range(len(entries)):
        field = ("parameters", index)
        poses.append(file.numbers((*field, "extrinsic"), (16,)).reshape(4, 4).T)
        lenses.append(file.numbers((*field, "intrinsic", "intrinsic_matrix"), (9,)))
        sizes.add(
            (file.size(*field, "intrinsic", "width"), file.size(*field, "intrinsic", "height"))
        )
    if len(sizes) > 1:
        raise InputError(
            f"{file.name}: cameras must share one size; got {sorted(sizes)}. Split the file."
        )
    matrix = np.array(lenses)
    return PathData(
        world_from_cam=invert(np.array(poses)),
        where=lambda frame: file.where("parameters", frame, "extrinsic"),
        focal_px=matrix[:, [0, 4]],
        center_px=matrix[:, [6, 7]] + HALF_PIXEL,
        size=sizes.pop(),
        notes=["Principal points were moved by half a pixel: Open3D counts from pixel centres."],
    )


def sniff(content: FileContent) -> bool:
    """Look for the JSON's class name, or for a row of indices above a 4x4 matrix."""
    if content.json_object.get("class_name") == JSON_CLASS:
        return True
    return content.column_counts[:5] == [3, 4, 4, 4, 4] and not content.header


SPEC = FormatSpec(
    name="open3d",
    title="Open3D / Redwood log and json",
    convention=".log: world_from_cam 4x4 row by row; .json: cam_from_world 4x4 column by column, "
    "pixels counted from the first pixel's centre; OpenCV axes",
    read=read,
    sniff=sniff,
)
