"""Overlap by hand, and video scores on frames and pixels that count."""

import math
from dataclasses import replace

import pytest
import rooms
import torch

from rays_as_pixels.evaluation.baselines.trivial import copy_first_frame
from rays_as_pixels.evaluation.covisibility import seen_by_reference
from rays_as_pixels.evaluation.video_scores import score_video, summarise_videos


def wall(offsets, *, focal_px=20.0):
    """A wall at depth 1 seen by cameras that only shift: 40 pixels are 2 units wide."""
    cameras = rooms.path(offsets, height=40, width=40, focal_px=focal_px)
    return torch.ones(len(offsets), 40, 40), cameras


def test_a_camera_half_a_unit_to_the_right_sees_a_quarter_that_frame_0_did_not():
    seen = seen_by_reference(*wall([[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0]]))
    assert seen[0].all() and seen[3].all()
    assert seen[1, :, :30].all() and not seen[1, :, 30:].any(), "the new quarter is on the right"
    assert seen[2, :30].all() and not seen[2, 30:].any(), "down shows new rows at the bottom"


def test_a_surface_hidden_in_frame_0_is_not_seen():
    depth, cameras = wall([[0, 0, 0], [0, 0, 0]])
    depth[1] = 2.0  # behind what frame 0 saw
    assert not seen_by_reference(depth, cameras)[1].any()
    depth[1] = 1.03  # within the tolerance for slanted pixels
    assert seen_by_reference(depth, cameras)[1].all()


def test_a_turned_away_camera_sees_nothing_of_frame_0():
    cameras = rooms.path([[0, 0, 0]] * 2, [[0, 0, 0], [0, 180, 0]], height=40, width=40)
    assert not seen_by_reference(torch.ones(2, 40, 40), cameras)[1].any()


def test_what_was_seen_depends_on_neither_the_world_frame_nor_which_frame_is_the_reference(clip):
    turned = rooms.path([[3, -1, 2]], [[20, -30, 40]]).world_from_cam[0]
    elsewhere = replace(clip.cameras, world_from_cam=turned @ clip.cameras.world_from_cam)
    seen = seen_by_reference(clip.depth, clip.cameras, reference=4)
    again = seen_by_reference(clip.depth, elsewhere, reference=4)
    assert (seen != again).float().mean() < 1e-3, "float32 rounding moves a few edge pixels"
    assert seen[4].all() and 0.5 < seen[0].float().mean() < 0.97
    last_sees_right = seen[0, :, -20:].float().mean() > seen[0, :, :20].float().mean()
    assert last_sees_right, "the path goes right, so what it saw lies on frame 0's right"


def test_frame_0_is_not_scored_and_pixels_visible_in_it_are_scored_separately(clip):
    video = clip.video.clone()
    video[0] = 0.0  # the given image: whatever happens there does not count
    perfect = score_video(video, clip, seed=0, seconds=1.0)
    assert perfect.psnr_db == 60 and perfect.ssim == pytest.approx(1)
    seen = seen_by_reference(clip.depth, clip.cameras)[:, None]
    wrong_where_new = torch.where(seen, clip.video, 1 - clip.video)
    score = score_video(wrong_where_new, clip, seed=0, seconds=1.0)
    assert score.psnr_seen_db == 60 and score.psnr_db < 30


def test_a_copy_is_frozen_and_without_depth_nothing_is_called_seen(clip):
    score = score_video(copy_first_frame(clip.video), clip, seed=0, seconds=0.0)
    assert score.change == 0 and score.psnr_db < 20
    blind = score_video(clip.video, replace(clip, depth=None), seed=0, seconds=0.0)
    assert math.isnan(blind.psnr_seen_db) and blind.to_dict()["psnr_seen_db"] is None


def test_the_summary_counts_failures_and_keeps_their_numbers(clip):
    good = score_video(clip.video, clip, seed=0, seconds=1.0)
    bad = score_video(1 - clip.video, clip, seed=1, seconds=3.0, failure="refused")
    row = summarise_videos([good, bad])
    assert row["failures"] == 1 and row["clips"] == 1 and row["seeds"] == 2
    assert row["psnr_db"] == pytest.approx((good.psnr_db + bad.psnr_db) / 2)
    assert row["path_rotation_mean_deg"] is None
