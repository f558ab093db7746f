"""Camera paths of instant-ngp and of the GEN3C viewer, which is built on it.

path[]: R (quaternion x y z w, camera to world), T, fov in degrees (vertical, ngp's default axis).
The camera has OpenCV axes; the world is the viewer's own. GEN3C adds `timestamp`, the second at
which the *next* keyframe begins, so the first keyframe is at 0 and all stamps are positive.
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
from rays_as_pixels.trajectories.formats.jsonfile import describe, lines_of, object_of, parse_json
from rays_as_pixels.trajectories.formats.poses import (
    checked_fov_deg,
    compose,
    fov_from_focal,
    rotations_from_wxyz,
    wxyz_of,
)
from rays_as_pixels.trajectories.formats.textfile import read_text


def read(path: Path, options: ReadOptions) -> PathData:
    """Read an instant-ngp or GEN3C path."""
    file = parse_json(read_text(path), path.name)
    entries = file.get("path")
    if not isinstance(entries, list) or not entries:
        raise file.fail(("path",), "be a list of 1 or more", describe(entries), "Add a keyframe.")
    count = range(len(entries))
    xyzw = np.stack([file.numbers(("path", i, "R"), (4,)) for i in count])
    position = np.stack([file.numbers(("path", i, "T"), (3,)) for i in count])
    fov = np.array([file.number("path", i, "fov") for i in count])
    notes = ["Each keyframe is one frame; the viewer's own spline between them is not applied."]

    def where(frame: int) -> str:
        return file.where("path", frame)

    return PathData(
        world_from_cam=compose(rotations_from_wxyz(xyzw[:, [3, 0, 1, 2]], where, notes), position),
        where=where,
        vfov_rad=checked_fov_deg(fov, where),
        time_sec=_times(file, notes),
        notes=notes,
        about=as_about(file.value.get(KEY)),
    )


def _times(file, notes: list[str]) -> "np.ndarray | None":
    entries = file.value["path"]
    if not all(isinstance(entry, dict) and "timestamp" in entry for entry in entries):
        return None
    stamps = np.array([file.number("path", i, "timestamp") for i in range(len(entries))])
    if as_about(file.value.get(KEY)) is not None:
        return None  # exact times are there
    if stamps[0] <= 0 or (np.diff(stamps) <= 0).any():
        notes.append("Timestamps do not increase from above 0, so they are not used.")
        return None
    return np.concatenate([[0.0], stamps[:-1]])


def write(frames: Frames, path: Path, extra: "dict[str, Any]") -> Written:
    """Write a path with one keyframe a frame, in the fields of both viewers."""
    wxyz = wxyz_of(frames.world_from_cam[:, :3, :3])
    xyzw, position = wxyz[:, [1, 2, 3, 0]].tolist(), frames.world_from_cam[:, :3, 3].tolist()
    fov = np.rad2deg(fov_from_focal(frames.focal_px[:, 1], frames.size[1])).tolist()
    end = frames.time_sec[-1] + 1 / frames.fps
    stamps = (np.append(frames.time_sec[1:], end) - frames.time_sec[0]).tolist()
    lines = [
        json.dumps(
            {
                "R": xyzw[i],
                "T": position[i],
                "fov": fov[i],
                "timestamp": stamps[i],
                "slice": 0.0,
                "scale": 1.0,
                "aperture_size": 0.0,
            }
        )
        for i in range(len(frames))
    ]
    head = {
        "loop": False,
        "time": 0.0,
        "duration_seconds": stamps[-1],
        "spline_order": 1,
        KEY: about_of(frames, SPEC.convention, extra),
    }
    write_text(path, object_of(head, lines_of("path", lines)))
    note = "Poses are in this path's world; instant-ngp's own is scaled and shifted by its scene."
    return Written((path,), (note,))


def sniff(content: FileContent) -> bool:
    """Look for a path of keys with a rotation R."""
    path = content.json_object.get("path")
    first = path[0] if isinstance(path, list) and path else None
    return isinstance(first, dict) and "R" in first


SPEC = FormatSpec(
    name="ngp",
    title="instant-ngp / GEN3C camera path json",
    convention="world_from_cam, OpenCV camera axes, quaternion x y z w, fov in vertical degrees, "
    "the viewer's own world",
    read=read,
    sniff=sniff,
    write=write,
    file_name="ngp_path.json",
)
