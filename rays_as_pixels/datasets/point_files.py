"""Points that come with cameras: COLMAP's points3D files, with who saw them, and PLY files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.formats.colmap_binary import ByteReader
from rays_as_pixels.trajectories.formats.textfile import read_bytes, read_text

_PLY_TYPES = {
    "char": "i1",
    "int8": "i1",
    "uchar": "u1",
    "uint8": "u1",
    "short": "i2",
    "int16": "i2",
    "ushort": "u2",
    "uint16": "u2",
    "int": "i4",
    "int32": "i4",
    "uint": "u4",
    "uint32": "u4",
    "float": "f4",
    "float32": "f4",
    "double": "f8",
    "float64": "f8",
}


@dataclass(frozen=True)
class TrackedPoints:
    """Points of a COLMAP model.

    Attributes:
        xyz: (P, 3) in the model's world.
        image_id: For each observation the image's id.
        point: For each observation the row of `xyz`.
    """

    xyz: np.ndarray
    image_id: np.ndarray
    point: np.ndarray


def read_colmap_points(folder: Path) -> TrackedPoints | None:
    """Read points3D.bin or points3D.txt of a model, binary first as COLMAP does; None without.

    Raises:
        InputError: The file is cut off or holds something else.
    """
    if (folder / "points3D.bin").is_file():
        return _read_binary(folder / "points3D.bin")
    if (folder / "points3D.txt").is_file():
        return _read_text(folder / "points3D.txt")
    return None


def _read_binary(path: Path) -> TrackedPoints:
    reader = ByteReader(path)
    xyz, tracks = [], []
    for _ in range(reader.count(51)):
        _, x, y, z, *_ = reader.take("Q3d3Bd")
        xyz.append((x, y, z))
        length = reader.count(8)
        tracks.append([reader.take("II")[0] for _ in range(length)])
    reader.finish()
    return _tracked(xyz, tracks, path.name)


def _read_text(path: Path) -> TrackedPoints:
    xyz, tracks = [], []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        tokens = line.split()
        if not tokens or tokens[0].startswith("#"):
            continue
        try:
            xyz.append(tuple(float(token) for token in tokens[1:4]))
            tracks.append([int(token) for token in tokens[8::2]])
            if len(tokens) < 8 or len(tokens) % 2:
                raise ValueError
        except ValueError:
            raise InputError(
                f"{path.name}, line {number}: a point must be 'POINT3D_ID X Y Z R G B ERROR' and "
                f"pairs 'IMAGE_ID POINT2D_IDX'; got {len(tokens)} fields. Export the model again."
            ) from None
    return _tracked(xyz, tracks, path.name)


def _tracked(xyz: list, tracks: list[list[int]], name: str) -> TrackedPoints:
    points = np.array(xyz, dtype=np.float64).reshape(-1, 3)
    if not np.isfinite(points).all():
        raise InputError(f"{name}: points must be finite; got NaN or infinity. Export it again.")
    lengths = [len(track) for track in tracks]
    flat = np.array([image for track in tracks for image in track], dtype=np.int64)
    return TrackedPoints(points, flat, np.repeat(np.arange(len(points)), lengths))


def read_ply_points(path: Path) -> np.ndarray:
    """Read x, y, z of the vertices of a PLY file, text or binary, as (P, 3) float64.

    Raises:
        InputError: It is no PLY file, its vertices have no x, y, z, or it is cut off.
    """
    data = read_bytes(path)
    head, found, body = data.partition(b"end_header\n")
    lines = head.decode("ascii", "replace").replace("\r", "").split("\n")
    if not found or lines[0].strip() != "ply":
        raise InputError(f"{path.name} must be a PLY file; got another one. Export it again.")
    layout = next((line.split()[1] for line in lines if line.startswith("format")), "")
    count, fields = _vertex_fields(lines, path.name)
    if layout == "ascii":
        rows = [line.split() for line in body.decode("ascii", "replace").split("\n")[:count]]
        names = [name for name, _ in fields]
        try:
            table = np.array([[float(v) for v in row[: len(names)]] for row in rows])
            return table[:, [names.index(axis) for axis in "xyz"]]
        except (ValueError, IndexError):
            raise _cut_off(path.name, count) from None
    order = "<" if layout == "binary_little_endian" else ">"
    record = np.dtype([(name, order + kind) for name, kind in fields])
    if len(body) < count * record.itemsize:
        raise _cut_off(path.name, count)
    rows = np.frombuffer(body, dtype=record, count=count)
    return np.stack([rows[axis].astype(np.float64) for axis in "xyz"], axis=1)


def _vertex_fields(lines: list[str], name: str) -> tuple[int, list[tuple[str, str]]]:
    count, fields, element = 0, [], ""
    for words in (line.split() for line in lines):
        if words[:1] == ["element"]:
            if element == "" and words[1] != "vertex":
                break  # bytes of another element would come first
            element, count = words[1], int(words[2]) if words[1] == "vertex" else count
        elif words[:1] == ["property"] and element == "vertex":
            fields.append((words[-1], _PLY_TYPES.get(words[1], "")))
    if not {"x", "y", "z"} <= {field for field, _ in fields} or any(not k for _, k in fields):
        raise InputError(
            f"{name} must start with vertices that have x, y and z; got {fields}. Export the "
            "points alone."
        )
    return count, fields


def _cut_off(name: str, count: int) -> InputError:
    return InputError(f"{name} must hold its {count} vertices; got fewer. Copy the file again.")
