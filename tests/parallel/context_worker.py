"""One of two processes: the network whole, then cut over both; prints how far the two are apart."""

import json
from dataclasses import replace

import torch
from diffusers.models import attention_dispatch

from rays_as_pixels.errors import InputError
from rays_as_pixels.model.joint_state import SOURCE, JointState, ReferenceImages
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.pipeline.acceleration import (
    enable_context_parallel,
    join_processes,
    use_attention_backend,
)
from rays_as_pixels.pipeline.options import GenerateOptions, RunOptions
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
from tests.conftest import toy_pipeline


def network(*, heads: int, text: bool = False) -> RaysAsPixelsTransformer3DModel:
    torch.manual_seed(0)
    model = RaysAsPixelsTransformer3DModel(
        video_config={"channels": 4},
        block_config={
            "num_layers": 2,
            "num_heads": heads,
            "head_dim": 12,
            "ffn_dim": 32,
            "share_attention": text,
        },
        conditioning_config={"text_dim": 8 if text else None},
    )
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


def state(height: int, width: int, seed: int = 1) -> JointState:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    def level(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    half = (height // 2, width // 2)
    reference_images = ReferenceImages(
        normal(2, 4, 1, height, width),
        level(2, 1),
        normal(2, 4, 1, *half),
        level(2, 1),
        torch.full((2, 1), 3.0),
        torch.full((2, 1), SOURCE),
    )
    return JointState(
        normal(2, 4, 2, height, width),
        level(2, 2),
        normal(2, 4, 5, *half),
        level(2, 5),
        reference_images,
    )


@torch.no_grad()
def in_background(
    model: RaysAsPixelsTransformer3DModel, inputs: JointState, kind: str, *text: torch.Tensor
) -> dict:
    before = model(inputs, *text)
    enable_context_parallel(model, kind=kind)
    after = model(inputs, *text)
    changed = model(replace(inputs, latents=inputs.latents.roll(1, -1)), *text)
    return {
        "difference": max(
            (getattr(before, name) - getattr(after, name)).abs().max().item()
            for name in ("video", "rays", "reference_images", "reference_rays")
        ),
        "largest": before.video.abs().max().item(),
        "reaction": (changed.rays - after.rays).abs().max().item(),
    }


def cpu_flash_with_normaliser(_ctx, query, key, value, *_, **__):
    """What diffusers' kernel for ring attention does on a GPU, by torch's kernel for CPUs."""
    out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        *(part.transpose(1, 2).contiguous() for part in (query, key, value))
    )
    return out.transpose(1, 2).contiguous(), lse.transpose(1, 2).contiguous()


def ring() -> dict:
    model = network(heads=2)
    try:
        enable_context_parallel(model, kind="ring")
        refusal = ""
    except InputError as error:
        refusal = str(error)
    attention_dispatch._native_flash_attention_forward_op = cpu_flash_with_normaliser
    use_attention_backend(model, "_native_flash")
    return {**in_background(model, state(4, 8), "ring"), "refusal": refusal}


def verbs(pipe: RaysAsPixelsPipeline) -> dict:
    video = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(5))

    def run() -> tuple:
        seed = torch.Generator().manual_seed(3)
        estimated = pipe.estimate(video, run=RunOptions(generator=seed))
        generated = pipe.generate(
            video[0],
            estimated.trajectory,
            options=GenerateOptions(num_inference_steps=3, guidance_scale=2.0),
            run=RunOptions(generator=torch.Generator().manual_seed(4)),
        )
        return estimated.raxels, generated.video

    alone = run()
    enable_context_parallel(pipe.transformer)
    both = run()
    return {
        name: (a - b).abs().max().item()
        for name, a, b in zip(("raxels", "video"), alone, both, strict=True)
    }


def main() -> None:
    join_processes("cpu")
    text = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(9))
    results = {
        "even": in_background(network(heads=2), state(4, 8), "ulysses"),
        "uneven": in_background(network(heads=3), state(2, 6), "ulysses"),
        "text": in_background(network(heads=2, text=True), state(4, 4), "ulysses", text),
        "ring": ring(),
        "verbs": verbs(toy_pipeline()),
    }
    torch.distributed.barrier()
    if torch.distributed.get_rank() == 0:
        print(json.dumps(results))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
