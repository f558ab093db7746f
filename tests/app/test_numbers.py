"""Numbers of results, as the page says them."""

import json

import pytest
import torch

from rays_as_pixels.app.examples import find_examples
from rays_as_pixels.app.jobs import tasks
from rays_as_pixels.app.page import numbers
from rays_as_pixels.app.page.library import Library, Result
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.geometry.trajectory import Trajectory


def test_the_drift_over_rounds_is_shown_and_said(manager):
    result = Library(manager, find_examples()).find("example:1-orbit/loop", "")
    report = json.loads((result.folder / tasks.REPORT).read_text())
    words = numbers.loop_numbers(report, result, "en")
    assert len(report["rounds"]) == 2
    for word in (
        "Round 2",
        "Rotation drift over rounds",
        "share of the path extent",
        "After 2 rounds",
    ):
        assert word in words


@pytest.mark.parametrize(
    ("turn_rad", "travel", "said"),
    [
        (0.0, 0.0, "stands still"),
        (0.1, 0.0, "only turns"),
        (0.0, 0.1, "only travels"),
        (0.1, 0.1, ""),
    ],
)
def test_what_an_estimated_camera_does_not_do_is_said(tmp_path, turn_rad, travel, said):
    far = torch.linspace(0, 1, 5, dtype=torch.float64)[:, None]
    turn = rotation_from_vector(far * torch.tensor([0.0, turn_rad, 0.0]))
    world_from_cam = rigid(turn, far * torch.tensor([travel, 0.0, 0.0]))
    lens = torch.full((5, 2), 80.0, dtype=torch.float64)
    center = torch.tensor([[80.0, 48.0]], dtype=torch.float64).expand(5, 2)
    path = Trajectory(Cameras(world_from_cam, lens, center, 96, 160), fps=10.0)
    result = Result("job", "estimate", tmp_path, settings={}, results={})
    words = numbers.estimate_facts(result, path, "a path", "en")
    assert ("Kind of move" in words) == bool(said)
    assert said in words


@pytest.mark.parametrize("denoised", [True, False])
def test_steps_and_seed_are_said_only_where_they_made_a_difference(tmp_path, denoised):
    settings = {"num_frames": 5, "steps": 3, "seed": 41}
    path = Trajectory(
        Cameras(
            torch.eye(4, dtype=torch.float64).expand(5, 4, 4),
            torch.full((5, 2), 80.0, dtype=torch.float64),
            torch.tensor([[80.0, 48.0]], dtype=torch.float64).expand(5, 2),
            height=96,
            width=160,
        ),
        fps=10.0,
    )
    results = {"denoised": denoised}
    result = Result("job", "estimate", tmp_path, settings=settings, results=results)
    words = numbers.estimate_facts(result, path, "a path", "en")
    assert ("3 steps" in words) == ("41" in words) == denoised
