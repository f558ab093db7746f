"""COLMAP-style scenes: PATH/SCENE/sparse/0 with cameras, images and points3D, and images/.

Binary or text. `images=NAME` chooses another image folder, images_4 say, whose images may be a
resized copy: intrinsics follow. Points and the images that saw them give the unit. Lens
distortion (SIMPLE_RADIAL, RADIAL, OPENCV) is taken out of the images as they are read.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from rays_as_pixels.datasets.frames import ImageFiles, files_under
from rays_as_pixels.datasets.lens import Lens, pinhole_frames
from rays_as_pixels.datasets.point_files import TrackedPoints, read_colmap_points
from rays_as_pixels.datasets.sequences import PosedVideo, ScenePoints, SequenceRef, restated
from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.formats import colmap_binary, colmap_text, load_info
from rays_as_pixels.trajectories.formats.colmap_models import ColmapCamera
from rays_as_pixels.trajectories.formats.colmap_text import ColmapImages
from rays_as_pixels.trajectories.formats.naming import natural_order

_MODELS = ("sparse/0", "sparse", "colmap/sparse/0", "")
_LENSES = {
    "SIMPLE_RADIAL": ("k1",),
    "RADIAL": ("k1", "k2"),
    "OPENCV": ("k1", "k2", "p1", "p2"),
}


def find(root: Path, *, images: str = "images") -> Iterator[SequenceRef]:
    """Find the scenes under a folder, or the folder itself if it is one.

    Args:
        root: Folder with scenes at any depth.
        images: Name of the image folder in each scene.
    """
    found = {
        path.parent for path in files_under(root, "images.*") if path.suffix in (".bin", ".txt")
    }
    for folder in sorted(found):
        scene = _scene_of(folder)
        if scene is None or not scene.is_relative_to(root):
            continue
        name = scene.relative_to(root).as_posix()
        name = root.resolve().name if name == "." else name
        yield SequenceRef(name, _Loader(scene, folder, images, name))


def _scene_of(model: Path) -> Path | None:
    """Return the scene that a model folder belongs to; None for second models (sparse/1)."""
    if model.name.isdigit():
        if model.name != "0" or model.parent.name != "sparse":
            return None
        model = model.parent
    if model.name == "sparse":
        model = model.parent
    return model.parent if model.name == "colmap" else model


class _Loader:
    def __init__(self, scene: Path, model: Path, images: str, name: str) -> None:
        self.scene, self.model, self.images, self.name = scene, model, images, name

    def __call__(self) -> PosedVideo:
        return read(self.scene, model=self.model, images=self.images, name=self.name)


def read(
    scene: Path, *, model: Path | None = None, images: str = "images", name: str = ""
) -> PosedVideo:
    """Read one scene.

    Args:
        scene: Its folder.
        model: Folder of the sparse model; looked for in `scene` if None.
        images: Name of the image folder.
        name: The sequence's name; the folder's if empty.

    Raises:
        InputError: A file is broken or missing, or images and model do not match.
    """
    name = name or scene.name
    model = model or _model_in(scene)
    loaded = load_info(model, format="colmap")
    cameras_of_id, listed = read_model(model)
    order = natural_order(listed.names, "names", [])
    folder = scene / images
    paths = [folder / listed.names[index] for index in order]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise InputError(
            f"{name} must have an image for each of its {len(paths)} cameras; got no "
            f"{missing[0]} in {folder} ({len(missing)} missing). Name the image folder with "
            "images=NAME."
        )
    source = ImageFiles(tuple(paths))
    cameras = restated(loaded.trajectory.cameras, size=source.size, name=name)
    lens = _lens(cameras_of_id, {listed.camera_ids[index] for index in order}, name)
    frames, cameras = pinhole_frames(source, cameras, lens, name)
    tracked = read_colmap_points(model)
    ids = [listed.image_ids[index] for index in order]
    points = None if tracked is None or not len(tracked.xyz) else scene_points(tracked, ids)
    return PosedVideo(name, cameras, frames, points=points, notes=loaded.notes)


def _model_in(scene: Path) -> Path:
    for inner in _MODELS:
        if any((scene / inner / f"images.{suffix}").is_file() for suffix in ("bin", "txt")):
            return scene / inner
    raise InputError(
        f"{scene} must hold a sparse model; got none in sparse/0. Name a scene's folder."
    )


def read_model(folder: Path) -> tuple[dict[int, ColmapCamera], ColmapImages]:
    """Read cameras and images of a model as `load_info` does, for names, ids and lenses."""
    binary = all((folder / f"{name}.bin").is_file() for name in ("cameras", "images"))
    module, suffix = (colmap_binary, "bin") if binary else (colmap_text, "txt")
    cameras = module.read_cameras(folder / f"cameras.{suffix}")
    return cameras, module.read_images(folder / f"images.{suffix}")


def _lens(cameras: dict[int, ColmapCamera], used: set[int], name: str) -> Lens:
    lenses = {_lens_of(cameras[camera_id], name) for camera_id in used}
    if len(lenses) > 1:
        raise InputError(
            f"{name}: all images must come through one lens; got {len(lenses)} sets of "
            "distortion. Undistort the images first (colmap image_undistorter)."
        )
    return lenses.pop()


def _lens_of(camera: ColmapCamera, name: str) -> Lens:
    if not any(camera.distortion):
        return Lens()
    if camera.model not in _LENSES:
        raise InputError(
            f"{name}: distortion must be of {', '.join(_LENSES)}; got {camera.model}. Undistort "
            "the images first (colmap image_undistorter)."
        )
    return Lens(**dict(zip(_LENSES[camera.model], camera.distortion, strict=True)))


def scene_points(tracked: TrackedPoints, image_ids: list[int]) -> ScenePoints:
    """Restate COLMAP's observations, which name image ids, for frames 0, 1, ..."""
    known = np.array(image_ids)
    order = np.argsort(known)
    place = np.searchsorted(known[order], tracked.image_id).clip(max=len(known) - 1)
    frame = order[place]
    kept = known[frame] == tracked.image_id
    return ScenePoints(
        torch.from_numpy(tracked.xyz),
        torch.from_numpy(frame[kept]),
        torch.from_numpy(tracked.point[kept]),
    )
