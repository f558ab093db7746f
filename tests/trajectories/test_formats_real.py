"""Real files of every format, where a folder of them is at hand (RAP_SHARED, or ../shared)."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from format_samples import WRITABLE, assert_same, output_of

from rays_as_pixels.trajectories.formats import load, load_info, save
from tests.optional import BASELINES

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("RAP_SHARED", ROOT.parent / "shared")) / "data"
pytestmark = pytest.mark.skipif(
    not (DATA / "trajectories").is_dir(),
    reason="real files are not part of the project: set RAP_SHARED to a folder with "
    "data/trajectories",
)
CROSS = ("colmap_bin", "colmap_txt", "kitti.txt", "re10k.txt", "transforms.json", "tum.txt")
FORMAT_OF_FOLDER = {
    "bundler_out": "bundler",
    "colmap_bin": "colmap-bin",
    "colmap_txt": "colmap",
    "colmap_txt_per_image_cams": "colmap",
    "euroc_csv": "euroc",
    "kitti": "kitti",
    "motionctrl_json": "motionctrl",
    "nerf_transforms": "nerfstudio",
    "open3d_log": "open3d",
    "pyslam_simple": "pyslam",
    "re10k_txt": "re10k",
    "recammaster_json": "recammaster",
    "trajectorycrafter_txt": "trajectorycrafter",
    "tum": "tum",
    "visualsfm_nvm": "nvm",
}


def real_files() -> list[Path]:
    """Every path file; a COLMAP folder is one. Times and calibration are no paths."""
    found = []
    for folder in FORMAT_OF_FOLDER:
        if folder.startswith("colmap"):
            found.append(DATA / "trajectories" / folder)
        else:
            found += sorted((DATA / "trajectories" / folder).iterdir())
    return [path for path in found if "times" not in path.name and "calib" not in path.name]


def test_every_real_file_is_detected_as_what_its_folder_says():
    for path in real_files():
        loaded = load_info(path)
        folder = path.name if path.is_dir() else path.parent.name
        assert loaded.format == FORMAT_OF_FOLDER[folder], path


def test_one_file_of_each_format_goes_through_every_writable_format_and_back(tmp_path):
    firsts = {(path.name if path.is_dir() else path.parent.name): path for path in real_files()}
    for folder, file in firsts.items():
        path = load(file)[:40]  # the first frames show a convention as well as all do
        for name in WRITABLE:
            (tmp_path / folder).mkdir(exist_ok=True)
            out = output_of(tmp_path / folder, name)
            save(path, out, format=name)
            assert_same(load(out), path)


@pytest.mark.parametrize("clip", ["fox_phone", "kitti06_street"])
@pytest.mark.parametrize("file", CROSS)
def test_one_path_in_six_formats_is_the_same_path(clip, file):
    truth = json.loads((DATA / "real" / clip / "cameras.json").read_text())
    size = (truth["width"], truth["height"])
    loaded = load_info(DATA / "trajectories" / f"crossformat_{clip}" / file, size=size, fps=10)
    cameras = loaded.trajectory.cameras
    poses = torch.tensor([frame["cam2world"] for frame in truth["frames"]], dtype=torch.float64)
    scale = poses[:, :3, 3].abs().max()
    assert (cameras.world_from_cam - poses)[:, :3, :3].abs().max() < 1e-6
    assert (cameras.world_from_cam - poses)[:, :3, 3].abs().max() < 1e-6 * scale
    if "intrinsics" not in loaded.assumed:
        lens = torch.cat([cameras.focal_px, cameras.center_px], dim=1)
        wanted = [[f[key] for key in ("fx", "fy", "cx", "cy")] for f in truth["frames"]]
        np.testing.assert_allclose(lens.numpy(), wanted, rtol=1e-6)


@pytest.mark.slow
def test_matched_points_of_clips_lie_on_epipolar_lines_under_the_loaded_poses():
    """0.3 px is the noise of the features; a wrong axis gives 0.45 px at the very least."""
    pytest.importorskip("cv2", reason=BASELINES)
    from scripts.check_real_trajectories import (  # noqa: PLC0415 - needs the optional OpenCV
        clip_files,
        epipolar_of,
        read_clip,
    )

    wanted = {
        "re10k_txt/3f79dc32d575bcdc.txt",
        "kitti/kitti06_first51_poses.txt",
        "crossformat_kitti06_street/transforms.json",
        "bundler_out/kermit_bundle.out",
    }
    clips = {}
    for name, clip_name, rule in clip_files(DATA):
        if name not in wanted:
            continue
        wanted.discard(name)
        if clip_name not in clips:
            clips[clip_name] = read_clip(DATA / "real" / clip_name)
        clip = clips[clip_name]
        loaded = load_info(DATA / "trajectories" / name, size=clip.size)
        right, wrong = epipolar_of(clip, loaded, rule(clip, loaded))
        assert right < 0.3, name
        assert wrong > 1.5 * right, name
    assert not wanted


def test_presets_of_other_projects_move_as_their_names_say():
    """Camera centres in OpenCV axes: zoom in goes ahead; Wan-Fun's 'pan left' moves left."""
    folder = DATA / "trajectories"
    zoom = load(folder / "re10k_txt" / "videoxfun_Zoom_In.txt").positions[-1]
    assert zoom[2] > 0 and zoom[:2].abs().max() < 1e-9
    left = load(folder / "re10k_txt" / "videoxfun_Pan_Left.txt").positions[-1]
    assert left[0] < 0 and left[1:].abs().max() < 1e-9
    motionctrl = folder / "motionctrl_json"
    zoom = load(motionctrl / "test_camera_I.json").positions
    assert zoom[-1, 2] > zoom[0, 2]
    left = load(motionctrl / "test_camera_L.json").positions
    assert left[-1, 0] < left[0, 0]
