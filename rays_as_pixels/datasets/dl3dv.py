"""DL3DV and other nerfstudio-style scenes: SCENE/transforms.json and images, images_2, images_4...

The cameras are stated for the full images; `images=images_4` reads a resized copy and intrinsics
follow. By default the smallest copy that is there is read. Points come from the PLY file that
transforms.json names or, brought into its world by `applied_transform`, from a COLMAP model beside
it. Radial and tangential distortion is taken out of the images as they are read.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from rays_as_pixels.datasets.colmap_folder import read_model, scene_points
from rays_as_pixels.datasets.frames import ImageFiles, files_under, images_of
from rays_as_pixels.datasets.lens import Lens, pinhole_frames
from rays_as_pixels.datasets.point_files import TrackedPoints, read_colmap_points, read_ply_points
from rays_as_pixels.datasets.sequences import PosedVideo, ScenePoints, SequenceRef, restated
from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.formats import load_info
from rays_as_pixels.trajectories.formats.jsonfile import JsonFile, parse_json
from rays_as_pixels.trajectories.formats.naming import natural_order
from rays_as_pixels.trajectories.formats.textfile import read_text

_COPIES = ("images_8", "images_4", "images_2", "images")
_MODELS = ("colmap/sparse/0", "sparse/0")


def find(root: Path, *, images: str | None = None) -> Iterator[SequenceRef]:
    """Find the scenes under a folder, or the folder itself if it is one.

    Args:
        root: Folder with scenes at any depth.
        images: Name of the image folder in each scene; the smallest copy there is if None.
    """
    for path in files_under(root, "transforms.json"):
        scene = path.parent
        name = (scene.parent if scene.name == "nerfstudio" else scene).relative_to(root).as_posix()
        name = root.resolve().name if name == "." else name
        yield SequenceRef(name, _Loader(path, images, name))


class _Loader:
    def __init__(self, path: Path, images: str | None, name: str) -> None:
        self.path, self.images, self.name = path, images, name

    def __call__(self) -> PosedVideo:
        return read(self.path, images=self.images, name=self.name)


def read(path: Path, *, images: str | None = None, name: str = "") -> PosedVideo:
    """Read one transforms.json and find its images.

    Args:
        path: The file.
        images: Name of the image folder beside it; the smallest copy there is if None.
        name: The sequence's name; the folder's if empty.

    Raises:
        InputError: A file is broken or missing, or images and cameras do not match.
    """
    name = name or path.parent.name
    loaded = load_info(path, format="nerfstudio")
    file = parse_json(read_text(path), path.name)
    listed = [str(file.get("frames", i, "file_path")) for i in range(len(file.get("frames")))]
    listed = [listed[index] for index in natural_order(listed, "file_path", [])]
    source = ImageFiles(tuple(_image_paths(path.parent, listed, images, name)))
    cameras = loaded.trajectory.cameras
    if "size" in loaded.assumed:
        raise InputError(
            f"{name}: transforms.json must hold w and h, the size its intrinsics are for; got "
            "neither. Add them."
        )
    cameras = restated(cameras, size=source.size, name=name)
    keys = [key for key in ("k1", "k2", "p1", "p2") if key in file.value]
    lens = Lens(**{key: file.number(key) for key in keys})
    frames, cameras = pinhole_frames(source, cameras, lens, name)
    points = _points(path.parent, file, listed)
    return PosedVideo(name, cameras, frames, points=points, notes=loaded.notes)


def _image_paths(scene: Path, listed: list[str], images: str | None, name: str) -> list[Path]:
    folders = [images] if images is not None else [c for c in _COPIES if images_of(scene / c)]
    if not folders:
        folders = [None]  # the places that the file itself names
    for folder in folders:
        paths = [_existing(scene, entry, folder) for entry in listed]
        missing = [entry for entry, found in zip(listed, paths, strict=True) if found is None]
        if not missing:
            return [found for found in paths if found is not None]
    raise InputError(
        f"{name} must have an image for each of its {len(listed)} cameras; got none for "
        f"{missing[0]} in {folders[-1] or scene} ({len(missing)} missing). Name the image folder "
        "with images=NAME."
    )


def _existing(scene: Path, entry: str, folder: str | None) -> Path | None:
    path = scene / entry if folder is None else scene / folder / Path(entry).name
    suffixes = (path.suffix, ".png", ".jpg", ".jpeg", ".JPG", ".PNG")
    return next((p for p in (path.with_suffix(s) for s in suffixes) if p.is_file()), None)


def _points(scene: Path, file: JsonFile, listed: list[str]) -> ScenePoints | None:
    ply = file.value.get("ply_file_path")
    if isinstance(ply, str) and (scene / ply).is_file():
        return ScenePoints(torch.from_numpy(read_ply_points(scene / ply)))
    for inner in _MODELS:
        tracked = read_colmap_points(scene / inner) if (scene / inner).is_dir() else None
        if tracked is not None and len(tracked.xyz):
            return _colmap_points(scene / inner, tracked, file, listed)
    return None


def _colmap_points(
    model: Path, tracked: TrackedPoints, file: JsonFile, listed: list[str]
) -> ScenePoints | None:
    """Bring a model's points into the world of transforms.json, which must say how."""
    if "applied_transform" not in file.value:
        return None
    applied = file.numbers(("applied_transform",), (3, 4))
    xyz = tracked.xyz @ applied[:, :3].T + applied[:, 3]
    scale = file.number("applied_scale") if "applied_scale" in file.value else 1.0
    _, images = read_model(model)
    id_of = {Path(n).name: i for n, i in zip(images.names, images.image_ids, strict=True)}
    ids = [id_of.get(Path(entry).name, -1) for entry in listed]
    moved = TrackedPoints(np.ascontiguousarray(xyz * scale), tracked.image_id, tracked.point)
    return scene_points(moved, ids)
