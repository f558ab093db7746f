"""Where evaluation clips come from: which frames, which unit, which axes."""

import json

import pytest
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.evaluation.clips import (
    EvalClip,
    find_real_clips,
    real_clip,
    sampled_frames,
    world_clips,
)
from rays_as_pixels.media.video import write_image


def write_clip(folder, *, frames=12, size=(24, 32), cameras=True, **changes):
    (folder / "frames").mkdir(parents=True)
    height, width = size
    entries = []
    for k in range(frames):
        write_image(folder / "frames" / f"{k:03d}.png", torch.full((3, height, width), k / 20))
        # Looking along world +x: camera z is world x, camera x is world -z, camera y is world y.
        pose = [[0, 0, 1, 2.0 * k], [0, 1, 0, 7], [-1, 0, 0, 0], [0, 0, 0, 1]]
        entries.append({"fx": 20 + k, "fy": 21, "cx": 16, "cy": 12, "cam2world": pose})
    data = {"convention": "opencv_cam2world", "width": width, "height": height, "frames": entries}
    if cameras:
        (folder / "cameras.json").write_text(json.dumps(data | changes))
    return folder


def test_the_window_starts_at_frame_0_with_half_the_largest_stride():
    assert sampled_frames(49, 9) == [0, 3, 6, 9, 12, 15, 18, 21, 24]
    assert sampled_frames(16, 9) == list(range(9))
    assert sampled_frames(49, 9, stride=6) == list(range(0, 49, 6))
    assert sampled_frames(7, 9) == list(range(7)), "a short clip gives all its frames"
    assert sampled_frames(7, 9, temporal_stride=4) == [0, 1, 2, 3, 4], "or as many as the codec has"
    with pytest.raises(InputError, match="stride must be 1 to 6"):
        sampled_frames(49, 9, stride=7)
    with pytest.raises(InputError, match="5 or more frames"):
        sampled_frames(4, 9)


def test_a_real_clip_is_anchored_at_its_first_frame_and_measured_in_path_lengths(tmp_path):
    clip = real_clip(write_clip(tmp_path / "a"), num_frames=5, stride=2)
    assert clip.source_frame == (0, 2, 4, 6, 8) and clip.fps == 5
    assert clip.video[:, 0, 0, 0].tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.4], abs=2e-3)
    # World +x is the camera's +z: the path runs straight ahead and its reach becomes 1.
    expected = torch.tensor([[0, 0, k / 4] for k in range(5)], dtype=torch.float64)
    torch.testing.assert_close(clip.cameras.world_from_cam[:, :3, 3], expected)
    assert clip.cameras.focal_px[:, 0].tolist() == [20, 22, 24, 26, 28]
    assert clip.unit == "path lengths" and clip.depth is None


def test_a_clip_without_cameras_is_read_but_has_no_trajectory(tmp_path):
    clip = real_clip(write_clip(tmp_path / "a", cameras=False), num_frames=5)
    assert clip.cameras is None
    with pytest.raises(InputError, match="loop task"):
        clip.trajectory()


def test_camera_files_of_another_convention_size_or_length_are_refused(tmp_path):
    with pytest.raises(InputError, match="opencv_cam2world; got 'opengl'"):
        real_clip(write_clip(tmp_path / "a", convention="opengl"), num_frames=5)
    with pytest.raises(InputError, match="frames' size"):
        real_clip(write_clip(tmp_path / "b", width=64), num_frames=5)
    with pytest.raises(InputError, match="frame 4"):
        real_clip(write_clip(tmp_path / "c", frames=12) and _cut(tmp_path / "c"), num_frames=5)


def _cut(folder):
    data = json.loads((folder / "cameras.json").read_text())
    (folder / "cameras.json").write_text(json.dumps(data | {"frames": data["frames"][:3]}))
    return folder


def test_a_folder_without_clips_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"NAME/frames/\*\.jpg"):
        find_real_clips(tmp_path)
    write_clip(tmp_path / "b")
    write_clip(tmp_path / "a")
    assert [p.name for p in find_real_clips(tmp_path)] == ["a", "b"]


def test_worlds_come_in_every_size_with_depth_and_anchored_cameras():
    clips = list(world_clips(2, num_frames=5, sizes=[(32, 48), (48, 32)], first_seed=3))
    assert [clip.name for clip in clips] == ["world-00003", "world-00004"]
    assert [tuple(clip.video.shape) for clip in clips] == [(5, 3, 32, 48), (5, 3, 48, 32)]
    for clip in clips:
        assert isinstance(clip, EvalClip) and clip.unit == "scene units"
        torch.testing.assert_close(clip.cameras.world_from_cam[0], torch.eye(4).double())
        assert clip.depth[0].median().item() == pytest.approx(1, abs=0.05)
