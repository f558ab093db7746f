"""Matching costs point where things came from, and fade where frames are noise."""

import pytest
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.model.correlation import LocalCorrelation
from rays_as_pixels.model.joint_transformer import (
    JointState,
    RaysAsPixelsTransformer3DModel,
    Stills,
)


def costs_of(layer: LocalCorrelation, latents: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Return (T, 2 references, groups, dy, dx, h, w), what the last layers read."""
    seen: list[torch.Tensor] = []
    handle = layer.mix[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    layer(latents, sigma)
    handle.remove()
    side = 2 * layer.radius + 1
    return seen[0].unflatten(1, (2, layer.groups, side, side))


@pytest.fixture
def layer() -> LocalCorrelation:
    torch.manual_seed(0)
    layer = LocalCorrelation(6, 5)
    layer.initialise_from_scratch()
    return layer


def test_costs_are_largest_where_the_picture_came_from(layer):
    picture = torch.randn(1, 6, 16, 16, generator=torch.Generator().manual_seed(1))
    # Everything moves one cell right and two down in a frame: it was at (-2, -1) before.
    frames = [picture.roll((2 * t, t), (2, 3)) for t in range(3)]
    latents = torch.stack(frames, 2)
    costs = costs_of(layer, latents, torch.zeros(1, 3))
    inner = costs[:, :, :, :, :, 6:10, 6:10].mean(dim=(2, 5, 6))  # T references dy dx
    for frame in (1, 2):
        assert inner[frame, 0].argmax() == (2 - 2) * 5 + (2 - 1)
        torch.testing.assert_close(inner[frame, 0].max(), torch.tensor(3.0), rtol=0, atol=1e-4)
    assert inner[1, 1].argmax() == 1  # frame 0 is the frame before
    assert inner[0, 0].argmax() == inner[0, 1].argmax() == 12  # frame 0 with itself: no motion


def test_costs_beyond_the_image_are_zero_and_every_other_equals_the_product(layer):
    latents = torch.randn(1, 6, 2, 3, 4, generator=torch.Generator().manual_seed(2))
    costs = costs_of(layer, latents, torch.zeros(1, 2))
    with torch.no_grad():
        query, key = (
            torch.nn.functional.normalize(
                one(latents[0].transpose(0, 1)).unflatten(1, (8, 8)), dim=2
            )
            for one in (layer.query, layer.key)
        )
    for y, x, dy, dx in ((0, 0, -1, 0), (2, 3, 0, 1), (1, 2, -1, 1), (2, 0, -2, 2)):
        expected = torch.zeros(8)
        if 0 <= y + dy < 3 and 0 <= x + dx < 4:
            expected = 3 * (query[1, :, :, y, x] * key[0, :, :, y + dy, x + dx]).sum(1)
        found = costs[1, 0, :, dy + 2, dx + 2, y, x]
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_costs_fade_with_the_noise_of_either_frame(layer):
    latents = torch.randn(1, 6, 3, 4, 4, generator=torch.Generator().manual_seed(3))
    clear = costs_of(layer, latents, torch.zeros(1, 3))
    noisy = costs_of(layer, latents, torch.tensor([[0.0, 0.5, 1.0]]))
    torch.testing.assert_close(noisy[1, 0], 0.5 * clear[1, 0], rtol=1e-5, atol=1e-6)
    assert noisy[2].abs().max() == 0


def test_the_network_reads_them_in_the_clip_and_not_in_the_stills():
    torch.manual_seed(0)
    model = RaysAsPixelsTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=4,
        ffn_dim=32, num_layers=1, temporal_stride=1, correlation_channels=5,
    )  # fmt: skip
    state = JointState(
        torch.randn(1, 4, 3, 4, 6), torch.zeros(1, 3), torch.randn(1, 4, 3, 2, 3), torch.ones(1, 3),
        Stills(
            torch.randn(1, 4, 1, 4, 6), torch.zeros(1, 1), torch.randn(1, 4, 1, 2, 3),
            torch.ones(1, 1), torch.zeros(1, 1), torch.zeros(1, 1, dtype=torch.int64),
        ),
    )  # fmt: skip
    with torch.no_grad():
        video, rays, _ = model._embed(state)
        for embedding in (model.correlation_embedding, model.ray_correlation_embedding):
            embedding.weight.zero_()
            embedding.bias.zero_()
        plain, plain_rays, _ = model._embed(state)
    cells = 2 * 3
    for ours, other in ((video, plain), (rays, plain_rays)):
        assert torch.equal(ours[:, :cells], other[:, :cells])
        assert (ours[:, cells:] - other[:, cells:]).abs().amin(dim=(0, 2)).min() > 0


def test_folded_time_has_no_frames_to_match():
    with pytest.raises(InputError, match="must be None unless temporal_stride is 1"):
        RaysAsPixelsTransformer3DModel(temporal_stride=4, correlation_channels=8)
