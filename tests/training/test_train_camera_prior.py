"""The camera prior learns cameras and tracks of clips, and goes on where it stopped."""

import itertools

import pytest
import torch

from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.model.camera_prior.camera_params import camera_params_from_pose_params
from rays_as_pixels.model.camera_prior.camera_prior import CameraPrior, RoundOutput
from rays_as_pixels.model.camera_prior.global_motion import cell_centers
from rays_as_pixels.model.config import CameraPriorConfig
from rays_as_pixels.solve.bundle import BundleState
from rays_as_pixels.training.distributed import new_accelerator
from rays_as_pixels.training.objective import CleanBatch
from rays_as_pixels.training.stages import stage_loop
from rays_as_pixels.training.stages.train_camera_prior import (
    camera_prior_loss,
    train_camera_prior,
    true_tracks,
)

CLIPS, FRAMES, GRID = 3, 3, (4, 6)


def batches(seed: int):
    """Clips whose latents say how their cameras turn; nothing can be tracked in them."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        pose = 0.1 * torch.randn(CLIPS, FRAMES, 8, generator=generator)
        pose[:, 0, :6] = 0
        pose[..., 6:] = pose[:, :1, 6:]
        latents = pose.mT[..., None, None].expand(-1, -1, -1, *GRID).clone()
        latents[:, :, 0] = 10 * pose[:, -1, :, None, None]  # what frame 0 shows is given
        empty = torch.zeros(CLIPS, 8, 0, *GRID)
        motion = torch.ones(CLIPS, 5, FRAMES, *GRID)
        yield CleanBatch(latents, empty, empty, empty, motion, pose)


def new_prior() -> CameraPrior:
    torch.manual_seed(0)
    prior = CameraPrior(8, 8, CameraPriorConfig())
    prior.initialise_from_scratch()
    prior.std.fill_(0.1)
    return prior


def loss_of(prior: CameraPrior, clean: CleanBatch) -> float:
    with torch.no_grad():
        rounds = prior.run_rounds(prior.motion(clean.latents), clean.latents[:, :, 0])
        return float(camera_prior_loss(rounds, clean, prior.std)[0])


@pytest.mark.slow
def test_the_prior_learns_its_training_clips_and_a_second_run_resumes(tmp_path, monkeypatch):
    seconds = itertools.count()  # one a step, on every machine
    monkeypatch.setattr(stage_loop, "shared_clock", lambda accelerator: next(seconds))
    prior, lines, clean = new_prior(), [], next(batches(0))
    code, before = prior.code.weight.detach().clone(), loss_of(prior, clean)
    common = {"accelerator": new_accelerator(), "log": lines.append}
    train_camera_prior(prior, itertools.repeat(clean), 50 / 60, tmp_path, **common)
    assert any(line.startswith("camera-prior step 50") for line in lines)
    assert torch.equal(prior.code.weight, code)
    assert loss_of(prior, clean) < 0.75 * before

    again = new_prior()
    train_camera_prior(again, itertools.repeat(clean), 50 / 60, tmp_path, **common)
    assert lines[-1].startswith("camera-prior: resumed at step 50")
    for name, value in prior.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def scene_of(pose: torch.Tensor) -> BundleState:
    numbers = camera_params_from_pose_params(pose, *GRID)
    return BundleState(
        rotation_from_vector(numbers[..., :3]),
        numbers[..., 3:6],
        torch.zeros(len(pose), FRAMES),
        numbers[:, 0, 6:],
        torch.zeros(1, dtype=torch.int64),
        torch.zeros(len(pose), 1, 24),
    )


def test_the_truth_costs_nothing_and_anything_else_does():
    clean, centers = next(batches(3)), cell_centers(*GRID)
    scene = scene_of(clean.pose)
    params = camera_params_from_pose_params(clean.pose, *GRID)
    tracks = true_tracks(params, scene.log_depth[:, 0], centers)
    std = torch.full((8,), 0.1)
    loss, degrees = camera_prior_loss([RoundOutput(scene, scene, tracks)], clean, std)
    assert loss < 1e-6
    assert degrees < 1e-3
    wrong = scene_of(clean.pose.roll(1, 0))
    for output in (RoundOutput(wrong, scene, tracks), RoundOutput(scene, wrong, tracks)):
        assert camera_prior_loss([output], clean, std)[0] > 0.1
    assert camera_prior_loss([RoundOutput(scene, scene, tracks + 0.02)], clean, std)[0] > 0.05
