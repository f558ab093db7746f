"""How sure cameras are, against repeated adjustments of noisy observations."""

from dataclasses import replace

import numpy as np
import pytest

from rays_as_pixels.solve.video import uncertainty
from rays_as_pixels.solve.video.observations import observe
from rays_as_pixels.solve.video.path import ScenePoints, VideoPath, cross_matrix
from rays_as_pixels.solve.video.turning import turning_path
from rays_as_pixels.solve.video.uncertainty import path_deviation
from tests.solve.video import planar_scene

FOCAL, FRAMES, POINTS, NOISE_PX = 300.0, 6, 60, 0.5


class NoTracks:
    """Observations of a path whose points are given: only the keyframes are read."""

    keyframes = tuple(range(FRAMES))


def scene(generator: np.random.Generator) -> VideoPath:
    """Cameras on a line, points in front of them, seen with noise."""
    share = np.linspace(0, 1, FRAMES)
    centers = np.stack([share, 0.1 * share**2, 0 * share], axis=1)
    rotations = np.array([planar_scene.turned(0, 6 * part) for part in share])
    poses = planar_scene.poses_from(centers, rotations)
    xyz = np.random.default_rng(5).uniform([-1.5, -1, 3], [2, 1, 6], (POINTS, 3))
    frame, point = np.divmod(np.arange(FRAMES * POINTS), POINTS)
    places = projected(poses[frame], xyz[point])
    places = places + generator.normal(0, NOISE_PX, places.shape)
    rgb = np.zeros((POINTS, 3), np.uint8)
    return VideoPath(poses, np.full(FRAMES, FOCAL), ScenePoints(xyz, rgb, point, frame, places))


def projected(poses: np.ndarray, xyz: np.ndarray) -> np.ndarray:
    in_cam = np.einsum("nij,nj->ni", poses[:, :, :3], xyz) + poses[:, :, 3]
    return FOCAL * in_cam[:, :2] / in_cam[:, 2:] + [160, 120]


def adjusted_error(path: VideoPath) -> tuple[np.ndarray, np.ndarray]:
    """One undamped step of bundle adjustment from the truth: angles and distances it moves by.

    What of the step moves the whole world (its axes, origin and scale) is taken away.
    """
    points, poses = path.points, path.cam_from_world[path.points.frame]
    in_cam = np.einsum("nij,nj->ni", poses[:, :, :3], points.xyz[points.point]) + poses[:, :, 3]
    depth = in_cam[:, 2:]
    by_cam = np.zeros((len(in_cam), 2, 3))
    by_cam[:, 0, 0] = by_cam[:, 1, 1] = FOCAL / depth[:, 0]
    by_cam[:, :, 2] = -FOCAL * in_cam[:, :2] / depth**2
    jacobian = np.zeros((len(in_cam), 2, 6 * FRAMES + 1 + 3 * POINTS))
    for row, (frame, point) in enumerate(zip(points.frame, points.point, strict=True)):
        jacobian[row][:, 6 * frame : 6 * frame + 3] = by_cam[row] @ -cross_matrix(in_cam[row])
        jacobian[row][:, 6 * frame + 3 : 6 * frame + 6] = by_cam[row]
        jacobian[row][:, 6 * FRAMES] = FOCAL * in_cam[row, :2] / depth[row]
        at = 6 * FRAMES + 1 + 3 * point
        jacobian[row][:, at : at + 3] = by_cam[row] @ poses[row][:, :3]
    residual = points.xy_px - projected(poses, points.xyz[points.point])
    step = np.linalg.lstsq(jacobian.reshape(-1, jacobian.shape[2]), residual.ravel(), rcond=1e-7)[0]
    weight = np.tile([4.5, 4.5, 4.5, 1, 1, 1], FRAMES)  # pixels a radian moves, to those of a unit
    moved = weight * step[: 6 * FRAMES]
    of_world = weight[:, None] * world_moves(path)
    moved = moved - of_world @ np.linalg.lstsq(of_world, moved)[0]
    left = (moved / weight).reshape(FRAMES, 6)
    return np.linalg.norm(left[:, :3], axis=1), np.linalg.norm(left[:, 3:], axis=1)


def world_moves(path: VideoPath) -> np.ndarray:
    """Increments of all poses that turn, shift and scale the world: 6 F rows, 7 columns."""
    columns = []
    for k in range(7):
        turn, shift = np.eye(3)[k] if k < 3 else np.zeros(3), np.zeros(3)
        shift[k - 3 : k - 2] = float(3 <= k < 6)
        increments = []
        for pose, center in zip(path.cam_from_world, path.centers, strict=True):
            way = np.cross(turn, center) + shift + (center if k == 6 else 0)
            increments += [-pose[:, :3] @ turn, -pose[:, :3] @ way]
        columns.append(np.concatenate(increments))
    return np.stack(columns, axis=1)


def test_deviations_are_those_of_repeated_adjustments(monkeypatch):
    monkeypatch.setattr(uncertainty, "CALIBRATION", 1.0)
    for name in ("FLOOR_RAD", "TURN_SHARE", "WAY_SHARE"):
        monkeypatch.setattr(uncertainty, name, 0.0)
    errors = [adjusted_error(scene(np.random.default_rng(k))) for k in range(60)]
    turn, travel = (np.sqrt(np.mean(np.square(side), axis=0)) for side in zip(*errors, strict=True))
    path = scene(np.random.default_rng(0))
    deviation = path_deviation(path, NoTracks(), interpolated=np.zeros(FRAMES, bool), score=0.9)
    assert deviation is not None
    assert deviation.rotation_rad == pytest.approx(turn, rel=0.3)
    assert deviation.position == pytest.approx(travel, rel=0.3)
    assert deviation.rotation_rad.sum() == pytest.approx(turn.sum(), rel=0.25)


def test_the_unit_of_the_path_is_that_of_its_deviations():
    path = scene(np.random.default_rng(1))
    larger = replace(
        path,
        cam_from_world=path.cam_from_world * np.array([1, 1, 1, 7.0]),
        points=replace(path.points, xyz=7.0 * path.points.xyz),
    )
    kept = np.zeros(FRAMES, bool)
    one, other = (
        path_deviation(each, NoTracks(), interpolated=kept, score=0.9) for each in (path, larger)
    )
    assert other.position == pytest.approx(7 * one.position, rel=1e-3)
    assert other.rotation_rad == pytest.approx(one.rotation_rad, rel=1e-3)


def test_what_a_path_leaves_unexplained_adds_doubt():
    path, kept = scene(np.random.default_rng(1)), np.zeros(FRAMES, bool)
    sure, unsure = (
        path_deviation(path, NoTracks(), interpolated=kept, score=score) for score in (0.9, 0.5)
    )
    assert (unsure.rotation_rad > sure.rotation_rad).all()
    assert (unsure.position > sure.position).all()


def test_an_interpolated_frame_may_be_anywhere_between_its_neighbours():
    path, kept = scene(np.random.default_rng(2)), np.zeros(FRAMES, bool)
    between = kept.copy()
    between[3] = True
    sure, unsure = (
        path_deviation(path, NoTracks(), interpolated=which, score=0.9) for which in (kept, between)
    )
    assert unsure.position[3] > 1.5 * sure.position[3]
    assert np.delete(unsure.position, 3) == pytest.approx(np.delete(sure.position, 3))


def test_a_camera_that_only_turns_has_no_doubt_of_its_place(turning_clip):
    observations = observe(turning_clip.frames)
    path = turning_path(observations, planar_scene.FOCAL_PX)
    posed = np.zeros(len(path.focal_px), bool)
    deviation = path_deviation(path, observations, interpolated=posed, score=0.9)
    assert deviation is not None and (deviation.position == 0).all()
    assert (deviation.rotation_rad > 0).all() and deviation.rotation_rad.max() < np.deg2rad(2)
