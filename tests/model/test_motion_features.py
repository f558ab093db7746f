"""Matches point where things came from, displacements say how far; both fade in noise."""

import pytest
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.model.camera_prior.motion_features import LatentFlow, MotionFeatures
from rays_as_pixels.model.config import MotionFeaturesConfig
from rays_as_pixels.model.joint_state import JointState, ReferenceImages
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel


def costs_of(layer: MotionFeatures, latents: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Return (T, 2 references, groups, dy, dx, h, w), what the last layers read."""
    seen: list[torch.Tensor] = []
    handle = layer.mix[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    layer(latents, sigma)
    handle.remove()
    side = 2 * layer.config.radius + 1
    costs = seen[0][:, : -layer.flow.num_maps]
    return costs.unflatten(1, (2, layer.config.groups, side, side))


@pytest.fixture
def layer() -> MotionFeatures:
    torch.manual_seed(0)
    layer = MotionFeatures(6, MotionFeaturesConfig(width=5))
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
                one(latents[0].transpose(0, 1)).unflatten(1, (4, 16)), dim=2
            )
            for one in (layer.query, layer.key)
        )
    for y, x, dy, dx in ((0, 0, -1, 0), (2, 3, 0, 1), (1, 2, -1, 1), (2, 0, -2, 2)):
        expected = torch.zeros(4)
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


def test_the_network_reads_the_costs_for_the_clip_and_not_for_reference_images():
    torch.manual_seed(0)
    model = RaysAsPixelsTransformer3DModel(
        video_config={"channels": 4, "patch_size": (1, 2, 2), "temporal_stride": 1},
        block_config={"num_layers": 1, "num_heads": 2, "head_dim": 12, "ffn_dim": 32},
        motion_features_config={"width": 5},
        camera_prior_config={},
        view_prior_config={},
    )
    state = JointState(
        torch.randn(1, 4, 3, 4, 6),
        torch.zeros(1, 3),
        torch.randn(1, 4, 3, 2, 3),
        torch.ones(1, 3),
        ReferenceImages(
            torch.randn(1, 4, 1, 4, 6),
            torch.zeros(1, 1),
            torch.randn(1, 4, 1, 2, 3),
            torch.ones(1, 1),
            torch.zeros(1, 1),
            torch.zeros(1, 1, dtype=torch.int64),
        ),
    )
    with torch.no_grad():
        video, rays, _ = model._embed(state)
        for embedding in (model.motion_embedding, model.ray_motion_embedding):
            embedding.weight.zero_()
            embedding.bias.zero_()
        plain, plain_rays, _ = model._embed(state)
    cells = 2 * 3
    for ours, other in ((video, plain), (rays, plain_rays)):
        assert torch.equal(ours[:, :cells], other[:, :cells])
        assert (ours[:, cells:] - other[:, cells:]).abs().amin(dim=(0, 2)).min() > 0


def test_folded_time_has_no_frames_to_match():
    with pytest.raises(InputError, match=r"must be None unless video_config\.temporal_stride is 1"):
        RaysAsPixelsTransformer3DModel(
            video_config={"temporal_stride": 4}, motion_features_config={"width": 8}
        )


def sliding(step: tuple[float, float], frames: int = 4) -> torch.Tensor:
    """Latents (1, 3, T, 8, 8) of soft waves whose content moves by `step` cells (x, y) a frame."""
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    waves = ((0.5, 0.2, 0.3), (-0.3, 0.6, 1.0), (0.4, -0.5, 2.0))
    return torch.stack(
        [
            torch.stack(
                [torch.sin(a * (x - t * step[0]) + b * (y - t * step[1]) + c) for a, b, c in waves]
            )
            for t in range(frames)
        ],
        dim=1,
    )[None]


def derivative_flow() -> LatentFlow:
    """Central differences as the gradient, all channels alike, hardly any damping."""
    flow = LatentFlow(3, (1, 3, 5))
    with torch.no_grad():
        flow.gradient.weight.zero_()
        for channel in range(3):
            flow.gradient.weight[channel, channel, 1] = torch.tensor([-0.5, 0.0, 0.5])
            flow.gradient.weight[3 + channel, channel, :, 1] = torch.tensor([-0.5, 0.0, 0.5])
        flow.log_damping.fill_(-12.0)
    return flow


def test_the_flow_says_where_content_was_and_sums_up_the_path():
    flow, step = derivative_flow(), (0.15, -0.1)
    before = torch.tensor([0, 0, 1, 2])
    shares = [torch.ones(1, 4), torch.ones(1, 4)]
    with torch.no_grad():
        maps = flow(sliding(step), (before, torch.zeros_like(before)), shares)
    assert maps.shape == (1, 4, flow.num_maps, 8, 8)
    inner = maps[0, :, :, 2:6, 2:6].mean(dim=(2, 3))
    was = -torch.tensor(step)  # it was there before, minus where it is
    for window in range(3):
        last, first = inner[:, 4 * window :][:, :2], inner[:, 12 + 4 * window :][:, :2]
        path = inner[:, 24 + 2 * window :][:, :2]
        for frame in range(4):
            # Central differences see 4 % to 10 % less slope than there is.
            torch.testing.assert_close(last[frame], was * min(frame, 1), rtol=0.15, atol=1e-4)
            torch.testing.assert_close(first[frame], was * frame, rtol=0.15, atol=0.01)
            torch.testing.assert_close(path[frame], last[: frame + 1].sum(0), rtol=1e-4, atol=1e-5)


def test_a_flat_picture_has_no_displacement_and_noise_none_that_counts():
    flow = derivative_flow()
    before = torch.tensor([0, 0, 1, 2])
    others = (before, torch.zeros_like(before))
    shares = [torch.tensor([[1.0, 1.0, 0.5, 0.0]])] * 2
    with torch.no_grad():
        flat = flow(torch.ones(1, 3, 4, 8, 8), others, shares)
        clear = flow(sliding((0.2, 0.0)), others, [torch.ones(1, 4)] * 2)
        faded = flow(sliding((0.2, 0.0)), others, shares)
    assert flat[:, :, :2, 1:-1, 1:-1].abs().max() < 1e-4
    torch.testing.assert_close(faded[:, 2, :24], 0.5 * clear[:, 2, :24])
    assert faded[:, 3, :24].abs().max() == 0
