"""The training range: what a path goes beyond, by how much and at which frame."""

import math

import pytest
import torch

from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories import operations as ops
from rays_as_pixels.trajectories.presets import make_preset


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


def preset(name, num_frames=9, **options):
    return make_preset(name, num_frames=num_frames, fps=10.0, height=48, width=64, **options)


def test_a_path_inside_the_training_range_gets_no_warning():
    assert ops.check_range(preset("truck-right", amount=0.3)) == []


@pytest.mark.parametrize(
    ("path", "rule", "value", "frame"),
    [
        (preset("pan-left", num_frames=17, amount=60.0), "rotation_total_deg", 60.0, 16),
        (preset("truck-left", num_frames=17, amount=2.0), "baseline", 2.0, 16),
        (preset("dolly-in", num_frames=4, amount=0.1), "num_frames", 4, 3),
        (preset("dolly-in", num_frames=33, amount=0.3), "num_frames", 33, 32),
        (preset("dolly-in", hfov_deg=110.0), "hfov_deg", 110.0, 0),
        (preset("dolly-in", hfov_deg=20.0), "hfov_deg", 20.0, 0),
        (
            preset("zoom-in", amount=20.0, num_frames=17),
            "zoom_ratio",
            math.tan(math.radians(30)) / math.tan(math.radians(20)),
            16,
        ),
    ],
)
def test_each_rule_of_the_training_range_is_reported_with_its_worst_frame(path, rule, value, frame):
    found = {warning.rule: warning for warning in ops.check_range(path)}
    assert found[rule].value == pytest.approx(value)
    assert found[rule].frame == frame
    assert str(frame) in found[rule].message or rule == "num_frames"


def test_fast_steps_are_reported_between_the_frames_where_they_happen():
    turn = rotation_from_vector(torch.deg2rad(vector(0, 20, 0)))
    eye = torch.eye(3, dtype=torch.float64)
    pose = rigid(
        torch.stack([eye, eye, turn, turn, turn]),
        torch.stack([vector(0, 0, 0)] * 3 + [vector(0.5, 0, 0)] * 2),
    )
    cameras = Cameras(pose, torch.full((5, 2), 55.0), torch.full((5, 2), 25.0), 48, 64)
    found = {warning.rule: warning for warning in ops.check_range(Trajectory(cameras, 10.0))}
    assert set(found) == {"rotation_per_frame_deg", "step"}
    assert (found["rotation_per_frame_deg"].frame, found["step"].frame) == (2, 3)
    assert found["rotation_per_frame_deg"].value == pytest.approx(20.0)
    assert found["step"].value == pytest.approx(0.5)


def test_the_scenes_depth_is_what_makes_a_baseline_long():
    path = preset("truck-right", num_frames=17, amount=2.0)
    assert any(w.rule == "baseline" for w in ops.check_range(path))
    assert ops.check_range(path, scene_depth=10.0) == []


def test_a_models_own_range_replaces_the_default():
    wide = ops.TrainingRange(num_frames=(5, 49), rotation_total_deg=90.0)
    assert ops.check_range(preset("pan-left", num_frames=33, amount=60.0), wide) == []
