"""Cuts are found, and what only looks like one is not."""

import numpy as np
import pytest

from rays_as_pixels.solve.video.shots import observe_shots
from tests.solve.video import planar_scene


@pytest.fixture(scope="module")
def clip_with_a_cut(travelling_clip, turning_clip):
    """8 frames of one scene, then 6 of its mirror image."""
    return [*travelling_clip.frames[:8], *turning_clip.frames[:6, :, ::-1].copy()]


def test_a_cut_parts_two_shots(clip_with_a_cut):
    shots = list(observe_shots(clip_with_a_cut))
    assert [(shot.first_frame, len(shot)) for shot in shots] == [(0, 8), (8, 6)]


def test_a_shot_is_observed_as_if_it_were_alone(clip_with_a_cut):
    _, second = (shot.observations for shot in observe_shots(clip_with_a_cut))
    (alone,) = observe_shots(clip_with_a_cut[8:])
    assert second.keyframes == alone.observations.keyframes
    for a, b in zip(second.tracks.points_px, alone.observations.tracks.points_px, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_fast_turn_is_no_cut():
    turns = np.array([planar_scene.turned(0, 11.0 * k) for k in range(3)])
    frames = planar_scene.render(planar_scene.poses_from(np.zeros((3, 3)), turns)).frames
    assert len(list(observe_shots(frames))) == 1


def test_black_frames_at_the_start_belong_to_the_shot_that_follows(travelling_clip):
    black = np.zeros_like(travelling_clip.frames[:2])
    shots = list(observe_shots([*black, *travelling_clip.frames[:5]]))
    assert [(shot.first_frame, len(shot)) for shot in shots] == [(0, 7)]


def test_who_watches_hears_every_frame_of_all_shots(clip_with_a_cut):
    heard = []
    list(observe_shots(clip_with_a_cut, after_frame=heard.append))
    assert heard == list(range(1, 15))
