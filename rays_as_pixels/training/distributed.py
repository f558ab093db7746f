"""Several training processes: one clock, one writer, one set of weights.

Under accelerate alone every process keeps all weights and gradients are averaged (DDP); with
`configs/fsdp2.yaml` weights, gradients and optimiser state are sharded over the processes (FSDP2).
"""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, cast

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import (
    DistributedType,
    FullyShardedDataParallelPlugin,
    InitProcessGroupKwargs,
    broadcast,
)
from torch import Tensor, nn
from torch.utils import _pytree

from rays_as_pixels.model.joint_state import JointVelocity

_SEED_STRIDE = 7919  # a prime: processes draw different clips, whatever the seeds of two runs
_PATIENCE = timedelta(hours=12)  # others wait while the main process renders or encodes


def new_accelerator(mixed_precision: str | None = None) -> Accelerator:
    """Build the accelerator of a run, from what `accelerate launch` has set.

    Args:
        mixed_precision: `no` or `bf16`; None for bf16, except on a CPU where that is slower.
    """
    if mixed_precision is None:
        mixed_precision = "bf16" if torch.cuda.is_available() or _bf16_is_fast() else "no"
    plugin = _fsdp_plugin(mixed_precision)
    accelerator = Accelerator(
        mixed_precision=mixed_precision,
        fsdp_plugin=plugin,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=_PATIENCE)],
    )
    if plugin is not None and accelerator.device.type == "cpu" and accelerator.num_processes > 1:
        # accelerate offers FSDP on GPUs only; on CPUs it works as well, so it can be tried there.
        PartialState._shared_state["distributed_type"] = DistributedType.FSDP
        accelerator.state.distributed_type = DistributedType.FSDP
        accelerator.state.fsdp_plugin = plugin
    return accelerator


def _bf16_is_fast() -> bool:
    """Whether this CPU multiplies bfloat16 matrices no slower than float32 ones.

    Measured, because kernels differ more than CPUs say: without AVX-512 BF16 a product took 9 times
    as long, and a 3D convolution 130 times.
    """
    return _product_sec(torch.bfloat16) <= _product_sec(torch.float32)


def _product_sec(dtype: torch.dtype) -> float:
    left, right = torch.ones(512, 256, dtype=dtype), torch.ones(256, 256, dtype=dtype)
    times = []
    for _ in range(5):
        started = time.perf_counter()
        torch.mm(left, right)
        times.append(time.perf_counter() - started)
    return min(times)


def _fsdp_plugin(mixed_precision: str) -> FullyShardedDataParallelPlugin | None:
    """FSDP2 with noise levels, losses and gradient sums in float32."""
    if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() != "true":
        return None
    from torch.distributed.fsdp import MixedPrecisionPolicy  # noqa: PLC0415 - loads torch.distributed

    # FSDP2 looks for tensors in what a model returns.
    if JointVelocity not in _pytree.SUPPORTED_NODES:
        _pytree.register_dataclass(JointVelocity)
    half = torch.bfloat16 if mixed_precision == "bf16" else None
    return FullyShardedDataParallelPlugin(
        mixed_precision_policy=MixedPrecisionPolicy(
            param_dtype=half, reduce_dtype=torch.float32, cast_forward_inputs=False
        )
    )


def own_seed(seed: int, accelerator: Accelerator) -> int:
    """Return a seed of this process's own, so that no two draw the same clips."""
    return seed + accelerator.process_index * _SEED_STRIDE


def shared_clock(accelerator: Accelerator) -> float:
    """Read the main process's clock, in seconds: processes that stop by it stop together."""
    now = time.monotonic()
    if accelerator.num_processes == 1:
        return now
    reading = torch.tensor([now], dtype=torch.float64, device=accelerator.device)
    return float(cast(Tensor, broadcast(reading)))


@contextmanager
def one_after_the_other(accelerator: Accelerator) -> Iterator[None]:
    """Let the main process go first; the others then find its files. For work that keeps files."""
    if not accelerator.is_main_process:
        accelerator.wait_for_everyone()
    try:
        yield
    finally:
        if accelerator.is_main_process:
            accelerator.wait_for_everyone()


def average_gradients(accelerator: Accelerator, parameters: Iterable[nn.Parameter]) -> None:
    """Give every process the mean of all processes' gradients, for a model that is not wrapped."""
    if accelerator.num_processes == 1:
        return
    for parameter in parameters:
        if parameter.grad is None:  # a batch that did not need it; another process's may have
            parameter.grad = torch.zeros_like(parameter)
        torch.distributed.all_reduce(parameter.grad)
        parameter.grad /= accelerator.num_processes


def is_sharded(model: nn.Module) -> bool:
    """Tell whether FSDP2 has sharded the weights."""
    return any(hasattr(parameter, "full_tensor") for parameter in model.parameters())


def gathered(tree: Any) -> Any:
    """Gather the sharded tensors of a state dict, on the CPU. All processes must call it alike."""
    return _pytree.tree_map(_full_tensor, tree)


def _full_tensor(value: Any) -> Any:
    return value.full_tensor().detach().cpu() if hasattr(value, "full_tensor") else value


def shard_like(value: Tensor, parameter: Tensor) -> Tensor:
    """Shard a full tensor as its parameter is; unchanged where that is not sharded."""
    if not hasattr(parameter, "device_mesh") or value.shape != parameter.shape:
        return value
    from torch.distributed.tensor import distribute_tensor  # noqa: PLC0415 - loads torch.distributed

    sharded = cast(Any, parameter)
    mesh = sharded.device_mesh
    return distribute_tensor(value.to(mesh.device_type), mesh, sharded.placements)


def load_optimiser(optimiser: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Load a full optimiser state into one whose parameters may be sharded.

    Settings that the saved state lacks are kept: `Float32Muon` and torch's Muon share their state
    and not all of their settings.
    """
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    state = {
        index: {name: _sharded(value, parameters[index]) for name, value in values.items()}
        for index, values in saved["state"].items()
    }
    pairs = zip(optimiser.param_groups, saved["param_groups"], strict=True)
    groups = [{**own, **old} for own, old in pairs]
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def _sharded(value: Any, parameter: Tensor) -> Any:
    return shard_like(value, parameter) if isinstance(value, Tensor) else value
