"""COLMAP sparse models, a folder: text or binary, cam_from_world, quaternion w first.

Times are not in a model. The first pixel's centre is at (0.5, 0.5), as here.
"""

from pathlib import Path
from typing import Any

import numpy as np

from rays_as_pixels.errors import InputError
from rays_as_pixels.files import write_bytes
from rays_as_pixels.trajectories.formats import colmap_binary, colmap_text
from rays_as_pixels.trajectories.formats.about import (
    about_of,
    comment_lines,
    read_side_file,
    summary_of,
    write_side_file,
)
from rays_as_pixels.trajectories.formats.base import (
    FormatSpec,
    Frames,
    PathData,
    ReadOptions,
    Written,
)
from rays_as_pixels.trajectories.formats.colmap_models import pinholes_of
from rays_as_pixels.trajectories.formats.colmap_text import POINTS_TEXT, ColmapImages
from rays_as_pixels.trajectories.formats.content import FileContent
from rays_as_pixels.trajectories.formats.naming import frame_names, natural_order
from rays_as_pixels.trajectories.formats.poses import (
    compose,
    invert,
    rotations_from_wxyz,
    wxyz_of,
)

AGREEMENT = 1e-6
SIDE = "trajectory"
MODEL_FILES = ("cameras", "images", "points3D", "rigs", "frames")


def model_folder(path: Path) -> Path:
    """Return the model's folder: the path, its parent if it is a file of it, or sparse/0 in it.

    Raises:
        InputError: There is no model.
    """
    folder = _find_model(path)
    if folder is None:
        raise InputError(
            f"{path} must be a folder with cameras and images as .txt or .bin; got neither. "
            "Name the folder of one sparse model."
        )
    return folder


def _find_model(path: Path) -> "Path | None":
    if path.is_file():
        return path.parent
    for folder in (path, path / "sparse/0", path / "sparse"):
        if (folder / "images.bin").is_file() or (folder / "images.txt").is_file():
            return folder
    return None


def read(path: Path, options: ReadOptions) -> PathData:
    """Read a COLMAP model, images in the order of their names."""
    folder = model_folder(path)
    binary = all((folder / f"{name}.bin").is_file() for name in ("cameras", "images"))
    module, suffix = (colmap_binary, "bin") if binary else (colmap_text, "txt")
    cameras = module.read_cameras(folder / f"cameras.{suffix}")
    images = module.read_images(folder / f"images.{suffix}")
    notes = [f"The model is {'binary' if binary else 'text'}.", *images.notes]
    if binary and (folder / "images.txt").is_file():
        notes.append("The folder also holds a text model, which was not read.")
    for index, camera_id in enumerate(images.camera_ids):
        if camera_id not in cameras:
            raise InputError(
                f"{images.places[index]}: CAMERA_ID must be one of cameras.{suffix}; got "
                f"{camera_id}. Export both files together."
            )
    keep = _keep(images, options.camera)
    order = natural_order([images.names[index] for index in keep], "names", notes)
    order = [keep[index] for index in order]
    world_from_cam = invert(_cam_from_world(images.wxyz_xyz, images.places, notes))
    if binary:
        _check_rigs(folder, images, notes)
    intrinsics, size = pinholes_of(cameras, [images.camera_ids[i] for i in order], notes)
    return PathData(
        world_from_cam=world_from_cam[order],
        where=lambda frame: images.places[order[frame]],
        focal_px=intrinsics[:, :2],
        center_px=intrinsics[:, 2:],
        size=size,
        notes=notes,
        about=read_side_file(folder / SIDE),
    )


def _keep(images: ColmapImages, camera: "str | None") -> list[int]:
    if camera is None:
        return list(range(len(images.names)))
    keep = [i for i, camera_id in enumerate(images.camera_ids) if str(camera_id) == camera]
    if not keep:
        ids = ", ".join(map(str, sorted(set(images.camera_ids))[:20]))
        raise InputError(f"camera must be one of {ids}; got {camera!r}. Choose one of those.")
    return keep


def _cam_from_world(wxyz_xyz: np.ndarray, places: list[str], notes: list[str]) -> np.ndarray:
    rotation = rotations_from_wxyz(wxyz_xyz[:, :4], lambda index: places[index], notes)
    return compose(rotation, wxyz_xyz[:, 4:])


def _check_rigs(folder: Path, images: ColmapImages, notes: list[str]) -> None:
    """Check the poses against rigs.bin and frames.bin: sensor_from_rig @ rig_from_world."""
    rig_poses = colmap_binary.read_rig_poses(folder)
    if rig_poses is None:
        return
    known = [i for i, image_id in enumerate(images.image_ids) if image_id in rig_poses]
    if not known:
        return
    identity = np.array([1.0, 0, 0, 0, 0, 0, 0])
    pairs = [rig_poses[images.image_ids[i]] for i in known]
    places = [images.places[i] for i in known]
    rig = _cam_from_world(np.array([pair[0] for pair in pairs]), places, [])
    sensor = np.array([identity if pair[1] is None else pair[1] for pair in pairs])
    expected = _cam_from_world(sensor, places, []) @ rig
    off = np.abs(expected - _cam_from_world(images.wxyz_xyz[known], places, [])).max((1, 2))
    scale = 1 + np.abs(expected[:, :3, 3]).max()
    if off.max() > AGREEMENT * scale:
        bad = int(off.argmax())
        raise InputError(
            f"{places[bad]}: images.bin must agree with frames.bin and rigs.bin; got poses "
            f"{off[bad]:.3g} apart. Export the model again."
        )
    notes.append("frames.bin and rigs.bin agree with the poses of images.bin.")


def write(frames: Frames, path: Path, extra: "dict[str, Any]") -> Written:
    """Write a text model: cameras.txt, images.txt, points3D.txt (empty), and a side file."""
    if (path / "images.bin").is_file():
        raise InputError(
            f"{path} must hold no binary model, which readers prefer; got images.bin. Choose "
            "another folder."
        )
    intrinsics, camera_ids = distinct_lenses(frames)
    comments = comment_lines(summary_of(frames, SPEC.convention, extra))
    return _write_folder(
        frames,
        path,
        extra,
        {
            "cameras.txt": colmap_text.cameras_text(intrinsics, frames.size, comments),
            "images.txt": colmap_text.images_text(
                _wxyz_xyz(frames), camera_ids, frame_names(frames), comments
            ),
            "points3D.txt": POINTS_TEXT,
        },
    )


def write_binary(frames: Frames, path: Path, extra: "dict[str, Any]") -> Written:
    """Write a binary model: cameras.bin, images.bin, points3D.bin (empty), and a side file."""
    intrinsics, camera_ids = distinct_lenses(frames)
    return _write_folder(
        frames,
        path,
        extra,
        {
            "cameras.bin": colmap_binary.cameras_binary(intrinsics, frames.size),
            "images.bin": colmap_binary.images_binary(
                _wxyz_xyz(frames), camera_ids, frame_names(frames)
            ),
            "points3D.bin": colmap_binary.POINTS_BINARY,
        },
    )


def distinct_lenses(frames: Frames) -> tuple[np.ndarray, list[int]]:
    """Return the different intrinsics (C, 4), fx fy cx cy, and each frame's camera id from 1."""
    rows, ids = np.hstack([frames.focal_px, frames.center_px]), {}
    for row in map(tuple, rows.tolist()):
        ids.setdefault(row, len(ids) + 1)
    return np.array(list(ids)), [ids[row] for row in map(tuple, rows.tolist())]


def _wxyz_xyz(frames: Frames) -> np.ndarray:
    cam_from_world = invert(frames.world_from_cam)
    wxyz = wxyz_of(cam_from_world[:, :3, :3], continuous=False)
    return np.hstack([wxyz, cam_from_world[:, :3, 3]])


def _write_folder(
    frames: Frames, path: Path, extra: "dict[str, Any]", files: "dict[str, str | bytes]"
) -> Written:
    if path.exists() and not path.is_dir():
        raise InputError(f"COLMAP output must be a folder; got the file {path}. Name a folder.")
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(
            f"output {path} must be creatable; got {error.strerror}. Create the folder above it."
        ) from error
    for name, content in files.items():
        write_bytes(path / name, content.encode() if isinstance(content, str) else content)
    side = write_side_file(path / SIDE, about_of(frames, SPEC.convention, extra))
    note = f"A COLMAP model has no room for times: {side.name} holds them."
    return Written((*(path / name for name in files), side), (note,))


def sniff_text(content: FileContent) -> bool:
    """Look for a text model's folder, or one of its files by name."""
    return _kind(content.path) == "txt"


def sniff_binary(content: FileContent) -> bool:
    """Look for a binary model's folder, or one of its files by name."""
    return _kind(content.path) == "bin"


def _kind(path: Path) -> "str | None":
    """Return "bin" or "txt" for a model's folder or file; a folder with both counts as binary."""
    if path.is_file():
        is_model = path.stem in MODEL_FILES and path.suffix in (".txt", ".bin")
        return path.suffix[1:] if is_model else None
    folder = _find_model(path)
    if folder is None:
        return None
    return "bin" if (folder / "images.bin").is_file() else "txt"


SPEC = FormatSpec(
    name="colmap",
    title="COLMAP model (text; reads binary too)",
    convention="cam_from_world, OpenCV axes, quaternion w x y z (w first); first pixel centre at "
    "(0.5, 0.5)",
    read=read,
    sniff=sniff_text,
    write=write,
    file_name="colmap",
    is_folder=True,
    names_cameras=True,
)
SPEC_BINARY = FormatSpec(
    name="colmap-bin",
    title="COLMAP model (binary)",
    convention=SPEC.convention,
    read=read,
    sniff=sniff_binary,
    write=write_binary,
    file_name="colmap-bin",
    is_folder=True,
    names_cameras=True,
)
