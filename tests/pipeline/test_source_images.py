"""A path may begin anywhere, if it is said where the images were taken."""

from dataclasses import replace

import pytest
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, joined
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.pipeline.options import GenerateOptions, RunOptions
from rays_as_pixels.pipeline.source_images import PosedImages
from rays_as_pixels.solve.view_synthesis import render_views

LATE = slice(4, 9)


@pytest.fixture(scope="module")
def clip(toy, travelling):
    """The frames, their path, turned into a world of its own, and depths of frame 0."""
    height, width = toy.sizes[0]
    video = torch.nn.functional.interpolate(travelling.video, (height, width), mode="area")
    cameras = travelling.cameras.resized(height=height, width=width)
    turn = torch.tensor(
        [[0.0, 0, 1, 3], [0, 1, 0, -2], [-1, 0, 0, 1], [0, 0, 0, 1]], dtype=torch.float64
    )
    pose = turn @ cameras.world_from_cam.double()
    cameras = Cameras(pose, cameras.focal_px.double(), cameras.center_px.double(), height, width)
    return video, Trajectory(cameras, fps=10.0), travelling.depth[0]


def made(toy, clip, path, **options):
    video, _, depth = clip
    return toy.generate(
        video[0],
        path,
        image_depths=[depth],
        **options,
        options=GenerateOptions(num_inference_steps=1),
        run=RunOptions(generator=torch.Generator().manual_seed(0)),
    )


def whole_shown(clip):
    video, path, depth = clip
    cameras = path.cameras.relative_to(0)
    known = torch.nn.functional.interpolate(depth[None, None], video.shape[-2:], mode="bilinear")
    return render_views(video[:1], known[0].log(), cameras[:1], cameras)


def test_a_path_that_begins_elsewhere_shows_what_the_camera_sees_from_there(toy, clip):
    _, path, _ = clip
    late = Trajectory(path.cameras[LATE], path.fps)
    whole = made(toy, clip, path).video[LATE]
    there = made(toy, clip, late, source_trajectory=path)
    from_start = made(toy, clip, late).video
    sure = whole_shown(clip).share[LATE] == 1  # the rest is an untrained network's
    assert 0.2 < sure.float().mean() < 0.9
    off = ((there.video - whole).abs() * sure).amax()
    assert off < 1e-4, "what the same cameras of the whole path show"
    assert ((from_start - whole).abs() * sure).mean() > 0.02
    torch.testing.assert_close(
        there.trajectory.cameras.world_from_cam, late.cameras.world_from_cam, atol=1e-6, rtol=0
    )


def test_images_on_the_path_are_as_without(toy, clip):
    _, path, _ = clip
    one, other = made(toy, clip, path), made(toy, clip, path, source_trajectory=path)
    assert torch.equal(one.video, other.video)
    first = one.trajectory.cameras.world_from_cam[0]
    torch.testing.assert_close(first, torch.eye(4).to(first), atol=1e-6, rtol=0)  # re-anchored


def placed(clip, path, frames, source_trajectory):
    video = clip[0]
    return PosedImages.from_inputs(
        path,
        [video[k] for k in frames],
        sizes=[tuple(video.shape[-2:])],
        image_frames=frames,
        source_trajectory=source_trajectory,
        depths=None,
    )


def test_each_image_has_the_camera_that_took_it_and_says_whether_its_frame_shows_it(clip):
    _, path, _ = clip
    moved = path.cameras.world_from_cam.clone()
    moved[4:, :3, 3] += 0.1
    edited = replace(path, cameras=replace(path.cameras, world_from_cam=moved))
    found = placed(clip, edited, [0, 8], path)
    assert found.is_frame.tolist() == [True, False]
    truth = path.cameras.relative_to(0).world_from_cam[[0, 8]]
    torch.testing.assert_close(found.source_cameras.world_from_cam, truth, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        found.world_from_source, torch.eye(4).to(found.world_from_source), atol=1e-6, rtol=0
    )
    zoomed = replace(path.cameras, focal_px=1.1 * path.cameras.focal_px)
    assert not placed(clip, replace(path, cameras=zoomed), [0], path).is_frame.any()
    reached, _, _ = found.within_reach()
    torch.testing.assert_close(reached.world_from_cam, found.cameras.world_from_cam)


def test_frames_that_neither_path_has_are_refused(clip):
    _, path, _ = clip
    short = Trajectory(path.cameras[:5], path.fps)
    assert placed(clip, short, [0, 8], path).frames == (0, 4), "the nearest in time"
    with pytest.raises(InputError, match="different frames of the trajectory too, which has 5"):
        placed(clip, short, [7, 8], path)
    with pytest.raises(InputError, match="image_frames must lie from 0 to 4"):
        placed(clip, path, [8], short)


def test_joined_cameras_are_in_pixels_of_the_first(clip):
    cameras = clip[1].cameras
    large = cameras.resized(height=2 * cameras.height, width=2 * cameras.width)
    both = joined(cameras[:2], large[2:4])
    torch.testing.assert_close(both.focal_px, cameras.focal_px[:4])
    torch.testing.assert_close(both.world_from_cam, cameras.world_from_cam[:4])
