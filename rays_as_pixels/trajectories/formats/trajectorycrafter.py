"""TrajectoryCrafter's path files, read only: three lines of keys, no poses.

theta (up and down) and phi (left and right) in degrees, then r, the share of the pivot's depth by
which the camera comes nearer. Keys of a line are spread evenly over the clip. The camera circles a
pivot straight ahead of the first view; with R the pivot's depth, which is 1 scene unit here,

    cam_from_first = T(0, 0, R) Ry(phi) Rx(theta) T(0, 0, -R (1 + r)).
"""

from pathlib import Path

import numpy as np

from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.formats.base import FormatSpec, PathData, ReadOptions
from rays_as_pixels.trajectories.formats.content import FileContent
from rays_as_pixels.trajectories.formats.poses import compose, invert
from rays_as_pixels.trajectories.formats.textfile import read_text, to_numbers

NUM_FRAMES = 49
SIZE, FOCAL_PX = (1024, 576), 500.0
PIVOT_DEPTH = 1.0


def read(path: Path, options: ReadOptions) -> PathData:
    """Read theta, phi and r and build the path of 49 frames that they describe."""
    text = read_text(path)
    lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    if len(lines) != 3:
        raise InputError(
            f"{path.name}, line {len(lines)}, column 1: must hold 3 lines (theta, phi, r); got "
            f"{len(lines)}. Choose another --input-format."
        )
    at = np.linspace(0, 1, NUM_FRAMES)
    curves = []
    for number, line in lines:
        tokens = line.split()
        keys = to_numbers(tokens, text, path.name, [number], len(tokens))
        curves.append(np.interp(at, np.linspace(0, 1, len(keys)), keys))
    theta, phi, share = curves
    return PathData(
        world_from_cam=invert(cam_from_first(np.deg2rad(theta), np.deg2rad(phi), share)),
        where=lambda frame: f"{path.name}, frame {frame} of {NUM_FRAMES}",
        focal_px=np.full((NUM_FRAMES, 2), FOCAL_PX),
        size=SIZE,
        notes=[
            f"The file holds keys, not poses: {NUM_FRAMES} frames were made of them, with linear "
            "steps between keys (TrajectoryCrafter smooths them).",
            f"TrajectoryCrafter's own lens is used: {FOCAL_PX:g} px at {SIZE[0]}x{SIZE[1]}. The "
            f"pivot's depth is {PIVOT_DEPTH:g} scene unit.",
        ],
    )


def cam_from_first(theta_rad: np.ndarray, phi_rad: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return the poses (F, 4, 4) of the formula in the module's docstring."""
    zero, one = np.zeros_like(theta_rad), np.ones_like(theta_rad)
    c, s = np.cos(theta_rad), np.sin(theta_rad)
    about_x = np.stack([one, zero, zero, zero, c, -s, zero, s, c], axis=1).reshape(-1, 3, 3)
    c, s = np.cos(phi_rad), np.sin(phi_rad)
    about_y = np.stack([c, zero, s, zero, one, zero, -s, zero, c], axis=1).reshape(-1, 3, 3)
    rotation = about_y @ about_x
    behind = np.stack([zero, zero, -PIVOT_DEPTH * (1 + share)], axis=1)
    ahead = np.array([0.0, 0.0, PIVOT_DEPTH])
    return compose(rotation, (rotation @ behind[:, :, None])[:, :, 0] + ahead)


def sniff(content: FileContent) -> bool:
    """Look for three lines."""
    return len(content.rows) == 3 and content.text.count("\n") <= 4 and not content.header


SPEC = FormatSpec(
    name="trajectorycrafter",
    title="TrajectoryCrafter keys",
    convention="theta and phi in degrees and r as a share of the pivot's depth, three lines of "
    "keys; circling a pivot ahead of the first view, OpenCV axes",
    read=read,
    sniff=sniff,
)
