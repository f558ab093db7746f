"""An autoencoder that starts as principal components reconstructs like the best linear code."""

import pytest
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.model.autoencoder import decoded_by, new_autoencoder, posterior_of
from rays_as_pixels.training.stages.principal_components import (
    cells_of,
    init_as_principal_components,
)


def textures(seed: int, count: int = 24) -> torch.Tensor:
    """Images in [-1, 1], smooth but not flat."""
    noise = torch.randn(count, 3, 40, 40, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.avg_pool2d(noise, 9, stride=1).mul(4).clamp(-1, 1)


def autoencoder(base_dim: int = 40, res_blocks: int = 1):
    torch.manual_seed(0)
    model = new_autoencoder(
        base_dim=base_dim, z_dim=16, num_res_blocks=res_blocks, temporal_stride=1
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("gamma"):
                parameter.mul_(1.5)  # what it was before must not matter
    return model


@pytest.mark.parametrize(("base_dim", "res_blocks"), [(40, 1), (56, 2)])
def test_latents_reconstruct_what_principal_components_do(base_dim, res_blocks):
    images = textures(0)
    model = autoencoder(base_dim, res_blocks)
    init_as_principal_components(model, [images[:12], images[12:]])
    with torch.no_grad():
        latents = posterior_of(model, images[:, :, None]).mode()
        error = decoded_by(model, latents)[:, :, 0] - images
    rows = cells_of(images)
    centred = rows - rows.mean(0)
    _, _, axes = torch.linalg.svd(centred, full_matrices=False)
    best = float((centred - centred @ axes[:16].mT @ axes[:16]).square().mean())
    assert float(error.square().mean()) < 1.1 * best + 1e-5
    spread = latents[:, :, 0].transpose(0, 1).flatten(1).std(1)
    assert spread.min() > 0.9 and spread.max() < 1.1


def test_every_frame_of_a_clip_is_coded_alone_and_the_mode_is_certain():
    images = textures(1)
    model = autoencoder()
    init_as_principal_components(model, [images])
    clip = images[:9].transpose(0, 1)[None]
    with torch.no_grad():
        posterior = posterior_of(model, clip)
        alone = posterior_of(model, images[:9, :, None]).mode()
        together = decoded_by(model, posterior.mode())[0].transpose(0, 1)
        frames = decoded_by(model, alone)[:, :, 0]
    torch.testing.assert_close(posterior.mode()[0].transpose(0, 1), alone[:, :, 0])
    torch.testing.assert_close(together, frames, rtol=1e-4, atol=1e-4)
    assert posterior.std.max() < 0.02


def test_its_blocks_can_still_learn():
    model = autoencoder()
    init_as_principal_components(model, [textures(2)])
    decoded_by(model, torch.randn(1, 16, 1, 4, 4)).square().sum().backward()
    last = {n: p.grad for n, p in model.decoder.named_parameters() if "conv2.weight" in n}
    assert last and all(gradient.abs().max() > 0 for gradient in last.values())


def test_an_autoencoder_of_another_shape_is_refused():
    folded = new_autoencoder(base_dim=16, z_dim=8, num_res_blocks=1)
    with pytest.raises(InputError, match="need temporal_stride 1"):
        init_as_principal_components(folded, [textures(2)])
