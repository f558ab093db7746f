"""Attention backends, compiled blocks, and the refusals of context parallelism."""

import pytest
import torch
from diffusers.models.attention_dispatch import _AttentionBackendRegistry
from diffusers.utils import logging as diffusers_logging

from rays_as_pixels.errors import InputError
from rays_as_pixels.model.joint_state import JointState
from rays_as_pixels.model.transformer.attention import MatmulAttentionProcessor, RotaryAttention
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.pipeline.acceleration import (
    accelerate,
    available_backends,
    compile_blocks,
    enable_context_parallel,
    join_processes,
    use_attention_backend,
)
from rays_as_pixels.pipeline.options import RunOptions

CPU = torch.device("cpu")


@pytest.fixture
def model() -> RaysAsPixelsTransformer3DModel:
    torch.manual_seed(0)
    network = RaysAsPixelsTransformer3DModel(
        video_config={"channels": 4},
        block_config={"num_layers": 2, "num_heads": 2, "head_dim": 12, "ffn_dim": 32},
    )
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network.eval()


def state() -> JointState:
    generator = torch.Generator().manual_seed(1)
    return JointState(
        torch.randn(1, 4, 2, 4, 6, generator=generator),
        torch.rand(1, 2, generator=generator),
        torch.randn(1, 4, 5, 2, 3, generator=generator),
        torch.rand(1, 5, generator=generator),
    )


def backends_of(model) -> set[str]:
    processors = [m.processor for m in model.modules() if isinstance(m, RotaryAttention)]
    assert len(processors) == 8, "four attentions in each of two blocks"
    return {getattr(p._attention_backend, "value", None) for p in processors}


def test_the_backends_named_on_a_cpu_work_and_those_of_gpus_are_not_named():
    found = available_backends(CPU)
    assert "native" in found
    assert "_native_math" in found
    assert "_native_cudnn" not in found


@torch.no_grad()
@pytest.mark.parametrize("name", ["_native_math", "_native_flash"])
def test_another_backend_is_used_everywhere_and_gives_the_same(model, name):
    before = model(state())
    use_attention_backend(model, name)
    assert backends_of(model) == {name}
    after = model(state())
    # The same sums in another order: float32 rounding of values around 5.
    torch.testing.assert_close(after.video, before.video, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(after.rays, before.rays, rtol=1e-4, atol=1e-5)


def test_choosing_a_backend_for_one_model_leaves_others_and_the_library_as_they_were(model):
    active, _ = _AttentionBackendRegistry.get_active_backend()
    verbosity = diffusers_logging.get_verbosity()
    use_attention_backend(model, "_native_math")
    assert _AttentionBackendRegistry.get_active_backend()[0] == active
    assert diffusers_logging.get_verbosity() == verbosity


@pytest.mark.parametrize("name", ["nope", "_native_cudnn", "flash"])
def test_a_backend_that_does_not_work_here_is_refused_with_those_that_do(model, name):
    with pytest.raises(InputError, match=rf"cpu in float32.*got '{name}'.*native.*_native_math"):
        use_attention_backend(model, name)
    assert backends_of(model) == {None}


def test_products_written_out_for_training_are_not_passed_off_as_a_backend(model):
    model.set_attn_processor(MatmulAttentionProcessor())
    with pytest.raises(InputError, match="through diffusers' dispatcher"):
        use_attention_backend(model, "native")


@pytest.mark.slow
@torch.no_grad()
def test_a_compiled_block_has_no_graph_breaks_and_gives_the_same(model):
    """With a compiler that only traces: what is tested is that each block is one graph."""
    before = model(state())
    compile_blocks(model, backend="eager")
    after = model(state())
    torch.testing.assert_close(after.video, before.video, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(after.rays, before.rays, rtol=1e-4, atol=1e-5)
    counts = torch._dynamo.utils.counters["stats"]
    assert counts["unique_graphs"] >= 1
    torch._dynamo.reset()


def test_nothing_asked_for_changes_nothing(model):
    accelerate(model)
    assert backends_of(model) == {None}
    assert all(block._compiled_call_impl is None for block in model.blocks)


def test_one_process_cannot_be_parallel(model, monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(InputError, match="must be started by torchrun"):
        join_processes("cpu")
    with pytest.raises(InputError, match="at least 2 processes"):
        enable_context_parallel(model)


@pytest.mark.parametrize(("pipeline", "latent_frames"), [("toy", 5), ("folded_toy", 2)])
def test_rays_have_half_the_raster_of_video_and_a_latent_of_every_frame(
    pipeline, latent_frames, request
):
    """With four frames folded into a latent both have as many tokens: 13 x 4 against 49 x 1."""
    pipe = request.getfixturevalue(pipeline)
    seen = {}
    hook = pipe.transformer.register_forward_pre_hook(lambda _m, args: seen.update(state=args[0]))
    try:
        pipe.estimate(
            torch.rand(5, 3, 32, 32), run=RunOptions(generator=torch.Generator().manual_seed(0))
        )
    finally:
        hook.remove()
    video, rays = seen["state"].latents.shape, seen["state"].ray_latents.shape
    assert (video[2], rays[2]) == (latent_frames, 5)
    assert (rays[3], rays[4]) == (video[3] // 2, video[4] // 2)
