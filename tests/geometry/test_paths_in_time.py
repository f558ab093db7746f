"""Trajectories: times, interpolation, anchoring and scale."""

import math
from dataclasses import replace

import pytest
import torch
from geometry_cases import EXACT, F64, TURN_RIGHT, camera_at, joined, random_cameras

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.geometry.trajectory import Trajectory


def _tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=F64)


def _two_cameras() -> Trajectory:
    """From the origin looking ahead to (2, 4, 6) looking right, doubling the focal lengths."""
    return Trajectory(
        joined(camera_at((0, 0, 0)), camera_at((2, 4, 6), TURN_RIGHT, focal_px=(8.0, 12.0))), fps=1
    )


def _five(**keywords: object) -> Trajectory:
    return Trajectory(random_cameras((5,)), **{"fps": 10.0, **keywords})


def test_times_follow_from_the_rate():
    path = _five()
    torch.testing.assert_close(path.times_sec, _tensor(0, 0.1, 0.2, 0.3, 0.4), **EXACT)
    assert len(path) == 5
    assert torch.equal(path.positions, path.cameras.world_from_cam[:, :3, 3])


def test_halfway_by_hand():
    middle = _two_cameras().sampled_at(_tensor(0.5))
    torch.testing.assert_close(middle.positions[0], _tensor(1, 2, 3), **EXACT)
    torch.testing.assert_close(middle.cameras.focal_px[0], _tensor(6, 8), **EXACT)
    # Half of a quarter turn to the right looks along (1, 0, 1).
    forward = middle.cameras.world_from_cam[0, :3, 2]
    torch.testing.assert_close(forward, _tensor(1, 0, 1) / math.sqrt(2), **EXACT)


def test_a_quarter_of_the_way_is_nearer_to_the_start():
    quarter = _two_cameras().sampled_at(_tensor(0.25))
    torch.testing.assert_close(quarter.positions[0], _tensor(0.5, 1, 1.5), **EXACT)
    expected = rotation_from_vector(_tensor(0, math.pi / 8, 0))
    torch.testing.assert_close(quarter.cameras.world_from_cam[0, :3, :3], expected, **EXACT)


def test_reading_at_known_times_gives_the_known_cameras():
    times = _tensor(0, 0.1, 0.5, 0.6, 2.0)
    path = _five(time_sec=times)
    again = path.sampled_at(times)
    torch.testing.assert_close(again.cameras.world_from_cam, path.cameras.world_from_cam, **EXACT)
    torch.testing.assert_close(again.cameras.focal_px, path.cameras.focal_px, **EXACT)


def test_uneven_times_weigh_by_time_and_not_by_number():
    cameras = joined(camera_at((0, 0, 0)), camera_at((1, 0, 0)), camera_at((2, 0, 0)))
    path = Trajectory(cameras, fps=1, time_sec=_tensor(0, 3, 4))
    x = path.sampled_at(_tensor(1.5, 3.5)).positions[:, 0]
    torch.testing.assert_close(x, _tensor(0.5, 1.5), **EXACT)


def test_the_principal_point_is_interpolated_too():
    cameras = joined(camera_at((0, 0, 0)), camera_at((0, 0, 0)))
    cameras = replace(cameras, center_px=torch.tensor([[1.0, 2.0], [3.0, 6.0]], dtype=F64))
    quarter = Trajectory(cameras, fps=1).sampled_at(_tensor(0.25))
    assert quarter.cameras.center_px.tolist() == [[1.5, 3.0]]


def test_resampling_keeps_both_ends_and_the_duration():
    path = _five(time_sec=_tensor(1, 1.1, 1.5, 1.6, 3.0))
    finer = path.resampled(9)
    torch.testing.assert_close(finer.times_sec, torch.linspace(1, 3, 9, dtype=F64), **EXACT)
    assert finer.fps == pytest.approx(4)
    ends = finer.cameras.world_from_cam[[0, -1]]
    torch.testing.assert_close(ends, path.cameras.world_from_cam[[0, -1]], **EXACT)
    assert finer.source_frame is None
    first = path.resampled(1)
    assert len(first) == 1
    assert first.fps == path.fps
    torch.testing.assert_close(first.positions, path.positions[:1], **EXACT)


def test_a_path_of_one_camera_reads_anywhere_on_itself():
    path = _five()[:1]
    twice = path.sampled_at(_tensor(0.0))
    torch.testing.assert_close(twice.positions, path.positions, **EXACT)
    assert len(path.resampled(1)) == 1


def test_reanchoring_makes_one_frame_the_world_and_keeps_relative_poses():
    path = _five()
    anchored = path.reanchored(2)
    torch.testing.assert_close(anchored.cameras.world_from_cam[2], torch.eye(4, dtype=F64), **EXACT)
    relative = torch.linalg.inv(path.cameras.world_from_cam[1]) @ path.cameras.world_from_cam[4]
    after = torch.linalg.inv(anchored.cameras.world_from_cam[1])
    torch.testing.assert_close(after @ anchored.cameras.world_from_cam[4], relative, **EXACT)
    there_and_back = path.reanchored(3).reanchored(0)
    torch.testing.assert_close(there_and_back.positions, path.reanchored().positions, **EXACT)


def test_scaling_and_resizing_reach_the_cameras():
    path = _five()
    torch.testing.assert_close(path.scaled(3).positions, 3 * path.positions, **EXACT)
    larger = path.resized(height=48, width=96)
    torch.testing.assert_close(
        larger.cameras.focal_px, path.cameras.focal_px * _tensor(3, 2), **EXACT
    )
    assert larger.source_frame == path.source_frame
    assert torch.equal(larger.times_sec, path.times_sec)


def test_a_range_keeps_its_times_and_source_frames():
    path = _five(source_frame=(3, 5, 8, 9, 11))
    part = path[1:4]
    assert part.source_frame == (5, 8, 9)
    torch.testing.assert_close(part.times_sec, _tensor(0.1, 0.2, 0.3), **EXACT)
    assert torch.equal(part.positions, path.positions[1:4])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Trajectory(random_cameras(()), 10), "one axis of 1 or more cameras"),
        (lambda: Trajectory(random_cameras((2, 3)), 10), "one axis of 1 or more cameras"),
        (lambda: Trajectory(random_cameras((3,))[:0], 10), "one axis of 1 or more cameras"),
        (lambda: _five(fps=0.0), "fps must be positive"),
        (lambda: _five(fps=-1.0), "fps must be positive"),
        (lambda: _five(fps=math.nan), "fps must be positive"),
        (lambda: _five(fps=math.inf), "fps must be positive"),
        (lambda: _five(time_sec=_tensor(0, 1, 2)), "time_sec must hold 5 times"),
        (lambda: _five(time_sec=_tensor(0, 1, 1, 2, 3)), "got 1.0 at frame 2"),
        (lambda: _five(time_sec=_tensor(0, 2, 1, 3, 4)), "got 1.0 at frame 2"),
        (lambda: _five(time_sec=_tensor(0, 1, math.nan, 3, 4)), "got nan at frame 2"),
        (lambda: _five(time_sec=_tensor(0, 1, 2, 3, math.inf)), "got inf at frame 4"),
        (lambda: _five(time_sec=_tensor(-math.inf, 1, 2, 3, 4)), "got -inf at frame 0"),
        (lambda: _five(source_frame=(1, 2)), "source_frame must hold 5 indices"),
        (lambda: _five().sampled_at(_tensor(0.5)), "must lie within the path"),
        (lambda: _five().sampled_at(_tensor(-0.1)), "must lie within the path"),
        (lambda: _five().sampled_at(_tensor(0.1, math.nan)), "must be finite"),
        (lambda: _five().sampled_at(_tensor(0.2, 0.1)), "increase"),
        (lambda: _five().sampled_at(_tensor(0.1), fps=0), "fps must be positive"),
        (lambda: _five()[:1].sampled_at(_tensor(0.0), fps=0), "fps must be positive"),
        (lambda: _five().resampled(0), "num_frames must be 1 or more"),
        (lambda: _five()[:1].resampled(2), "Add a second camera"),
        (lambda: _five().reanchored(5), "one of the 5 frames; got 5"),
        (lambda: _five().reanchored(-6), "one of the 5 frames; got -6"),
        (lambda: _five().scaled(-1), "finite and positive"),
    ],
)
def test_a_path_that_is_none_is_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()
