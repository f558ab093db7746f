"""Depths of every pixel: near those of a rendered world, or the prior where nothing moves."""

from dataclasses import replace

import torch

from rays_as_pixels.evaluation.clips import EvalClip
from rays_as_pixels.solve.plane_sweep import dense_log_depth

SIZE = (96, 160)


def off(found: torch.Tensor, clip: EvalClip) -> torch.Tensor:
    size = clip.depth.shape[-2:]
    found = torch.nn.functional.interpolate(found[None, None], size, mode="bilinear")[0, 0]
    return (found - clip.depth[0].log()).abs()


def test_depths_come_nearer_to_the_truth_than_those_of_the_prior(travelling):
    cells = torch.nn.functional.interpolate(travelling.depth[:1, None].log(), (6, 10), mode="area")
    prior = cells[0, 0] + 0.2
    found = dense_log_depth(travelling.video, travelling.cameras, prior)
    assert found.shape == SIZE
    before = off(prior, travelling)
    after = off(found, travelling)
    assert after.median() < 0.05 < before.median() / 3, (before.median(), after.median())
    assert after.mean() < 0.6 * before.mean()


def test_where_nothing_moves_they_are_those_of_the_prior(travelling):
    still = travelling.cameras[torch.zeros(9, dtype=torch.int64)]
    prior = torch.linspace(-0.3, 0.4, 10).expand(6, 10)
    found = dense_log_depth(travelling.video[:1].expand(9, -1, -1, -1), still, prior)
    own = torch.nn.functional.interpolate(prior[None, None], SIZE, mode="bilinear")[0, 0]
    torch.testing.assert_close(found, own, rtol=0, atol=0.07)


def test_larger_frames_are_reduced_and_give_the_same(travelling):
    prior = torch.zeros(6, 10)
    own = dense_log_depth(travelling.video, travelling.cameras, prior)
    video = torch.nn.functional.interpolate(travelling.video, scale_factor=2, mode="nearest")
    larger = dense_log_depth(video, travelling.cameras, prior)
    assert larger.shape == own.shape
    torch.testing.assert_close(larger, own, rtol=0, atol=1e-3)


def test_depths_scale_with_the_path(travelling):
    prior = torch.zeros(6, 10)
    own = dense_log_depth(travelling.video, travelling.cameras, prior)
    pose = travelling.cameras.world_from_cam.clone()
    pose[:, :3, 3] *= 1.5
    longer = dense_log_depth(
        travelling.video, replace(travelling.cameras, world_from_cam=pose), prior + 0.405
    )
    assert (longer - own - 0.405).abs().median() < 0.03
