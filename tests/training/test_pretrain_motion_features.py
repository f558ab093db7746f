"""Motion features that have been taught tell motion, and the network starts from them."""

import dataclasses
import itertools

import pytest
import torch

from rays_as_pixels.model.autoencoder import LatentCodec, new_autoencoder
from rays_as_pixels.training.auxiliary import (
    WithMotionHead,
    cell_motion,
    motion_head_loss,
    pose_numbers,
)
from rays_as_pixels.training.config import training_config
from rays_as_pixels.training.data.pool import cell_disparity
from rays_as_pixels.training.distributed import new_accelerator
from rays_as_pixels.training.objective import CleanBatch
from rays_as_pixels.training.stages import stage_loop
from rays_as_pixels.training.stages.fit_motion import fit_latent_flow
from rays_as_pixels.training.stages.pretrain_motion_features import load_taught, teach_features
from rays_as_pixels.training.stages.principal_components import start_as_principal_code
from rays_as_pixels.training.stages.transformer import TransformerRun, new_transformer
from rays_as_pixels.worlds import render_clips

STEPS = 100


@pytest.mark.slow
def test_taught_features_tell_the_motion_of_the_clips_they_have_seen(tmp_path, monkeypatch):
    seconds = itertools.count()  # one a step, on every machine: a busy one must not learn less
    monkeypatch.setattr(stage_loop, "shared_clock", lambda accelerator: next(seconds))
    clips = render_clips(
        list(range(8)), split="train", num_frames=5, height=32, width=32, supersample=1
    )
    torch.manual_seed(0)
    autoencoder = new_autoencoder(base_dim=24, z_dim=8, num_res_blocks=1, temporal_stride=1)
    start_as_principal_code(autoencoder, [clips.video.flatten(0, 1) * 2 - 1])
    codec = LatentCodec(autoencoder.eval(), raxel_mean=[0.0] * 8, raxel_std=[1.0] * 8)
    with torch.no_grad():
        latents = codec.encode_video(clips.video)
    truth = cell_motion(clips.cameras, cell_disparity(clips.depth), 1)
    nothing = torch.zeros(8, 8, 0, 4, 4)
    clean = CleanBatch(
        latents, torch.zeros(8, 8, 5, 2, 2), nothing, nothing, truth, pose_numbers(clips.cameras)
    )
    size = dataclasses.replace(training_config("tiny").transformer, motion_minutes=STEPS / 60)

    model = new_transformer(size, channels=8, temporal_stride=1)
    lines: list[str] = []
    fit_latent_flow(model.motion_features.flow, codec, clips.video.flatten(0, 1), lines.append)
    teach_features(
        model,
        itertools.repeat(clean),
        size,
        tmp_path,
        accelerator=new_accelerator(),
        log=lines.append,
    )
    assert any(line.startswith("features step 50") for line in lines)

    whole = WithMotionHead(new_transformer(size, channels=8, temporal_stride=1))
    assert load_taught(whole, tmp_path)
    clear = torch.zeros(8, 5)
    with torch.no_grad():
        seen = whole.transformer.motion_features(latents, clear)
        told = motion_head_loss(whole.early_head(seen), truth, clear)
        # The best that a head on nothing could say: each channel's median.
        constant = truth[:, :, 1:].transpose(0, 1).flatten(1).median(dim=1).values
        guess = constant[None, :, None, None, None].expand_as(truth)
        blind = motion_head_loss(guess, truth, clear)
    assert told < 0.8 * blind

    run = TransformerRun(
        new_transformer(size, channels=8, temporal_stride=1),
        size,
        tmp_path,
        accelerator=new_accelerator(),
        log=lines.append,
    )
    assert lines[-1] == "transformer: starts from taught motion features"
    assert torch.equal(run.model.early_head.weight, whole.early_head.weight)


def test_without_a_state_there_is_nothing_to_start_from(tmp_path):
    size = training_config("tiny").transformer
    assert not load_taught(
        WithMotionHead(new_transformer(size, channels=8, temporal_stride=1)), tmp_path
    )
