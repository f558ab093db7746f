"""An encoder that starts as a principal code holds what the best linear code holds."""

import pytest
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.model.codec import new_autoencoder, posterior_of
from rays_as_pixels.training.principal import principal_axes, start_as_principal_code


def textures(seed: int, count: int = 24) -> torch.Tensor:
    """Images in [-1, 1], smooth but not flat."""
    noise = torch.randn(count, 3, 40, 40, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.avg_pool2d(noise, 9, stride=1).mul(4).clamp(-1, 1)


def left_over(code: torch.Tensor, images: torch.Tensor) -> float:
    """Mean squared error of the best linear decoder of each cell's code."""
    rows = code.movedim(1, -1).flatten(0, -2).double()
    rows = torch.cat([rows, torch.ones(len(rows), 1)], 1)
    pixels = torch.nn.functional.pixel_unshuffle(images, 8).movedim(1, -1).flatten(0, -2).double()
    solution = torch.linalg.lstsq(rows, pixels).solution
    return float((rows @ solution - pixels).square().mean())


@pytest.mark.parametrize(("base_dim", "res_blocks"), [(16, 1), (56, 2)])
def test_latents_keep_what_principal_components_keep(base_dim, res_blocks):
    images = textures(0)
    torch.manual_seed(0)
    autoencoder = new_autoencoder(
        base_dim=base_dim, z_dim=16, num_res_blocks=res_blocks, temporal_stride=1
    )
    with torch.no_grad():
        for name, parameter in autoencoder.named_parameters():
            if name.endswith("gamma"):
                parameter.mul_(1.5)  # what it was before must not matter
    start_as_principal_code(autoencoder, [images[:12], images[12:]])
    with torch.no_grad():
        latents = posterior_of(autoencoder, images[:, :, None]).mode()[:, :, 0]
    blocks = torch.nn.functional.pixel_unshuffle(images, 8).movedim(1, -1).flatten(0, -2)
    centred = blocks - blocks.mean(0)
    axes = principal_axes(centred, 16)
    best = float((centred - centred @ axes.mT @ axes).square().mean())
    assert left_over(latents, images) < 1.1 * best + 1e-5
    spread = latents.transpose(0, 1).flatten(1).std(1)
    assert spread.min() > 0.9 and spread.max() < 1.1


def test_every_frame_of_a_clip_is_coded_alone_and_the_mode_is_certain():
    images = textures(1)
    torch.manual_seed(0)
    autoencoder = new_autoencoder(base_dim=16, z_dim=8, num_res_blocks=1, temporal_stride=1)
    start_as_principal_code(autoencoder, [images])
    clip = images[:9].transpose(0, 1)[None]
    with torch.no_grad():
        posterior = posterior_of(autoencoder, clip)
        alone = posterior_of(autoencoder, images[:9, :, None]).mode()
    torch.testing.assert_close(posterior.mode()[0].transpose(0, 1), alone[:, :, 0])
    assert posterior.std.max() < 0.02


def test_an_autoencoder_of_another_shape_is_refused():
    folded = new_autoencoder(base_dim=16, z_dim=8, num_res_blocks=1)
    with pytest.raises(InputError, match="needs temporal_stride 1"):
        start_as_principal_code(folded, [textures(2)])
