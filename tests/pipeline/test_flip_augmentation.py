"""Other views of a clip, and the cameras brought back from them."""

import pytest
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import rotation_angle_rad, rotation_from_vector
from rays_as_pixels.pipeline.flip_augmentation import (
    FLIPS,
    AugmentedEstimate,
    Flip,
    average_flips,
    expected_error_deg,
    flips_to_average,
)
from rays_as_pixels.pipeline.options import EstimateOptions, RunOptions
from rays_as_pixels.pipeline.outputs import PoseStd

ALL = FLIPS[4]


def curve(frames: int = 7, *, scale: float = 1.0) -> Cameras:
    """A path that bends, turns and zooms, with a principal point off the middle."""
    t = torch.linspace(0, 1, frames, dtype=torch.float64)
    turn = torch.stack([0.2 * t, -0.5 * t + 0.3 * t**2, 0.1 * (3 * t).sin()], -1)
    centre = scale * torch.stack([t, 0.4 * (2 * t).sin(), -0.6 * t**2], -1)
    focal = torch.stack([50 + 5 * t, 52 + 5 * t], -1)
    middle = torch.tensor([30.0, 25.0], dtype=torch.float64).expand(frames, 2)
    return Cameras(rigid(rotation_from_vector(turn), centre), focal, middle, 48, 64).relative_to(0)


def largest_difference(one: Cameras, other: Cameras) -> float:
    return max(
        float((a - b).abs().max())
        for a, b in (
            (one.world_from_cam, other.world_from_cam),
            (one.focal_px, other.focal_px),
            (one.center_px, other.center_px),
        )
    )


@pytest.mark.parametrize("view", ALL)
def test_a_view_of_a_view_is_the_clip_again(view):
    clip = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(view.video(view.video(clip)), clip)
    assert largest_difference(view.cameras(view.cameras(curve())), curve()) < 1e-12


def test_a_mirrored_camera_that_moved_right_moved_left_and_turned_the_other_way():
    turn = rotation_from_vector(torch.tensor([[0.0, 0, 0], [0.3, 0.2, 0.1]]).double())
    centre = torch.tensor([[0.0, 0, 0], [1.0, 2.0, 3.0]]).double()
    focal = torch.full((2, 2), 50.0).double()
    cameras = Cameras(rigid(turn, centre), focal, focal / 2, 48, 64)
    seen = Flip(mirrored=True).cameras(cameras)
    assert seen.world_from_cam[1, :3, 3].tolist() == [-1.0, 2.0, 3.0]
    back = rotation_from_vector(torch.tensor([0.3, -0.2, -0.1]).double())
    torch.testing.assert_close(seen.world_from_cam[1, :3, :3], back)
    assert seen.center_px[0].tolist() == [64 - 25.0, 25.0]


def test_a_mirrored_picture_is_what_the_mirrored_camera_sees():
    """Project a point through both: pixel x must become width - x."""
    cameras = curve()
    seen = Flip(mirrored=True).cameras(cameras)
    point = torch.tensor([0.4, -0.2, 3.0], dtype=torch.float64)

    def pixel(c: Cameras, p: torch.Tensor) -> torch.Tensor:
        pose = c.world_from_cam[-1]
        in_cam = pose[:3, :3].T @ (p - pose[:3, 3])
        return in_cam[:2] / in_cam[2] * c.focal_px[-1] + c.center_px[-1]

    x, y = pixel(cameras, point)
    mirrored = pixel(seen, point * torch.tensor([-1.0, 1, 1]).double())
    torch.testing.assert_close(mirrored, torch.stack([64 - x, y]))


def test_true_estimates_of_all_flips_average_to_the_truth_with_no_deviation():
    answers = []
    for view, unit in zip(ALL, (1.0, 1.0, 0.5, 0.5), strict=True):
        # Played backwards the unit is another: that of what was the last frame.
        said = view.cameras(curve()).scaled(unit)
        one = torch.zeros(1, dtype=torch.long)
        each = Cameras(said.world_from_cam[None], said.focal_px[None], said.center_px[None], 48, 64)
        answers.append(AugmentedEstimate(view, said, each[one]))
    mean, pose_std = average_flips(answers)
    assert largest_difference(mean, curve()) < 1e-9
    assert float(pose_std.rotation_rad.max()) < 1e-7
    assert float(pose_std.position.max()) < 1e-9


def test_flips_that_disagree_have_a_standard_deviation_where_they_disagree():
    answers = []
    for sign in (1.0, -1.0):
        said = curve()
        pose = said.world_from_cam.clone()
        pose[3, :3, :3] = (
            rotation_from_vector(torch.tensor([0, 0.1 * sign, 0]).double()) @ (pose[3, :3, :3])
        )
        said = Cameras(pose, said.focal_px, said.center_px, 48, 64)
        answers.append(AugmentedEstimate.of_one_sample(Flip(), said))
    mean, pose_std = average_flips(answers)
    assert float(pose_std.rotation_rad[3]) == pytest.approx(0.1, abs=1e-6)
    assert float(pose_std.rotation_rad[2]) < 1e-6
    turn = mean.world_from_cam[3, :3, :3].T @ curve().world_from_cam[3, :3, :3]
    assert float(rotation_angle_rad(turn)) < 1e-9


def test_only_one_two_or_four_views_are_known():
    assert [len(flips_to_average(n)) for n in (1, 2, 4)] == [1, 2, 4]
    with pytest.raises(InputError, match="num_flips must be 1, 2 or 4; got 3"):
        flips_to_average(3)


def test_the_expected_error_is_the_calibrated_deviation_and_none_where_it_was_not_calibrated():
    rotation = torch.tensor([0.0, 0.01, 0.02], dtype=torch.float64)
    pose_std = PoseStd(rotation, rotation, rotation)
    found = expected_error_deg(pose_std, 3.0, num_samples=1, num_flips=4)
    torch.testing.assert_close(found, 3 * rotation.rad2deg())
    assert expected_error_deg(pose_std, None, num_samples=1, num_flips=4) is None
    assert expected_error_deg(pose_std, 3.0, num_samples=4, num_flips=1) is None, "of other runs"
    assert expected_error_deg(None, 3.0, num_samples=1, num_flips=1) is None


def test_estimate_averages_views_and_says_how_far_they_lie_apart(toy):
    clip = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    one = toy.estimate(clip, run=RunOptions(generator=torch.Generator().manual_seed(1)))
    four = toy.estimate(
        clip,
        options=EstimateOptions(num_flips=4),
        run=RunOptions(generator=torch.Generator().manual_seed(1)),
    )
    assert one.pose_std is None
    assert four.pose_std.rotation_rad.shape == (5,)
    assert float(four.pose_std.rotation_rad[1:].min()) > 0
    assert torch.equal(one.raxels, four.raxels), "the pictures are those of the clip as it is"
    difference = four.trajectory.cameras.world_from_cam - one.trajectory.cameras.world_from_cam
    assert float(difference.abs().max()) > 1e-6
