"""Pretrained motion features hold the motion of cells, and the network starts from them."""

import dataclasses
import itertools

import pytest
import torch

from rays_as_pixels.model.autoencoder import LatentCodec, new_autoencoder
from rays_as_pixels.training.auxiliary import (
    WithMotionHead,
    cell_motion,
    motion_head_loss,
    pose_params,
)
from rays_as_pixels.training.config import training_config
from rays_as_pixels.training.data.pool import cell_disparity
from rays_as_pixels.training.distributed import new_accelerator
from rays_as_pixels.training.objective import CleanBatch
from rays_as_pixels.training.stages import stage_loop
from rays_as_pixels.training.stages.fit_motion import fit_latent_flow
from rays_as_pixels.training.stages.pretrain_motion_features import (
    load_pretrained_features,
    pretrain_motion_features,
)
from rays_as_pixels.training.stages.principal_components import init_as_principal_components
from rays_as_pixels.training.stages.transformer import TransformerRun, new_transformer
from rays_as_pixels.worlds import WorldOptions, render_clips

STEPS = 100


def encoded_worlds() -> tuple[LatentCodec, torch.Tensor, CleanBatch]:
    """Eight worlds, and an autoencoder that is their principal components."""
    clips = render_clips(
        list(range(8)),
        split="train",
        num_frames=5,
        height=32,
        width=32,
        options=WorldOptions(supersample=1),
    )
    torch.manual_seed(0)
    autoencoder = new_autoencoder(base_dim=24, z_dim=8, num_res_blocks=1, temporal_stride=1)
    init_as_principal_components(autoencoder, [clips.video.flatten(0, 1) * 2 - 1])
    codec = LatentCodec(autoencoder.eval(), raxel_mean=[0.0] * 8, raxel_std=[1.0] * 8)
    with torch.no_grad():
        latents = codec.encode_video(clips.video)
    truth = cell_motion(clips.cameras, cell_disparity(clips.depth), 1)
    nothing = torch.zeros(8, 8, 0, 4, 4)
    clean = CleanBatch(
        latents, torch.zeros(8, 8, 5, 2, 2), nothing, nothing, truth, pose_params(clips.cameras)
    )
    return codec, clips.video, clean


@pytest.mark.slow
def test_pretrained_features_hold_the_motion_of_their_training_clips(tmp_path, monkeypatch):
    seconds = itertools.count()  # one a step, on every machine: a busy one must not learn less
    monkeypatch.setattr(stage_loop, "shared_clock", lambda accelerator: next(seconds))
    codec, video, clean = encoded_worlds()
    latents, truth = clean.latents, clean.motion
    size = training_config("tiny").transformer
    pretraining = dataclasses.replace(size.pretraining, motion_features_minutes=STEPS / 60)
    size = dataclasses.replace(size, pretraining=pretraining)

    model = new_transformer(size.network, channels=8, temporal_stride=1)
    lines: list[str] = []
    fit_latent_flow(model.motion_features.flow, codec, video.flatten(0, 1), lines.append)
    pretrain_motion_features(
        model,
        itertools.repeat(clean),
        size,
        tmp_path,
        accelerator=new_accelerator(),
        log=lines.append,
    )
    assert any(line.startswith("motion-features step 50") for line in lines)

    whole = WithMotionHead(new_transformer(size.network, channels=8, temporal_stride=1))
    assert load_pretrained_features(whole, tmp_path)
    clear = torch.zeros(8, 5)
    with torch.no_grad():
        features = whole.transformer.motion_features(latents, clear)
        error = motion_head_loss(whole.early_head(features), truth, clear)
        # The best that a head on nothing could say: each channel's median.
        constant = truth[:, :, 1:].transpose(0, 1).flatten(1).median(dim=1).values
        guess = constant[None, :, None, None, None].expand_as(truth)
        constant_error = motion_head_loss(guess, truth, clear)
    assert error < 0.8 * constant_error

    run = TransformerRun(
        new_transformer(size.network, channels=8, temporal_stride=1),
        size,
        tmp_path,
        accelerator=new_accelerator(),
        log=lines.append,
    )
    assert lines[-1] == "transformer: starts from pretrained motion features"
    assert torch.equal(run.model.early_head.weight, whole.early_head.weight)


def test_without_a_state_there_is_nothing_to_start_from(tmp_path):
    size = training_config("tiny").transformer
    assert not load_pretrained_features(
        WithMotionHead(new_transformer(size.network, channels=8, temporal_stride=1)), tmp_path
    )
