from dataclasses import replace

import pytest
import torch
from diffusers import WanTransformer3DModel

from rays_as_pixels.errors import InputError
from rays_as_pixels.model.joint_state import (
    SOURCE,
    SPARSE_TARGET,
    JointState,
    ReferenceImages,
)
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.model.transformer.token_images import unpatchify

SMALL = {
    "video_config": {"channels": 4},
    "block_config": {"num_layers": 2, "num_heads": 2, "head_dim": 12, "ffn_dim": 48},
    "conditioning_config": {"freq_dim": 32},
}


def model(**groups) -> RaysAsPixelsTransformer3DModel:
    torch.manual_seed(0)
    changed = {name: {**SMALL.get(name, {}), **group} for name, group in groups.items()}
    built = RaysAsPixelsTransformer3DModel(**{**SMALL, **changed})
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return built.eval()


def state(
    *, frames: int = 5, reference_images: int = 0, batch: int = 2, seed: int = 0
) -> JointState:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(batch, 4, *shape, generator=generator)

    extra = None
    if reference_images:
        kind = torch.full((batch, reference_images), SPARSE_TARGET)
        kind[:, 0] = SOURCE
        extra = ReferenceImages(
            normal(reference_images, 4, 4),
            torch.zeros(batch, reference_images),
            normal(reference_images, 2, 2),
            torch.ones(batch, reference_images),
            torch.arange(reference_images).float().expand(batch, -1),
            kind,
        )
    latents = (frames - 1) // 4 + 1
    return JointState(
        normal(latents, 4, 4),
        torch.full((batch, latents), 0.7),
        normal(frames, 2, 2),
        torch.full((batch, frames), 0.4),
        extra,
    )


@pytest.mark.parametrize("reference_images", [0, 1, 3])
@pytest.mark.parametrize("share", [False, True])
def test_velocities_have_the_shapes_of_what_they_move(reference_images, share):
    given = state(frames=9, reference_images=reference_images)
    out = model(block_config={"share_attention": share})(given)
    assert out.video.shape == given.latents.shape
    assert out.rays.shape == given.ray_latents.shape
    if reference_images:
        assert out.reference_images.shape == given.reference_images.latents.shape
        assert out.reference_rays.shape == given.reference_images.ray_latents.shape
    else:
        assert out.reference_images is None


@torch.no_grad()
def test_rays_depend_on_the_video_and_the_video_on_the_rays():
    network = model()
    given = state()
    base = network(given)
    other = state(seed=1)
    new_video = network(replace(given, latents=other.latents))
    new_rays = network(replace(given, ray_latents=other.ray_latents))
    assert (new_video.rays - base.rays).abs().max() > 1e-3
    assert (new_rays.video - base.video).abs().max() > 1e-3


@torch.no_grad()
def test_noise_level_of_one_image_changes_its_own_velocity_most():
    network = model()
    given = state(frames=9)
    sigma = given.sigma.clone()
    sigma[:, 1] = 0.1
    change = network(replace(given, sigma=sigma)).video - network(given).video
    per_latent = change.abs().mean(dim=(0, 1, 3, 4))
    assert per_latent[1] > 2 * per_latent[0]
    assert per_latent[1] > 2 * per_latent[2]


@torch.no_grad()
def test_a_source_image_at_another_time_gives_another_video():
    network = model()
    given = state(reference_images=1)
    moved = replace(
        given,
        reference_images=replace(given.reference_images, frame=given.reference_images.frame + 4),
    )
    assert (network(moved).video - network(given).video).abs().max() > 1e-4


@torch.no_grad()
def test_sample_prediction_becomes_the_velocity_that_leads_to_the_sample():
    given = state()
    sample = model(ray_config={"prediction": "velocity"})(
        given
    ).rays  # the same head, read as it is
    velocity = model(ray_config={"prediction": "sample"})(given).rays
    # x_t - t v = x_0 for the flow x_t = (1 - t) x_0 + t x_1
    torch.testing.assert_close(given.ray_latents - 0.4 * velocity, sample, rtol=0, atol=1e-5)


@torch.no_grad()
def test_clips_of_a_batch_do_not_mix():
    network = model()
    given = state(reference_images=1)
    alone = JointState(
        given.latents[1:],
        given.sigma[1:],
        given.ray_latents[1:],
        given.ray_sigma[1:],
        ReferenceImages(
            *(value[1:] for value in vars(given.reference_images).values() if value is not None)
        ),
    )
    torch.testing.assert_close(network(given).video[1:], network(alone).video, rtol=0, atol=1e-5)


def test_from_scratch_the_network_starts_at_zero_with_gradient_everywhere_it_should():
    network = model()
    network.initialise_from_scratch()
    out = network(state())
    assert out.video.abs().max() == 0
    (out.video.sum() + out.rays.sum()).backward()
    assert network.proj_out.weight.grad.abs().max() > 0


@pytest.mark.parametrize("patch", [1, 2])
def test_unpatchify_undoes_the_patch_embeddings_order(patch):
    images = torch.arange(2 * 3 * 2 * 4 * 6.0).reshape(2, 3, 2, 4, 6)
    patches = images.unfold(3, patch, patch).unfold(4, patch, patch)  # B C S h w p p
    tokens = patches.permute(0, 2, 3, 4, 5, 6, 1).flatten(4).flatten(2, 3)
    assert torch.equal(unpatchify(tokens, images.shape, patch), images)


def test_video_branch_names_and_shapes_are_those_of_wan():
    wan = WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=4,
        out_channels=4,
        text_dim=16,
        freq_dim=32,
        ffn_dim=48,
        num_layers=2,
    ).state_dict()
    ours = model(
        video_config={"patch_size": (1, 2, 2)},
        block_config={"share_attention": True},
        conditioning_config={"text_dim": 16},
    ).state_dict()
    wanted = {name: tensor.shape for name, tensor in wan.items()}
    assert {name: ours[name].shape for name in wanted if name in ours} == wanted


@torch.no_grad()
def test_with_closed_cross_gates_the_video_velocity_is_wans():
    torch.manual_seed(0)
    wan = WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=4,
        out_channels=4,
        text_dim=16,
        freq_dim=32,
        ffn_dim=48,
        num_layers=2,
    ).eval()
    for parameter in wan.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    ours = model(
        video_config={"patch_size": (1, 2, 2)},
        block_config={"share_attention": True},
        rope_config={"theta": 10000.0, "extent": None},
        conditioning_config={"text_dim": 16},
    )
    ours.load_state_dict(wan.state_dict(), strict=False)
    ours.kind_embedding.zero_()
    for block in ours.blocks:
        block.cross_scale_shift_table.zero_()
    ours.cross_time_proj.weight.zero_()
    ours.cross_time_proj.bias.zero_()
    given = state(frames=9)
    text = torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(5))
    theirs = wan(given.latents, torch.full((2,), 700.0), text).sample
    mine = ours(given, text).video
    torch.testing.assert_close(mine, theirs, rtol=0, atol=2e-5)  # float32 over two blocks


def test_text_must_be_given_exactly_when_the_model_reads_it():
    with pytest.raises(InputError, match="text_dim"):
        model()(state(), torch.zeros(2, 3, 16))
    with pytest.raises(InputError, match="text_dim"):
        model(conditioning_config={"text_dim": 16})(state())


def test_a_prediction_kind_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match=r"ray_config\.prediction must be"):
        model(ray_config={"prediction": "noise"})


def test_a_size_of_another_name_is_refused():
    with pytest.raises(InputError, match=r"BlockConfig must have names of num_layers, .*'layers'"):
        model(block_config={"layers": 3})


def test_global_attention_is_one_attention_over_all_tokens():
    """Every output depends on every input of both streams, and no cross-attention is left."""
    net = model(block_config={"attention": "global"})
    assert not any(
        "cross_attn" in name or "ray_attn1" in name for name, _ in net.named_parameters()
    )
    given = state(reference_images=2)
    before = net(given)
    rays = given.ray_latents.clone()
    rays[:, :, 0, 0, 0] += 1
    after = net(replace(given, ray_latents=rays))
    assert (after.video != before.video).all()
    assert (after.rays[:, :, -1] != before.rays[:, :, -1]).all()
    assert after.rays.shape == given.ray_latents.shape


def test_global_attention_equals_decoupled_attention_where_neither_attends():
    """With closed attention outputs, what is left are the same norms and feed-forwards."""
    nets = [model(block_config={"attention": kind}) for kind in ("global", "decoupled")]
    nets[1].load_state_dict(nets[0].state_dict(), strict=False)
    for net in nets:
        for name, parameter in net.named_parameters():
            if ".to_out.0." in name:
                torch.nn.init.zeros_(parameter)
    one, other = (net(state()) for net in nets)
    torch.testing.assert_close(one.video, other.video)
    torch.testing.assert_close(one.rays, other.rays)


def test_rays_may_have_more_channels_than_the_video():
    given = state()
    rays = torch.cat([given.ray_latents, given.ray_latents], dim=1)
    velocity = model(ray_config={"channels": 8})(replace(given, ray_latents=rays))
    assert velocity.rays.shape == rays.shape
    assert velocity.video.shape == given.latents.shape


def test_an_unknown_kind_of_attention_is_refused():
    with pytest.raises(InputError, match=r"attention must be 'decoupled' or 'global'; got 'joint'"):
        model(block_config={"attention": "joint"})
