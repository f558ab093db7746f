"""Tracks, keyframes and features say where things are, in pixels from the image's corner."""

import cv2
import numpy as np
import pytest

from rays_as_pixels.solve.video.features import detect_features, match_features
from rays_as_pixels.solve.video.keyframes import is_keyframe
from rays_as_pixels.solve.video.observations import observe, pairs_of
from rays_as_pixels.solve.video.tracks import FramePoints, Tracker
from tests.solve.video.planar_scene import HEIGHT, WIDTH, texture


def blob(x: float, y: float) -> np.ndarray:
    """A round spot whose middle is (x, y) in pixels from the image's corner."""
    columns, rows = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    return (40 + 200 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 32)).astype(np.uint8)


def test_points_follow_a_picture_that_slides_by_parts_of_a_pixel():
    picture, tracker = texture(3)[:HEIGHT, :WIDTH], Tracker()
    first = tracker.add(picture)
    shift = np.array([[1, 0, 1.5], [0, 1, -0.75]])
    second = tracker.add(cv2.warpAffine(picture, shift, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC))
    _, rows, others = np.intersect1d(first.ids, second.ids, return_indices=True)
    moved = second.points_px[others] - first.points_px[rows]
    assert len(moved) > 300
    # warping interpolates in steps of 1/32 pixel, and 8 bits leave a little more
    assert np.median(np.abs(moved - [1.5, -0.75]), axis=0) == pytest.approx([0, 0], abs=0.06)
    tracks = tracker.tracks()
    assert all((np.diff(ids) > 0).all() for ids in tracks.ids)


def test_points_that_leave_the_image_are_dropped():
    picture, tracker = texture(3)[:HEIGHT, :WIDTH], Tracker()
    first = tracker.add(picture)
    shift = np.array([[1, 0, -20.0], [0, 1, 0]])
    last = tracker.add(cv2.warpAffine(picture, shift, (WIDTH, HEIGHT)))
    kept = np.isin(first.ids, last.ids)
    assert kept[first.points_px[:, 0] > 24].mean() > 0.7
    assert not kept[first.points_px[:, 0] < 23].any()


def test_a_feature_lies_in_the_middle_of_what_it_sees():
    found = detect_features(blob(101.3, 57.8)).points_px
    nearest = found[np.linalg.norm(found - [101.3, 57.8], axis=1).argmin()]
    assert nearest == pytest.approx([101.3, 57.8], abs=0.15)  # a quarter pixel off would fail


def test_features_find_themselves_in_another_order():
    features = detect_features(texture(4)[:HEIGHT, :WIDTH])
    order = np.random.default_rng(0).permutation(len(features.points_px))
    other = type(features)(features.points_px[order], features.descriptors[order])
    pairs = match_features(features, other)
    assert len(pairs) > 100
    assert (features.points_px[pairs[:, 0]] == other.points_px[pairs[:, 1]]).all()


def test_a_keyframe_has_moved_or_lost_sight_of_the_last_one():
    places = np.random.default_rng(1).uniform(0, 300, (200, 2)).astype(np.float32)
    last = FramePoints(places, np.arange(200))
    diagonal_px = 400.0
    assert not is_keyframe(last, FramePoints(places + 5, np.arange(200)), diagonal_px=diagonal_px)
    assert is_keyframe(
        last,
        FramePoints(places + np.array([16, 0], np.float32), np.arange(200)),
        diagonal_px=diagonal_px,
    )
    few = FramePoints(places[:90], np.arange(90))
    assert is_keyframe(last, few, diagonal_px=diagonal_px)


def test_few_keyframes_are_all_matched_and_many_near_and_far():
    assert len(pairs_of(tuple(range(20)))) == 20 * 19 / 2
    many = pairs_of(tuple(range(0, 200, 2)))
    assert (0, 8) in many and (0, 12) in many and (0, 10) not in many
    assert len(many) < 100 * 12


def test_what_is_held_out_is_in_nothing_that_is_fitted(observed):
    keyframes = observed.keyframes
    assert keyframes[0] == 0 and keyframes[-1] == len(observed.tracks) - 1
    for pair in observed.matches:
        held_out = observed.held_out_matches(pair)
        assert 0.1 < held_out.mean() < 0.4
    shares = [observed.held_out_tracks(frame).mean() for frame in keyframes]
    assert np.mean(shares) == pytest.approx(0.2, abs=0.05)


def test_who_watches_may_stop_it(travelling_clip):
    def stop(number: int) -> None:
        if number == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        observe(travelling_clip.frames, after_frame=stop)


def test_a_short_or_slow_shot_has_keyframes_evenly_spread_over_it(travelling_clip):
    frames = travelling_clip.frames
    assert observe(frames[:6]).keyframes == (0, 1, 2, 3, 4, 5)
    slow = observe(np.repeat(frames[:4], 10, axis=0)).keyframes
    assert len(slow) == 8 and slow[0] == 0 and slow[-1] == 39
    assert np.diff(slow).max() <= 10
