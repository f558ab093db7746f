"""Worlds in which the camera orbits objects."""

from dataclasses import replace

import torch

from rays_as_pixels.worlds import WorldOptions, render_clips
from rays_as_pixels.worlds.camera_paths import MOTION_TYPES

SIZE = {"num_frames": 5, "height": 32, "width": 48}
DRAFT = WorldOptions(supersample=1, degraded=False)
OBJECT_CENTRIC = replace(DRAFT, object_centric_share=1.0)


def test_every_camera_looks_at_one_point_and_goes_round_it():
    small = SIZE | {"height": 16, "width": 24}
    cameras = render_clips(list(range(12)), split="train", **small, options=OBJECT_CENTRIC).cameras
    pose = cameras.world_from_cam.double()
    ahead, eye = pose[..., :3, 2], pose[..., :3, 3]
    # The point nearest to all optical axes, by least squares.
    across = torch.eye(3, dtype=torch.float64) - ahead[..., None] * ahead[..., None, :]
    subject = torch.linalg.solve(across.sum(1), (across @ eye[..., None])[..., 0].sum(1))
    offset = subject[:, None] - eye
    distance = offset.norm(dim=-1)
    miss = (across @ offset[..., None])[..., 0].norm(dim=-1) / distance
    turn = torch.arccos((ahead * ahead[:, :1]).sum(-1).clamp(-1, 1))[:, -1].rad2deg()
    assert turn.max() > 30, "some go far round"
    assert turn.median() > 6
    far = turn > 10  # where axes hardly turn, the point is anywhere along them
    assert far.sum() >= 4
    assert miss[far].max() < 0.06  # a hand-held camera shakes by a few hundredths of a radian
    ratio = distance[far] / distance[far][:, :1]
    assert ratio.min() > 0.6 and ratio.max() < 1.4, "nearer or farther by a quarter at most"


def test_held_out_worlds_and_worlds_without_a_share_have_none():
    seeds = list(range(6))
    for split in ("heldout", "train"):
        none = render_clips(
            seeds, split=split, **SIZE, options=replace(DRAFT, object_centric_share=0.0)
        )
        drawn = render_clips(seeds, split=split, **SIZE, options=DRAFT)
        same = [bool((a == b).all()) for a, b in zip(none.video, drawn.video, strict=True)]
        assert all(same) == (split == "heldout")
        assert any(same), "others are as they were"


def test_an_object_centric_world_is_the_same_in_any_batch():
    both = render_clips([3, 4], split="train", **SIZE, options=OBJECT_CENTRIC)
    alone = render_clips([4], split="train", **SIZE, options=OBJECT_CENTRIC)
    torch.testing.assert_close(both.video[1:], alone.video)
    assert int(alone.motion_type[0]) == MOTION_TYPES.index("orbit") and not bool(alone.moving.any())
