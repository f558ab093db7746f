"""Images tell their own cameras where they can, and nothing changes where they cannot."""

import pytest
import torch

from rays_as_pixels.model.camera_prior.camera_prior import CameraPrior
from rays_as_pixels.model.config import CameraPriorConfig
from rays_as_pixels.pipeline.conditioning import (
    condition_on_images,
    with_predicted_cameras,
    with_rays,
)


@pytest.fixture(scope="module")
def prior() -> CameraPrior:
    torch.manual_seed(0)
    prior = CameraPrior(5, 5, CameraPriorConfig())
    prior.motion.pictures.weight.normal_(std=0.1)
    prior.std.fill_(0.05)
    return prior.eval()


def given_of(reference_images, frames):
    unknown = torch.zeros(len(frames), dtype=torch.bool)
    return condition_on_images(
        reference_images, frames, frames=9, rays=None, cameras_known=unknown, temporal_stride=1
    )


def test_images_get_the_cameras_that_they_have_as_a_clip_in_whatever_order(prior):
    reference_images = torch.randn(1, 5, 3, 4, 6)
    given = given_of(reference_images[:, :, [1, 2, 0]], [4, 8, 0])
    told = with_predicted_cameras(given, [4, 8, 0], prior)
    with torch.no_grad():
        rays = prior(reference_images, (2, 3))
    torch.testing.assert_close(told.rays[:, :, [0, 4, 8]], rays)
    assert told.rays_known.nonzero().flatten().tolist() == [0, 4, 8]
    assert told.reference_rays is not None
    assert told.reference_rays_known is not None
    torch.testing.assert_close(told.reference_rays, rays[:, :, [1, 2, 0]])
    assert told.reference_rays_known.all()
    assert not given.rays_known.any(), "what was passed must stay as it was"


def test_what_mends_them_sees_the_images_in_order_and_its_rays_and_depths_are_used(prior):
    reference_images, seen = torch.randn(1, 5, 3, 4, 6), []

    def mend(order, latents, rays):
        seen.append((order, latents))
        return rays + 1, torch.full((32, 48), 0.7)

    told = with_predicted_cameras(given_of(reference_images, [4, 8, 0]), [4, 8, 0], prior, mend)
    assert seen[0][0] == [2, 0, 1]
    assert torch.equal(seen[0][1], reference_images[:, :, [2, 0, 1]])
    with torch.no_grad():
        rays = prior(reference_images[:, :, [2, 0, 1]], (2, 3))
    torch.testing.assert_close(told.rays[:, :, [0, 4, 8]], rays + 1)
    assert told.reference_log_depth.isnan().all(dim=(1, 2)).tolist() == [True, True, False]
    assert float(told.reference_log_depth[2].mean()) == pytest.approx(0.7)


@pytest.mark.parametrize("frames", [[0], [2, 4]])
def test_one_image_and_images_without_frame_0_tell_nothing(prior, frames):
    given = given_of(torch.randn(1, 5, len(frames), 4, 6), frames)
    assert with_predicted_cameras(given, frames, prior) is given


def test_rays_that_were_made_become_known_for_clip_and_images():
    given = given_of(torch.randn(1, 5, 2, 4, 6), [4, 0]).repeated(3)
    rays = torch.randn(3, 5, 9, 2, 3)
    along = with_rays(given, rays, [4, 0])
    assert torch.equal(along.rays, rays) and along.rays_known.all()
    assert (
        torch.equal(along.reference_rays, rays[:, :, [4, 0]]) and along.reference_rays_known.all()
    )
    assert torch.equal(along.reference_images, given.reference_images) and torch.equal(
        along.video, given.video
    )
    assert not given.rays_known.any()


def test_a_network_without_a_camera_prior_tells_nothing():
    given = given_of(torch.randn(1, 5, 2, 4, 6), [0, 4])
    assert with_predicted_cameras(given, [0, 4], None) is given
