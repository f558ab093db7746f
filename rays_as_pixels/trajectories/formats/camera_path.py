"""nerfstudio's camera_path.json, which its viewer saves and its renderer reads.

camera_path[]: camera_to_world (16 numbers, row by row, OpenGL camera), fov (vertical degrees),
aspect (width / height). fps times seconds is the number of frames. Pixels are square and the
principal point is the image centre; our extra field keeps what differs.
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
from rays_as_pixels.trajectories.formats.jsonfile import (
    describe,
    lines_of,
    object_of,
    parse_json,
)
from rays_as_pixels.trajectories.formats.poses import (
    checked_fov_deg,
    flip_camera,
    fov_from_focal,
)
from rays_as_pixels.trajectories.formats.textfile import read_text

MOST_KEYFRAMES = 33


def read(path: Path, options: ReadOptions) -> PathData:
    """Read the rendered frames (`camera_path`) of a camera_path.json."""
    file = parse_json(read_text(path), path.name)
    entries = file.get("camera_path")
    if not isinstance(entries, list) or not entries:
        remedy = "Let the viewer generate the path before saving it."
        raise file.fail(("camera_path",), "be a list of 1 or more", describe(entries), remedy)
    if file.value.get("camera_type", "perspective") != "perspective":
        got = describe(file.value["camera_type"])
        raise file.fail(("camera_type",), "be 'perspective'", got, "Save it as perspective.")
    count = len(entries)
    poses = np.stack(
        [file.numbers(("camera_path", i, "camera_to_world"), (16,)) for i in range(count)]
    )

    def where(frame: int) -> str:
        return file.where("camera_path", frame)

    fov = np.array([file.number("camera_path", i, "fov") for i in range(count)])
    notes = []
    fps = file.positive("fps") if "fps" in file.value else None
    if fps is None and "seconds" in file.value:
        fps = count / file.positive("seconds")
    elif fps is not None and "seconds" in file.value:
        expected = fps * file.number("seconds")
        if round(expected) != count:
            notes.append(
                f"fps x seconds is {expected:g} but the path has {count} frames: fps used."
            )
    return PathData(
        world_from_cam=flip_camera(poses.reshape(-1, 4, 4)),
        where=where,
        vfov_rad=checked_fov_deg(fov, where),
        size=(file.size("render_width"), file.size("render_height")),
        fps=fps,
        notes=notes,
        about=as_about(file.value.get(KEY)),
    )


def write(frames: Frames, path: Path, extra: "dict[str, Any]") -> Written:
    """Write a camera_path.json with every frame, and up to 33 of them as keyframes to edit."""
    width, height = frames.size
    fov = np.rad2deg(fov_from_focal(frames.focal_px[:, 1], height)).tolist()
    poses = flip_camera(frames.world_from_cam).reshape(-1, 16).tolist()
    keys = np.unique(np.linspace(0, len(frames) - 1, MOST_KEYFRAMES).round().astype(int)).tolist()
    seconds = len(frames) / frames.fps
    default_sec = seconds / max(1, len(keys) - 1)
    head: dict[str, Any] = {
        "default_fov": fov[0],
        "default_transition_sec": default_sec,
        "camera_type": "perspective",
        "render_height": height,
        "render_width": width,
        "fps": frames.fps,
        "seconds": seconds,
        "is_cycle": False,
        "smoothness_value": 0.0,
        KEY: about_of(frames, SPEC.convention, extra),
    }
    keyframes = [
        json.dumps(
            {
                "matrix": poses[i],
                "fov": fov[i],
                "aspect": width / height,
                "override_transition_enabled": False,
                "override_transition_sec": None,
            }
        )
        for i in keys
    ]
    lines = [
        json.dumps({"camera_to_world": poses[i], "fov": fov[i], "aspect": width / height})
        for i in range(len(frames))
    ]
    blocks = lines_of("keyframes", keyframes), lines_of("camera_path", lines)
    write_text(path, object_of(head, *blocks))
    notes = []
    if not frames.is_centered or not frames.has_square_pixels:
        notes.append(
            "The format has square pixels and a centred principal point; a field of ours keeps "
            "the exact intrinsics."
        )
    return Written((path,), tuple(notes))


def sniff(content: FileContent) -> bool:
    """Look for the key "camera_path"."""
    return "camera_path" in content.json_object


SPEC = FormatSpec(
    name="camera-path",
    title="nerfstudio camera_path.json",
    convention="world_from_cam row by row, OpenGL camera axes (x right, y up, z back); fov in "
    "vertical degrees",
    read=read,
    sniff=sniff,
    write=write,
    file_name="camera_path.json",
)
