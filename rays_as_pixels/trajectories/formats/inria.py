"""cameras.json of 3D Gaussian Splatting (Inria), which splat viewers read.

A JSON list: id, img_name, width, height, position, rotation (rows of world_from_cam), fx, fy in
pixels, OpenCV axes. Principal point and times are no fields of the format; our entries add
`cx`, `cy` and `time_sec`, which its readers ignore.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from rays_as_pixels.files import write_text
from rays_as_pixels.trajectories.formats.about import KEY, about_of, as_about
from rays_as_pixels.trajectories.formats.base import (
    FormatSpec,
    Frames,
    PathData,
    ReadOptions,
    Written,
)
from rays_as_pixels.trajectories.formats.content import FileContent
from rays_as_pixels.trajectories.formats.jsonfile import JsonFile, describe, parse_json
from rays_as_pixels.trajectories.formats.naming import frame_names, natural_order
from rays_as_pixels.trajectories.formats.poses import compose
from rays_as_pixels.trajectories.formats.textfile import read_text


def read(path: Path, options: ReadOptions) -> PathData:
    """Read an Inria file, cameras in the order of their image names."""
    file = parse_json(read_text(path), path.name)
    entries = file.value
    if not isinstance(entries, list) or not entries:
        raise file.fail(
            (), "be a list of cameras", describe(entries), "Choose another --input-format."
        )
    notes: list[str] = []
    about = as_about(entries[0].get(KEY)) if isinstance(entries[0], dict) else None
    names = [str(file.get(index, "img_name")) for index in range(len(entries))]
    order = list(range(len(entries))) if about else natural_order(names, "img_name", notes)
    size = _shared_size(file, order)
    focal = np.array([[file.positive(i, "fx"), file.positive(i, "fy")] for i in order])
    rotation = (
        file.check_numbers([file.get(i, "rotation") for i in order], (), (-1, 3, 3))
        if _regular(file, order)
        else _bad_entry(file, order)
    )
    position = np.stack([file.numbers((i, "position"), (3,)) for i in order])
    center = None
    if all("cx" in entries[i] and "cy" in entries[i] for i in order):
        center = np.array([[file.number(i, "cx"), file.number(i, "cy")] for i in order])
    time = None
    if all("time_sec" in entries[i] for i in order):
        time = np.array([file.number(i, "time_sec") for i in order])
    return PathData(
        world_from_cam=compose(rotation, position),
        where=lambda frame: file.where(order[frame]),
        focal_px=focal,
        center_px=center,
        size=size,
        time_sec=time,
        notes=notes,
        about=about,
    )


def _shared_size(file: JsonFile, order: list[int]) -> tuple[int, int]:
    size = (file.size(order[0], "width"), file.size(order[0], "height"))
    for index in order:
        if (file.value[index].get("width"), file.value[index].get("height")) != size:
            have = (file.size(index, "width"), file.size(index, "height"))
            rule = f"have the size of the first camera, {size[0]}x{size[1]}"
            remedy = "Split the file by image size."
            raise file.fail((index,), rule, f"{have[0]}x{have[1]}", remedy)
    return size


def _regular(file: JsonFile, order: list[int]) -> bool:
    try:
        values = np.array([file.get(index, "rotation") for index in order])
    except ValueError:
        return False
    return values.dtype.kind in "if" and values.shape[1:] == (3, 3)


def _bad_entry(file: JsonFile, order: list[int]) -> np.ndarray:
    return np.stack([file.numbers((index, "rotation"), (3, 3)) for index in order])


def write(frames: Frames, path: Path, extra: "dict[str, Any]") -> Written:
    """Write an Inria file."""
    about = about_of(frames, SPEC.convention, extra)
    for key in ("intrinsics_px", "time_sec"):
        about.pop(key, None)
    names = frame_names(frames)
    lines = []
    for index, pose in enumerate(frames.world_from_cam.tolist()):
        entry: dict[str, Any] = {
            "id": index,
            "img_name": names[index],
            "width": frames.size[0],
            "height": frames.size[1],
            "position": [row[3] for row in pose[:3]],
            "rotation": [row[:3] for row in pose[:3]],
            "fx": float(frames.focal_px[index, 0]),
            "fy": float(frames.focal_px[index, 1]),
            "cx": float(frames.center_px[index, 0]),
            "cy": float(frames.center_px[index, 1]),
            "time_sec": float(frames.time_sec[index]),
        }
        lines.append(json.dumps(entry | ({KEY: about} if index == 0 else {}), allow_nan=False))
    write_text(path, "[\n" + ",\n".join(lines) + "\n]\n")
    note = "cx, cy and time_sec are fields of ours; other readers take the image centre."
    return Written((path,), () if frames.is_centered else (note,))


def sniff(content: FileContent) -> bool:
    """Look for a list of cameras with position and rotation."""
    first = content.json_list[0] if content.json_list else None
    return isinstance(first, dict) and "position" in first and "rotation" in first


SPEC = FormatSpec(
    name="inria",
    title="Inria 3DGS cameras.json",
    convention="world_from_cam rotation rows and position, OpenCV axes; fx fy in pixels; "
    "principal point at the image centre unless cx cy are there",
    read=read,
    sniff=sniff,
    write=write,
    file_name="cameras.json",
)
