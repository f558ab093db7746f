"""`estimate` without --frames N, from the command line to its files, on rendered clips."""

import numpy as np
import pytest
import torch

from rays_as_pixels.cli.main import main
from rays_as_pixels.media.video import write_video
from rays_as_pixels.trajectories.formats.native import read_native_with_extra
from tests.solve.video import planar_scene


def written(folder, frames: np.ndarray):
    """Write frames as a video of 12 frames per second."""
    video = torch.from_numpy(np.ascontiguousarray(frames)).movedim(-1, 1).float() / 255
    write_video(folder / "clip.mp4", video, fps=12)
    return folder / "clip.mp4"


def estimated(video, out, model_folder, *words: str) -> int:
    return main(["estimate", str(video), "--out", str(out), "--model", str(model_folder), *words])


@pytest.fixture(scope="module")
def travelling_clip() -> planar_scene.PlanarClip:
    return planar_scene.travelling()


def test_every_frame_gets_a_camera_near_the_true_one(
    tmp_path, capsys, travelling_clip, model_folder
):
    video = written(tmp_path, travelling_clip.frames)
    assert estimated(video, tmp_path / "out", model_folder) == 0
    out, err = capsys.readouterr()
    assert out.split() == [str(tmp_path / "out" / n) for n in ("trajectory.json", "path.html")]
    assert "frames used: 16 of 16" in err and "held out" in err
    found, extra = read_native_with_extra(tmp_path / "out" / "trajectory.json")
    assert found.source_frame == tuple(range(16)) and found.fps == pytest.approx(12)
    assert (found.cameras.height, found.cameras.width) == (240, 320)
    poses = travelling_clip.cam_from_world
    true_turn = poses[0, :, :3] @ poses[-1, :, :3].T
    cosine = (np.trace(true_turn.T @ found.cameras.world_from_cam[-1, :3, :3].numpy()) - 1) / 2
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))) < 1
    assert extra["interpolated"] == [] and extra["held_out_score"] > 0.8
    assert len(extra["network_path"]["frames"]) >= 2
    assert min(map(min, extra["depth"])) > 0


def test_the_scene_is_taken_along_as_a_colmap_model(
    tmp_path, capsys, travelling_clip, model_folder
):
    pycolmap = pytest.importorskip("pycolmap")
    video, folder = written(tmp_path, travelling_clip.frames), tmp_path / "colmap"
    assert estimated(video, tmp_path / "out", model_folder, "--colmap", str(folder)) == 0
    assert "mean reprojection error" in capsys.readouterr().err
    model = pycolmap.Reconstruction(folder / "sparse" / "0")
    assert model.num_reg_images() == 16 == len(list((folder / "images").iterdir()))
    assert model.num_points3D() > 100 and model.compute_mean_reprojection_error() < 1
    path, _ = read_native_with_extra(tmp_path / "out" / "trajectory.json")
    last = max(model.images.values(), key=lambda image: image.name)
    matrix = last.cam_from_world().matrix()
    center = -matrix[:, :3].T @ matrix[:, 3]
    assert center == pytest.approx(path.cameras.world_from_cam[-1, :3, 3].numpy(), abs=1e-6)


def test_a_colmap_model_needs_a_path_of_every_frame(tmp_path, capsys, model_folder):
    words = ("--frames", "5", "--colmap", str(tmp_path / "colmap"))
    assert estimated(tmp_path / "clip.mp4", tmp_path / "out", model_folder, *words) == 2
    assert "--colmap must come with a path of every frame" in capsys.readouterr().err


def test_each_shot_of_a_clip_with_a_cut_has_a_file_of_its_own(
    tmp_path, capsys, travelling_clip, model_folder
):
    frames = travelling_clip.frames
    video = written(tmp_path, np.concatenate([frames[:9], frames[9:, :, ::-1]]))
    assert estimated(video, tmp_path / "out", model_folder) == 0
    out, err = capsys.readouterr()
    names = ["trajectory.json", "path.html", "trajectory-shot-1.json", "trajectory-shot-2.json"]
    assert out.split() == [str(tmp_path / "out" / name) for name in names]
    assert "Cuts at frames 9" in err and "of shot 1, the longest" in err
    second, _ = read_native_with_extra(tmp_path / "out" / "trajectory-shot-2.json")
    assert second.source_frame == tuple(range(9, 16))


def test_a_part_and_a_rate_are_kept(tmp_path, travelling_clip, model_folder):
    video = written(tmp_path, travelling_clip.frames)
    words = ("--start-sec", "0.25", "--fps", "6")
    assert estimated(video, tmp_path / "out", model_folder, *words) == 0
    found, extra = read_native_with_extra(tmp_path / "out" / "trajectory.json")
    assert found.source_frame == (3, 5, 7, 9, 11, 13, 15)
    assert (extra["start_sec"], extra["fps"]) == (0.25, 6.0)


def test_what_cannot_be_tracked_has_the_networks_path_and_says_so(tmp_path, capsys, model_folder):
    noise = np.random.default_rng(0).integers(0, 256, (6, 240, 320, 3), dtype=np.uint8)
    assert estimated(written(tmp_path, noise), tmp_path / "out", model_folder) == 0
    err = capsys.readouterr().err
    assert "No two neighbouring frames share anything" in err
    assert "this is the network's path of 5 frames" in err
    found, extra = read_native_with_extra(tmp_path / "out" / "trajectory.json")
    assert len(found) == 6 and len(extra["interpolated"]) == 1


def test_black_bars_are_no_part_of_the_picture(tmp_path, capsys, travelling_clip, model_folder):
    frames = np.pad(travelling_clip.frames, ((0, 0), (40, 40), (0, 0), (0, 0)))
    assert estimated(written(tmp_path, frames), tmp_path / "out", model_folder) == 0
    assert "Black bars left out" in capsys.readouterr().err
    found, extra = read_native_with_extra(tmp_path / "out" / "trajectory.json")
    assert (found.cameras.height, found.cameras.width) == (320, 320)
    focal, center = found.cameras.focal_px, found.cameras.center_px
    assert float(focal[0, 0]) == pytest.approx(planar_scene.FOCAL_PX, rel=0.03)
    assert center[0].tolist() == pytest.approx([160, 160])
    assert len(extra["depth"]) >= 320 / 320 * len(extra["depth"][0]) * 0.9
