"""The formats: a new one is a module that describes itself in a FormatSpec, listed here."""

from rays_as_pixels.trajectories.formats import (
    blender,
    camera_path,
    colmap,
    csv_table,
    da3,
    gltf,
    inria,
    kitti,
    motionctrl,
    native,
    nerfstudio,
    ngp,
    open3d_log,
    photogrammetry,
    re10k,
    recammaster,
    robotics,
    trajectorycrafter,
    tum,
    usda,
)
from rays_as_pixels.trajectories.formats.base import FormatSpec
from rays_as_pixels.trajectories.formats.bundle import bundle_of

_IN_THE_BUNDLE = (
    native.SPEC,
    re10k.SPEC,
    colmap.SPEC,
    nerfstudio.SPEC,
    camera_path.SPEC,
    tum.SPEC,
    kitti.SPEC,
    inria.SPEC,
    recammaster.SPEC,
    motionctrl.SPEC,
    da3.SPEC,
    ngp.SPEC,
    gltf.SPEC,
    usda.SPEC,
    blender.SPEC,
    csv_table.SPEC,
)
_OTHERS = (
    bundle_of(_IN_THE_BUNDLE),
    colmap.SPEC_BINARY,
    photogrammetry.SPEC_BUNDLER,
    photogrammetry.SPEC_NVM,
    open3d_log.SPEC,
    robotics.SPEC_EUROC,
    robotics.SPEC_PYSLAM,
    trajectorycrafter.SPEC,
)
FORMATS: dict[str, FormatSpec] = {spec.name: spec for spec in (*_IN_THE_BUNDLE, *_OTHERS)}
