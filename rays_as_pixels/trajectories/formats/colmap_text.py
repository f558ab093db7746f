"""COLMAP text models: cameras.txt, images.txt, points3D.txt."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.formats.colmap_models import ColmapCamera, check_camera
from rays_as_pixels.trajectories.formats.textfile import (
    column_of_token,
    number_or_nan,
    number_rows,
    read_text,
    to_numbers,
)

IMAGE_TOKENS = 10  # IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME


@dataclass
class ColmapImages:
    """The images of a model, in file order.

    Attributes:
        wxyz_xyz: (F, 7) cam_from_world: quaternion w x y z, then translation.
        camera_ids: For each image.
        image_ids: For each image.
        names: For each image.
        places: Where each stands in its file, for messages.
        notes: Plain sentences for the user.
    """

    wxyz_xyz: np.ndarray
    camera_ids: list[int]
    image_ids: list[int]
    names: list[str]
    places: list[str]
    notes: list[str] = field(default_factory=list)


def read_cameras(path: Path) -> dict[int, ColmapCamera]:
    """Read cameras.txt."""
    cameras = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        tokens = line.split()
        if not tokens or tokens[0].startswith("#"):
            continue
        place = f"{path.name}, line {number}"
        numbers = [number_or_nan(token) for token in [tokens[0], *tokens[2:]]]
        bad = next((i for i, value in enumerate(numbers) if not np.isfinite(value)), None)
        if len(tokens) < 5 or bad is not None:
            index = len(tokens) if bad is None else bad + (bad > 0)
            got = "the end of the line" if bad is None else repr(tokens[index])
            raise InputError(
                f"{place}, column {column_of_token(line, index)}: a camera must be 'CAMERA_ID "
                f"MODEL WIDTH HEIGHT PARAMS...'; got {got}. Repair that line."
            )
        ident, width, height = int(numbers[0]), int(numbers[1]), int(numbers[2])
        camera = ColmapCamera(ident, tokens[1], width, height, tuple(numbers[3:]), place)
        check_camera(camera)
        cameras[ident] = camera
    return cameras


def read_images(path: Path) -> ColmapImages:
    """Read images.txt: pose lines, each followed by a line of 2D points that may be empty.

    A points line has a multiple of three tokens and a pose line ten, so a file whose writer
    dropped the empty points lines is still read, and a note says so.
    """
    text = read_text(path)
    lines = text.split("\n")
    poses, numbers, dropped = [], [], False
    expects_points = False
    for number, line in enumerate(lines, start=1):
        if line.lstrip().startswith("#"):
            continue
        if expects_points and len(line.split()) % 3 == 0:
            expects_points = False
            continue
        if not line.strip():
            continue
        dropped = dropped or expects_points
        tokens = line.split(None, IMAGE_TOKENS - 1)
        if len(tokens) < IMAGE_TOKENS:
            raise InputError(
                f"{path.name}, line {number}, column {len(line) + 1}: an image must be 'IMAGE_ID "
                f"QW QX QY QZ TX TY TZ CAMERA_ID NAME'; got {len(tokens)} fields. Check that the "
                "line before is the 2D points line, which may be empty but must be there."
            )
        poses.append(tokens)
        numbers.append(number)
        expects_points = True
    if not poses:
        raise InputError(f"{path.name} must hold an image; got none. Export the model again.")
    flat = [token for row in poses for token in row[:9]]
    values = to_numbers(flat, text, path.name, numbers, 9).reshape(-1, 9)
    notes = ["images.txt lacks the (empty) 2D points lines."] if dropped else []
    return ColmapImages(
        wxyz_xyz=values[:, 1:8],
        camera_ids=values[:, 8].astype(int).tolist(),
        image_ids=values[:, 0].astype(int).tolist(),
        names=[row[9].rstrip() for row in poses],
        places=[f"{path.name}, line {number}, column 1" for number in numbers],
        notes=notes,
    )


def cameras_text(rows: np.ndarray, size: tuple[int, int], comments: list[str]) -> str:
    """Return cameras.txt with one PINHOLE camera a row of fx fy cx cy, ids from 1."""
    lines = [
        *comments,
        "# CAMERA_ID MODEL WIDTH HEIGHT FX FY CX CY",
        f"# Number of cameras: {len(rows)}",
    ]
    lines += [
        f"{index} PINHOLE {size[0]} {size[1]} {row}"
        for index, row in enumerate(number_rows(rows), start=1)
    ]
    return "\n".join(lines) + "\n"


def images_text(
    wxyz_xyz: np.ndarray, camera_ids: list[int], names: list[str], comments: list[str]
) -> str:
    """Return images.txt, every image with its empty 2D points line."""
    lines = [
        *comments,
        "# IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME",
        "# POINTS2D[] as X Y POINT3D_ID (empty)",
        f"# Number of images: {len(names)}, mean observations per image: 0",
    ]
    rows = number_rows(wxyz_xyz)
    for index, (row, camera, name) in enumerate(zip(rows, camera_ids, names, strict=True), 1):
        lines += [f"{index} {row} {camera} {name}", ""]
    return "\n".join(lines) + "\n"


POINTS_TEXT = "# POINT3D_ID X Y Z R G B ERROR TRACK[]\n# Number of points: 0\n"
