"""Single frames through 2-D convolutions give what the 3-D ones give."""

import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import WanCausalConv3d

from rays_as_pixels.model.autoencoder import decoded_by, new_autoencoder, posterior_of
from rays_as_pixels.training.data.still_frames import forget_the_past, still_frames


def autoencoder():
    torch.manual_seed(0)
    return new_autoencoder(base_dim=8, z_dim=8, num_res_blocks=1, temporal_stride=1)


def coded(model, pixels):
    latents = posterior_of(model, pixels).mode()
    return latents, decoded_by(model, latents)


def test_numbers_and_gradients_are_the_same_and_clips_go_as_ever():
    model, image = autoencoder(), torch.rand(2, 3, 1, 16, 16)
    clip = torch.rand(1, 3, 5, 16, 16)
    plain, moving = coded(model, image), coded(model, clip)
    plain[1].square().sum().backward()
    expected = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    with still_frames(model):
        ours, still_moving = coded(model, image), coded(model, clip)
        ours[1].square().sum().backward()
    for a, b in zip(ours + still_moving, plain + moving, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    for name, parameter in model.named_parameters():
        if name in expected:
            torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-3, atol=1e-4)
    assert not any("forward" in vars(m) for m in model.modules() if isinstance(m, WanCausalConv3d))


def test_a_decoder_that_forgets_the_past_decodes_every_frame_alone():
    model = autoencoder()
    latents = torch.randn(1, 8, 5, 2, 2)
    before = decoded_by(model, latents)
    forget_the_past(model.decoder)
    together = decoded_by(model, latents)
    alone = torch.cat([decoded_by(model, latents[:, :, t : t + 1]) for t in range(5)], 2)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(before, together)
