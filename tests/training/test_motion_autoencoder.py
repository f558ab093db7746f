"""Latents that have been taught motion tell it; the pictures and raxels stay in them."""

import dataclasses
import itertools

import pytest
import torch

from rays_as_pixels.model.autoencoder import new_autoencoder, posterior_of
from rays_as_pixels.training.auxiliary import cell_motion, motion_channels, motion_head_loss
from rays_as_pixels.training.config import training_config
from rays_as_pixels.training.data.pool import cell_disparity
from rays_as_pixels.training.distributed import new_accelerator
from rays_as_pixels.training.stages import stage_loop
from rays_as_pixels.training.stages.motion_autoencoder import MotionReader, teach_motion
from rays_as_pixels.worlds import render_clips

STEPS = 100


def test_the_reader_sees_a_latent_frame_and_the_one_before_and_nothing_later():
    torch.manual_seed(0)
    reader = MotionReader(4, 4)
    latents = torch.randn(1, 4, 3, 5, 6)
    plain = reader(latents)
    assert plain.shape == (1, motion_channels(4), 3, 5, 6)
    later = latents.clone()
    later[:, :, 2] += 1
    assert torch.equal(reader(later)[:, :, :2], plain[:, :, :2])
    assert not torch.equal(reader(later)[:, :, 2], plain[:, :, 2])
    earlier = latents.clone()
    earlier[:, :, 1] += 1
    assert not torch.equal(reader(earlier)[:, :, 2], plain[:, :, 2])


@pytest.mark.slow
def test_teaching_lets_a_reader_tell_the_motion_of_the_clips_it_has_seen(tmp_path, monkeypatch):
    seconds = itertools.count()  # one a step, on every machine: a busy one must not learn less
    monkeypatch.setattr(stage_loop, "shared_clock", lambda accelerator: next(seconds))
    clips = render_clips(
        list(range(4)), split="train", num_frames=5, height=32, width=32, supersample=1
    )
    disparity = cell_disparity(clips.depth)
    truth = cell_motion(clips.cameras, disparity)
    torch.manual_seed(0)
    autoencoder = new_autoencoder(base_dim=8, z_dim=8, num_res_blocks=1)
    config = dataclasses.replace(
        training_config("tiny").codec, motion_minutes=STEPS / 60, motion_learning_rate=3e-3
    )
    lines: list[str] = []
    teach_motion(
        autoencoder,
        itertools.repeat((clips.video, clips.cameras, disparity)),
        config,
        tmp_path,
        accelerator=new_accelerator(),
        log=lines.append,
    )
    state = torch.load(tmp_path / "motion-state.pt", weights_only=True)
    reader = MotionReader(8, 4)
    reader.load_state_dict(
        {k.removeprefix("reader."): v for k, v in state["model"].items() if k.startswith("reader.")}
    )
    clear = torch.zeros(4, 2)
    with torch.no_grad():
        latents = posterior_of(autoencoder, clips.video.transpose(1, 2) * 2 - 1).mode()
        told = motion_head_loss(reader(latents), truth, clear)
        # The best that a reader of nothing could say: each channel's median.
        constant = truth[:, :, 1:].transpose(0, 1).flatten(1).median(dim=1).values
        guess = constant[None, :, None, None, None].expand_as(truth)
        blind = motion_head_loss(guess, truth, clear)
    assert told < 0.8 * blind
    assert any(line.startswith("motion step 50") for line in lines)
