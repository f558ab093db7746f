"""The project's own trajectory file: JSON, everything in it, nothing assumed.

    {"format": "rays-as-pixels/trajectory", "version": 1, "convention": "opencv world_from_cam",
     "scale": ..., "width": ..., "height": ..., "fps": ..., "extra": {...},
     "frames": [{"time_sec", "source_frame", "fx", "fy", "cx", "cy", "world_from_cam": 4x4}]}

Pixels: the first pixel's centre is at (0.5, 0.5). `source_frame` and `extra` may be left out;
`extra` holds whatever the writer wants to keep with the path (app version, seed, ...). Numbers are
written so that float64 reads back bit for bit.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.files import write_text
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.conventions import CONVENTION, SCALE_NOTE
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.formats.about import app_version
from rays_as_pixels.trajectories.formats.base import (
    FormatSpec,
    Frames,
    PathData,
    ReadOptions,
    Written,
    frames_of,
)
from rays_as_pixels.trajectories.formats.content import FileContent
from rays_as_pixels.trajectories.formats.jsonfile import (
    JsonFile,
    describe,
    lines_of,
    object_of,
    parse_json,
)
from rays_as_pixels.trajectories.formats.poses import rigid_deviation
from rays_as_pixels.trajectories.formats.textfile import decode, read_bytes

FORMAT = "rays-as-pixels/trajectory"
VERSION = 1
RIGID_TOLERANCE = 1e-4  # that of Cameras
_HEAD = ("format", "version", "convention", "scale", "width", "height", "fps", "frames", "extra")
_FRAME = ("time_sec", "source_frame", "fx", "fy", "cx", "cy", "world_from_cam")
_REMEDY = "Repair or remove that frame."


def read_native(path: "str | Path") -> Trajectory:
    """Read a native file. Inverse of `write_native`.

    Raises:
        InputError: Any rule of the format is broken; the message names line, column and field.
    """
    return read_native_with_extra(path)[0]


def read_native_with_extra(path: "str | Path") -> "tuple[Trajectory, dict[str, Any]]":
    """Read a native file and what its writer kept with it (`extra`; scale note included).

    Raises:
        InputError: Any rule of the format is broken; the message names line, column and field.
    """
    path = Path(path)
    return parse_native(decode(read_bytes(path), path.name), path.name)


def parse_native(text: str, name: str) -> "tuple[Trajectory, dict[str, Any]]":
    """Read a native file's text; see `read_native_with_extra`."""
    file = parse_json(text, name)
    _check_head(file)
    frames = file.get("frames")
    if not isinstance(frames, list) or not frames:
        raise file.fail(("frames",), "be a list of 1 or more", describe(frames), "Add a frame.")
    for index, frame in enumerate(frames):
        _check_keys(file, frame, index)
    intrinsics = _columns(file, frames, ("fx", "fy", "cx", "cy"))
    time = _columns(file, frames, ("time_sec",))[:, 0]
    pose = (
        file.check_numbers([f["world_from_cam"] for f in frames], ("frames",), (-1, 4, 4))
        if _looks_like_poses(frames)
        else _bad_pose(file, frames)
    )
    _check_frames(file, pose, intrinsics, time)
    cameras = Cameras(
        torch.from_numpy(pose),
        torch.from_numpy(intrinsics[:, :2].copy()),
        torch.from_numpy(intrinsics[:, 2:].copy()),
        file.size("height"),
        file.size("width"),
    )
    source = _source_frames(file, frames)
    extra = dict(file.value.get("extra", {}))
    extra.update({key: file.value[key] for key in file.value if key not in _HEAD})
    extra.setdefault("scale", file.value.get("scale", SCALE_NOTE))
    trajectory = Trajectory(cameras, file.positive("fps"), torch.from_numpy(time), source)
    return trajectory, extra


def write_native(
    trajectory: Trajectory, path: "str | Path", *, extra: "dict[str, Any] | None" = None
) -> None:
    """Write a native file atomically. Inverse of `read_native`.

    Args:
        trajectory: The path.
        path: The file; its folder must exist.
        extra: Values to keep with the path, JSON types only. `app_version` is filled in; `scale`
            replaces the standard scale note.

    Raises:
        InputError: The file cannot be written, or `extra` holds what JSON cannot.
    """
    write_text(Path(path), native_text(trajectory, extra=extra))


def native_text(trajectory: Trajectory, *, extra: "dict[str, Any] | None" = None) -> str:
    """Return the text that `write_native` writes: one line a frame."""
    kept = dict(extra or {})
    scale = kept.pop("scale", SCALE_NOTE)
    kept.setdefault("app_version", app_version())
    cameras = trajectory.cameras
    head = {
        "format": FORMAT,
        "version": VERSION,
        "convention": CONVENTION,
        "scale": scale,
        "width": cameras.width,
        "height": cameras.height,
        "fps": trajectory.fps,
        "extra": kept,
    }
    poses = cameras.world_from_cam.to(torch.float64).tolist()
    focal, center = cameras.focal_px.double().tolist(), cameras.center_px.double().tolist()
    source = trajectory.source_frame
    frames = [
        f'{{"time_sec": {time!r}, '
        + (f'"source_frame": {int(source[i])}, ' if source is not None else "")
        + f'"fx": {focal[i][0]!r}, "fy": {focal[i][1]!r}, '
        f'"cx": {center[i][0]!r}, "cy": {center[i][1]!r}, "world_from_cam": {poses[i]!r}}}'
        for i, time in enumerate(trajectory.times_sec.double().tolist())
    ]
    try:
        return object_of(head, lines_of("frames", frames))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"extra must hold only finite JSON values; got {error}. Convert it to numbers, "
            "strings, lists and dicts."
        ) from None


def _check_head(file: JsonFile) -> None:
    if not isinstance(file.value, dict):
        raise file.fail((), "be an object", describe(file.value), "Choose another --input-format.")
    if file.get("format") != FORMAT:
        raise file.fail(
            ("format",),
            f"be {FORMAT!r}",
            describe(file.get("format")),
            "Choose another --input-format.",
        )
    version = file.get("version")
    if version != VERSION or isinstance(version, bool):
        remedy = "Update this program or export the file again."
        raise file.fail(("version",), f"be {VERSION}", describe(version), remedy)
    if file.get("convention") != CONVENTION:
        remedy = "Convert the poses to that convention first."
        got = describe(file.get("convention"))
        raise file.fail(("convention",), f"be {CONVENTION!r}", got, remedy)
    if not isinstance(file.value.get("extra", {}), dict):
        raise file.fail(("extra",), "be an object", describe(file.get("extra")), "Use {}.")
    if not isinstance(file.value.get("scale", ""), str):
        raise file.fail(("scale",), "be a sentence", describe(file.get("scale")), "Use quotes.")


def _check_keys(file: JsonFile, frame: Any, index: int) -> None:
    field = ("frames", index)
    if not isinstance(frame, dict):
        raise file.fail(field, "be an object", describe(frame), _REMEDY)
    for key in _FRAME:
        if key not in frame and key != "source_frame":
            raise file.fail(field, f"have {key!r}", describe(frame), _REMEDY)
    for key in frame:
        if key not in _FRAME:
            rule = "have no field but " + ", ".join(_FRAME)
            raise file.fail((*field, key), rule, repr(key), "Move it to the top-level 'extra'.")


def _columns(file: JsonFile, frames: "list[dict]", keys: tuple[str, ...]) -> np.ndarray:
    rows = [[frame[key] for key in keys] for frame in frames]
    try:
        return file.check_numbers(rows, ("frames",), (-1, len(keys)))
    except InputError:
        for index in range(len(frames)):
            for key in keys:
                file.number("frames", index, key)
        raise


def _looks_like_poses(frames: "list[dict]") -> bool:
    return all(
        isinstance(f["world_from_cam"], list)
        and len(f["world_from_cam"]) == 4
        and all(isinstance(row, list) and len(row) == 4 for row in f["world_from_cam"])
        and all(type(value) in (int, float) for row in f["world_from_cam"] for value in row)
        for f in frames
    )


def _bad_pose(file: JsonFile, frames: "list[dict]") -> np.ndarray:
    poses = [file.numbers(("frames", i, "world_from_cam"), (4, 4)) for i in range(len(frames))]
    return np.stack(poses)


def _check_frames(
    file: JsonFile, pose: np.ndarray, intrinsics: np.ndarray, time: np.ndarray
) -> None:
    if not np.isfinite(pose).all():
        _bad_pose(file, file.get("frames"))
    off = rigid_deviation(pose)
    if (off > RIGID_TOLERANCE).any():
        worst = int(np.argmax(off > RIGID_TOLERANCE))
        rule = "be rigid (R^T R = 1, det R = +1, last row 0 0 0 1)"
        raise file.fail(
            ("frames", worst, "world_from_cam"),
            rule,
            f"a deviation of {off[worst]:.3g}",
            "Remove scale or mirroring from the pose.",
        )
    if (intrinsics[:, :2] <= 0).any():
        index, axis = np.argwhere(intrinsics[:, :2] <= 0)[0].tolist()
        file.positive("frames", index, "fx" if axis == 0 else "fy")
    if (np.diff(time) <= 0).any():
        index = int(np.argmax(np.diff(time) <= 0)) + 1
        got = f"{float(time[index])!r} after {float(time[index - 1])!r}"
        raise file.fail(("frames", index, "time_sec"), "increase", got, "Sort frames by time.")


def _source_frames(file: JsonFile, frames: "list[dict]") -> "tuple[int, ...] | None":
    given: list[Any] = [frame.get("source_frame") for frame in frames]
    if all(value is None for value in given):
        return None
    for index, value in enumerate(given):
        if type(value) is not int or value < 0:
            rule = "be a whole number from 0 on every frame, or be left out on all"
            field = ("frames", index, "source_frame")
            raise file.fail(field, rule, describe(value), "Add it or remove it everywhere.")
    return tuple(given)


def trajectory_of(frames: Frames) -> Trajectory:
    """Return the trajectory of float64 arrays. Inverse of `frames_of`."""
    cameras = Cameras(
        torch.from_numpy(frames.world_from_cam),
        torch.from_numpy(frames.focal_px),
        torch.from_numpy(frames.center_px),
        frames.size[1],
        frames.size[0],
    )
    return Trajectory(cameras, frames.fps, torch.from_numpy(frames.time_sec), frames.source_frame)


def data_of(trajectory: Trajectory, extra: "dict[str, Any]", where) -> PathData:
    """Return a whole trajectory as what a reader found."""
    frames = frames_of(trajectory)
    return PathData(
        world_from_cam=frames.world_from_cam,
        where=where,
        focal_px=frames.focal_px,
        center_px=frames.center_px,
        size=frames.size,
        time_sec=frames.time_sec,
        fps=frames.fps,
        source_frame=frames.source_frame,
        extra=extra,
    )


def read(path: Path, options: ReadOptions) -> PathData:
    """Read a native file."""
    trajectory, extra = read_native_with_extra(path)
    return data_of(trajectory, extra, lambda frame: f"{path.name}, field frames[{frame}]")


def write(frames: Frames, path: Path, extra: "dict[str, Any]") -> Written:
    """Write a native file."""
    write_native(trajectory_of(frames), path, extra=extra)
    return Written((path,))


def sniff(content: FileContent) -> bool:
    """Tell whether the JSON says that it is ours."""
    return content.json_object.get("format") == FORMAT


SPEC = FormatSpec(
    name="native",
    title="Rays as Pixels trajectory",
    convention=f"{CONVENTION} 4x4; pixels with the first centre at (0.5, 0.5); seconds",
    read=read,
    sniff=sniff,
    write=write,
    file_name="trajectory.json",
    extensions=(".json",),
)
