"""The prior encodes raxels of the cameras it predicts, and the network's rays start from it."""

import pytest
import torch

from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.raxels import raxels_from_cameras
from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.model.camera_prior.camera_params import (
    camera_params_from_pose_params,
    raxels_from_camera_params,
)
from rays_as_pixels.model.camera_prior.camera_prior import CameraPrior
from rays_as_pixels.model.config import CameraPriorConfig
from rays_as_pixels.model.joint_state import JointState
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.training.auxiliary import pose_params
from rays_as_pixels.training.objective import CleanBatch
from rays_as_pixels.training.stages.fit_motion import fit_camera_prior


def cameras(count: int, frames: int, height: int, width: int, seed: int = 0) -> Cameras:
    """Clips that turn and move, frame 0 the identity, of various lenses."""
    generator = torch.Generator().manual_seed(seed)
    turn = 0.2 * torch.randn(count, frames, 3, generator=generator)
    move = 0.2 * torch.randn(count, frames, 3, generator=generator)
    turn[:, 0], move[:, 0] = 0, 0
    lens = 0.6 + torch.rand(count, 1, 1, generator=generator)
    focal = (lens * width).expand(count, frames, 2)
    center = torch.tensor([width / 2, height / 2]).expand(count, frames, 2)
    return Cameras(rigid(rotation_from_vector(turn), move), focal, center, height, width)


def test_raxels_of_camera_parameters_are_those_of_the_cameras_at_every_shape():
    for height, width in ((64, 64), (48, 80), (80, 48)):
        clips = cameras(2, 3, height, width)
        numbers = camera_params_from_pose_params(pose_params(clips), height, width)
        drawn = raxels_from_camera_params(numbers, (height // 16, width // 16))
        torch.testing.assert_close(2 * drawn, raxels_from_cameras(clips), rtol=0, atol=1e-5)


def random_prior(channels: int = 5) -> CameraPrior:
    """A prior whose pictures and heads are something, and whose guesses stay small."""
    torch.manual_seed(0)
    prior = CameraPrior(channels, 4, CameraPriorConfig())
    prior.motion.pictures.weight.normal_(std=0.1)
    prior.std.fill_(0.05)
    return prior.eval()


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_frame_0_is_the_reference_whatever_is_seen(frames):
    prior = random_prior()
    with torch.no_grad():
        numbers, _ = prior.params_and_log_depth(torch.randn(2, 5, frames, 4, 6))
    assert numbers.shape == (2, frames, 8)
    assert numbers.isfinite().all()
    assert numbers[:, 0, :6].abs().max() == 0
    if frames > 1:
        assert numbers[:, 1:, :6].abs().min() > 0
        assert numbers[:, 0, 6:].abs().min() > 0


def test_every_round_gets_gradients():
    prior = random_prior()
    latents = torch.randn(2, 5, 3, 4, 6)
    rounds = prior.run_rounds(prior.motion(latents), latents[:, :, 0])
    assert len(rounds) == len(prior.rounds)
    for one in rounds:
        prior.zero_grad()
        one.scene.center.square().sum().backward(retain_graph=True)
        assert prior.cell.weight.grad.abs().max() > 0
        assert prior.matching.inward.weight.grad.abs().max() > 0


def test_an_untrained_prior_follows_its_tracks():
    """Pictures slide by a quarter of a cell a frame: the camera turns or moves the other way."""
    prior = CameraPrior(48, 4, CameraPriorConfig())  # latents that are the pictures' cells
    prior.initialise_from_scratch()
    prior.motion.pictures.weight.copy_(torch.eye(48))
    wide = torch.nn.functional.interpolate(
        torch.rand(1, 3, 9, 16, generator=torch.Generator().manual_seed(1)),
        size=(32, 56),
        mode="bicubic",
    )
    frames = torch.stack([wide[..., :32, k : k + 48] for k in range(4)], 1)
    latents = torch.nn.functional.pixel_unshuffle(frames, 4).transpose(1, 2)
    with torch.no_grad():
        rounds = prior.run_rounds(prior.motion(latents), latents[:, :, 0])
    centers, seen = prior.motion(latents).centers, rounds[-1].seen
    projected = rounds[-1].scene.project(centers)
    moved = projected.image[:, 1:, 0] - centers
    assert projected.in_front.all()
    expected = -torch.arange(1, 4) / (4 * 96**0.5)  # to the left, normalised by sqrt(H W)
    torch.testing.assert_close(moved[0].median(1).values[:, 0], expected, rtol=0.2, atol=2e-3)
    assert moved[..., 1].abs().median() < 2e-3
    assert seen.shape == (1, 3, 96, 2)


def linear_batches(seed: int):
    """Ray latents that are a linear map of raxels, as those of principal components nearly are."""
    generator = torch.Generator().manual_seed(9)
    weight = torch.randn(4, 3, 8, 8, generator=generator) * 0.1
    while True:
        clips = cameras(16, 5, 64, 64, seed)
        seed += 1
        raxels = raxels_from_cameras(clips).flatten(0, 1) / 2
        latents = torch.nn.functional.conv2d(raxels, weight, torch.ones(4), stride=8)
        latents = latents.unflatten(0, (16, 5)).transpose(1, 2)
        empty = torch.zeros(16, 4, 0, 8, 8)
        video = torch.randn(16, 4, 5, 8, 8, generator=generator)
        yield CleanBatch(video, latents, empty, empty, empty, pose_params(clips))


@pytest.mark.slow
def test_the_fitted_ray_encoder_gives_the_latents_of_other_cameras():
    prior, lines = CameraPrior(4, 4, CameraPriorConfig()), []
    prior.motion.pictures.weight.normal_(std=0.1)
    fit_camera_prior(prior, linear_batches(0), lines.append)
    assert "camera prior" in lines[0]
    clean = next(linear_batches(1000))
    with torch.no_grad():
        coded = prior.encode(camera_params_from_pose_params(clean.pose, 64, 64), (4, 4))
    error = (coded - clean.ray_latents).square().mean().sqrt()
    assert error < 0.02 * clean.ray_latents.std()
    torch.testing.assert_close(prior.std[:3], torch.full((3,), 0.2), rtol=0.1, atol=0)
    moments = prior.motion(clean.latents).moments
    seen = (moments - prior.moment_mean) / prior.moment_std
    assert seen.mean().abs() < 0.2
    assert 0.5 < seen.std() < 2


def test_rays_are_those_of_the_prior_where_the_video_is_clean():
    torch.manual_seed(0)
    model = RaysAsPixelsTransformer3DModel(
        video_config={"channels": 4, "patch_size": (1, 2, 2), "temporal_stride": 1},
        block_config={"num_layers": 1, "num_heads": 2, "head_dim": 12, "ffn_dim": 32},
        motion_features_config={"width": 5},
        camera_prior_config={},
        view_prior_config={},
    )
    model.initialise_from_scratch()  # the ray head adds nothing
    model.camera_prior.motion.pictures.weight.normal_(std=0.1)
    model.eval()
    latents, rays = torch.randn(1, 4, 3, 4, 6), torch.randn(1, 4, 3, 2, 3)
    for level in (0.0, 0.25, 1.0):
        sigma = torch.full((1, 3), level)
        with torch.no_grad():
            velocity = model(JointState(latents, sigma, rays, torch.ones(1, 3)))
            expected = max(0, 1 - 2 * level) ** 2 * model.camera_prior(latents, (2, 3)).rays
            state = JointState(latents, sigma, rays, torch.ones(1, 3))
            whole = model(state, return_features=True)
        assert (velocity.log_depth is not None) == (level == 0.0)
        torch.testing.assert_close(rays - velocity.rays, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(whole.rays, velocity.rays, rtol=1e-4, atol=1e-5)


def test_no_rays_are_predicted_for_clips_whose_motion_is_hidden():
    prior = random_prior()
    latents = torch.randn(3, 5, 3, 4, 6)
    sigma = torch.tensor([[0.0, 1.0, 1.0], [0.0, 0.25, 1.0], [0.0, 0.0, 0.0]])
    with torch.no_grad():
        rays, share = prior.rays_and_blend_weight(latents, sigma, (2, 3))
        torch.testing.assert_close(rays[1:], prior(latents[1:], (2, 3)).rays)
        assert prior.rays_and_blend_weight(latents[:1], sigma[:1], (2, 3)) is None
    assert rays[0].abs().max() == 0
    assert share[:, 0, :, 0, 0].tolist() == [[0, 0, 0], [0.5, 0.5, 0], [1, 1, 1]]


def test_depths_come_along_with_the_rays_of_a_clip_and_not_with_those_of_a_single_frame():
    prior = random_prior()
    latents = torch.randn(2, 5, 3, 6, 8)
    with torch.no_grad():
        output = prior(latents, (3, 4))
        scene = prior.run_rounds(prior.motion(latents), latents[:, :, 0])[-1].scene
        single = prior(latents[:, :, :1], (3, 4))
    assert output.rays.shape == (2, 4, 3, 3, 4)
    torch.testing.assert_close(output.log_depth.flatten(1), scene.log_depth[:, 0])
    assert single.rays.shape == (2, 4, 1, 3, 4) and single.log_depth is None
