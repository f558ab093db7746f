"""A clip's frames, cameras and scene points as a COLMAP model that splatting programs train from.

DIR/images holds the frames, DIR/sparse/0 the binary model: cameras, images and points3D as every
version of COLMAP reads them, and rigs and frames, which COLMAP 3.12 and later read too. A side file
keeps the times. gsplat, nerfstudio and Brush open the folder as it is.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, UInt8
from PIL import Image

from rays_as_pixels.errors import InputError
from rays_as_pixels.files import folders_replaced
from rays_as_pixels.geometry.colmap import pycolmap
from rays_as_pixels.geometry.scene_points import ScenePoints
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.formats.about import about_of, side_path, write_side_file
from rays_as_pixels.trajectories.formats.base import Frames, frames_of
from rays_as_pixels.trajectories.formats.colmap import (
    MODEL_FILES,
    SIDE,
    SPEC_BINARY,
    distinct_lenses,
)
from rays_as_pixels.trajectories.formats.naming import frame_names
from rays_as_pixels.trajectories.formats.poses import invert

_FOLDERS = ("images", "sparse")
_OUR_IMAGES = re.compile(r"frame_\d{6,}\.(jpg|png)")
_MIN_OBSERVATIONS = 2  # of a point that a model keeps


@dataclass(frozen=True)
class ColmapModelReport:
    """What was written, and what was left out of it.

    Attributes:
        mean_reprojection_error_px: COLMAP's own figure: the mean over points of the mean distance,
            in pixels of the frames, of where a point is seen and where its camera puts it.
        num_images: Frames written, each with its camera.
        num_points: Points written.
        num_observations: Places where an image sees a point, of all that were written.
        num_images_left_out: Frames whose camera is interpolated.
        num_points_left_out: Points that fewer than two of the written images see.
        num_observations_left_out: Observations in those frames, of those points, of points behind
            the frame's camera, or of points that the frame sees twice.
    """

    mean_reprojection_error_px: float
    num_images: int
    num_points: int
    num_observations: int
    num_images_left_out: int
    num_points_left_out: int
    num_observations_left_out: int


def write_colmap_model(
    folder: Path,
    trajectory: Trajectory,
    points: ScenePoints,
    frames: Iterable[UInt8[np.ndarray, "height width 3"]],
    *,
    interpolated: Bool[np.ndarray, "F"] | None = None,
    include_interpolated: bool = False,
    jpeg_quality: int | None = 95,
) -> ColmapModelReport:
    """Write a model with points, tracks and images; nothing of it appears unless all of it does.

    Cameras are PINHOLE, one for each different lens. A trajectory has no lens distortion, so its
    frames are the undistorted ones that splatting programs need. Image names number the
    trajectory's frames from 0, as those of an exported path do.

    Args:
        folder: Made if missing. A model that was written there before is replaced; other files
            stay.
        trajectory: F cameras, intrinsics in pixels of `frames`.
        points: In the trajectory's world, seen in its frames, in pixels of `frames`.
        frames: F RGB frames, taken one at a time; may raise to stop.
        interpolated: Which cameras are interpolated; None if none is.
        include_interpolated: Write these frames too.
        jpeg_quality: 1 to 100; None writes PNG, lossless and several times larger.

    Raises:
        InputError: No point is seen by two images; frames and cameras differ in number or size; or
            the folder cannot be written to, or holds other images or another model.
        OSError: The disk is full or fails.
    """
    check_colmap_folder(folder)
    _check_points(points, len(trajectory))
    path, kept = frames_of(trajectory), _kept(interpolated, len(trajectory), include_interpolated)
    names = frame_names(path, ".png" if jpeg_quality is None else ".jpg")
    seen = _usable(points, kept, path)
    model = _reconstruction(path, kept, names, seen)
    with folders_replaced(folder, _FOLDERS) as staging:
        _write_sparse(staging / "sparse/0", model, _only(path, kept))
        files = [staging / "images" / name for name in names]
        _write_images(files, frames, kept, size=path.size, jpeg_quality=jpeg_quality)
    return ColmapModelReport(
        mean_reprojection_error_px=model.compute_mean_reprojection_error(),
        num_images=model.num_images(),
        num_points=model.num_points3D(),
        num_observations=len(seen.point),
        num_images_left_out=len(trajectory) - model.num_images(),
        num_points_left_out=len(points) - model.num_points3D(),
        num_observations_left_out=len(points.point) - len(seen.point),
    )


def check_colmap_folder(folder: Path) -> None:
    """Refuse a folder that a model cannot be written to, before any work is done.

    Raises:
        InputError: It is a file or below one, or it holds an `images` or `sparse` that was not
            written by `write_colmap_model`.
    """
    for place in (folder, *folder.parents):
        if place.exists() and not place.is_dir():
            raise InputError(
                f"a COLMAP model must go to a folder; got {folder}, where {place} is a file. "
                "Choose another name."
            )
    images, sparse = folder / "images", folder / "sparse"
    own = {f"{name}.bin" for name in MODEL_FILES} | {side_path(Path(SIDE)).name}
    is_ours = side_path(sparse / "0" / SIDE).is_file()
    for place, allowed in (
        (images, _OUR_IMAGES.fullmatch),
        (sparse, "0".__eq__),
        (sparse / "0", own.__contains__),
    ):
        if place.is_file():
            raise InputError(
                f"{place} must be a folder or not exist; got a file. Choose another folder."
            )
        strange = [] if not place.is_dir() else sorted(one.name for one in place.iterdir())
        strange = [name for name in strange if not (is_ours and allowed(name))]
        if strange:
            raise InputError(
                f"{place} must be free, or hold a model that this program wrote; got "
                f"{strange[0]}. Choose another folder."
            )


def _check_points(points: ScenePoints, num_frames: int) -> None:
    if not len(points):
        raise InputError(
            "a COLMAP model must have scene points; got none. Use a clip whose camera moves: one "
            "that only turns shows no distances."
        )
    for name, values, count in (
        ("point", points.point, len(points)),
        ("frame", points.frame, num_frames),
    ):
        if len(values) and not 0 <= values.min() <= values.max() < count:
            raise InputError(
                f"points.{name} must lie between 0 and {count - 1}; got {values.min()} to "
                f"{values.max()}. Give points and cameras of the same clip."
            )
    if not np.isfinite(points.xyz).all() or not np.isfinite(points.xy_px).all():
        raise InputError("points must be finite; got NaN or infinity. Leave those points out.")


def _kept(
    interpolated: Bool[np.ndarray, "F"] | None, num_frames: int, include_interpolated: bool
) -> Bool[np.ndarray, "F"]:
    """Tell which frames the model gets."""
    if interpolated is not None and len(interpolated) != num_frames:
        raise InputError(
            f"interpolated must tell of each of the {num_frames} cameras; got "
            f"{len(interpolated)} values. Give both of the same path."
        )
    if interpolated is None or include_interpolated:
        return np.ones(num_frames, bool)
    return ~np.asarray(interpolated, bool)


def _only(path: Frames, kept: Bool[np.ndarray, "F"]) -> Frames:
    source = path.source_frame
    return replace(
        path,
        world_from_cam=path.world_from_cam[kept],
        focal_px=path.focal_px[kept],
        center_px=path.center_px[kept],
        time_sec=path.time_sec[kept],
        source_frame=None if source is None else tuple(np.array(source)[kept].tolist()),
    )


def _usable(points: ScenePoints, kept: Bool[np.ndarray, "F"], path: Frames) -> ScenePoints:
    """Return the observations that a model can hold, sorted by frame; points keep their indices.

    Raises:
        InputError: There are none.
    """
    order = np.argsort(points.frame, kind="stable")
    point, frame = points.point[order], points.frame[order]
    starts = np.searchsorted(frame, np.arange(len(kept) + 1))
    usable = kept[frame]
    for number, pose in enumerate(invert(path.world_from_cam)):
        rows = slice(starts[number], starts[number + 1])
        usable[rows] &= points.xyz[point[rows]] @ pose[2, :3] + pose[2, 3] > 0
    # a feature with two orientations sees its point twice in one frame: the first one stays
    pairs = np.where(usable, point * len(kept) + frame, -1)
    usable &= np.isin(np.arange(len(pairs)), np.unique(pairs, return_index=True)[1])
    views = np.bincount(point[usable], minlength=len(points))
    usable &= (views >= _MIN_OBSERVATIONS)[point]
    if not usable.any():
        raise InputError(
            f"a COLMAP model must have points that {_MIN_OBSERVATIONS} images see; got none of "
            f"{len(points)} in {int(kept.sum())} images. Use a longer part of the clip."
        )
    xy_px = points.xy_px[order[usable]].astype(np.float64)
    return replace(points, point=point[usable], frame=frame[usable], xy_px=xy_px)


def _reconstruction(
    path: Frames, kept: Bool[np.ndarray, "F"], names: list[str], seen: ScenePoints
) -> pycolmap.Reconstruction:
    """Return the model; `seen` is sorted by frame, and image k + 1 is frame k."""
    model, chosen = pycolmap.Reconstruction(), np.flatnonzero(kept)
    lenses, camera_ids = distinct_lenses(_only(path, kept))
    for camera_id, lens in enumerate(lenses, start=1):
        camera = pycolmap.Camera(
            camera_id=camera_id,
            model="PINHOLE",
            width=path.size[0],
            height=path.size[1],
            params=lens,
        )
        model.add_camera_with_trivial_rig(camera)
    cam_from_world = invert(path.world_from_cam)
    starts = np.searchsorted(seen.frame, np.arange(len(kept) + 1))
    for frame, camera_id in zip(chosen.tolist(), camera_ids, strict=True):
        image = pycolmap.Image(
            name=names[frame],
            keypoints=seen.xy_px[starts[frame] : starts[frame + 1]],
            camera_id=camera_id,
            image_id=frame + 1,
        )
        pose = pycolmap.Rigid3d(cam_from_world[frame, :3])
        model.add_image_with_trivial_frame(image, pose)
    _add_points(model, seen, np.arange(len(seen.frame)) - starts[seen.frame])
    model.update_point_3d_errors()
    return model


def _add_points(
    model: pycolmap.Reconstruction, seen: ScenePoints, row_in_image: Int[np.ndarray, "N"]
) -> None:
    """Add the points that are seen, each with its track: images, and rows among their places."""
    order = np.argsort(seen.point, kind="stable")
    indices, starts = np.unique(seen.point[order], return_index=True)
    ends = np.append(starts[1:], len(order))
    for index, start, end in zip(indices.tolist(), starts.tolist(), ends.tolist(), strict=True):
        rows, track = order[start:end], pycolmap.Track()
        for frame, row in zip(seen.frame[rows].tolist(), row_in_image[rows].tolist(), strict=True):
            track.add_element(frame + 1, row)
        model.add_point3D(seen.xyz[index], track, seen.rgb[index])


def _write_sparse(folder: Path, model: pycolmap.Reconstruction, path: Frames) -> None:
    folder.mkdir(parents=True)
    model.write_binary(folder)
    write_side_file(folder / SIDE, about_of(path, SPEC_BINARY.convention, {}))


def _write_images(
    files: list[Path],
    frames: Iterable[UInt8[np.ndarray, "height width 3"]],
    kept: Bool[np.ndarray, "F"],
    *,
    size: tuple[int, int],
    jpeg_quality: int | None,
) -> None:
    """Write the kept frames, each to its file; colours of a JPEG have the full resolution."""
    if jpeg_quality is not None and not 1 <= jpeg_quality <= 100:
        raise InputError(
            f"jpeg_quality must lie between 1 and 100; got {jpeg_quality}. Use None for PNG."
        )
    options: dict[str, Any] = (
        {} if jpeg_quality is None else {"quality": jpeg_quality, "subsampling": 0}
    )
    files[0].parent.mkdir()
    count = 0
    for frame in frames:
        count += 1
        if count > len(files):
            break
        if frame.shape != (size[1], size[0], 3) or frame.dtype != np.uint8:
            raise InputError(
                f"frames must be {size[0]} x {size[1]} pixels of 8-bit RGB like their cameras; got "
                f"shape {frame.shape}, {frame.dtype}, in frame {count - 1}. Resize the trajectory."
            )
        if kept[count - 1]:
            Image.fromarray(frame).save(files[count - 1], **options)
    if count != len(files):
        got = "more" if count > len(files) else str(count)
        raise InputError(
            f"frames must be as many as the {len(files)} cameras; got {got}. Give the frames that "
            "the path was estimated from."
        )
