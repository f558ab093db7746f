"""Incremental structure from motion with pycolmap on the clip's frames."""

import tempfile
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.evaluation.baselines.classical import (
    BaselineEstimate,
    BaselineFailure,
    ClassicalBaseline,
    fill_lost,
)
from rays_as_pixels.geometry.cameras import Cameras, invert_rigid, rigid
from rays_as_pixels.media.video import write_image

_MAX_SECONDS = 120  # a clip that takes longer counts as failed


def estimate(video: Float[Tensor, "frames 3 H W"], intrinsics: Cameras | None) -> BaselineEstimate:
    """Estimate the path of a video: SIFT, exhaustive matching, incremental mapping, one camera.

    Thresholds are relaxed for short clips of small frames: models of 3 images and a first pair with
    4 degrees of triangulation angle and 30 inliers, forward motion too, are accepted.

    Args:
        video: (F, 3, H, W) in [0, 1].
        intrinsics: Known cameras (the first frame's are used and held fixed), or None: then
            COLMAP starts from its own guess and refines one focal length.

    Raises:
        BaselineFailure: No reconstruction came out.
    """
    import pycolmap  # noqa: PLC0415 - optional dependency

    pycolmap.logging.minloglevel = int(pycolmap.logging.Level.FATAL)
    pycolmap.set_random_seed(0)
    with tempfile.TemporaryDirectory(prefix="colmap-baseline-") as scratch:
        folder = Path(scratch)
        names = _write_frames(folder / "images", video)
        reader = pycolmap.ImageReaderOptions(
            camera_model="PINHOLE" if intrinsics else "SIMPLE_PINHOLE"
        )
        if intrinsics is not None:
            numbers = [*intrinsics.focal_px[0].tolist(), *intrinsics.center_px[0].tolist()]
            reader.camera_params = ",".join(str(number) for number in numbers)
        _match(pycolmap, folder, reader)
        models = pycolmap.incremental_mapping(
            folder / "db", folder / "images", folder, _mapping_options(pycolmap, intrinsics)
        )
    if not models:
        raise BaselineFailure("no reconstruction")
    best = max(models.values(), key=lambda model: model.num_reg_images())
    return _read(best, names, video)


def _write_frames(folder: Path, video: Tensor) -> list[str]:
    folder.mkdir()
    names = [f"{k:04d}.png" for k in range(len(video))]
    for name, image in zip(names, video, strict=True):
        write_image(folder / name, image)
    return names


def _match(pycolmap: Any, folder: Path, reader: Any) -> None:
    extraction = pycolmap.FeatureExtractionOptions(use_gpu=False, num_threads=1)
    extraction.sift.peak_threshold = 0.002  # the default 0.0067 leaves small frames bare
    pycolmap.extract_features(
        folder / "db",
        folder / "images",
        camera_mode=pycolmap.CameraMode.SINGLE,
        reader_options=reader,
        extraction_options=extraction,
        device=pycolmap.Device.cpu,
    )
    pycolmap.match_exhaustive(
        folder / "db",
        matching_options=pycolmap.FeatureMatchingOptions(use_gpu=False, num_threads=1),
        device=pycolmap.Device.cpu,
    )


def _mapping_options(pycolmap: Any, intrinsics: Cameras | None) -> Any:
    options = pycolmap.IncrementalPipelineOptions()
    options.min_model_size = 3
    options.num_threads = 1
    options.random_seed = 0
    options.max_runtime_seconds = _MAX_SECONDS
    options.extract_colors = False
    options.multiple_models = False
    options.ba_refine_focal_length = intrinsics is None
    options.mapper.init_min_tri_angle = 4.0
    options.mapper.init_max_forward_motion = 1.0  # driving straight ahead is a path too
    options.mapper.init_min_num_inliers = 30
    options.mapper.abs_pose_min_num_inliers = 15
    options.mapper.abs_pose_refine_focal_length = intrinsics is None
    return options


def _read(model: Any, names: list[str], video: Tensor) -> BaselineEstimate:
    images = {image.name: image for image in model.images.values() if image.has_pose}
    poses: list[Tensor | None] = []
    for name in names:
        if name not in images:
            poses.append(None)
            continue
        cam_from_world = torch.from_numpy(images[name].cam_from_world().matrix().copy())
        poses.append(invert_rigid(rigid(cam_from_world[:, :3], cam_from_world[:, 3])))
    filled, lost = fill_lost(poses)
    camera = next(iter(model.cameras.values()))
    height, width = video.shape[-2:]
    focal = torch.tensor([camera.focal_length_x, camera.focal_length_y], dtype=torch.float64)
    center = torch.tensor([camera.principal_point_x, camera.principal_point_y], dtype=torch.float64)
    shape = (len(names), 2)
    cameras = Cameras(filled, focal.expand(shape), center.expand(shape), height, width)
    return BaselineEstimate(cameras.relative_to(0), lost)


BASELINES = (
    ClassicalBaseline(
        "pycolmap, true K",
        "pycolmap",
        True,
        estimate,
        "incremental structure from motion, intrinsics held at the truth of frame 0",
    ),
    ClassicalBaseline(
        "pycolmap",
        "pycolmap",
        False,
        estimate,
        "incremental structure from motion, one focal length refined from COLMAP's guess",
    ),
)
