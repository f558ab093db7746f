"""Exports read by other programs' readers, and other programs' exports read here.

pycolmap and evo are optional; continuous integration installs both, so nothing is skipped there.
"""

import json

import numpy as np
import pytest
import torch
from format_samples import assert_same, output_of, random_path

from rays_as_pixels.trajectories.formats import load, load_info, save
from tests.optional import BASELINES, DEV


def poses_of(path) -> np.ndarray:
    return path.cameras.world_from_cam.numpy()


@pytest.mark.parametrize("name", ["colmap", "colmap-bin"])
@pytest.mark.parametrize("one_lens", [True, False])
def test_pycolmap_opens_an_export_with_the_same_poses_and_lenses(tmp_path, name, one_lens):
    pycolmap = pytest.importorskip("pycolmap", reason=BASELINES)
    path = random_path(6, 12, one_lens=one_lens)
    save(path, tmp_path / "model", format=name)
    model = pycolmap.Reconstruction(tmp_path / "model")
    assert len(model.images) == 12
    assert len(model.cameras) == (1 if one_lens else 12)
    images = sorted(model.images.values(), key=lambda image: image.name)
    for image, pose, focal, center in zip(
        images, poses_of(path), path.cameras.focal_px, path.cameras.center_px, strict=True
    ):
        theirs = np.vstack([image.cam_from_world().matrix(), [0, 0, 0, 1]])
        extent = 1 + np.abs(pose).max()
        np.testing.assert_allclose(np.linalg.inv(theirs), pose, atol=1e-12 * extent)
        camera = model.cameras[image.camera_id]
        assert (camera.width, camera.height) == (path.cameras.width, path.cameras.height)
        np.testing.assert_array_equal(camera.params, [*focal.tolist(), *center.tolist()])


@pytest.mark.parametrize("kind", ["text", "binary"])
def test_a_model_that_pycolmap_writes_is_read_back_with_its_rigs_and_frames(tmp_path, kind):
    pycolmap = pytest.importorskip("pycolmap", reason=BASELINES)
    path = random_path(4, 7, one_lens=True)
    save(path, tmp_path / "ours", format="colmap")
    model = pycolmap.Reconstruction(tmp_path / "ours")
    (tmp_path / "theirs").mkdir()
    getattr(model, f"write_{kind}")(str(tmp_path / "theirs"))
    loaded = load_info(tmp_path / "theirs", fps=path.fps)
    assert loaded.format == ("colmap" if kind == "text" else "colmap-bin")
    difference = torch.from_numpy(poses_of(loaded.trajectory) - poses_of(path)).abs().max()
    assert difference < 1e-9 * (1 + path.positions.abs().max())
    if (tmp_path / "theirs" / "frames.bin").exists():
        assert any("agree with the poses" in note for note in loaded.notes)


def test_pycolmap_projects_a_point_to_the_pixel_that_our_intrinsics_say(tmp_path):
    """The pixel's origin: both programs put the first pixel's centre at (0.5, 0.5)."""
    pycolmap = pytest.importorskip("pycolmap", reason=BASELINES)
    path = random_path(2, 1)
    save(path, tmp_path / "model", format="colmap")
    model = pycolmap.Reconstruction(tmp_path / "model")
    camera = next(iter(model.cameras.values()))
    fx, fy = path.cameras.focal_px[0].tolist()
    cx, cy = path.cameras.center_px[0].tolist()
    theirs = np.asarray(camera.img_from_cam(np.array([[0.2, -0.1, 1.0]]))).ravel()
    np.testing.assert_allclose(theirs, [fx * 0.2 + cx, -fy * 0.1 + cy], rtol=1e-12)


def test_evo_reads_a_tum_export_with_the_same_times_and_poses(tmp_path):
    file_interface = pytest.importorskip("evo.tools.file_interface", reason=DEV)
    path = random_path(7, 25)
    save(path, tmp_path / "x.txt", format="tum")
    theirs = file_interface.read_tum_trajectory_file(str(tmp_path / "x.txt"))
    np.testing.assert_allclose(theirs.timestamps, path.times_sec, rtol=1e-12)
    extent = 1 + np.abs(poses_of(path)).max()
    np.testing.assert_allclose(theirs.poses_se3, poses_of(path), atol=1e-9 * extent)


def test_evo_reads_a_kitti_export_with_the_same_poses(tmp_path):
    file_interface = pytest.importorskip("evo.tools.file_interface", reason=DEV)
    path = random_path(8, 25)
    save(path, tmp_path / "x.txt", format="kitti")
    theirs = file_interface.read_kitti_poses_file(str(tmp_path / "x.txt"))
    np.testing.assert_allclose(theirs.poses_se3, poses_of(path), rtol=1e-15)


@pytest.mark.parametrize("one_lens", [True, False])
def test_a_nerfstudio_export_follows_its_published_rules(tmp_path, one_lens):
    """transform_matrix is camera-to-world with +X right, +Y up, +Z back; lenses at the top or on
    every frame; file paths relative. A ray cast by those rules meets the point it should."""
    path = random_path(10, 6, one_lens=one_lens)
    save(path, tmp_path / "transforms.json")
    value = json.loads((tmp_path / "transforms.json").read_text())
    assert value["camera_model"] in ("PINHOLE", "OPENCV") and value["w"] == path.cameras.width
    keys = ("fl_x", "fl_y", "cx", "cy")
    with_lens = [all(key in frame for key in keys) for frame in value["frames"]]
    assert all(with_lens) if not one_lens else not any(with_lens)
    in_cam = np.array([0.3, -0.2, 2.0, 1.0])  # OpenCV axes: right, above the centre, ahead
    for index, frame in enumerate(value["frames"]):
        assert not frame["file_path"].startswith("/") and " " not in frame["file_path"]
        lens = frame if not one_lens else value
        u = float(path.cameras.focal_px[index, 0]) * 0.15 + float(path.cameras.center_px[index, 0])
        v = float(path.cameras.focal_px[index, 1]) * -0.1 + float(path.cameras.center_px[index, 1])
        direction = np.array(
            [(u - lens["cx"]) / lens["fl_x"], -(v - lens["cy"]) / lens["fl_y"], -1.0]
        )
        matrix = np.array(frame["transform_matrix"])
        assert matrix.shape == (4, 4) and matrix[3].tolist() == [0, 0, 0, 1]
        point = matrix[:3, :3] @ direction * 2.0 + matrix[:3, 3]
        wanted = (poses_of(path)[index] @ in_cam)[:3]
        np.testing.assert_allclose(point, wanted, atol=1e-9 * (1 + np.abs(wanted).max()))


def test_a_nerfstudio_camera_path_follows_its_published_rules(tmp_path):
    """Sixteen numbers row by row, vertical degrees, width / height, fps x seconds = frames."""
    path = random_path(12, 9, one_lens=True)
    save(path, tmp_path / "camera_path.json")
    value = json.loads((tmp_path / "camera_path.json").read_text())
    assert value["fps"] * value["seconds"] == pytest.approx(len(value["camera_path"]))
    assert value["camera_type"] == "perspective"
    for frame, pose, fy in zip(
        value["camera_path"], poses_of(path), path.cameras.focal_px[:, 1].tolist(), strict=True
    ):
        matrix = np.array(frame["camera_to_world"]).reshape(4, 4)
        np.testing.assert_allclose(matrix[:3, 3], pose[:3, 3])
        np.testing.assert_allclose(-matrix[:3, 2], pose[:3, 2], atol=1e-12)  # looks along -z
        np.testing.assert_allclose(-matrix[:3, 1], pose[:3, 1], atol=1e-12)  # y is up
        focal = value["render_height"] / 2 / np.tan(np.deg2rad(frame["fov"]) / 2)
        assert focal == pytest.approx(fy)
        assert frame["aspect"] == pytest.approx(path.cameras.width / path.cameras.height)
    for key in value["keyframes"]:
        assert len(key["matrix"]) == 16 and 0 < key["fov"] < 180


def test_converting_through_every_format_in_turn_ends_where_it_began(tmp_path):
    names = ["re10k", "tum", "colmap", "usda", "kitti", "ngp", "recammaster", "blender", "native"]
    path = random_path(14, 8, one_lens=True)
    current = path
    for name in names:
        out = output_of(tmp_path, name)
        save(current, out, format=name)
        current = load(out)
    assert_same(current, path, tolerance=1e-9)
