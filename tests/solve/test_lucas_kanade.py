"""Flow between pictures: true shifts and turns are found, with gradients and mismatch."""

import pytest
import torch

from rays_as_pixels.geometry.warp import warped
from rays_as_pixels.model.latent_pictures import Pictures
from rays_as_pixels.solve.lucas_kanade import flow_between

SIZE = 32


def picture_at(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """A smooth picture, defined everywhere: its colours at (x, y) in elements."""
    generator = torch.Generator().manual_seed(3)
    waves = torch.randn(12, 2, generator=generator) * 0.35
    phase = torch.rand(12, generator=generator) * 6.3
    amplitude = torch.randn(3, 12, generator=generator) * 0.06
    angle = waves[:, 0, None, None] * x + waves[:, 1, None, None] * y + phase[:, None, None]
    return 0.5 + torch.einsum("ck,khw->chw", amplitude, angle.sin())


def grid() -> tuple[torch.Tensor, torch.Tensor]:
    y, x = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="ij")
    return x, y


@pytest.mark.parametrize(("dx", "dy"), [(0.3, 0.0), (-1.5, 0.7), (4.0, -3.0)])
def test_a_shift_is_found_to_a_tenth_of_an_element(dx, dy):
    x, y = grid()
    here, there = picture_at(x, y)[None], picture_at(x - dx, y - dy)[None]
    found = flow_between(here, there).displacement[0, :, 6:-6, 6:-6]
    expected = torch.tensor([dx, dy])[:, None, None].expand_as(found)
    assert (found - expected).abs().median() < 0.1


def test_a_turn_about_the_centre_is_found_and_a_start_only_refined():
    x, y = grid()
    angle = torch.tensor(0.1)
    u, v = x - SIZE / 2, y - SIZE / 2
    back_x = angle.cos() * u + angle.sin() * v + SIZE / 2
    back_y = -angle.sin() * u + angle.cos() * v + SIZE / 2
    there = picture_at(back_x, back_y)[None]  # here's (u, v) is there at R(angle) (u, v)
    expected = torch.stack(
        [angle.cos() * u - angle.sin() * v - u, angle.sin() * u + angle.cos() * v - v]
    )
    here = picture_at(x, y)[None]
    inner = (slice(None), slice(6, -6), slice(6, -6))
    for start in (None, expected[None] + 0.4):
        found = flow_between(here, there, start).displacement[0]
        assert (found - expected)[inner].abs().mean() < 0.1
    assert expected[inner].abs().mean() > 0.3


def test_what_shows_nothing_has_no_gradient_and_what_differs_a_mismatch():
    x, y = grid()
    flat = torch.full((1, 3, SIZE, SIZE), 0.5)
    textured = picture_at(x, y)[None]
    nothing = flow_between(flat, flat)
    assert nothing.displacement.abs().max() < 1e-3
    assert nothing.gradient.max() < 1e-6
    assert flow_between(textured, textured).gradient.mean() > 1e-4
    assert flow_between(textured, textured).mismatch.max() < 1e-6
    assert flow_between(textured, 1 - textured).mismatch.mean() > 1e-3


def test_warping_takes_what_lies_there():
    x, _ = grid()
    images = x[None, None]
    moved = warped(images, torch.full((1, 2, SIZE, SIZE), 2.0))
    torch.testing.assert_close(moved[..., :-2], images[..., 2:])
    torch.testing.assert_close(moved[..., -2:], images[..., -1:].expand(-1, -1, -1, 2))


def test_pictures_lie_as_the_cells_do():
    pictures = Pictures(1)
    pictures.weight[:16] = 1.0  # the first colour is the latent itself
    latents = torch.arange(12.0).view(1, 1, 2, 2, 3)
    shown = pictures(latents)
    assert shown.shape == (1, 2, 3, 8, 12)
    expected = latents[0, 0].repeat_interleave(4, 1).repeat_interleave(4, 2)
    torch.testing.assert_close(shown[0, :, 0], expected)
    assert shown[0, :, 1:].abs().max() == 0
