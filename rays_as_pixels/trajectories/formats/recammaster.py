"""ReCamMaster camera_extrinsics.json: Unreal axes, centimetres, transposed matrices in strings.

    {"frame0": {"cam01": "[r r r 0] [r r r 0] [r r r 0] [x y z 1] ", ...}, ...}

Row vectors: the last row is the camera's place, so transpose first. Unreal's axes are X forward,
Y right, Z up, left-handed, for world and camera alike. We turn both: x = Y, y = -Z, z = X, and
divide by 100 for metres. Relative poses then equal those ReCamMaster computes.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

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
from rays_as_pixels.trajectories.formats.jsonfile import JsonFile, describe, parse_json
from rays_as_pixels.trajectories.formats.textfile import number_rows, read_text

OPENCV_FROM_UNREAL = np.array([[0, 1.0, 0, 0], [0, 0, -1.0, 0], [1.0, 0, 0, 0], [0, 0, 0, 1.0]])
CM_PER_M = 100.0
_BRACKETS = re.compile(r"[\[\]]")


def read(path: Path, options: ReadOptions) -> PathData:
    """Read one camera of a ReCamMaster file: the one asked for, else the first."""
    file = parse_json(read_text(path), path.name)
    frames = _frame_keys(file)
    camera, notes = _choose_camera(file, frames[0], options.camera)
    strings = [file.get(key, camera) for key in frames]
    pose_transposed = _parse_matrices(file, frames, camera, strings)
    unreal = pose_transposed.transpose(0, 2, 1).copy()
    unreal[:, :3, 3] /= CM_PER_M
    return PathData(
        world_from_cam=OPENCV_FROM_UNREAL @ unreal @ OPENCV_FROM_UNREAL.T,
        where=lambda frame: file.where(frames[frame], camera),
        notes=notes,
        about=read_side_file(path),
    )


def _frame_keys(file: JsonFile) -> list[str]:
    keys = list(file.value) if isinstance(file.value, dict) else []
    bad = [key for key in keys if not re.fullmatch(r"frame\d+", key)]
    if not keys or bad:
        got = repr(bad[0]) if bad else describe(file.value)
        raise file.fail(tuple(bad[:1]), "have keys 'frame0', 'frame1', ...", got, "Rename it.")
    return sorted(keys, key=lambda key: int(key[5:]))


def _choose_camera(file: JsonFile, frame: str, wanted: "str | None") -> tuple[str, list[str]]:
    cameras = file.get(frame)
    if not isinstance(cameras, dict) or not cameras:
        raise file.fail((frame,), "hold cameras", describe(cameras), "Add 'cam01'.")
    names = list(cameras)
    if wanted is None:
        if len(names) == 1:
            return names[0], []
        listed = ", ".join(names)
        return names[0], [f"The file holds the cameras {listed}; {names[0]} was read."]
    if wanted not in names:
        raise InputError(
            f"camera must be one of {', '.join(names)}; got {wanted!r}. Choose one of those."
        )
    return wanted, []


def _parse_matrices(
    file: JsonFile, frames: list[str], camera: str, strings: "list[Any]"
) -> np.ndarray:
    matrices = np.empty((len(strings), 16))
    for index, text in enumerate(strings):
        field = (frames[index], camera)
        if not isinstance(text, str):
            raise file.fail(field, "be a string of four rows", describe(text), "Use quotes.")
        tokens = _BRACKETS.sub(" ", text).split()
        try:
            matrices[index] = [float(token) for token in tokens]
        except ValueError:
            rule = "hold 16 numbers as '[a b c 0] [..] [..] [x y z 1]'"
            raise file.fail(field, rule, repr(text[:60]), "Repair that frame.") from None
    return matrices.reshape(-1, 4, 4)


def write(frames: Frames, path: Path, extra: "dict[str, Any]") -> Written:
    """Write one camera, "cam01", and a side file with times, size and intrinsics."""
    unreal = OPENCV_FROM_UNREAL.T @ frames.world_from_cam @ OPENCV_FROM_UNREAL
    unreal[:, :3, 3] *= CM_PER_M
    rows = number_rows(unreal.transpose(0, 2, 1).reshape(-1, 4))
    lines = [
        f'  "frame{index}": {{"cam01": "'
        + " ".join(f"[{row}]" for row in rows[4 * index : 4 * index + 4])
        + ' "}'
        for index in range(len(frames))
    ]
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")
    side = write_side_file(path, about_of(frames, SPEC.convention, extra))
    note = f"ReCamMaster files have no room for times and intrinsics: {side.name} holds them."
    return Written((path, side), (note, "Scene units were written as metres, in centimetres."))


def sniff(content: FileContent) -> bool:
    """Look for keys "frame0", "frame1" and so on."""
    keys = content.json_object
    return any(key.startswith("frame") and key[5:].isdigit() for key in keys)


SPEC = FormatSpec(
    name="recammaster",
    title="ReCamMaster camera_extrinsics.json",
    convention="world_from_cam transposed (row vectors), Unreal axes (X forward, Y right, Z up), "
    "centimetres",
    read=read,
    sniff=sniff,
    write=write,
    file_name="camera_extrinsics.json",
    names_cameras=True,
)
