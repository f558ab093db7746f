"""Broken poses are refused by the right rule, every one is listed, and good ones are kept."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from rays_as_pixels.cli.main import main
from rays_as_pixels.datasets.matching import has_opencv
from rays_as_pixels.datasets.sequences import PosedVideo, ScenePoints, SequenceRef
from rays_as_pixels.datasets.spec import open_source, parse_spec
from rays_as_pixels.datasets.triangulate import triangulated
from rays_as_pixels.datasets.validate import RefusedError, check_sequences, check_video
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras
from tests.datasets.layouts import WRONG_AXES, write_colmap, write_dl3dv, write_re10k, wrong_poses
from tests.optional import DATA

needs_opencv = pytest.mark.skipif(not has_opencv(), reason=DATA)


class Frames:
    """The room's frames, as a source."""

    def __init__(self, room):
        self.video, self.size = room.video, tuple(room.video.shape[-2:])

    def __len__(self):
        return len(self.video)

    def read(self, indices):
        return self.video[list(indices)]


def video_of(room, *, poses=None, focal=None, center=None, points=None, name="room"):
    cameras = Cameras(
        room.cameras.world_from_cam if poses is None else torch.from_numpy(poses),
        room.cameras.focal_px if focal is None else focal,
        room.cameras.center_px if center is None else center,
        room.cameras.height,
        room.cameras.width,
    )
    return PosedVideo(name, cameras, Frames(room), points=points)


def check(*videos, images=False):
    refs = [SequenceRef(video.name, lambda v=video: v) for video in videos]
    return check_sequences("test", refs, images=images)


def rule_of(video, **options):
    report = check(video, **options)
    return report.refused[0].rule if report.refused else None


@needs_opencv
@pytest.mark.parametrize("kind", WRONG_AXES)
def test_every_mistake_of_axes_is_seen_in_the_images(room, kind):
    assert rule_of(video_of(room, poses=wrong_poses(room, kind)), images=True) == "images"
    assert rule_of(video_of(room), images=True) is None


@needs_opencv
def test_a_wrong_focal_length_is_seen_in_the_images(room):
    assert rule_of(video_of(room, focal=room.cameras.focal_px * 1.7), images=True) == "images"


@pytest.mark.parametrize("kind", ["camera y and z negated", "centres negated", "inverted"])
@pytest.mark.parametrize("observed", [True, False])
def test_a_flipped_axis_is_seen_in_the_points_without_any_image(room, kind, observed):
    poses = wrong_poses(room, kind)
    xyz = torch.from_numpy(room.xyz) @ torch.from_numpy(room.poses[0, :3, :3])
    xyz = xyz - torch.from_numpy(room.poses[0, :3, :3].T @ room.poses[0, :3, 3])
    seen = (torch.from_numpy(room.frame), torch.from_numpy(room.point)) if observed else ()
    points = ScenePoints(xyz, *seen)
    right = np.linalg.inv(room.poses[0]) @ room.poses
    assert rule_of(video_of(room, poses=right, points=points)) is None
    if kind == "camera y and z negated" or observed:
        assert rule_of(video_of(room, poses=poses, points=points)) == "points"


@pytest.mark.parametrize("frame", [1, 4, 8])
def test_a_camera_that_jumps_is_refused_with_its_frame(room, frame):
    poses = room.poses.copy()
    poses[frame, :3, 3] += [20.0, 0.0, 0.0]
    with pytest.raises(RefusedError, match=f"from frame {frame - 1} to {frame}") as refused:
        check_video(video_of(room, poses=poses))
    assert refused.value.rule == "jump"


def test_a_rotation_that_jumps_is_refused(room):
    poses = room.poses.copy()
    poses[5:, :3, :3] = poses[5:, :3, :3] @ np.array([[0, 0, 1.0], [0, 1, 0], [-1, 0, 0]])
    with pytest.raises(RefusedError, match=r"must turn steadily; got a step of 88.6 degrees"):
        check_video(video_of(room, poses=poses))


def test_a_camera_that_stands_still_or_starts_to_move_is_no_jump(room):
    still = np.repeat(room.poses[:1], len(room.poses), axis=0)
    assert rule_of(video_of(room, poses=still)) is None
    pause = room.poses.copy()
    pause[:3] = pause[0]
    assert rule_of(video_of(room, poses=pause)) is None


def changed(value, frame, factor):
    value = value.clone()
    value[frame] *= factor
    return value


def test_intrinsics_that_no_camera_has_are_refused(room):
    focal, center = room.cameras.focal_px, room.cameras.center_px
    wrong = [
        {"focal": focal / 160},  # a normalised focal length taken for pixels
        {"focal": focal * 30},
        {"focal": changed(focal, 4, 1.5)},
        {"focal": focal * torch.tensor([1.0, 2.5])},
        {"center": center / 160 - 0.6},
    ]
    assert [rule_of(video_of(room, **change)) for change in wrong] == ["focal"] * 5


def test_a_focal_length_far_from_the_data_sets_is_refused(room):
    videos = [video_of(room, name=f"v{k}") for k in range(8)]
    odd = video_of(room, focal=room.cameras.focal_px * 3, name="odd")
    report = check(*videos, odd)
    assert [refusal.name for refusal in report.refused] == ["odd"]
    assert "got 3 times it" in report.refused[0].reason
    assert check(*videos[:4], odd).refused == (), "five sequences have no outliers"


def test_too_few_frames_are_refused(room):
    short = replace(room, video=room.video[:4], cameras=room.cameras[:4])
    assert rule_of(video_of(short)) == "frames"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows * np.array([[1, 1, -1, 1]]).T, "must be rigid"),
        (lambda rows: rows * 1.2, "must be rigid"),
        (lambda rows: rows * np.nan, "NaN"),
    ],
    ids=["mirrored", "scaled", "NaN"],
)
def test_poses_that_are_no_rotations_are_refused_by_their_line(room, tmp_path, change, words):
    poses = room.poses.copy()
    poses[3] = np.linalg.inv(change(np.linalg.inv(poses[3])[:, :])) if words != "NaN" else poses[3]
    root = write_re10k(tmp_path, room, poses=poses)
    if words == "NaN":
        path = root / "clip0.txt"
        lines = path.read_text().split("\n")
        lines[4] = " ".join([*lines[4].split()[:10], "nan", *lines[4].split()[11:]])
        path.write_text("\n".join(lines))
    report = check_sequences("x", open_source(parse_spec(f"re10k:{root}")).refs, images=False)
    assert [refusal.rule for refusal in report.refused] == ["file"]
    assert "line 5" in report.refused[0].reason
    if words != "NaN":
        assert words in report.refused[0].reason


@needs_opencv
def test_the_command_lists_every_refusal_and_counts_what_is_kept(room, tmp_path, capsys):
    write_re10k(tmp_path, room, "good")
    write_re10k(tmp_path, room, "flipped", poses=wrong_poses(room, "camera y and z negated"))
    write_re10k(tmp_path, room, "lost", frames=False)
    report = tmp_path / "report.json"
    assert main(["dataset", "check", f"re10k:{tmp_path}", "--report", str(report)]) == 0
    lines = capsys.readouterr().out.strip().split("\n")
    assert [line.split(": ")[:2] for line in lines[:2]] == [["flipped", "images"], ["lost", "file"]]
    assert lines[2] == "kept 1 of 3; refused 2 (1 file, 1 images)"
    value = json.loads(report.read_text())
    assert (value["found"], value["kept"]) == (3, ["good"])
    assert value["agreement"]["good"]["stated"] > 0.8
    source = open_source(parse_spec(f"re10k:{tmp_path},report={report}"))
    assert [ref.name for ref in source.refs] == ["good"]


def test_the_command_fails_where_nothing_is_kept(room, tmp_path, capsys):
    write_re10k(tmp_path, room, "lost", frames=False)
    assert main(["dataset", "check", f"re10k:{tmp_path}", "--no-images"]) == 2
    assert "got 1, all refused" in capsys.readouterr().err


def test_opencv_is_asked_for_by_name_where_it_is_missing(room, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("rays_as_pixels.datasets.matching.find_spec", lambda name: None)
    assert main(["dataset", "check", f"re10k:{write_re10k(tmp_path, room)}"]) == 2
    assert "opencv must be installed" in capsys.readouterr().err


@needs_opencv
def test_triangulated_points_have_the_depth_that_was_rendered(room):
    points = triangulated(video_of(room))
    shares = []
    for frame in points.frames_with_points.tolist():
        pose = room.cameras.world_from_cam[frame]
        local = (points.seen_in(frame) - pose[:3, 3]) @ pose[:3, :3]
        pixel = local[:, :2] / local[:, 2:] * room.cameras.focal_px[frame]
        column, row = (pixel + room.cameras.center_px[frame]).long().T
        inside = (column >= 0) & (column < 160) & (row >= 0) & (row < 120)
        true = room.depth[frame, row[inside], column[inside]]
        shares.append(local[inside, 2] / true)
    ratio = torch.cat(shares)
    assert len(ratio) > 300
    assert float(ratio.median()) == pytest.approx(1.0, abs=0.01)
    assert float(((ratio - 1).abs() < 0.1).double().mean()) > 0.85


@needs_opencv
def test_a_camera_that_only_turns_has_no_points(room):
    poses = room.poses.copy()
    poses[:, :3, 3] = poses[0, :3, 3]
    assert triangulated(video_of(room, poses=poses)) is None


@pytest.mark.parametrize("layout", ["colmap", "dl3dv"])
def test_a_layout_with_points_is_kept_and_its_flipped_twin_is_refused(room, tmp_path, layout):
    write = (
        (lambda folder, **k: write_colmap(folder, room, binary=True, **k))
        if layout == "colmap"
        else (lambda folder, **k: write_dl3dv(folder, room, **k))
    )
    flip = np.diag([1.0, -1.0, -1.0, 1.0])
    write(tmp_path / "good")
    write(tmp_path / "twin", poses=np.array([pose @ flip for pose in room.poses]))
    report = check_sequences(
        "x", open_source(parse_spec(f"{layout}:{tmp_path}")).refs, images=False
    )
    assert report.kept == ("good",)
    assert [(refusal.name, refusal.rule) for refusal in report.refused] == [("twin", "points")]


def test_a_report_that_is_none_is_refused(room, tmp_path):
    (tmp_path / "report.json").write_text("[]")
    with pytest.raises(InputError, match="written by 'dataset check --report'"):
        open_source(
            parse_spec(f"re10k:{write_re10k(tmp_path, room)},report={tmp_path}/report.json")
        )
