"""OpenUSD text (.usda): one camera prim with time samples.

Y up; the camera looks along -Z; matrices are for row vectors, so the translation is the last row.
Time codes are frames (`timeCodesPerSecond` = fps). Aperture and focal length in millimetres of a
36 mm wide sensor; apertures' offsets carry the principal point.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from rays_as_pixels.errors import InputError
from rays_as_pixels.files import write_text
from rays_as_pixels.trajectories.formats.about import about_from_comments, about_of, comment_lines
from rays_as_pixels.trajectories.formats.base import (
    FormatSpec,
    Frames,
    PathData,
    ReadOptions,
    Written,
)
from rays_as_pixels.trajectories.formats.content import FileContent
from rays_as_pixels.trajectories.formats.gltf import to_gltf
from rays_as_pixels.trajectories.formats.textfile import (
    join_lines,
    line_and_column,
    number_rows,
    read_text,
)

APERTURE_MM = 36.0
MAGIC = "#usda 1.0"
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_MATRIX = "matrix4d xformOp:transform.timeSamples = {"


def lens_mm(frames: Frames) -> "dict[str, np.ndarray]":
    """Return USD's five lens numbers, each (F,), in millimetres."""
    width, height = frames.size
    fx, fy = frames.focal_px.T
    cx, cy = frames.center_px.T
    vertical = APERTURE_MM * (height / width) * fx / fy
    return {
        "focalLength": fx * APERTURE_MM / width,
        "horizontalAperture": np.full(len(frames), APERTURE_MM),
        "verticalAperture": vertical,
        "horizontalApertureOffset": (width / 2 - cx) * APERTURE_MM / width,
        "verticalApertureOffset": (cy - height / 2) * vertical / height,
    }


def write(frames: Frames, path: Path, extra: "dict[str, Any]") -> Written:
    """Write a .usda; comments keep what USD has no room for."""
    codes = [repr(code) for code in (frames.time_sec * frames.fps).tolist()]
    matrices = to_gltf(frames.world_from_cam).transpose(0, 2, 1)
    rows = number_rows(matrices.reshape(-1, 4), ", ")
    samples = [
        f"            {code}: ( ({rows[4 * i]}), ({rows[4 * i + 1]}), ({rows[4 * i + 2]}), "
        f"({rows[4 * i + 3]}) ),"
        for i, code in enumerate(codes)
    ]
    lens = []
    for name, values in lens_mm(frames).items():
        if (values == values[0]).all():
            lens.append(f"        float {name} = {float(values[0])!r}")
        else:
            keys = ", ".join(
                f"{code}: {value!r}" for code, value in zip(codes, values.tolist(), strict=True)
            )
            lens.append(f"        float {name}.timeSamples = {{ {keys} }}")
    lines = [
        MAGIC,
        *comment_lines(about_of(frames, SPEC.convention, extra)),
        "(",
        '    defaultPrim = "trajectory"',
        '    upAxis = "Y"',
        "    metersPerUnit = 1",
        f"    timeCodesPerSecond = {frames.fps!r}",
        f"    framesPerSecond = {frames.fps!r}",
        f"    startTimeCode = {codes[0]}",
        f"    endTimeCode = {codes[-1]}",
        ")",
        'def Xform "trajectory"',
        "{",
        '    def Camera "camera"',
        "    {",
        '        token projection = "perspective"',
        "        float2 clippingRange = (0.01, 100000)",
        *lens,
        f"        {_MATRIX}",
        *samples,
        "        }",
        '        uniform token[] xformOpOrder = ["xformOp:transform"]',
        "    }",
        "}",
    ]
    write_text(path, join_lines(lines))
    return Written((path,), ("Scene units are written as metres (metersPerUnit = 1).",))


def read(path: Path, options: ReadOptions) -> PathData:
    """Read the camera of a .usda laid out as ours: one prim, `xformOp:transform` time samples."""
    text = read_text(path)
    start = text.find(_MATRIX)
    end = text.find("}", start)
    if start < 0 or end < 0:
        raise InputError(
            f"{path.name}, line {line_and_column(text, max(start, 0))[0]}, column 1: the file must "
            f"hold '{_MATRIX} ... }}' with one 4x4 a frame; got none. Bake the camera's animation."
        )
    first_line = line_and_column(text, start)[0] + 1
    values = np.array(_NUMBER.findall(text, start + len(_MATRIX), end), dtype=np.float64)
    if not len(values) or len(values) % 17:
        raise InputError(
            f"{path.name}, line {first_line}, column 1: each sample must be a time code and 16 "
            f"numbers; got {len(values)} numbers in all. Export it again."
        )
    samples = values.reshape(-1, 17)
    rate = _header_number(text, "timeCodesPerSecond", 24.0)
    data = PathData(
        world_from_cam=to_gltf(samples[:, 1:].reshape(-1, 4, 4).transpose(0, 2, 1)),
        where=lambda frame: f"{path.name}, line {first_line + frame}, column 1",
        fps=rate,
        about=about_from_comments(text[:start].split("\n")[1:4], path.name),
    )
    if data.about is None:
        data.time_sec = samples[:, 0] / rate
        focal = _header_number(text, "float focalLength", 0.0)
        if focal > 0:
            half = _header_number(text, "float horizontalAperture", APERTURE_MM) / 2
            data.hfov_rad = np.full(len(samples), 2 * np.arctan(half / focal))
    return data


def _header_number(text: str, name: str, default: float) -> float:
    match = re.search(rf"\b{name}\s*=\s*({_NUMBER.pattern})", text)
    return float(match.group(1)) if match else default


def sniff(content: FileContent) -> bool:
    """Look for the first line of every USD text file."""
    return content.text.startswith(MAGIC)


SPEC = FormatSpec(
    name="usda",
    title="OpenUSD text",
    convention="world_from_cam for row vectors (translation in the last row), +Y up, the camera "
    "looks along -Z; time codes in frames; lens in mm",
    read=read,
    sniff=sniff,
    write=write,
    file_name="trajectory.usda",
    extensions=(".usda",),
)
