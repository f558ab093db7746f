"""Edit documents: what is read is what was written, and nothing crooked gets in."""

import copy
import json
import math

import numpy as np
import pytest
import torch

from rays_as_pixels.app.editor import answers
from rays_as_pixels.app.editor.cloud import MOST_POINTS, POINT, write_cloud
from rays_as_pixels.app.editor.document import (
    document_from_keyframes,
    trajectory_from_document,
    trajectory_hash,
)
from rays_as_pixels.app.editor.fitting import document_from_preset, document_from_trajectory
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import rotation_angle_rad, rotation_from_vector
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.keyframes import Keyframe, SplineOptions
from rays_as_pixels.trajectories.presets import make_preset
from rays_as_pixels.trajectories.splines import trajectory_from_keyframes
from rays_as_pixels.trajectories.training_range import TrainingRange

SIZE = {"num_frames": 9, "fps": 10.0, "height": 48, "width": 64}


def _keyframes():
    turn = torch.tensor([[0.0, 0.0, 0.0], [0.1, 0.5, 0.0], [0.0, 1.0, -0.2]], dtype=torch.float64)
    centre = torch.tensor([[0.0, 0, 0], [0.4, -0.1, 0.2], [0.7, 0.1, 0.9]], dtype=torch.float64)
    world_from_cam = rigid(rotation_from_vector(turn), centre)
    return [
        Keyframe(0.0, world_from_cam[0], 60.0, easing="quad-in", tcb=(0.1, 0.2, -0.3)),
        Keyframe(0.3, world_from_cam[1], 55.0, handle_in=(-0.1, 0.0, 0.0), roll_deg=5.0),
        Keyframe(0.8, world_from_cam[2], 62.0),
    ]


@pytest.fixture
def document():
    return document_from_keyframes(_keyframes(), **SIZE)


@pytest.mark.parametrize("position", ["catmull-rom", "linear", "tcb", "bezier"])
@pytest.mark.parametrize("speed", ["keys", "constant"])
@pytest.mark.parametrize("look_at", [None, (0.0, 0.2, 3.0)])
def test_a_document_stands_for_the_path_of_its_keyframes(position, speed, look_at):
    options = SplineOptions(position, look_at=look_at, closed=look_at is not None, speed=speed)
    document = json.loads(
        json.dumps(document_from_keyframes(_keyframes(), **SIZE, options=options))
    )
    path = trajectory_from_document(document)
    wanted = trajectory_from_keyframes(_keyframes(), **SIZE, options=options)
    torch.testing.assert_close(
        path.cameras.world_from_cam, wanted.cameras.world_from_cam, atol=1e-12, rtol=0
    )
    torch.testing.assert_close(path.cameras.focal_px, wanted.cameras.focal_px)


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("format",), "other", "format must be 'rays-as-pixels/edit'; got 'other'"),
        (("version",), 2, "version must be 1; got 2"),
        (("num_frames",), 9.5, "whole number; got 9.5"),
        (("num_frames",), True, "whole number; got True"),
        (("num_frames",), 10**9, "1000 or less"),
        (("num_frames",), 0, "1 or more"),
        (("fps",), 0, "fps must be 0.001 or more"),
        (("width",), "64", "whole number; got '64'"),
        (("keyframes",), [], "keyframes must have 1 values or more; got 0"),
        (("keyframes",), {"0": 1}, "keyframes must be a list"),
        (("keyframes", 0), 3, "keyframe 1 must be a JSON object; got 3"),
        (("keyframes", 0, "position"), [0, 0], "position of keyframe 1 must have 3 values or more"),
        (("keyframes", 0, "position", 2), math.nan, "finite"),
        (
            ("keyframes", 0, "position", 2),
            1e9,
            r"\[2\] of keyframe 1 must be 1e\+06 or less",
        ),
        (("keyframes", 1, "quaternion_wxyz"), [0, 0, 0, 0], "of keyframe 2 must have length 1"),
        (("keyframes", 1, "quaternion_wxyz"), [2, 0, 0, 0], "of keyframe 2 must have length 1"),
        (("keyframes", 1, "hfov_deg"), 0.5, "hfov_deg of keyframe 2 must be 1 or more; got 0.5"),
        (("keyframes", 1, "easing"), "bounce", "easing must be one of"),
        (("keyframes", 1, "easing"), ["linear"], "must be a text"),
        (("keyframes", 1, "tcb", 0), 3, "between -1 and 1"),
        (("keyframes", 1, "time_sec"), 0.0, "must increase"),
        (("options", "position"), "nurbs", "must be one of"),
        (("options", "closed"), 1, "true or false"),
        (("options", "look_at"), [0, 0, 0], "away from the camera"),
        (("options", "closing_sec"), -1, "closing_sec of options must be 1e-06 or more"),
    ],
)
def test_a_crooked_document_is_refused_with_the_rule(document, place, value, words):
    inner = document
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    with pytest.raises(InputError, match=words):
        trajectory_from_document(document)


def test_missing_and_unknown_fields_and_other_types_are_refused(document):
    for change, message in (
        (lambda d: d.pop("fps"), "fps must be given"),
        (lambda d: d.update(extra=1), "extra must be left out"),
    ):
        wrong = copy.deepcopy(document)
        change(wrong)
        with pytest.raises(InputError, match=message):
            trajectory_from_document(wrong)
    for wrong in (None, [], "text", 3):
        with pytest.raises(InputError, match="must be a JSON object"):
            trajectory_from_document(wrong)


def test_documents_have_at_most_200_keyframes_and_64_kilobytes(document):
    key = document["keyframes"][0]
    document["keyframes"] = [{**key, "time_sec": float(i)} for i in range(201)]
    with pytest.raises(InputError, match=r"keyframes must have 200 values or fewer; got 201"):
        trajectory_from_document(document)
    document["keyframes"] = document["keyframes"][:200]
    assert len(trajectory_from_document(document)) == 9
    for key in document["keyframes"]:
        key["position"] = [0.12345678901234567 + key["time_sec"]] * 3
        key["handle_in"] = key["handle_out"] = [0.1234567890123456] * 3
    document["width"] = 64
    document["format"] = "x" * 70_000
    with pytest.raises(InputError, match="bytes or fewer"):
        trajectory_from_document(document)


def test_the_hash_names_the_path_and_nothing_else(document):
    path = trajectory_from_document(document)
    again = trajectory_from_document(json.loads(json.dumps(document)))
    assert trajectory_hash(path) == trajectory_hash(again)
    assert len(trajectory_hash(path)) == 12
    document["keyframes"][1]["position"][0] += 1e-9
    assert trajectory_hash(trajectory_from_document(document)) != trajectory_hash(path)


def test_a_path_becomes_few_keyframes_that_follow_it():
    path = make_preset("arc-right", num_frames=17, fps=10.0, height=48, width=64, amount=40.0)
    document = document_from_trajectory(path)
    drawn = trajectory_from_document(document)
    assert 2 < len(document["keyframes"]) < 12
    reach = float(path.positions.norm(dim=-1).max())
    assert float((drawn.positions - path.positions).norm(dim=-1).max()) < 0.012 * reach
    rotation, other = (one.cameras.world_from_cam[:, :3, :3] for one in (path, drawn))
    assert float(rotation_angle_rad(rotation.mT @ other).max()) < 0.012


def test_as_many_keyframes_as_asked_for_and_every_frame_gives_the_path_back():
    path = make_preset("fly-through", num_frames=13, fps=5.0, height=48, width=64)
    assert len(document_from_trajectory(path, 5)["keyframes"]) == 5
    document = document_from_trajectory(path, 13)
    drawn = trajectory_from_document(document)
    torch.testing.assert_close(drawn.positions, path.positions, atol=1e-9, rtol=0)
    assert document["fps"] == 5.0
    with pytest.raises(InputError, match="num_keyframes must lie"):
        document_from_trajectory(path, 0)


def test_a_single_frame_and_two_frames_can_be_edited():
    world_from_cam = torch.eye(4, dtype=torch.float64).repeat(2, 1, 1)
    world_from_cam[1, 0, 3] = 0.3
    focal = torch.full((2, 2), 60.0, dtype=torch.float64)
    center = torch.tensor([[32.0, 24.0]], dtype=torch.float64).expand(2, 2)
    path = Trajectory(Cameras(world_from_cam, focal, center, 48, 64), 10.0)
    assert len(document_from_trajectory(path)["keyframes"]) == 2
    assert len(document_from_trajectory(path[:1])["keyframes"]) == 1


@pytest.mark.parametrize("name", ["orbit", "dolly-zoom", "roll", "zoom-in", "helix"])
def test_a_preset_becomes_keyframes_close_to_it(name):
    document = document_from_preset(name, **SIZE)
    drawn = trajectory_from_document(document)
    wanted = make_preset(name, **SIZE)
    reach = max(0.1, float(wanted.positions.norm(dim=-1).max()))
    assert float((drawn.positions - wanted.positions).norm(dim=-1).max()) < 0.03 * reach
    assert len(document["keyframes"]) <= 20


def test_the_server_confirms_with_the_frames_themselves_and_warns(document):
    answer = answers.confirm(document, training=TrainingRange())
    path = trajectory_from_document(document)
    assert answer["ok"] and answer["num_frames"] == 9
    assert answer["hash"] == trajectory_hash(path)
    assert [one["position"] for one in answer["frames"]] == path.positions.tolist()
    rules = {warning["rule"] for warning in answer["warnings"]}
    assert {"rotation_total_deg", "baseline"} <= rules, "it turns by 57 degrees, goes 1.1 away"
    steps = (len(answer["curve"]) - 1) // 8
    assert np.allclose(answer["curve"][::steps], path.positions, atol=1e-12), "same curve, denser"
    json.dumps(answer, allow_nan=False)


def test_the_server_says_no_instead_of_raising(document):
    document["fps"] = -1
    answer = answers.confirm(document, training=TrainingRange())
    assert answer["ok"] is False
    assert "fps must be 0.001 or more" in answer["message"]
    for request in (None, {"name": "orbit"}, {"document": 3, "strength": 0.3}):
        assert answers.preset(request)["ok"] is False
        assert answers.smooth_keys(request)["ok"] is False


def test_smoothing_keeps_ends_and_times_and_takes_the_wobble_out():
    keys = []
    for index in range(9):
        world_from_cam = torch.eye(4, dtype=torch.float64)
        world_from_cam[:3, 3] = torch.tensor([0.1 * index, 0.03 * (-1) ** index, 0.0])
        keys.append(Keyframe(index / 8, world_from_cam))
    document = document_from_keyframes(keys, **SIZE)
    answer = answers.smooth_keys({"document": document, "strength": 0.6})
    smoothed = answer["document"]["keyframes"]
    before = [key["position"][1] for key in document["keyframes"]]
    after = [key["position"][1] for key in smoothed]
    assert np.ptp(after[1:-1]) < 0.4 * np.ptp(before[1:-1])
    assert [key["time_sec"] for key in smoothed] == [key.time_sec for key in keys]
    assert np.allclose([after[0], after[-1]], [before[0], before[-1]], atol=1e-9)


def test_a_point_cloud_is_sixteen_bytes_a_point(tmp_path):
    points = torch.tensor([[1.0, -2.0, 3.5], [0.25, 0.0, 9.0]])
    colors = torch.tensor([[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]])
    rows = np.fromfile(write_cloud(tmp_path / "cloud.bin", points, colors), dtype=POINT)
    assert (tmp_path / "cloud.bin").stat().st_size == 32
    assert rows["place"].tolist() == points.tolist()
    assert rows["color"].tolist() == [[255, 0, 128], [0, 255, 0]]


def test_bad_point_clouds_are_refused(tmp_path):
    for points, colors, words in (
        (torch.zeros(MOST_POINTS + 1, 3), None, "up to 20000"),
        (torch.tensor([[0.0, math.inf, 0.0]]), None, "must be finite"),
        (torch.zeros(2, 3), torch.zeros(3, 3), "must have the points' shape"),
        (torch.zeros(2, 3), torch.full((2, 3), 255.0), "colors lie in"),
    ):
        with pytest.raises(InputError, match=words):
            write_cloud(tmp_path / "cloud.bin", points, colors)
    assert not (tmp_path / "cloud.bin").exists()
