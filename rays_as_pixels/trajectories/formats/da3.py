"""Depth Anything 3 npz: extrinsics (N, 3, 4) cam_from_world and intrinsics (N, 3, 3) in pixels.

OpenCV axes. Intrinsics are for the size the network saw, which is that of `depth` where it is in
the file. Read without pickle.
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from rays_as_pixels.errors import InputError
from rays_as_pixels.files import write_bytes
from rays_as_pixels.trajectories.formats.about import KEY, about_of, as_about
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
from rays_as_pixels.trajectories.formats.textfile import (
    MAX_FILE_BYTES,
    read_bytes,
)


def read(path: Path, options: ReadOptions) -> PathData:
    """Read a DA3 npz."""
    archive = _open(path)
    extrinsics = _array(archive, path, "extrinsics")
    if extrinsics.ndim != 3 or extrinsics.shape[1:] not in ((3, 4), (4, 4)) or not len(extrinsics):
        raise InputError(
            f"{path.name}, array extrinsics: must have shape N 3 4 or N 4 4; got "
            f"{extrinsics.shape}. Export it again."
        )
    data = PathData(
        world_from_cam=invert(from_rows(extrinsics[:, :3].astype(np.float64))),
        where=lambda frame: f"{path.name}, array extrinsics, row {frame}",
        about=_about(archive, path),
    )
    if "intrinsics" in archive:
        matrix = _array(archive, path, "intrinsics").astype(np.float64)
        if matrix.shape != (len(extrinsics), 3, 3) or not np.isfinite(matrix).all():
            raise InputError(
                f"{path.name}, array intrinsics: must be finite of shape {len(extrinsics)} 3 3; "
                f"got {matrix.shape}. Export it again."
            )
        data.focal_px = matrix[:, [0, 1], [0, 1]]
        data.center_px = matrix[:, [0, 1], [2, 2]]
        data.size = _size(archive, path, data, options)
    return data


def _size(
    archive: "dict[str, bytes]", path: Path, data: PathData, options: ReadOptions
) -> "tuple[int, int] | None":
    if data.about is not None:
        return None
    if "depth" in archive:
        shape = _header_shape(archive["depth"], path)
        if len(shape) >= 3:
            return (int(shape[2]), int(shape[1]))
    if options.size is not None:
        return None
    assert data.center_px is not None
    size = (round(2 * data.center_px[0, 0]), round(2 * data.center_px[0, 1]))
    data.assumed.append("size")
    data.notes.append(
        f"Assumed: images of {size[0]}x{size[1]}, twice the principal point, since the file names "
        "no size. Give --size WxH."
    )
    return size


def _open(path: Path) -> "dict[str, bytes]":
    try:
        with zipfile.ZipFile(io.BytesIO(read_bytes(path))) as archive:
            infos = archive.infolist()
            if sum(info.file_size for info in infos) > 4 * MAX_FILE_BYTES:
                raise InputError(
                    f"{path.name} must unpack to at most {4 * MAX_FILE_BYTES // 2**20} MiB; got "
                    "more. Keep only extrinsics and intrinsics."
                )
            return {info.filename.removesuffix(".npy"): archive.read(info) for info in infos}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise InputError(
            f"{path.name} must be an npz archive; got {error}. Copy the file again."
        ) from None


def _array(archive: "dict[str, bytes]", path: Path, name: str) -> np.ndarray:
    if name not in archive:
        raise InputError(
            f"{path.name} must hold an array {name!r}; got {', '.join(archive) or 'none'}. "
            "Choose another --input-format."
        )
    try:
        array = np.load(io.BytesIO(archive[name]), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(
            f"{path.name}, array {name}: must be plain numbers; got {error}. Save it without "
            "pickle."
        ) from None
    if array.dtype.kind not in "fiu":
        raise InputError(
            f"{path.name}, array {name}: must be numbers; got {array.dtype}. Export it again."
        )
    return array


def _header_shape(payload: bytes, path: Path) -> tuple[int, ...]:
    stream = io.BytesIO(payload)
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            return np.lib.format.read_array_header_1_0(stream)[0]
        return np.lib.format.read_array_header_2_0(stream)[0]
    except (ValueError, EOFError) as error:
        raise InputError(
            f"{path.name}, array depth: must be an array; got {error}. Export it again."
        ) from None


def _about(archive: "dict[str, bytes]", path: Path) -> "dict[str, Any] | None":
    if KEY not in archive:
        return None
    text = np.load(io.BytesIO(archive[KEY]), allow_pickle=False)
    return as_about(parse_json(str(text), f"{path.name}, array {KEY}").value)


def write(frames: Frames, path: Path, extra: "dict[str, Any]") -> Written:
    """Write a DA3 npz; an extra text array carries size, rate and times."""
    about = about_of(frames, SPEC.convention, extra)
    about.pop("intrinsics_px")
    intrinsics = np.zeros((len(frames), 3, 3))
    intrinsics[:, [0, 1], [0, 1]] = frames.focal_px
    intrinsics[:, :2, 2] = frames.center_px
    intrinsics[:, 2, 2] = 1.0
    texts: dict[str, Any] = {KEY: np.array(json.dumps(about, allow_nan=False))}
    stream = io.BytesIO()
    np.savez(
        stream,
        extrinsics=invert(frames.world_from_cam)[:, :3],
        intrinsics=intrinsics,
        **texts,
    )
    write_bytes(path, stream.getvalue())
    return Written((path,))


def sniff(content: FileContent) -> bool:
    """Look for the array of extrinsics."""
    return "extrinsics.npy" in content.archive_names


SPEC = FormatSpec(
    name="da3",
    title="Depth Anything 3 npz",
    convention="cam_from_world 3x4, OpenCV axes; intrinsics 3x3 in pixels of the processed size",
    read=read,
    sniff=sniff,
    write=write,
    file_name="da3.npz",
    extensions=(".npz",),
)
