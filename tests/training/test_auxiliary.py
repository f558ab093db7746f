"""The helpers of training say what the pictures show, and read cameras from latents."""

import math

import pytest
import torch

from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.raxels import raxels_from_cameras
from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.model.checkpoints import DEFAULT_MODEL
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
from rays_as_pixels.training.auxiliary import (
    WithMotionHead,
    cell_motion,
    fit_readouts,
    motion_channels,
    motion_head_loss,
    pose_params,
    readout_loss,
)
from rays_as_pixels.training.config import training_config
from rays_as_pixels.training.data.augment import mirrored, reversed_in_time
from rays_as_pixels.training.data.pool import cell_disparity
from rays_as_pixels.training.objective import CleanBatch, noisy_batch
from rays_as_pixels.training.stages.transformer import new_transformer
from rays_as_pixels.worlds import WorldOptions, render_clips


def moving_right(step: float) -> Cameras:
    """Nine cameras that move right by `step` scene units a frame; a 64 px focal length."""
    pose = torch.eye(4).repeat(1, 9, 1, 1)
    pose[0, :, 0, 3] = step * torch.arange(9)
    return Cameras(pose, torch.full((1, 9, 2), 64.0), torch.full((1, 9, 2), 32.0), 64, 64)


def test_a_camera_that_moves_right_saw_things_further_right_before():
    disparity = torch.full((1, 9, 8, 8), 0.5)
    motion = cell_motion(moving_right(0.1), disparity)
    assert motion.shape == (1, motion_channels(4), 3, 8, 8)
    # focal 8 cells x 0.1 units x 1/2 per unit of depth = 0.4 cells a frame
    for channel, frames in ((0, 1), (2, 2), (4, 3), (6, 4), (8, 8)):
        torch.testing.assert_close(
            motion[0, channel, 2], torch.full((8, 8), min(3.0, 0.4 * frames)), rtol=0, atol=1e-4
        )
    assert motion[:, 1:10:2, 1:].abs().max() < 1e-4  # nothing moves up or down
    assert torch.equal(motion[:, -1], disparity[:, ::4])
    assert motion[:, :-1, 0].abs().max() == 0


def test_with_a_latent_per_frame_the_motion_is_that_since_the_last_and_the_first_frame():
    motion = cell_motion(moving_right(0.1), torch.full((1, 9, 8, 8), 0.5), 1)
    assert motion.shape == (1, motion_channels(1), 9, 8, 8)
    for frame in range(1, 9):
        since_last, since_first = motion[0, 0, frame], motion[0, 2, frame]
        torch.testing.assert_close(since_last, torch.full((8, 8), 0.4), rtol=0, atol=1e-4)
        far = torch.full((8, 8), min(3.0, 0.4 * frame))
        torch.testing.assert_close(since_first, far, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_rendered_frames_look_alike_where_the_motion_says_and_not_where_it_does_not():
    clips = render_clips(
        list(range(8)),
        split="train",
        num_frames=9,
        height=64,
        width=64,
        options=WorldOptions(supersample=1, degraded=False),
    )
    motion = cell_motion(clips.cameras, cell_disparity(clips.depth))
    cells = torch.meshgrid(torch.arange(8) + 0.5, torch.arange(8) + 0.5, indexing="ij")
    cell = torch.stack(cells[::-1], -1)  # x, y
    small = motion[:, :-1].abs().amax(dim=(1, 2, 3, 4)) < 3  # nothing was cut off

    def colours(frame: int, at: torch.Tensor) -> torch.Tensor:
        grid = at / 4 - 1  # 8 cells across
        return torch.nn.functional.grid_sample(clips.video[:, frame], grid, align_corners=False)

    here = colours(8, cell.expand(8, 8, 8, 2))
    errors = {}
    for name, sign in (("moved", 1.0), ("still", 0.0), ("backwards", -1.0)):
        there = cell + sign * motion[:, 6:8, 2].permute(0, 2, 3, 1)
        inside = ((there > 0) & (there < 8)).all(-1)[:, None] & small[:, None, None, None]
        errors[name] = float((colours(4, there) - here).abs().mean(1, keepdim=True)[inside].mean())
    assert errors["moved"] < 0.7 * errors["still"]
    assert errors["moved"] < 0.7 * errors["backwards"]


def test_mirroring_and_reversing_change_the_motion_as_they_change_the_pictures():
    clips = render_clips(
        [3, 5],
        split="train",
        num_frames=9,
        height=64,
        width=64,
        options=WorldOptions(supersample=1),
    )
    disparity = cell_disparity(clips.depth)
    plain = cell_motion(clips.cameras, disparity)
    video, cameras = mirrored(clips.video, clips.cameras)
    sign = torch.ones(motion_channels(4))
    sign[0:10:2] = -1
    expected = plain.flip(-1) * sign[:, None, None, None]
    torch.testing.assert_close(
        cell_motion(cameras, disparity.flip(-1)), expected, rtol=0, atol=2e-3
    )
    median = clips.depth.flatten(2).median(dim=-1).values
    _, backwards = reversed_in_time(video, clips.cameras, median)
    turned = disparity.flip(1) * median[:, -1:, None, None]
    # Depth per unit of the new reference, and cameras in the same unit: pixels move the same.
    direct = cell_motion(
        Cameras(
            clips.cameras.world_from_cam.flip(1),
            clips.cameras.focal_px.flip(1),
            clips.cameras.center_px.flip(1),
            64,
            64,
        ),
        disparity.flip(1),
    )
    torch.testing.assert_close(
        cell_motion(backwards, turned)[:, :-1], direct[:, :-1], rtol=0, atol=2e-3
    )


def test_cells_of_unknown_depth_count_nothing():
    truth = torch.ones(1, motion_channels(4), 3, 2, 2)
    truth[..., 1] = torch.nan
    guess = torch.zeros_like(truth)
    guess[..., 1] = 100.0
    clear = motion_head_loss(guess, truth, torch.zeros(1, 3))
    torch.testing.assert_close(clear, torch.tensor(10.0))  # 1 cell off, 0.1 counts 1
    assert motion_head_loss(guess, truth, torch.ones(1, 3)) == 0  # nothing to see in noise


@pytest.fixture(scope="module")
def encoded() -> tuple[list[CleanBatch], Cameras, torch.Tensor]:
    codec = RaysAsPixelsPipeline.from_pretrained(DEFAULT_MODEL).codec
    generator = torch.Generator().manual_seed(0)
    batches = []
    for _ in range(24):
        turn = 0.1 * torch.randn(12, 9, 3, generator=generator)
        move = 0.1 * torch.randn(12, 9, 3, generator=generator)
        turn[:, 0], move[:, 0] = 0, 0
        pose = rigid(rotation_from_vector(turn), move)
        focal = 40 * torch.exp(0.2 * torch.randn(12, 1, 1, generator=generator)).expand(12, 9, 2)
        cameras = Cameras(pose, focal, torch.full((12, 9, 2), 16.0), 32, 32)
        with torch.no_grad():
            latents = codec.encode_raxels(raxels_from_cameras(cameras))
        rest = (torch.zeros(12, 1, 3, 1, 1), latents, torch.zeros(12, 1, 0, 1, 1))
        batches.append(CleanBatch(*rest, torch.zeros(12, 0), torch.zeros(1), pose_params(cameras)))
    return batches, cameras, latents


def test_readouts_find_the_camera_error_that_a_latent_error_stands_for(encoded):
    batches, cameras, latents = encoded
    lines: list[str] = []
    readout = fit_readouts(iter(batches), lines.append)[2, 2]
    assert "readout (2, 2)" in lines[0]
    still = latents[:, :, :1].expand_as(latents)  # as if no camera moved
    noise_level = torch.ones(12, 9)
    loss, degrees = readout_loss(still - latents, readout, noise_level)
    truth = torch.rad2deg(pose_params(cameras)[:, 1:, :3].norm(dim=-1)).mean()
    # A linear map through a curved encoder: a fifth off is what such a map gives.
    assert degrees == pytest.approx(float(truth), rel=0.2)
    nothing, _ = readout_loss(torch.zeros_like(latents), readout, noise_level)
    assert nothing == 0
    common, _ = readout_loss((still - latents)[:, :, 4:5].expand_as(latents), readout, noise_level)
    assert common < loss / 2  # an error that all frames share moves no camera against another
    clean_rays, none_pure = readout_loss(still - latents, readout, torch.zeros(12, 9))
    assert clean_rays == 0
    assert math.isnan(none_pure)  # no rays at noise level 1


def test_the_motion_head_reads_every_cell_of_the_clip_and_leaves_velocities_alone():
    size = training_config("tiny").transformer
    torch.manual_seed(0)
    model = WithMotionHead(new_transformer(size.network, channels=4, temporal_stride=1))
    clean = CleanBatch(
        torch.randn(2, 4, 5, 4, 6),
        torch.randn(2, 4, 5, 2, 3),
        torch.randn(2, 4, 2, 4, 6),
        torch.tensor([[0.0, 4.0]] * 2),
        torch.zeros(1),
        torch.zeros(1),
    )
    state = noisy_batch(clean, size, torch.Generator().manual_seed(0)).state
    velocity, (motion, early) = model(state)
    assert motion.shape == early.shape == (2, motion_channels(1), 5, 4, 6)
    assert torch.equal(velocity.rays, model.transformer(state).rays)
    # Cell (y, x) of latent t: the head must not mix up the order of tokens.
    features = model.transformer(state, return_features=True).features
    tokens = features[1].unflatten(1, (7, 2, 3))  # two stills, then the clip; 2x2 cells a token
    expected = model.head(model.norm(tokens[:, 3, 1, 2])).unflatten(1, (-1, 2, 2))
    torch.testing.assert_close(motion[:, :, 1, 2, 5], expected[:, :, 0, 1], rtol=1e-5, atol=1e-6)
