"""NeRF / nerfstudio / instant-ngp transforms.json.

camera to world, OpenGL camera (x right, y up, z back). Only the camera axes differ from ours; the
world is left as it is. Intrinsics in pixels, the first pixel's centre at (0.5, 0.5), at the top
or on every frame; older files give camera_angle_x in radians.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from rays_as_pixels.errors import InputError
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
from rays_as_pixels.trajectories.formats.jsonfile import (
    JsonFile,
    describe,
    lines_of,
    object_of,
    parse_json,
)
from rays_as_pixels.trajectories.formats.naming import frame_names, natural_order
from rays_as_pixels.trajectories.formats.poses import flip_camera, focal_from_fov
from rays_as_pixels.trajectories.formats.textfile import read_text

_DISTORTION = ("k1", "k2", "k3", "k4", "p1", "p2")
_PINHOLES = ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "PERSPECTIVE")


def read(path: Path, options: ReadOptions) -> PathData:
    """Read a transforms.json, frames in the order of their file names."""
    file = parse_json(read_text(path), path.name)
    entries = file.get("frames")
    if not isinstance(entries, list) or not entries:
        raise file.fail(("frames",), "be a list of 1 or more", describe(entries), "Add a frame.")
    notes: list[str] = []
    about = as_about(file.value.get(KEY))
    names = [str(file.get("frames", i, "file_path")) for i in range(len(entries))]
    order = list(range(len(entries))) if about else natural_order(names, "file_path", notes)
    poses = np.stack([file.numbers(("frames", i, "transform_matrix"), (4, 4)) for i in order])
    _check_model(file, notes)
    size = _size(file, order)
    data = PathData(
        world_from_cam=flip_camera(poses),
        where=lambda frame: file.where("frames", order[frame], "transform_matrix"),
        size=size,
        notes=notes,
        about=about,
    )
    if all("time_sec" in entries[i] for i in order):
        data.time_sec = np.array([file.number("frames", i, "time_sec") for i in order])
    elif any("time" in entry for entry in entries):
        notes.append("'time' counts from 0 to 1 over the clip, not in seconds: it was not used.")
    if "applied_transform" in file.value:
        notes.append("applied_transform is left in the poses, as other readers leave it.")
    _intrinsics(file, order, data, options)
    return data


def _check_model(file: JsonFile, notes: list[str]) -> None:
    model = file.value.get("camera_model", "OPENCV")
    if model not in _PINHOLES:
        remedy = "Undistort the images first."
        rule = "be a pinhole with or without distortion"
        raise file.fail(("camera_model",), rule, describe(model), remedy)
    values = {key: file.number(key) for key in _DISTORTION if key in file.value}
    if any(values.values()):
        listed = " ".join(f"{key}={value:g}" for key, value in values.items())
        notes.append(
            f"Lens distortion ({listed}) is left out: a path holds pinhole cameras. Undistort the "
            "images to match."
        )


def _size(file: JsonFile, order: list[int]) -> "tuple[int, int] | None":
    places = [("frames", i) for i in order] if "w" in file.get("frames", order[0]) else [()]
    if not places[0] and "w" not in file.value:
        return None
    sizes = {(file.size(*place, "w"), file.size(*place, "h")) for place in places}
    if len(sizes) > 1:
        raise InputError(
            f"{file.name}: frames must share one size; got {sorted(sizes)}. Split the file."
        )
    return sizes.pop()


def _intrinsics(file: JsonFile, order: list[int], data: PathData, options: ReadOptions) -> None:
    first = file.get("frames", order[0])
    has_own = "fl_x" in first or "camera_angle_x" in first
    rows = [("frames", i) for i in order] if has_own else [()] * len(order)
    source = first if has_own else file.value
    if "fl_x" in source:
        fy = "fl_y" if "fl_y" in source else "fl_x"
        focal = [[file.positive(*row, "fl_x"), file.positive(*row, fy)] for row in _once(rows)]
        data.focal_px = _spread(focal, len(order))
    elif "camera_angle_x" in source:
        angle = [file.positive(*row, "camera_angle_x") for row in _once(rows)]
        if max(angle) >= np.pi:
            got = f"{max(angle):g}"
            raise file.fail(("camera_angle_x",), "be below pi radians", got, "Use radians.")
        data.hfov_rad = np.broadcast_to(np.array(angle), (len(order),)).copy()
        if "camera_angle_y" in source:
            data.vfov_rad = _spread(
                [[file.positive(*row, "camera_angle_y")] for row in _once(rows)], len(order)
            )[:, 0]
        if data.size is not None:
            side = focal_from_fov(data.hfov_rad, data.size[0])
            data.focal_px = (
                np.stack([side, side], 1)
                if data.vfov_rad is None
                else np.stack([side, focal_from_fov(data.vfov_rad, data.size[1])], 1)
            )
    if "cx" in source and "cy" in source:
        center = [[file.number(*row, "cx"), file.number(*row, "cy")] for row in _once(rows)]
        data.center_px = _spread(center, len(order))
    if data.size is None and data.center_px is not None and options.size is None:
        data.size = (round(2 * data.center_px[0, 0]), round(2 * data.center_px[0, 1]))
        data.assumed.append("size")
        data.notes.append(
            f"Assumed: images of {data.size[0]}x{data.size[1]}, twice the principal point, since "
            "the file holds no w and h. Give --size WxH."
        )


def _once(rows: list) -> list:
    return rows if rows[0] else rows[:1]


def _spread(values: list, count: int) -> np.ndarray:
    array = np.array(values)
    return np.broadcast_to(array, (count, array.shape[1])).copy()


def write(frames: Frames, path: Path, extra: "dict[str, Any]") -> Written:
    """Write a transforms.json: intrinsics at the top, or on every frame if they change."""
    about = about_of(frames, SPEC.convention, extra)
    about.pop("intrinsics_px")
    head: dict[str, Any] = {"camera_model": "OPENCV", "w": frames.size[0], "h": frames.size[1]}
    lens = np.hstack([frames.focal_px, frames.center_px]).tolist()
    keys = ("fl_x", "fl_y", "cx", "cy")
    if frames.has_one_lens:
        head |= dict(zip(keys, lens[0], strict=True))
    head |= dict.fromkeys(("k1", "k2", "p1", "p2"), 0.0)
    poses, names = flip_camera(frames.world_from_cam).tolist(), frame_names(frames)
    times, lines = frames.time_sec.tolist(), []
    for index, pose in enumerate(poses):
        entry: dict[str, Any] = {"file_path": f"images/{names[index]}"}
        if not frames.has_one_lens:
            entry |= dict(zip(keys, lens[index], strict=True))
        lines.append(json.dumps(entry | {"time_sec": times[index], "transform_matrix": pose}))
    write_text(path, object_of(head | {KEY: about}, lines_of("frames", lines)))
    return Written((path,), ("time_sec is a field of ours, which other readers ignore.",))


def sniff(content: FileContent) -> bool:
    """Look for frames with a transform_matrix."""
    frames = content.json_object.get("frames")
    first = frames[0] if isinstance(frames, list) and frames else None
    return isinstance(first, dict) and "transform_matrix" in first


SPEC = FormatSpec(
    name="nerfstudio",
    title="NeRF / nerfstudio transforms.json",
    convention="world_from_cam, OpenGL camera axes (x right, y up, z back), world axes left as "
    "they are; fl_x fl_y cx cy in pixels",
    read=read,
    sniff=sniff,
    write=write,
    file_name="transforms.json",
)
