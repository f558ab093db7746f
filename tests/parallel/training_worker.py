"""One of two processes: `parity` compares training steps with one process's; `train DIR` trains."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator

from rays_as_pixels.model.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.training.config import training_config
from rays_as_pixels.training.objective import CleanBatch, NoisyBatch, joint_loss, noisy_batch
from rays_as_pixels.training.processes import (
    gathered,
    is_sharded,
    load_optimiser,
    new_accelerator,
)
from rays_as_pixels.training.run import TrainingOptions, train
from rays_as_pixels.training.transformer import new_optimisers

STEPS, CLIPS = 4, 4


def network() -> RaysAsPixelsTransformer3DModel:
    torch.manual_seed(0)
    model = RaysAsPixelsTransformer3DModel(
        num_attention_heads=2, attention_head_dim=12, in_channels=4, ffn_dim=32, num_layers=2
    )
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def batches() -> list[NoisyBatch]:
    generator = torch.Generator().manual_seed(3)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(CLIPS, *shape, generator=generator)

    size = replace(training_config("tiny").transformer, estimate_share=0.0, generate_share=0.0)
    return [
        noisy_batch(
            CleanBatch(
                latents=normal(4, 2, 4, 4), ray_latents=normal(4, 5, 2, 2),
                still_latents=normal(4, 1, 4, 4), still_frame=torch.zeros(CLIPS, 1),
                pose=normal(5, 8), motion=normal(11, 2, 4, 4),
            ),
            size, generator,
        )
        for _ in range(STEPS)
    ]  # fmt: skip


def part(batch: NoisyBatch, rows: slice) -> NoisyBatch:
    """Take some clips of a batch."""

    def cut(value):
        if isinstance(value, torch.Tensor):
            return value[rows]
        if value is None:
            return None
        return replace(value, **{name: cut(inner) for name, inner in vars(value).items()})

    return NoisyBatch(cut(batch.state), cut(batch.target))


def steps(model, optimisers, batch_list, backward, clip) -> list[float]:
    losses = []
    for batch in batch_list:
        loss, _ = joint_loss(model(batch.state), batch)
        for optimiser in optimisers:
            optimiser.zero_grad()
        backward(loss)
        clip(model.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
        losses.append(float(loss.detach()))
    return losses


def plain(model: torch.nn.Module) -> list[torch.optim.Optimizer]:
    return [torch.optim.AdamW(model.parameters(), lr=1e-2, eps=1e-4)]


def with_muon(model: torch.nn.Module) -> list[torch.optim.Optimizer]:
    return new_optimisers(model, learning_rate=1e-2)


def in_one_process(optimise, batch_list: list[NoisyBatch]) -> dict[str, torch.Tensor]:
    model = network()
    clip = torch.nn.utils.clip_grad_norm_
    steps(model, optimise(model), batch_list, torch.Tensor.backward, clip)
    return model.state_dict()


def furthest(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    return max((one[name] - other[name]).abs().max().item() for name in one)


def parity(accelerator: Accelerator, optimise) -> dict:
    """Half of the clips in each process must train as all of them do in one."""
    everything = batches()
    reference = in_one_process(optimise, everything)
    rank = accelerator.process_index
    halves = [part(batch, slice(2 * rank, 2 * rank + 2)) for batch in everything]

    def prepared(model):
        accelerator.free_memory()
        ready = accelerator.prepare(model, *optimise(model))
        return ready[0], list(ready[1:])

    tools = (accelerator.backward, accelerator.clip_grad_norm_)
    model, optimisers = prepared(network())
    steps(model, optimisers, halves[:2], *tools)
    stored = gathered(accelerator.unwrap_model(model).state_dict())
    kept = [gathered(optimiser.state_dict()) for optimiser in optimisers]
    fresh = network()
    fresh.load_state_dict(stored)
    model, optimisers = prepared(fresh)
    for optimiser, saved in zip(optimisers, kept, strict=True):
        load_optimiser(optimiser, saved)
    steps(model, optimisers, halves[2:], *tools)
    ours = gathered(accelerator.unwrap_model(model).state_dict())
    local = (p.to_local() if hasattr(p, "to_local") else p for p in model.parameters())
    return {
        "kind": str(accelerator.distributed_type),
        "sharded": is_sharded(model),
        "difference": furthest(ours, reference),
        "movement": furthest(network().state_dict(), reference),
        "own_half_only": furthest(in_one_process(optimise, halves), reference),
        "local_share": sum(p.numel() for p in local) / sum(p.numel() for p in fresh.parameters()),
    }


def whole_run(folder: Path, stages: list[str]) -> dict:
    """Train the tiny configuration for seconds, as the command line does."""
    minutes = 0.03 if (folder / "transformer-state.pt").exists() is False else 0.06
    options = TrainingOptions(
        folder, folder / "pipeline", codec_minutes=0.03, polish_minutes=0.02,
        transformer_minutes=minutes, check=False, stages=tuple(stages),
    )  # fmt: skip
    train(training_config("tiny"), options)
    torch.distributed.barrier()
    state = torch.load(folder / "transformer-state.pt", weights_only=True)
    return {"steps": state["progress"]["step"], "entries": len(state["optimisers"][0]["state"])}


def main() -> None:
    if sys.argv[1] == "parity":
        accelerator = new_accelerator("no")
        results = {f.__name__: parity(accelerator, f) for f in (plain, with_muon)}
    else:
        results = whole_run(Path(sys.argv[2]), sys.argv[3:])
    torch.distributed.barrier()
    if torch.distributed.get_rank() == 0:
        print(json.dumps(results))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
