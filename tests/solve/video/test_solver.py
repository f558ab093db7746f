"""Paths of clips with known cameras, and what tells good ones from bad ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.rotations import rotation_angle_rad
from rays_as_pixels.solve.video.evidence import HeldOut
from rays_as_pixels.solve.video.mapping import MapperOptions, map_video
from rays_as_pixels.solve.video.path import ScenePoints, VideoPath
from rays_as_pixels.solve.video.solver import solve_video, with_all_poses
from rays_as_pixels.solve.video.turning import turning_path
from tests.solve.video.planar_scene import FOCAL_PX, HEIGHT, WIDTH


def true_path(clip) -> VideoPath:
    return VideoPath(clip.cam_from_world, np.full(len(clip.frames), FOCAL_PX), ScenePoints.none())


def turn_errors_deg(path: VideoPath, clip) -> np.ndarray:
    """Angles between the turns of both paths, each against its own first camera."""
    found, truth = (one[:, :, :3] for one in (path.cam_from_world, clip.cam_from_world))
    between = (found @ found[0].T) @ np.swapaxes(truth @ truth[0].T, 1, 2)
    return np.degrees(rotation_angle_rad(torch.from_numpy(between)).numpy())


def travel_errors_deg(path: VideoPath, clip) -> np.ndarray:
    """Angles between the ways from the first camera to each, in its axes; the first is left out."""
    ways = []
    for poses in (path.cam_from_world, clip.cam_from_world):
        center = -np.einsum("fji,fj->fi", poses[:, :, :3], poses[:, :, 3])
        way = (center[1:] - center[0]) @ poses[0, :, :3].T
        ways.append(way / np.linalg.norm(way, axis=1, keepdims=True))
    return np.degrees(np.arccos(np.clip((ways[0] * ways[1]).sum(1), -1, 1)))


def test_every_frame_gets_its_camera_from_a_wrong_lens_on(travelling_clip):
    found = solve_video(travelling_clip.frames, focal_px=0.7 * FOCAL_PX)
    assert found is not None and not found.interpolated.any() and not found.is_doubtful
    assert found.path.focal_px == pytest.approx(np.full(16, FOCAL_PX), rel=0.03)
    assert turn_errors_deg(found.path, travelling_clip).max() < 0.3
    assert travel_errors_deg(found.path, travelling_clip)[3:].max() < 3


def test_two_runs_find_the_same(observed):
    first, second = (map_video(observed, MapperOptions(FOCAL_PX)) for _ in range(2))
    assert first is not None and second is not None
    np.testing.assert_allclose(first.cam_from_world, second.cam_from_world, atol=1e-5)


def test_scene_points_lie_where_the_frames_see_them_in_their_colors(observed, travelling_clip):
    found = map_video(observed, MapperOptions(FOCAL_PX))
    assert found is not None
    points, poses = found.points, found.cam_from_world[found.points.frame]
    assert set(points.frame) == set(range(len(travelling_clip.frames)))
    in_cam = np.einsum("nij,nj->ni", poses[:, :, :3], points.xyz[points.point]) + poses[:, :, 3]
    places = in_cam[:, :2] / in_cam[:, 2:] * found.focal_px[0] + [WIDTH / 2, HEIGHT / 2]
    errors_px = np.linalg.norm(places - points.xy_px, axis=1)
    assert np.median(errors_px) < 0.5 and errors_px.max() < 6
    column, row = points.xy_px.astype(int).T
    pictured = travelling_clip.frames[points.frame, row, column].astype(float)
    assert np.median(np.abs(pictured - points.rgb[points.point])) < 10


def test_the_incremental_mapper_and_tracks_alone_find_the_path_too(observed, travelling_clip):
    options = MapperOptions(FOCAL_PX, mapper="incremental", use_features=False, refine_focal=False)
    found = map_video(observed, options)
    assert found is not None and found.posed.all() and (found.focal_px == FOCAL_PX).all()
    assert turn_errors_deg(found, travelling_clip).max() < 0.5


def test_the_true_path_explains_what_was_held_out_and_wrong_ones_do_not(observed, travelling_clip):
    judge, truth = HeldOut(observed).judge, true_path(travelling_clip)
    best = judge(truth)
    assert best.score > 0.9
    wrong = {
        "longer lens": replace(truth, focal_px=1.4 * truth.focal_px),
        "backwards": replace(truth, cam_from_world=truth.cam_from_world[::-1].copy()),
        "no turning": replace(
            truth,
            cam_from_world=np.concatenate(
                [np.tile(np.eye(3), (16, 1, 1)), truth.cam_from_world[:, :, 3:]], axis=2
            ),
        ),
        "turning alone": replace(truth, turns_only=True),
    }
    for name, path in wrong.items():
        assert judge(path).score < best.score - 0.2, name


def test_the_unit_of_a_path_changes_no_evidence_and_unposed_frames_count_against_it(
    observed, travelling_clip
):
    judge, truth = HeldOut(observed).judge, true_path(travelling_clip)
    larger = truth.cam_from_world * np.array([1, 1, 1, 1e4])
    scaled = judge(replace(truth, cam_from_world=larger))
    assert scaled.score == pytest.approx(judge(truth).score, abs=0.01)
    lost = truth.cam_from_world.copy()
    lost[8:] = np.nan
    assert judge(replace(truth, cam_from_world=lost)).score < 0.7 * judge(truth).score


def test_a_camera_on_a_tripod_only_turns(turning_clip):
    from rays_as_pixels.solve.video.observations import observe  # noqa: PLC0415 - this test alone

    observations = observe(turning_clip.frames)
    path = turning_path(observations, 0.8 * FOCAL_PX)
    assert path.turns_only and (path.centers == 0).all()
    assert turn_errors_deg(path, turning_clip).max() < 0.5
    assert path.focal_px[0] == pytest.approx(FOCAL_PX, rel=0.05)
    assert HeldOut(observations).judge(path).score > 0.9


def test_missing_poses_lie_between_their_neighbours():
    poses = np.full((5, 3, 4), np.nan)
    for frame, angle in ((1, 0.0), (3, 0.4)):
        cosine, sine = np.cos(angle), np.sin(angle)
        rotation = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
        poses[frame] = np.column_stack([rotation, -rotation @ [float(frame), 0, 0]])
    filled, missing = with_all_poses(VideoPath(poses, np.ones(5), ScenePoints.none()))
    assert missing.tolist() == [True, False, True, False, True]
    assert filled.centers[:, 0] == pytest.approx([1, 1, 2, 3, 3])
    assert filled.cam_from_world[2, 0, 2] == pytest.approx(np.sin(0.2))
    np.testing.assert_array_equal(filled.cam_from_world[3], poses[3])


def test_nothing_to_track_is_no_path():
    assert solve_video(np.zeros((6, HEIGHT, WIDTH, 3), np.uint8)) is None


def test_one_frame_is_refused(travelling_clip):
    with pytest.raises(InputError, match="2 frames or more"):
        solve_video(travelling_clip.frames[:1])


def test_who_watches_hears_of_each_candidate_and_may_stop(travelling_clip):
    names = []

    def stop(name: str) -> None:
        names.append(name)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        solve_video(travelling_clip.frames, report=stop)
    assert names == ["global"]
