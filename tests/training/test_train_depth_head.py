"""The view prior's maps are fitted and its depths are trained by the pixels of other frames."""

import itertools

import pytest
import torch

from rays_as_pixels.geometry.raxels import raxels_from_cameras
from rays_as_pixels.model.autoencoder import LatentCodec, new_autoencoder
from rays_as_pixels.model.config import ViewPriorConfig
from rays_as_pixels.model.view_prior.view_prior import ViewPrior
from rays_as_pixels.training.auxiliary import cell_motion, pose_params
from rays_as_pixels.training.data.pool import cell_disparity
from rays_as_pixels.training.distributed import new_accelerator
from rays_as_pixels.training.objective import CleanBatch
from rays_as_pixels.training.stages import stage_loop
from rays_as_pixels.training.stages.fit_view_prior import fit_view_prior
from rays_as_pixels.training.stages.principal_components import init_as_principal_components
from rays_as_pixels.training.stages.train_depth_head import reprojection_loss, train_depth_head
from rays_as_pixels.worlds import WorldOptions, render_clips


@pytest.mark.slow
def test_a_warped_frame_is_nearer_than_an_unwarped_one_and_training_brings_it_nearer(
    tmp_path, monkeypatch
):
    seconds = itertools.count()  # one a step, on every machine
    monkeypatch.setattr(stage_loop, "shared_clock", lambda accelerator: next(seconds))
    clips = render_clips(
        list(range(8)),
        split="train",
        num_frames=5,
        height=64,
        width=64,
        options=WorldOptions(supersample=1),
    )
    torch.manual_seed(0)
    autoencoder = new_autoencoder(base_dim=80, z_dim=32, num_res_blocks=1, temporal_stride=1)
    frames, raxels = clips.video.flatten(0, 1), raxels_from_cameras(clips.cameras)
    init_as_principal_components(autoencoder, [frames * 2 - 1, 4 * raxels.flatten(0, 1)])
    codec = LatentCodec(autoencoder.eval(), raxel_mean=[0.0] * 32, raxel_std=[1.0] * 32)
    empty = torch.zeros(8, 32, 0, 8, 8)
    motion = cell_motion(clips.cameras, cell_disparity(clips.depth), 1)
    with torch.no_grad():
        clean = CleanBatch(
            codec.encode_video(clips.video),
            codec.encode_raxels(raxels),
            empty,
            torch.zeros(8, 0),
            motion,
            pose_params(clips.cameras),
        )
    view, lines = ViewPrior(32, 32, ViewPriorConfig()), []
    view.initialise_from_scratch()
    fit_view_prior(view, codec, frames, itertools.repeat(clean), lines.append)
    assert "view prior" in lines[0]
    assert view.moved.mean() < 0.9 * view.copied.mean()
    first = torch.zeros(8, dtype=torch.int64)
    with torch.no_grad():
        before = reprojection_loss(view, clean, first)[0]
    train_depth_head(
        view,
        itertools.repeat(clean),
        40 / 60,
        tmp_path,
        accelerator=new_accelerator(),
        log=lines.append,
    )
    with torch.no_grad():
        after = reprojection_loss(view, clean, first)[0]
    assert after < 0.95 * before
    assert (tmp_path / "depth-head-state.pt").exists()
