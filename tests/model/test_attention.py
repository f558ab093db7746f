import pytest
import torch

from rays_as_pixels.model.joint_state import frame_of_latent, latent_time
from rays_as_pixels.model.transformer.attention import RotaryAttention, slow_attention
from rays_as_pixels.model.transformer.rope import (
    apply_rotary,
    rotary_tables,
    token_positions,
)

HEAD_DIM = 12


@pytest.fixture
def attention() -> RotaryAttention:
    torch.manual_seed(0)
    module = RotaryAttention(2 * HEAD_DIM, heads=2).double()
    torch.nn.init.normal_(module.norm_q.weight)
    return module


def tables(count: int, seed: int):
    position = torch.rand(2, count, 3, generator=torch.Generator().manual_seed(seed)) * 5
    cos, sin = rotary_tables(position, head_dim=HEAD_DIM, theta=100.0)
    return cos.double(), sin.double()


@pytest.mark.parametrize("cross", [False, True])
def test_attention_equals_its_slow_twin_forward_and_gradient(attention, cross):
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randn(2, 5, 24, generator=generator, dtype=torch.float64)
    context = torch.randn(2, 7, 24, generator=generator, dtype=torch.float64) if cross else None
    query = tables(5, 2)
    key = tables(7, 3) if cross else query
    gradients = []
    outputs = []
    for function in (attention, lambda *args: slow_attention(attention, *args)):
        leaf = tokens.clone().requires_grad_()
        output = function(leaf, context, query, key)
        attention.zero_grad()
        output.square().sum().backward()
        outputs.append(output.detach())
        gradients.append([leaf.grad] + [p.grad.clone() for p in attention.parameters()])
    torch.testing.assert_close(outputs[0], outputs[1], rtol=0, atol=1e-12)  # float64 rounding
    for fast, slow in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-9, atol=1e-11)


def test_rotated_products_depend_on_relative_position_only():
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(1, 1, 1, HEAD_DIM, generator=generator)
    key = torch.randn(1, 1, 1, HEAD_DIM, generator=generator)
    a, b = torch.tensor([[[1.0, 2.0, -1.0]]]), torch.tensor([[[0.5, -1.0, 3.0]]])
    shift = torch.tensor([4.0, -2.0, 1.5])

    def product(p, q):
        one = apply_rotary(query, rotary_tables(p, head_dim=HEAD_DIM, theta=100.0))
        other = apply_rotary(key, rotary_tables(q, head_dim=HEAD_DIM, theta=100.0))
        return (one * other).sum()

    torch.testing.assert_close(product(a, b), product(a + shift, b + shift), rtol=0, atol=1e-5)
    assert (product(a, b) - product(a + shift, b)).abs() > 1e-3


def test_rotation_turns_channel_pairs_by_position_times_frequency():
    # Head of 6: one pair each for t, y, x, all of frequency theta^0 = 1.
    x = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0, 0.0]).reshape(1, 1, 1, 6)
    position = torch.tensor([[[torch.pi / 2, torch.pi, 0.0]]])
    rotated = apply_rotary(x, rotary_tables(position, head_dim=6, theta=100.0)).flatten()
    expected = torch.tensor([0.0, 1.0, -1.0, 0.0, 1.0, 0.0])
    torch.testing.assert_close(rotated, expected, rtol=0, atol=1e-6)


def test_latent_frames_sit_at_the_mean_of_the_frames_they_cover():
    # Latent 1 covers frames 1..4, latent 2 frames 5..8.
    assert frame_of_latent(3).tolist() == [0.0, 2.5, 6.5]
    torch.testing.assert_close(latent_time(frame_of_latent(3)), torch.tensor([0.0, 1.0, 2.0]))


def test_in_wan_units_video_tokens_have_whole_number_positions():
    position = token_positions(
        frame_of_latent(2)[None], grid=(2, 3), cells_per_token=1, clip=(5, 2, 3), extent=None
    )
    expected = [[t, y, x] for t in (0, 1) for y in (0, 1) for x in (0, 1, 2)]
    assert position[0].tolist() == [[float(v) for v in row] for row in expected]


@pytest.mark.parametrize("extent", [None, (4.0, 8.0)])
def test_a_ray_token_sits_at_the_centre_of_the_video_tokens_it_covers(extent):
    clip = (9, 4, 6)
    video = token_positions(
        frame_of_latent(3)[None], grid=(4, 6), cells_per_token=1, clip=clip, extent=extent
    ).reshape(3, 4, 6, 3)
    rays = token_positions(
        frame_of_latent(3)[None], grid=(2, 3), cells_per_token=2, clip=clip, extent=extent
    ).reshape(3, 2, 3, 3)
    covered = video.unflatten(1, (2, 2)).unflatten(3, (3, 2)).mean(dim=(2, 4))
    torch.testing.assert_close(rays, covered)


def test_normalised_positions_are_centred_and_span_the_extent():
    position = token_positions(
        frame_of_latent(3)[None], grid=(8, 8), cells_per_token=1, clip=(9, 8, 8), extent=(4.0, 8.0)
    )
    torch.testing.assert_close(position[..., 1:].mean((0, 1)), torch.zeros(2), rtol=0, atol=1e-6)
    assert position[..., 1].max() - position[..., 1].min() == pytest.approx(7.0)  # 8 cells' centres
    # Frame 8 would be at 4.0; the last latent's mean, frame 6.5, is at (6.5 + 1.5) / 9.5 of it.
    assert position[..., 0].max() == pytest.approx(4.0 * 8.0 / 9.5)
