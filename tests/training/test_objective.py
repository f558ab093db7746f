import dataclasses

import pytest
import torch

from rays_as_pixels.cli import train
from rays_as_pixels.model.joint_state import SOURCE, SPARSE_TARGET, JointVelocity
from rays_as_pixels.training.config import CONFIGS, TransformerConfig, training_config
from rays_as_pixels.training.objective import CleanBatch, joint_loss, noisy_batch
from rays_as_pixels.training.run_context import CAMERA_PRIOR, STAGES

CONFIG = training_config("small").transformer


def weighted(**weights: float) -> TransformerConfig:
    return dataclasses.replace(CONFIG, weights=dataclasses.replace(CONFIG.weights, **weights))


def clean(reference_images: int, batch: int = 400) -> CleanBatch:
    generator = torch.Generator().manual_seed(0)
    frames = torch.zeros(batch, reference_images)
    frames[:, 1:] = 4
    return CleanBatch(
        torch.randn(batch, 2, 3, 2, 2, generator=generator),
        torch.randn(batch, 2, 9, 1, 1, generator=generator),
        torch.randn(batch, 2, reference_images, 2, 2, generator=generator),
        frames,
        torch.zeros(batch, 11, 3, 2, 2),
        torch.zeros(batch, 9, 8),
    )


def test_noised_latents_move_along_their_target_velocity_to_the_clean_ones():
    given = clean(2)
    made = noisy_batch(given, CONFIG, torch.Generator().manual_seed(1))
    for noisy, level, velocity, wanted in (
        (made.state.latents, made.state.sigma, made.target.video, given.latents),
        (made.state.ray_latents, made.state.ray_sigma, made.target.rays, given.ray_latents),
        (
            made.state.reference_images.latents,
            made.state.reference_images.sigma,
            made.target.reference_images,
            given.reference_latents,
        ),
    ):
        back = noisy - level[:, None, :, None, None] * velocity
        torch.testing.assert_close(back, wanted, rtol=0, atol=1e-5)


def test_reference_images_carry_the_rays_of_their_own_frame():
    given = clean(2)
    made = noisy_batch(given, CONFIG, torch.Generator().manual_seed(1)).state.reference_images
    level = made.ray_sigma[:, None, :, None, None]
    known = made.ray_sigma[:, 1] < 1e-6
    torch.testing.assert_close(made.ray_latents[known, :, 1], given.ray_latents[known, :, 4])
    assert level.min() >= 0
    assert made.kind[0].tolist() == [SOURCE, SPARSE_TARGET]


def test_without_images_most_steps_estimate_and_many_start_from_pure_noise():
    state = noisy_batch(clean(0), CONFIG, torch.Generator().manual_seed(2)).state
    video, rays = state.sigma[:, 0], state.ray_sigma[:, 0]
    estimate = video <= 0.15
    assert estimate.float().mean() > 0.6
    assert (rays[estimate] == 1).float().mean() > 0.3


def test_with_images_most_steps_generate():
    state = noisy_batch(clean(1), CONFIG, torch.Generator().manual_seed(2)).state
    assert (state.ray_sigma[:, 0] <= 0.15).float().mean() > 0.4
    assert (state.sigma[:, 2] > 0.5).float().mean() > 0.5
    first_known = state.sigma[:, 0] == 0
    assert 0.2 < first_known.float().mean() < 0.8


def test_the_loss_is_zero_at_the_target_and_counts_only_what_was_noised():
    made = noisy_batch(clean(1), CONFIG, torch.Generator().manual_seed(3))
    perfect, terms = joint_loss(made.target, made, config=CONFIG)
    assert float(perfect) == pytest.approx(0, abs=1e-5)
    assert terms.video == pytest.approx(0, abs=1e-5)
    state = dataclasses.replace(made.state, sigma=torch.zeros_like(made.state.sigma))
    given = dataclasses.replace(made, state=state)
    wrong = dataclasses.replace(made.target, video=made.target.video + 100)
    assert float(joint_loss(wrong, given, config=CONFIG)[0]) == pytest.approx(0, abs=1e-5)
    assert float(joint_loss(wrong, made, config=CONFIG)[0]) > 100


def test_an_error_by_hand_costs_its_square_and_its_angle():
    made = noisy_batch(clean(0, batch=4), CONFIG, torch.Generator().manual_seed(3))
    state = dataclasses.replace(made.state, sigma=torch.ones(4, 3), ray_sigma=torch.zeros(4, 9))
    target = JointVelocity(
        torch.zeros_like(made.target.video), torch.zeros_like(made.target.rays), None, None
    )
    target.video[:, 0] = 1.0  # u = (1, 0)
    velocity = torch.zeros_like(target.video)
    velocity[:, 1] = 1.0  # v = (0, 1): squared error mean (1 + 1) / 2, cosine 0
    batch = dataclasses.replace(made, state=state, target=target)
    wrong = dataclasses.replace(target, video=velocity)
    loss, _ = joint_loss(wrong, batch, config=CONFIG)
    assert float(loss) == pytest.approx(1.0 + 0.5)
    straight = weighted(cosine=0.0)
    assert float(joint_loss(wrong, batch, config=straight)[0]) == pytest.approx(1.0)


def test_an_error_of_one_frames_rays_counts_twice_unless_motion_counts_nothing_extra():
    """An error e in every channel of frame 3 of 9: |v - u|^2 is e^2 / 9, and again as motion."""
    made = noisy_batch(clean(0, batch=4), CONFIG, torch.Generator().manual_seed(3))
    state = dataclasses.replace(made.state, sigma=torch.zeros(4, 3), ray_sigma=torch.ones(4, 9))
    made = dataclasses.replace(made, state=state)
    rays = made.target.rays.clone()
    rays[:, :, 3] += 0.5
    wrong = dataclasses.replace(made.target, rays=rays)
    plain = weighted(cosine=0.0, relative=0.0)
    loss = float(joint_loss(wrong, made, config=plain)[0])
    assert loss == pytest.approx(0.25 / 9, rel=1e-4)
    both = weighted(cosine=0.0, relative=1.0)
    assert float(joint_loss(wrong, made, config=both)[0]) == pytest.approx(2 * loss, rel=1e-4)


def test_clean_rays_weigh_less_only_where_the_network_says_what_is_clean():
    """At noise level 0.1, x-prediction's weight is (0.1 / 0.25)^2; velocities count in full."""
    made = noisy_batch(clean(0, batch=4), CONFIG, torch.Generator().manual_seed(3))
    levels = torch.full((4, 9), 0.1)
    state = dataclasses.replace(made.state, sigma=torch.zeros(4, 3), ray_sigma=levels)
    made = dataclasses.replace(made, state=state)
    wrong = dataclasses.replace(made.target, rays=made.target.rays + 1)
    config = weighted(cosine=0.0, relative=0.0)
    assert float(joint_loss(wrong, made, config=config)[0]) == pytest.approx(0.16, rel=1e-4)
    config = dataclasses.replace(
        config, network=dataclasses.replace(config.network, ray_prediction="velocity")
    )
    assert float(joint_loss(wrong, made, config=config)[0]) == pytest.approx(1.0, rel=1e-4)


def test_every_configuration_fits_the_autoencoder():
    for config in CONFIGS.values():
        assert config.num_frames % 4 == 1
        assert all(side % 16 == 0 for size in config.sizes for side in size)
        assert config.transformer.network.width % config.transformer.network.num_heads == 0
        for frames, pixels, _ in config.autoencoder.crops:
            assert frames % 4 == 1
            assert frames <= config.num_frames
            assert pixels % 16 == 0


def test_the_command_line_names_every_configuration_without_importing_them():
    assert tuple(CONFIGS) == train._CONFIGS


def test_the_command_line_names_every_stage_without_importing_them():
    assert train._STAGES == STAGES
    assert train._CAMERA_PRIOR == CAMERA_PRIOR
