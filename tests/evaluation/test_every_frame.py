"""`evaluate --frames all`: every frame of clips that can be tracked, beside standing still."""

import json

import numpy as np
import pytest
import torch
from tiny_pipe import tiny_pipeline

from rays_as_pixels.cli.main import main
from rays_as_pixels.evaluation.clips import real_clip
from rays_as_pixels.media.video import write_image
from tests.solve.video import planar_scene


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny_pipeline().save_pretrained(folder)
    return folder


def written(folder, clip: planar_scene.PlanarClip, **more: str) -> None:
    """Write a rendered clip in the layout of --data."""
    (folder / "frames").mkdir(parents=True)
    frames = []
    for k, (image, pose) in enumerate(zip(clip.frames, clip.cam_from_world, strict=True)):
        pixels = torch.from_numpy(np.ascontiguousarray(image)).movedim(-1, 0).float() / 255
        write_image(folder / "frames" / f"{k:03d}.png", pixels)
        world_from_cam = np.linalg.inv(np.vstack([pose, [0, 0, 0, 1]])).tolist()
        focal = planar_scene.FOCAL_PX
        frames.append({"fx": focal, "fy": focal, "cx": 160, "cy": 120, "cam2world": world_from_cam})
    cameras = {"convention": "opencv_cam2world", "width": 320, "height": 240, **more}
    (folder / "cameras.json").write_text(json.dumps(cameras | {"frames": frames}))


@pytest.fixture
def data(tmp_path):
    written(tmp_path / "data" / "travelling", planar_scene.travelling())
    written(tmp_path / "data" / "turning", planar_scene.turning(), grade="rotation")
    return tmp_path / "data"


def test_the_table_has_every_frame_of_every_clip(model, data, tmp_path, capsys):
    words = ["evaluate", "--data", str(data), "--model", str(model), "--tasks", "estimate"]
    assert main([*words, "--frames", "all", "--out", str(tmp_path / "out")]) == 0
    assert "real clips in data, every frame" in capsys.readouterr().out
    result = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert [len(clip["source_frame"]) for clip in result["clips"]] == [16, 12]
    table = result["tables"]["estimate-every-frame"]
    still, ours = table["rows"]
    assert (still["id"], ours["id"]) == ("identity", "model")
    assert ours["mrra30"] > 0.97 and ours["mrra30"] > still["mrra30"]
    assert ours["failures"] == 0
    assert any(note.startswith("Chosen by what was held out:") for note in table["notes"])


def test_a_clip_graded_by_rotation_has_no_true_travel(data):
    clip = real_clip(data / "turning", num_frames=None)
    assert clip.cameras is not None
    assert float(clip.cameras.world_from_cam[:, :3, 3].abs().max()) == 0


def test_all_frames_are_for_estimates_of_real_clips(model, capsys):
    for words in (["--worlds", "2", "--tasks", "estimate"], ["--data", "x", "--tasks", "loop"]):
        assert main(["evaluate", *words, "--frames", "all", "--model", str(model)]) == 2
        assert "--frames all must come with --data DIR --tasks estimate" in capsys.readouterr().err
