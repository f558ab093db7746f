"""The fitted flow reads small shifts of pictures it was not fitted to."""

import torch

from rays_as_pixels.model.autoencoder import LatentCodec, new_autoencoder
from rays_as_pixels.model.camera_prior.motion_features import LatentFlow
from rays_as_pixels.model.latent_pictures import Pictures
from rays_as_pixels.training.stages.fit_motion import fit_latent_flow, fit_pictures
from rays_as_pixels.training.stages.principal_components import init_as_principal_components


def textures(seed: int, count: int) -> torch.Tensor:
    noise = torch.randn(count, 3, 56, 56, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.avg_pool2d(noise, 9, stride=1).mul(2).add(0.5).clamp(0, 1)


def test_shifts_of_other_pictures_are_read_to_a_fifth_of_their_size():
    torch.manual_seed(0)
    autoencoder = new_autoencoder(base_dim=40, z_dim=16, num_res_blocks=1, temporal_stride=1)
    pictures = textures(0, 300)
    init_as_principal_components(autoencoder, [pictures * 2 - 1])
    codec = LatentCodec(autoencoder.eval(), raxel_mean=[0.0] * 16, raxel_std=[1.0] * 16)
    flow, lines = LatentFlow(16, (1, 3, 5)), []
    fit_latent_flow(flow, codec, pictures, lines.append)
    assert "explained" in lines[0]
    others = torch.tensor([0, 0])
    for dx, dy in ((1, 0), (0, -1), (-2, 1)):
        # The window moves by (dx, dy), so that content was that much further right and down.
        still = textures(1, 24)
        clip = torch.stack(
            [still[..., 4:44, 4:44], still[..., 4 + dy : 44 + dy, 4 + dx : 44 + dx]], 1
        )
        with torch.no_grad():
            latents = codec.encode_video(clip[:, :1])
            latents = torch.cat([latents, codec.encode_video(clip[:, 1:])], dim=2)
            maps = flow(latents, (others, others), [torch.ones(24, 2)] * 2)
        found = maps[:, 1, 4:6, 1:-1, 1:-1].mean(dim=(0, 2, 3)) * 8  # window of 3 cells, pixels
        torch.testing.assert_close(found, torch.tensor([float(dx), float(dy)]), rtol=0.2, atol=0.1)


def test_other_pictures_are_read_from_their_latents():
    torch.manual_seed(0)
    autoencoder = new_autoencoder(base_dim=40, z_dim=16, num_res_blocks=1, temporal_stride=1)
    known, others = textures(0, 100)[..., :48, :48], textures(1, 21)[..., :48, :48]
    init_as_principal_components(autoencoder, [known * 2 - 1])
    codec = LatentCodec(autoencoder.eval(), raxel_mean=[0.0] * 16, raxel_std=[1.0] * 16)
    pictures, lines = Pictures(16), []
    fit_pictures(pictures, codec, known, lines.append)
    assert lines[0].endswith("dB")
    with torch.no_grad():
        read = pictures(codec.encode_video(others[None]))[0]
    half = torch.nn.functional.avg_pool2d(others, 2)
    assert (read - half).square().mean() < 0.15 * half.var()  # 16 numbers for 192; scrambled: 2
