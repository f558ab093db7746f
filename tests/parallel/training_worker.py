"""One of two processes: `parity` compares training steps with one process's; `train DIR` trains.

`killed DIR` trains until it kills itself, and `resumed DIR` goes on from there. `alone DIR` does
the same in one process, without the violence.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator

from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.training.config import training_config
from rays_as_pixels.training.distributed import (
    gathered,
    is_sharded,
    load_optimiser,
    new_accelerator,
)
from rays_as_pixels.training.objective import CleanBatch, NoisyBatch, joint_loss, noisy_batch
from rays_as_pixels.training.run_context import TrainingOptions
from rays_as_pixels.training.stages import transformer as training
from rays_as_pixels.training.stages.run import train
from rays_as_pixels.training.stages.transformer import TransformerRun, new_optimisers

STEPS, CLIPS = 4, 4
KILLED_AFTER, RESUMED_UNTIL = 3, 6  # steps
TINY = training_config("tiny").transformer
CONFIG = replace(TINY, tasks=replace(TINY.tasks, estimate=0.0, generate=0.0))


def network() -> RaysAsPixelsTransformer3DModel:
    torch.manual_seed(0)
    model = RaysAsPixelsTransformer3DModel(
        video_config={"channels": 4},
        block_config={"num_layers": 2, "num_heads": 2, "head_dim": 12, "ffn_dim": 32},
    )
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def clean_batches() -> Iterator[CleanBatch]:
    generator = torch.Generator().manual_seed(3)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(CLIPS, *shape, generator=generator)

    while True:
        yield CleanBatch(
            latents=normal(4, 2, 4, 4),
            ray_latents=normal(4, 5, 2, 2),
            reference_latents=normal(4, 1, 4, 4),
            reference_frame=torch.zeros(CLIPS, 1),
            pose=normal(5, 8),
            motion=normal(11, 2, 4, 4),
        )


def batches() -> list[NoisyBatch]:
    generator = torch.Generator().manual_seed(4)
    clean = clean_batches()
    return [noisy_batch(next(clean), CONFIG, generator) for _ in range(STEPS)]


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
        loss, _ = joint_loss(model(batch.state), batch, config=CONFIG)
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


class Stopped(Exception):  # noqa: N818 - not an error
    """The clips have run out: the way for one process to stop where two kill themselves."""


def some_batches(first: int, end: int) -> Iterator[CleanBatch]:
    """Yield the clips of steps `first` to `end`, and stop."""
    for step, batch in enumerate(clean_batches()):
        if step == end:
            raise Stopped
        if step >= first:
            yield batch


def long_run(folder: Path, accelerator: Accelerator) -> TransformerRun:
    """Open a run that saves after every step and whose minutes are never spent."""
    folder.mkdir(parents=True, exist_ok=True)
    training._SAVE_EVERY_SEC = 0.0
    size = replace(
        TINY,
        minutes=1e6,
        weights=replace(TINY.weights, pose=0.0),
        warmup_steps=1,
        learning_rate=8e-3,
    )
    return TransformerRun(network(), size, folder, accelerator=accelerator, log=lambda _: None)


def go_on(run: TransformerRun, until: int) -> None:
    try:
        run.train(some_batches(run.progress.step, until), seed=0)
    except Stopped:
        return


def killed(folder: Path) -> None:
    """Train some steps and die as hard as a process can. Both processes draw the same clips."""
    run = long_run(folder, new_accelerator("no"))
    assert is_sharded(run.model)
    go_on(run, KILLED_AFTER)
    torch.distributed.barrier()  # the main process has written the last state
    os.kill(os.getpid(), signal.SIGKILL)


def resumed(folder: Path) -> dict:
    """Go on where `killed` died."""
    run = long_run(folder, new_accelerator("no"))
    first = run.progress.step
    go_on(run, RESUMED_UNTIL)
    return {"sharded": is_sharded(run.model), "from_step": first}


def alone(folder: Path) -> dict:
    """Stop and go on in one process, and tell how far a weight has moved."""
    accelerator = new_accelerator("no")
    go_on(long_run(folder, accelerator), KILLED_AFTER)
    run = long_run(folder, accelerator)
    go_on(run, RESUMED_UNTIL)
    return {"movement": furthest(network().state_dict(), run._transformer.state_dict())}


def whole_run(folder: Path, stages: list[str]) -> dict:
    """Train the tiny configuration for seconds, as the command line does."""
    path = folder / "transformer-state.pt"
    spent = torch.load(path, weights_only=True)["progress"]["spent_sec"] if path.exists() else 0.0
    options = TrainingOptions(
        folder,
        folder / "pipeline",
        minutes={
            "autoencoder": 0.03,
            "pretrain": 0.02,
            "decoder": 0.02,
            "transformer": spent / 60 + 0.03,
        },
        check=False,
        stages=tuple(stages),
    )
    train(training_config("tiny"), options)
    torch.distributed.barrier()
    state = torch.load(path, weights_only=True)
    return {"steps": state["progress"]["step"], "entries": len(state["optimisers"][0]["state"])}


def main() -> None:
    if sys.argv[1] == "parity":
        accelerator = new_accelerator("no")
        results = {f.__name__: parity(accelerator, f) for f in (plain, with_muon)}
    elif sys.argv[1] == "train":
        results = whole_run(Path(sys.argv[2]), sys.argv[3:])
    else:
        part_of_a_run = {"killed": killed, "resumed": resumed, "alone": alone}[sys.argv[1]]
        results = part_of_a_run(Path(sys.argv[2]))
    if os.environ.get("WORLD_SIZE", "1") != "1":
        torch.distributed.barrier()
    if os.environ.get("RANK", "0") == "0":
        print(json.dumps(results))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
