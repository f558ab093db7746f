"""COLMAP binary models: cameras.bin, images.bin, points3D.bin, and rigs.bin and frames.bin."""

import struct
from pathlib import Path

import numpy as np

from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.formats.colmap_models import (
    MODEL_OF_ID,
    MODELS,
    ColmapCamera,
    check_camera,
)
from rays_as_pixels.trajectories.formats.colmap_text import ColmapImages
from rays_as_pixels.trajectories.formats.textfile import read_bytes

POINT2D_BYTES = 24  # x, y as doubles and a 64-bit point id
POINTS_BINARY = struct.pack("<Q", 0)


class ByteReader:
    """Reads little-endian values one after the other and knows where it is."""

    def __init__(self, path: Path) -> None:
        """Read the whole file."""
        self.name = path.name
        self.data = read_bytes(path)
        self.offset = 0

    def take(self, layout: str) -> tuple:
        """Read values by a struct layout.

        Raises:
            InputError: The file ends first.
        """
        size = struct.calcsize("<" + layout)
        self._check(size)
        values = struct.unpack_from("<" + layout, self.data, self.offset)
        self.offset += size
        return values

    def count(self, least_bytes: int) -> int:
        """Read a 64-bit count of things that take at least `least_bytes` bytes each."""
        place = self.place()
        (count,) = self.take("Q")
        if count * least_bytes > len(self.data) - self.offset:
            raise InputError(
                f"{place}: the file must hold the {count} entries it announces; got "
                f"{len(self.data) - self.offset} more bytes. Copy the file again."
            )
        return count

    def string(self) -> str:
        """Read a zero-ended UTF-8 string."""
        end = self.data.find(b"\0", self.offset)
        if end < 0:
            raise InputError(
                f"{self.place()}: a name must end in a zero byte; got none. Copy the file again."
            )
        text = self.data[self.offset : end].decode("utf-8", "replace")
        self.offset = end + 1
        return text

    def skip(self, size: int) -> None:
        """Jump over bytes."""
        self._check(size)
        self.offset += size

    def place(self) -> str:
        """Name the file and the byte that comes next."""
        return f"{self.name}, byte {self.offset}"

    def finish(self) -> None:
        """Refuse bytes behind the last entry."""
        if self.offset != len(self.data):
            raise InputError(
                f"{self.place()}: the file must end after its last entry; got "
                f"{len(self.data) - self.offset} more bytes. Check that it is of a released COLMAP."
            )

    def _check(self, size: int) -> None:
        if self.offset + size > len(self.data):
            raise InputError(
                f"{self.place()}: the file must hold {size} more bytes; got "
                f"{len(self.data) - self.offset}. The file is cut off: copy it again."
            )


def read_cameras(path: Path) -> dict[int, ColmapCamera]:
    """Read cameras.bin."""
    reader = ByteReader(path)
    cameras = {}
    for _ in range(reader.count(24)):
        place = reader.place()
        camera_id, model_id, width, height = reader.take("iiQQ")
        model = MODEL_OF_ID.get(model_id)
        if model is None:
            raise InputError(
                f"{place}: the camera model must be one of 0 to {max(MODEL_OF_ID)}; got "
                f"{model_id}. Convert the model with COLMAP first."
            )
        params = reader.take(f"{MODELS[model][1]}d")
        cameras[camera_id] = ColmapCamera(camera_id, model, width, height, params, place)
        check_camera(cameras[camera_id])
    reader.finish()
    return cameras


def read_images(path: Path) -> ColmapImages:
    """Read images.bin; its 2D points are jumped over."""
    reader = ByteReader(path)
    rows, camera_ids, image_ids, names, places = [], [], [], [], []
    for _ in range(reader.count(73)):
        places.append(reader.place())
        image_id, *pose, camera_id = reader.take("I7dI")
        names.append(reader.string())
        reader.skip(POINT2D_BYTES * reader.count(POINT2D_BYTES))
        rows.append(pose)
        camera_ids.append(camera_id)
        image_ids.append(image_id)
    reader.finish()
    if not rows:
        raise InputError(f"{path.name} must hold an image; got none. Export the model again.")
    return ColmapImages(np.array(rows), camera_ids, image_ids, names, places)


def read_rig_poses(folder: Path) -> "dict[int, tuple[np.ndarray, np.ndarray | None]] | None":
    """Read rigs.bin and frames.bin, if both are there.

    Returns:
        For each image id: rig_from_world and sensor_from_rig (None for the rig's reference
        sensor), each as wxyz and xyz in one (7,) array; None without the two files.
    """
    if not (folder / "rigs.bin").is_file() or not (folder / "frames.bin").is_file():
        return None
    sensors = _read_rigs(folder / "rigs.bin")
    reader = ByteReader(folder / "frames.bin")
    poses = {}
    for _ in range(reader.count(68)):
        place = reader.place()
        _, rig_id, *pose = reader.take("II7d")
        (count,) = reader.take("I")
        for _ in range(count):
            sensor_type, sensor_id, image_id = reader.take("iIQ")
            key = (rig_id, sensor_type, sensor_id)
            if key not in sensors:
                raise InputError(
                    f"{place}: a frame's sensor must be part of its rig; got sensor {sensor_id} "
                    f"of rig {rig_id}. Export the model again."
                )
            poses[image_id] = (np.array(pose), sensors[key])
    reader.finish()
    return poses


def _read_rigs(path: Path) -> "dict[tuple[int, int, int], np.ndarray | None]":
    reader = ByteReader(path)
    sensors: dict[tuple[int, int, int], np.ndarray | None] = {}
    for _ in range(reader.count(8)):
        rig_id, count = reader.take("II")
        for index in range(count):
            sensor_type, sensor_id = reader.take("iI")
            pose = None
            if index > 0:
                (has_pose,) = reader.take("B")
                pose = np.array(reader.take("7d")) if has_pose else None
            sensors[rig_id, sensor_type, sensor_id] = pose
    reader.finish()
    return sensors


def cameras_binary(rows: np.ndarray, size: tuple[int, int]) -> bytes:
    """Return cameras.bin with one PINHOLE camera a row of fx fy cx cy, ids from 1."""
    parts = [struct.pack("<Q", len(rows))]
    parts += [
        struct.pack("<iiQQ4d", index, MODELS["PINHOLE"][0], *size, *row)
        for index, row in enumerate(rows.tolist(), start=1)
    ]
    return b"".join(parts)


def images_binary(wxyz_xyz: np.ndarray, camera_ids: list[int], names: list[str]) -> bytes:
    """Return images.bin without 2D points."""
    parts = [struct.pack("<Q", len(names))]
    rows = zip(wxyz_xyz.tolist(), camera_ids, names, strict=True)
    for index, (row, camera, name) in enumerate(rows, start=1):
        parts.append(struct.pack("<I7dI", index, *row, camera) + name.encode() + b"\0" + bytes(8))
    return b"".join(parts)
