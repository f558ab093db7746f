"""What a camera does not do comes out as not done at all; what it does is left alone."""

import pytest
import torch

from rays_as_pixels.evaluation.clips import EvalClip, world_clips
from rays_as_pixels.geometry.camera_metrics import rotation_error_deg
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.solve.photometric_refinement import refine_photometrically

SIZE = (96, 160)
PAN, SLIDER, STILL, BOTH = 15, 33, 45, 0  # held-out worlds whose cameras do that, and no more


def rendered(seed: int) -> EvalClip:
    (one,) = world_clips(1, num_frames=9, sizes=(SIZE,), first_seed=seed)
    return one


def travel(cameras: Cameras) -> float:
    return float(cameras.world_from_cam[:, :3, 3].norm(dim=-1).max())


def turn_deg(cameras: Cameras) -> float:
    return float(
        rotation_error_deg(cameras.world_from_cam[:, :3, :3].double(), torch.eye(3).double()).max()
    )


def off_by_deg(cameras: Cameras, truth: Cameras) -> float:
    rotation = (one.to(dtype=torch.float64).world_from_cam[:, :3, :3] for one in (cameras, truth))
    return float(rotation_error_deg(*rotation).max())


def off_by_a_degree(cameras: Cameras) -> Cameras:
    """Turn and move all cameras but frame 0 a little, the later ones more."""
    generator = torch.Generator().manual_seed(0)
    far = torch.linspace(0, 1, len(cameras.focal_px), dtype=torch.float64)[:, None]
    turn = far * 0.02 * torch.randn(len(far), 3, generator=generator, dtype=torch.float64)
    move = far * 0.02 * torch.randn(len(far), 3, generator=generator, dtype=torch.float64)
    pose = cameras.to(dtype=torch.float64).world_from_cam
    moved = rigid(rotation_from_vector(turn) @ pose[:, :3, :3], pose[:, :3, 3] + move)
    return Cameras(moved, cameras.focal_px, cameras.center_px, *SIZE).relative_to(0)


@pytest.mark.parametrize(
    ("seed", "turns", "travels"),
    [(PAN, True, False), (SLIDER, False, True), (STILL, False, False), (BOTH, True, True)],
    ids=["pan", "slider", "still", "both"],
)
def test_a_camera_does_what_it_does_and_no_more(seed, turns, travels):
    clip = rendered(seed)
    truth = clip.cameras
    assert (turn_deg(truth) > 0.1, travel(truth) > 0.001) == (turns, travels)
    guess = off_by_a_degree(truth)
    assert turn_deg(guess) > 0.5
    assert travel(guess) > 0.02
    found = refine_photometrically(clip.video.float(), guess).cameras
    # What is not done is exactly 0, but for the rounding of rotation matrices in float64.
    assert (turn_deg(found) > 1e-6, travel(found) > 0) == (turns, travels)
    assert off_by_deg(found, truth) < off_by_deg(guess, truth) / 3


def test_a_small_move_of_a_turning_camera_is_not_taken_away():
    from_tripod, moving = rendered(PAN), rendered(BOTH)
    paths = [
        refine_photometrically(one.video.float(), one.cameras).cameras
        for one in (from_tripod, moving)
    ]
    assert travel(paths[0]) == 0
    assert travel(paths[1]) == pytest.approx(travel(moving.cameras), rel=0.3)
