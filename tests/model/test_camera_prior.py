"""The prior draws the cameras it tells as raxels, and the network's rays start from it."""

import pytest
import torch

from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.raxels import raxels_from_cameras
from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.model.camera_prior import (
    CameraPrior,
    camera_numbers,
    mirrored_numbers,
    raxels_of_numbers,
)
from rays_as_pixels.model.global_motion import MOMENTS
from rays_as_pixels.model.joint_state import JointState
from rays_as_pixels.model.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.training.auxiliary import pose_numbers
from rays_as_pixels.training.motion_fit import fit_camera_prior
from rays_as_pixels.training.objective import CleanBatch


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


def test_numbers_drawn_as_raxels_are_the_cameras_raxels_at_every_shape():
    for height, width in ((64, 64), (48, 80), (80, 48)):
        clips = cameras(2, 3, height, width)
        numbers = camera_numbers(pose_numbers(clips), height, width)
        drawn = raxels_of_numbers(numbers, (height // 16, width // 16))
        torch.testing.assert_close(2 * drawn, raxels_from_cameras(clips), rtol=0, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_frame_0_is_the_reference_whatever_is_seen(frames):
    torch.manual_seed(0)
    prior = CameraPrior(5, 4)
    numbers = prior.numbers(torch.randn(2, frames, MOMENTS), torch.zeros(2))
    assert numbers.shape == (2, frames, 8)
    assert numbers[:, 0, :6].abs().max() == 0
    if frames > 1:
        assert numbers[:, 1:, :6].abs().min() > 0
        assert numbers[:, 0, 6:].abs().min() > 0


def test_a_mirrored_clip_has_mirrored_cameras():
    clips = cameras(2, 3, 48, 80)
    mirror = torch.diag(torch.tensor([-1.0, 1, 1, 1]))
    turned = Cameras(
        mirror @ clips.world_from_cam @ mirror, clips.focal_px, clips.center_px, 48, 80
    )
    numbers, mirrored = (camera_numbers(pose_numbers(one), 48, 80) for one in (clips, turned))
    torch.testing.assert_close(mirrored_numbers(numbers), mirrored, rtol=1e-4, atol=1e-5)


def linear_batches(seed: int):
    """Ray latents that are a linear map of raxels, as a principal code's nearly are."""
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
        yield CleanBatch(video, latents, empty, empty, empty, pose_numbers(clips))


def test_the_fitted_code_gives_the_latents_of_other_cameras():
    prior, lines = CameraPrior(4, 4), []
    prior.motion.pictures.weight.normal_(std=0.1)
    fit_camera_prior(prior, linear_batches(0), lines.append)
    assert "camera prior" in lines[0]
    clean = next(linear_batches(1000))
    with torch.no_grad():
        coded = prior.coded(camera_numbers(clean.pose, 64, 64), (4, 4))
    error = (coded - clean.ray_latents).square().mean().sqrt()
    assert error < 0.02 * clean.ray_latents.std()
    torch.testing.assert_close(prior.spread[:3], torch.full((3,), 0.2), rtol=0.1, atol=0)
    seen = (prior.motion(clean.latents)[:, 1:] - prior.moment_mean) / prior.moment_spread
    assert seen.mean().abs() < 0.2
    assert 0.5 < seen.std() < 2


def test_rays_are_the_priors_where_the_video_is_clear():
    torch.manual_seed(0)
    model = RaysAsPixelsTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=4,
        ffn_dim=32, num_layers=1, temporal_stride=1, motion_width=5,
    )  # fmt: skip
    model.initialise_from_scratch()  # the ray head adds nothing
    model.camera_prior.motion.pictures.weight.normal_(std=0.1)
    latents, rays = torch.randn(1, 4, 3, 4, 6), torch.randn(1, 4, 3, 2, 3)
    for level in (0.0, 0.25, 1.0):
        sigma = torch.full((1, 3), level)
        with torch.no_grad():
            velocity = model(JointState(latents, sigma, rays, torch.ones(1, 3)))
            expected = max(0, 1 - 2 * level) ** 2 * model.camera_prior(latents, (2, 3))
        torch.testing.assert_close(rays - velocity.rays, expected, rtol=1e-4, atol=1e-5)
