"""What our exports say about themselves, beside or inside the foreign format's own fields.

A format without room for times, image size or intrinsics loses them. Our writers put them into
a dict, "about", that travels in the file where it tolerates extra fields and in a side file
`NAME.about.json` where it does not. Our readers use it only for what the format itself lacks.
"""

import json
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from rays_as_pixels.errors import InputError
from rays_as_pixels.files import write_text
from rays_as_pixels.geometry.conventions import SCALE_NOTE
from rays_as_pixels.trajectories.formats.base import Frames, PathData
from rays_as_pixels.trajectories.formats.jsonfile import JsonFile, parse_json
from rays_as_pixels.trajectories.formats.poses import focal_from_fov
from rays_as_pixels.trajectories.formats.textfile import decode, read_bytes

PROGRAM = "rays-as-pixels"
KEY = "rays_as_pixels"
_OURS = (
    "app_version",
    "convention",
    "width",
    "height",
    "fps",
    "frames",
    "start_sec",
    "intrinsics_px",
    "time_sec",
    "source_frame",
)


@cache
def app_version() -> str:
    """Return the program's version, from the installed package or the source tree around it."""
    try:
        return metadata.version(PROGRAM)
    except metadata.PackageNotFoundError:
        pyproject = Path(__file__).parents[3] / "pyproject.toml"
        if not pyproject.is_file():
            return "unknown"
        return str(tomllib.loads(pyproject.read_text("utf-8"))["project"]["version"])


def summary_of(frames: Frames, convention: str, extra: "dict[str, Any]") -> "dict[str, Any]":
    """Return the short part of about: program, convention, size, rate, count, scale, extra."""
    head = {
        "app_version": app_version(),
        "convention": convention,
        "width": frames.size[0],
        "height": frames.size[1],
        "fps": frames.fps,
        "frames": len(frames),
    }
    rest = {"scale": SCALE_NOTE, **extra}
    return head | {key: value for key, value in rest.items() if key not in head}


def about_of(frames: Frames, convention: str, extra: "dict[str, Any]") -> "dict[str, Any]":
    """Return all of about: the summary, intrinsics, times and source frames.

    Intrinsics that never change are given once, evenly spaced times by their start.
    """
    about = summary_of(frames, convention, extra)
    rows = np.hstack([frames.focal_px, frames.center_px])
    about["intrinsics_px"] = rows[:1].tolist() if frames.has_one_lens else rows.tolist()
    about["start_sec"] = float(frames.time_sec[0])
    if not np.array_equal(frames.time_sec, _even_times(about, len(frames))):
        about["time_sec"] = frames.time_sec.tolist()
    if frames.source_frame is not None:
        about["source_frame"] = list(frames.source_frame)
    return about


def _even_times(about: "dict[str, Any]", count: int) -> np.ndarray:
    return about.get("start_sec", 0.0) + np.arange(count, dtype=np.float64) / about["fps"]


def comment_lines(about: "dict[str, Any]", mark: str = "# ") -> list[str]:
    """Return about as comment lines: a readable one, then the data on one line of JSON."""
    text = json.dumps(about, allow_nan=False)
    return [f"{mark}{PROGRAM} {about['app_version']}: {about['convention']}", f"{mark}{KEY} {text}"]


def about_from_comments(comments: list[str], name: str) -> "dict[str, Any] | None":
    """Find about among comment lines that `comment_lines` wrote. Inverse of it."""
    for line in comments:
        text = line.lstrip("#/ ")
        if text.startswith(f"{KEY} {{"):
            return as_about(parse_json(text[len(KEY) + 1 :], f"{name}, comment").value)
    return None


def as_about(value: Any) -> "dict[str, Any] | None":
    """Return a parsed JSON value if it is an about dict, else None."""
    return value if isinstance(value, dict) and "app_version" in value else None


def side_path(path: Path) -> Path:
    """Return where the side file of a path file lies."""
    return path.with_name(path.name + ".about.json")


def write_side_file(path: Path, about: "dict[str, Any]") -> Path:
    """Write the side file of `path` and return its path."""
    side = side_path(path)
    lines = (f"  {json.dumps(k)}: {json.dumps(v, allow_nan=False)}" for k, v in about.items())
    write_text(side, "{\n" + ",\n".join(lines) + "\n}\n")
    return side


def read_side_file(path: Path) -> "dict[str, Any] | None":
    """Read the side file of `path` if there is one.

    Raises:
        InputError: It is there but not a side file.
    """
    side = side_path(path)
    if not side.is_file():
        return None
    about = as_about(parse_json(decode(read_bytes(side), side.name), side.name).value)
    if about is None:
        raise InputError(
            f"{side.name} must be a side file of this program; got other JSON. Rename it."
        )
    return about


def fill_from_about(data: PathData, origin: str) -> None:
    """Complete what a format lacks from its about dict, in place, and say so.

    A dict for another number of frames, or with damaged fields, is not used; a note says so.
    """
    about = data.about
    if about is None:
        return
    count = len(data.world_from_cam)
    try:
        parsed = _parse(about, count, origin)
    except InputError as error:
        data.notes.append(f"Not used: {error}")
        return
    used = []
    if data.size is None and "size" in parsed:
        data.size = parsed["size"]
        used.append("image size")
    if data.focal_px is None and "rows" in parsed and _fits_angles(data, parsed["rows"]):
        data.focal_px, data.center_px = parsed["rows"][:, :2], parsed["rows"][:, 2:]
        used.append("intrinsics")
    elif data.focal_px is not None and data.center_px is None and "rows" in parsed:
        data.center_px = parsed["rows"][:, 2:]
        used.append("principal points")
    if data.time_sec is None:
        data.time_sec = parsed["time"]
        used.append("times")
    data.fps = data.fps or parsed["fps"]
    if data.source_frame is None and "source_frame" in parsed:
        data.source_frame = parsed["source_frame"]
    data.extra = {k: v for k, v in about.items() if k not in _OURS} | data.extra
    if used:
        data.notes.append(f"From {origin}: {', '.join(used)}.")


def _fits_angles(data: PathData, rows: np.ndarray) -> bool:
    """Whether intrinsics repeat the angles in the file, so that they only add what those lack."""
    for angle, focal, side in ((data.hfov_rad, rows[:, 0], 0), (data.vfov_rad, rows[:, 1], 1)):
        if angle is not None and data.size is not None:
            expected = focal_from_fov(angle, data.size[side])
            if not np.allclose(focal, expected, rtol=1e-6, atol=0):
                data.notes.append("Angles in the file were edited: they, not about, were used.")
                return False
    return True


def _parse(about: "dict[str, Any]", count: int, origin: str) -> "dict[str, Any]":
    file = JsonFile(json.dumps(about), origin, about)
    if about.get("frames") != count:
        raise InputError(
            f"{origin} must be for {count} frames; got {about.get('frames')}. Export both together."
        )
    parsed: dict[str, Any] = {"fps": file.positive("fps")}
    if "width" in about:
        parsed["size"] = (file.size("width"), file.size("height"))
    if "intrinsics_px" in about:
        rows = file.numbers(("intrinsics_px",), (-1, 4))
        if len(rows) not in (1, count):
            raise file.fail(("intrinsics_px",), f"have 1 or {count} rows", str(len(rows)), "")
        parsed["rows"] = np.broadcast_to(rows, (count, 4)).copy()
    parsed["time"] = (
        file.numbers(("time_sec",), (count,))
        if "time_sec" in about
        else _even_times(about | {"start_sec": file.number("start_sec")}, count)
    )
    source = about.get("source_frame")
    if isinstance(source, list) and len(source) == count and all(type(i) is int for i in source):
        parsed["source_frame"] = tuple(source)
    return parsed
