"""The camera prior predicts the cameras of several images, where there is one to ask."""

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


def conditioned_on(reference_images, frames):
    return condition_on_images(reference_images, frames, frames=9, rays=None, temporal_stride=1)


def test_images_get_the_cameras_that_they_have_as_a_clip_in_whatever_order(prior):
    reference_images = torch.randn(1, 5, 3, 4, 6)
    conditioning = conditioned_on(reference_images[:, :, [1, 2, 0]], [4, 8, 0])
    found = with_predicted_cameras(conditioning, [4, 8, 0], prior)
    with torch.no_grad():
        rays = prior(reference_images, (2, 3)).rays
    torch.testing.assert_close(found.rays[:, :, [0, 4, 8]], rays)
    assert found.rays_known.nonzero().flatten().tolist() == [0, 4, 8]
    assert found.reference_rays is not None
    assert found.reference_rays_known is not None
    torch.testing.assert_close(found.reference_rays, rays[:, :, [1, 2, 0]])
    assert found.reference_rays_known.all()
    assert not conditioning.rays_known.any(), "what was passed must stay as it was"


def test_refinement_sees_the_images_in_order_and_its_rays_and_depths_are_used(prior):
    reference_images, seen = torch.randn(1, 5, 3, 4, 6), []

    def refine(predicted):
        seen.append(predicted)
        return predicted.refined(predicted.rays + 1, torch.full((32, 48), 0.7))

    found = with_predicted_cameras(
        conditioned_on(reference_images, [4, 8, 0]), [4, 8, 0], prior, refine
    )
    assert seen[0].order == [2, 0, 1]
    assert torch.equal(seen[0].latents, reference_images[:, :, [2, 0, 1]])
    with torch.no_grad():
        rays = prior(reference_images[:, :, [2, 0, 1]], (2, 3)).rays
    torch.testing.assert_close(found.rays[:, :, [0, 4, 8]], rays + 1)
    assert found.reference_log_depth.isnan().all(dim=(1, 2)).tolist() == [True, True, False]
    assert float(found.reference_log_depth[2].mean()) == pytest.approx(0.7)


@pytest.mark.parametrize("frames", [[0], [2, 4]])
def test_one_image_and_images_without_frame_0_get_no_cameras(prior, frames):
    conditioning = conditioned_on(torch.randn(1, 5, len(frames), 4, 6), frames)
    assert with_predicted_cameras(conditioning, frames, prior) is conditioning


def test_rays_that_were_made_become_known_for_clip_and_images():
    conditioning = conditioned_on(torch.randn(1, 5, 2, 4, 6), [4, 0]).repeated(3)
    rays = torch.randn(3, 5, 9, 2, 3)
    along = with_rays(conditioning, rays, [4, 0])
    assert torch.equal(along.rays, rays) and along.rays_known.all()
    assert (
        torch.equal(along.reference_rays, rays[:, :, [4, 0]]) and along.reference_rays_known.all()
    )
    assert torch.equal(along.reference_images, conditioning.reference_images) and torch.equal(
        along.video, conditioning.video
    )
    assert not conditioning.rays_known.any()


def test_a_network_without_a_camera_prior_predicts_nothing():
    conditioning = conditioned_on(torch.randn(1, 5, 2, 4, 6), [0, 4])
    assert with_predicted_cameras(conditioning, [0, 4], None) is conditioning
