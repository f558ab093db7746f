"""Long shots: parts that are right up to a similarity of their own become one path."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rays_as_pixels.geometry.rotations import rotation_angle_rad, rotation_from_vector
from rays_as_pixels.solve.video.long_shot import LongShot
from rays_as_pixels.solve.video.observations import PartSize
from rays_as_pixels.solve.video.parts import SolvedPart, join_parts
from rays_as_pixels.solve.video.path import ScenePoints, VideoPath
from rays_as_pixels.solve.video.shots import observe_shots
from rays_as_pixels.solve.video.solver import VideoSolution, held_still
from rays_as_pixels.solve.video.uncertainty import PathDeviation
from rays_as_pixels.solve.window_alignment import Window
from tests.solve.video.planar_scene import FOCAL_PX, HEIGHT, WIDTH, travelling
from tests.solve.video.test_solver import travel_errors_deg, turn_errors_deg

GENERATOR = np.random.default_rng(3)
DIRECTIONS = GENERATOR.normal(size=(600, 3))
POINTS = 6 * DIRECTIONS / np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)


def circle(num_frames: int, laps: float = 1.0) -> np.ndarray:
    """Poses on a circle, looking its way."""
    angle = 2 * np.pi * laps * np.arange(num_frames) / num_frames
    turn = torch.tensor(np.stack([0 * angle, -angle, 0 * angle], axis=1))
    rotation = rotation_from_vector(turn).numpy()
    centers = np.stack([1 - np.cos(angle), 0.1 * np.sin(3 * angle), np.sin(angle)], axis=1)
    return np.concatenate([rotation, -np.einsum("fij,fj->fi", rotation, centers)[..., None]], 2)


def seen(poses: np.ndarray) -> ScenePoints:
    """Every point as every camera sees it that has it in front, by the camera's own axes."""
    frame, point = np.meshgrid(np.arange(len(poses)), np.arange(len(POINTS)), indexing="ij")
    in_cam = np.einsum("fij,pj->fpi", poses[:, :, :3], POINTS) + poses[:, None, :, 3]
    front = in_cam[..., 2] > 1
    xy = in_cam[front][:, :2] / in_cam[front][:, 2:] * FOCAL_PX
    grey = np.full((len(POINTS), 3), 128, np.uint8)
    return ScenePoints(POINTS, grey, point[front], frame[front], xy)


def part_of(poses: np.ndarray, first: int, stop: int, *, unit: float, noise: float = 0.0):
    """Cut a part out of a path and state it in a world and a unit of its own."""
    own = poses[first:stop].copy()
    points = seen(own)
    turn = rotation_from_vector(torch.tensor(GENERATOR.normal(size=(stop - first, 3)) * noise))
    own[:, :, :3] = turn.numpy() @ own[:, :, :3]
    world = rotation_from_vector(torch.tensor(GENERATOR.normal(size=3))).numpy()
    shift = GENERATOR.normal(size=3)
    rotation = own[:, :, :3] @ world.T
    translation = unit * (own[:, :, 3] - rotation @ shift)
    placed = np.concatenate([rotation, translation[:, :, None]], axis=2)
    points = replace(points, xyz=unit * (points.xyz @ world.T + shift))
    count = stop - first
    deviation = PathDeviation(np.full(count, 0.01), np.full(count, 0.01 * unit), 0.01)
    path = VideoPath(placed, np.full(count, FOCAL_PX), points)
    solution = VideoSolution(path, np.zeros(count, bool), (), "global", 0.9, deviation)
    return SolvedPart(first, solution)


def joined_in_turn(parts: list[SolvedPart]) -> list[SolvedPart]:
    """Let each part learn its unit from the one before, as they come."""
    known: list[SolvedPart] = []
    for part in parts:
        before = known[-1] if known else None
        known.append(SolvedPart.after(before, part.first_frame, part.solution))
    return known


def errors(found: VideoPath, poses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Angles in degrees and distances between two paths, both in axes of their first camera."""
    relative = []
    for one in (found.cam_from_world, poses):
        rotation = one[:, :, :3] @ one[0, :, :3].T
        center = -np.einsum("fji,fj->fi", one[:, :, :3], one[:, :, 3])
        relative.append((rotation, (center - center[0]) @ one[0, :, :3].T))
    between = torch.from_numpy(relative[0][0] @ np.swapaxes(relative[1][0], 1, 2))
    angles = np.degrees(rotation_angle_rad(between).numpy())
    return angles, np.linalg.norm(relative[0][1] - relative[1][1], axis=1)


def test_parts_in_units_of_their_own_become_the_path_they_were_cut_from():
    poses = circle(90)
    parts = [
        part_of(poses, first, stop, unit=unit)
        for first, stop, unit in ((0, 40, 1.0), (30, 65, 0.2), (55, 90, 7.0))
    ]
    parts[0] = replace(
        parts[0],
        solution=replace(
            parts[0].solution, path=VideoPath(poses[:40], np.full(40, FOCAL_PX), seen(poses[:40]))
        ),
    )
    joined = join_parts(joined_in_turn(parts))
    angles, distances = errors(joined.path, poses)
    assert angles.max() < 1e-4 and distances.max() < 1e-6
    points = joined.path.points
    pose = joined.path.cam_from_world[points.frame]
    in_cam = np.einsum("nij,nj->ni", pose[:, :, :3], points.xyz[points.point]) + pose[:, :, 3]
    np.testing.assert_allclose(in_cam[:, :2] / in_cam[:, 2:] * FOCAL_PX, points.xy_px, atol=1e-3)
    assert set(points.frame) == set(range(90))
    assert np.bincount(points.point).min() >= 2


def test_the_unit_of_a_part_is_told_by_points_where_the_camera_hardly_moves():
    poses = circle(60)
    poses[20:40] = poses[20]
    parts = [part_of(poses, 0, 35, unit=1.0), part_of(poses, 22, 60, unit=3.0)]
    joined = join_parts(joined_in_turn(parts))
    distances = errors(joined.path, poses)[1]
    assert distances.max() < 0.01


def test_a_closed_loop_takes_the_drift_out_of_a_path():
    poses = circle(200, laps=2)
    parts = [
        part_of(poses, first, min(first + 40, 200), unit=1.0, noise=0.004)
        for first in range(0, 170, 30)
    ]
    both = poses[[5, 10, 15, 105, 110, 115]]
    loop = part_of(both, 0, 6, unit=2.0).window(range(6))
    loop = Window((5, 10, 15, 105, 110, 115), loop.cameras)
    open_path, closed = (join_parts(joined_in_turn(parts), loops).path for loops in ((), (loop,)))
    gaps = [
        np.linalg.norm(one.centers[[105, 110, 115]] - one.centers[[5, 10, 15]], axis=1).max()
        for one in (open_path, closed)
    ]
    assert gaps[1] < 0.5 * gaps[0]


def test_a_part_of_which_nothing_is_known_is_interpolated_and_may_be_anywhere():
    poses = circle(90)
    parts = [part_of(poses, 0, 40, unit=1.0), part_of(poses, 50, 90, unit=1.0)]
    parts.insert(1, SolvedPart(30, held_still(30, FOCAL_PX)))
    joined = join_parts(joined_in_turn(parts))
    assert joined.interpolated[35:55].all() and not joined.interpolated[[0, 34, 55, 89]].any()
    assert joined.deviation is not None
    rotation = joined.deviation.rotation_rad
    assert rotation[45] > 1.5 and rotation[0] < 0.2


@pytest.fixture(scope="module")
def long_clip():
    return travelling(40)


def test_a_long_shot_is_solved_in_parts_and_comes_out_as_in_one(long_clip):
    heard = []
    shot = LongShot(0.9 * FOCAL_PX, report=heard.append, check=lambda: None)
    size = PartSize(keyframes=14, frames=24, shared_keyframes=6, shared_frames=10)
    parts = list(observe_shots(long_clip.frames, part_size=size))
    for part in parts:
        shot.add(part)
    assert len(parts) >= 2 and shot.num_frames == 40
    found = shot.solution()
    assert found is not None and not found.interpolated.any()
    assert turn_errors_deg(found.path, long_clip).max() < 0.7
    assert travel_errors_deg(found.path, long_clip)[5:].max() < 4
    assert any(stage.startswith("solve part 2") for stage in heard) and "parts" in shot.notes[0]


def test_nothing_to_track_in_any_part_is_no_path():
    heard: list[str] = []
    shot = LongShot(FOCAL_PX, report=heard.append, check=lambda: None)
    size = PartSize(keyframes=100, frames=8, shared_keyframes=2, shared_frames=2)
    for part in observe_shots(np.zeros((12, HEIGHT, WIDTH, 3), np.uint8), part_size=size):
        shot.add(part)
    assert shot.solution() is None
