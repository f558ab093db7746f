"""A Python script that sets up an animated camera when run inside Blender.

Blender's world has Z up; its camera looks along -Z with +Y up. So our world (y down, z forward) is
turned: X = x, Y = z, Z = -y. Quaternions w x y z; lens in millimetres of a 36 mm sensor fitted
horizontally; principal point as lens shift.
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
from rays_as_pixels.trajectories.formats.poses import (
    BLENDER_FROM_OPENCV_WORLD,
    compose,
    flip_camera,
    fov_from_focal,
    rotations_from_wxyz,
    wxyz_of,
)
from rays_as_pixels.trajectories.formats.textfile import (
    join_lines,
    number_rows,
    parse_table,
    read_text,
)

SENSOR_MM = 36.0
COLUMNS = 11
KEYS_START, KEYS_END = "KEYS = [", "]"
_SCRIPT = """\
import bpy

WIDTH, HEIGHT, FPS, PIXEL_ASPECT_Y = {width}, {height}, {fps!r}, {aspect!r}
# frame, x, y, z, qw, qx, qy, qz, lens in mm, shift_x, shift_y
{start}
{keys}
{end}

scene = bpy.context.scene
scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
scene.render.fps, scene.render.fps_base = max(1, round(FPS)), max(1, round(FPS)) / FPS
scene.render.pixel_aspect_x = max(1.0, 1.0 / PIXEL_ASPECT_Y)
scene.render.pixel_aspect_y = max(1.0, PIXEL_ASPECT_Y)
scene.frame_start, scene.frame_end = 1, max(1, round(KEYS[-1][0]))

lens = bpy.data.cameras.new("trajectory")
lens.sensor_fit, lens.sensor_width = "HORIZONTAL", {sensor!r}
camera = bpy.data.objects.new("trajectory", lens)
camera.rotation_mode = "QUATERNION"
scene.collection.objects.link(camera)
scene.camera = camera
for frame, x, y, z, qw, qx, qy, qz, lens_mm, shift_x, shift_y in KEYS:
    camera.location, camera.rotation_quaternion = (x, y, z), (qw, qx, qy, qz)
    lens.lens, lens.shift_x, lens.shift_y = lens_mm, shift_x, shift_y
    camera.keyframe_insert("location", frame=frame)
    camera.keyframe_insert("rotation_quaternion", frame=frame)
    for name in ("lens", "shift_x", "shift_y"):
        lens.keyframe_insert(name, frame=frame)
"""


def keys_of(frames: Frames) -> np.ndarray:
    """Return one row a frame: frame, location, rotation w x y z, lens mm, shift x and y."""
    pose = BLENDER_FROM_OPENCV_WORLD @ flip_camera(frames.world_from_cam)
    width, height = frames.size
    fx, fy = frames.focal_px.T
    cx, cy = frames.center_px.T
    columns = [
        1 + frames.time_sec * frames.fps,
        pose[:, :3, 3],
        wxyz_of(pose[:, :3, :3]),
        fx * SENSOR_MM / width,
        (width / 2 - cx) / width,
        (cy - height / 2) / width * fx / fy,
    ]
    return np.column_stack(columns)


def write(frames: Frames, path: Path, extra: "dict[str, Any]") -> Written:
    """Write the script."""
    ratio = frames.focal_px[:, 0] / frames.focal_px[:, 1]
    rows = (f"    ({row})," for row in number_rows(keys_of(frames), ", "))
    script = _SCRIPT.format(
        width=frames.size[0],
        height=frames.size[1],
        fps=frames.fps,
        aspect=float(ratio[0]),
        sensor=SENSOR_MM,
        start=KEYS_START,
        keys="\n".join(rows),
        end=KEYS_END,
    )
    about = about_of(frames, SPEC.convention, extra)
    title = '"""Camera path: run in Blender (blender --python THIS_FILE)."""'
    write_text(path, join_lines([title, *comment_lines(about)]) + script)
    notes = ["Run it in Blender: blender --python " + path.name]
    if np.ptp(ratio) > 1e-9 * ratio[0]:
        notes.append("fx / fy changes, which Blender cannot animate: that of frame 0 is used.")
    return Written((path,), tuple(notes))


def read(path: Path, options: ReadOptions) -> PathData:
    """Read the keys of a script of ours; it is never run."""
    text = read_text(path)
    lines = text.split("\n")
    if KEYS_START not in lines or KEYS_END not in lines:
        raise InputError(
            f"{path.name}, line 1, column 1: the script must hold a list '{KEYS_START}' as this "
            "program writes it; got none. Export it again."
        )
    start, end = lines.index(KEYS_START) + 1, lines.index(KEYS_END)
    head = re.search(r"^WIDTH, HEIGHT, .* = (\d+), (\d+), (\S+), (\S+)$", text, re.MULTILINE)
    body = [re.sub(r"[()]", " ", line).rstrip(", ") for line in lines[start:end]]
    table = parse_table(
        "\n".join([*[""] * start, *body]),
        path.name,
        columns=(COLUMNS,),
        separator=",",
        remedy="Export the script again.",
    )
    values, notes = table.values, ["The script was read, not run."]

    pose = compose(rotations_from_wxyz(values[:, 4:8], table.where, notes), values[:, 1:4])
    data = PathData(
        world_from_cam=flip_camera(BLENDER_FROM_OPENCV_WORLD.T @ pose),
        where=table.where,
        notes=notes,
        about=about_from_comments(lines[1:4], path.name),
    )
    if head is not None:
        width, height, fps, aspect = map(float, head.groups())
        fx = values[:, 8] * width / SENSOR_MM
        data.size = (int(width), int(height))
        if data.about is not None:  # it keeps fx / fy where that changes, if the lens still fits
            data.hfov_rad = fov_from_focal(fx, width)
        else:
            data.focal_px = np.stack([fx, fx / aspect], axis=1)
            data.center_px = np.stack(
                [width / 2 - values[:, 9] * width, height / 2 + values[:, 10] * width / aspect],
                axis=1,
            )
        data.fps = fps
        data.time_sec = None if data.about else (values[:, 0] - 1) / fps
    return data


def sniff(content: FileContent) -> bool:
    """Look for a Blender script with our list of keys."""
    return "import bpy" in content.text and KEYS_START in content.text


SPEC = FormatSpec(
    name="blender",
    title="Blender script",
    convention="Blender world (Z up, X = x, Y = z, Z = -y), the camera looks along -Z; quaternion "
    "w x y z; lens in mm of a 36 mm sensor",
    read=read,
    sniff=sniff,
    write=write,
    file_name="trajectory_blender.py",
    extensions=(".py",),
)
