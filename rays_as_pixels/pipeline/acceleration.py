"""Faster or wider: attention backends, compiled blocks, one clip over several devices."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import torch
from diffusers.models.attention_dispatch import (
    AttentionBackendName,
    _AttentionBackendRegistry,
    _check_attention_backend_requirements,
    dispatch_attention_fn,
)
from diffusers.utils import logging as diffusers_logging
from torch import Tensor, nn

from rays_as_pixels.errors import InputError
from rays_as_pixels.model.transformer.attention import MatmulAttentionProcessor, RotaryAttention
from rays_as_pixels.model.transformer.context_parallel import CUTS, JOINS
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel

if TYPE_CHECKING:
    from diffusers import ContextParallelConfig

DEFAULT_BACKEND = "native"
PARALLEL_KINDS = ("ulysses", "ring")
_UNTRIED = {AttentionBackendName.FLEX}  # compiles for seconds before its first answer
_RING_BACKENDS = ("_native_cudnn", "_native_flash", "flash", "flash_hub", "_flash_3_hub", "sage")


def available_backends(
    device: torch.device, dtype: torch.dtype = torch.float32, *, head_dim: int = 64
) -> tuple[str, ...]:
    """Name the attention backends that work here, each tried on a few tokens.

    Backends whose kernels are fetched from the Hub, and `flex`, are named if what they need is
    installed, without a trial.

    Args:
        device: Where the tokens are.
        dtype: Of queries, keys and values; most kernels take half precision only.
        head_dim: Channels per head; some kernels take 64 or 128 only.
    """
    return tuple(
        name.value for name in AttentionBackendName if _works(name, device, dtype, head_dim)
    )


def _works(
    name: AttentionBackendName, device: torch.device, dtype: torch.dtype, head_dim: int
) -> bool:
    try:
        _check_attention_backend_requirements(name)
        if name in _UNTRIED or name.value.endswith("_hub"):
            return True
        tokens = torch.zeros(1, 16, 2, head_dim, device=device, dtype=dtype)
        with torch.no_grad(), _quiet_diffusers():
            result = dispatch_attention_fn(tokens, tokens, tokens, backend=name)
        return bool(torch.isfinite(result).all())
    except Exception:  # whatever a foreign kernel raises, it does not work here
        return False


def use_attention_backend(model: RaysAsPixelsTransformer3DModel, name: str) -> None:
    """Compute all attention of a model with one of diffusers' backends.

    Args:
        model: The network, where and in the precision it will run.
        name: As diffusers names it: `native` (torch's own choice), `flash`, `sage`, `xformers`, ...

    Raises:
        InputError: There is no such backend, or it does not work on this device and precision.
    """
    device, dtype = model.device, model.dtype
    names = {each.value for each in AttentionBackendName}
    head_dim = model.sizes.blocks.head_dim
    if name not in names or not _works(AttentionBackendName(name), device, dtype, head_dim):
        works = ", ".join(available_backends(device, dtype, head_dim=head_dim))
        raise InputError(
            f"attention backend must be one that works on {device} in {str(dtype)[6:]} with heads "
            f"of {head_dim}; got {name!r}. Choose from {works}."
        )
    _refuse_matmul(model)
    before, _ = _AttentionBackendRegistry.get_active_backend()
    try:
        with _quiet_diffusers():
            model.set_attention_backend(name)
    except (RuntimeError, ValueError, OSError) as error:  # a kernel that could not be fetched
        raise InputError(
            f"attention backend must be ready to use; got {name!r}, which failed: {error}. "
            f"Choose {DEFAULT_BACKEND!r}."
        ) from error
    finally:  # diffusers also makes it every other model's backend; that was not asked for
        _AttentionBackendRegistry.set_active_backend(cast(Any, before))


def compile_blocks(model: RaysAsPixelsTransformer3DModel, **options: Any) -> None:
    """Compile the repeated block once instead of the whole network.

    The first call of each new shape takes tens of seconds; all blocks share the result.

    Args:
        model: The network.
        options: For `torch.compile`; `fullgraph=True` by default, so that a graph break
            is an error and not a loss of speed.
    """
    with _quiet_diffusers():
        model.compile_repeated_blocks(**{"fullgraph": True, **options})


def accelerate(
    model: RaysAsPixelsTransformer3DModel,
    *,
    attention_backend: str | None = None,
    compiled: bool = False,
    parallel: str | None = None,
) -> None:
    """Apply what the command line asked for, in the order in which it works.

    Args:
        model: The network, on its device.
        attention_backend: See `use_attention_backend`; None leaves it.
        compiled: See `compile_blocks`.
        parallel: See `enable_context_parallel`; None for one process.

    Raises:
        InputError: See these functions.
    """
    if attention_backend is not None:
        use_attention_backend(model, attention_backend)
    if parallel is not None:
        enable_context_parallel(model, kind=parallel)
    if compiled:
        compile_blocks(model)


def join_processes(device_type: str) -> torch.device:
    """Join the processes that `torchrun` started, and take this one's device.

    Args:
        device_type: `cuda` or `cpu`.

    Raises:
        InputError: This process was not started by torchrun.
    """
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        raise InputError(
            "work over several devices must be started by torchrun; got a single process. Run "
            "`torchrun --nproc-per-node N -m rays_as_pixels ...`."
        )
    device = torch.device(device_type)
    if device_type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if device_type == "cuda" else "gloo")
    return device


def enable_context_parallel(
    model: RaysAsPixelsTransformer3DModel, *, kind: str = "ulysses"
) -> None:
    """Spread every call of a model over all processes: each holds a share of the tokens.

    Every process must then make the same calls with the same inputs and seeds; each gets the whole
    result. Weights are not spread: see docs/many_devices.md.

    Args:
        model: The network, on this process's device.
        kind: `ulysses` exchanges heads for tokens (any number of tokens and heads);
            `ring` passes keys and values round, which needs a kernel that returns the softmax's
            normaliser and as many tokens per image as the number of processes divides.

    Raises:
        InputError: Torch's processes have not been joined, the kind is unknown, or the model's
            attention cannot do it. The model's next call raises it where an image has too few
            tokens, or a number that a ring cannot cut.
    """
    if not torch.distributed.is_initialized() or torch.distributed.get_world_size() < 2:
        raise InputError(
            "context parallelism must run in at least 2 processes; got 1. Start them with "
            "`torchrun --nproc-per-node 2`."
        )
    if kind not in PARALLEL_KINDS:
        raise InputError(
            f"parallel must be one of {', '.join(PARALLEL_KINDS)}; got {kind!r}. Use 'ulysses'."
        )
    _refuse_matmul(model)
    if kind == "ring":
        _check_ring_backend(model)
    count = torch.distributed.get_world_size()
    with _quiet_diffusers(), _one_accelerator_at_least():
        model.enable_parallelism(config=_parallel_config(kind, count), cp_plan=cast(Any, CUTS))
    for name in CUTS:
        model.get_submodule(name).register_forward_pre_hook(partial(_check_tokens, kind, count))
    for name, join in JOINS.items():
        model.get_submodule(name).register_forward_hook(partial(_join_pieces, join.gather_dim))


def _check_tokens(kind: str, count: int, _entry: nn.Module, given: tuple[Tensor, ...]) -> None:
    """Refuse images that cannot be cut, before the first exchange between processes."""
    tokens = given[0].shape[2]
    if tokens < count:
        raise InputError(
            f"images must have as many tokens as there are processes, {count}, or more; got "
            f"{tokens}. Start fewer processes."
        )
    if kind == "ring" and tokens % count:
        raise InputError(
            f"ring attention must have tokens per image that {count} processes divide; got "
            f"{tokens}. Use 'ulysses', or another number of processes."
        )


def _join_pieces(dim: int, _head: nn.Module, _given: tuple[Tensor, ...], piece: Tensor) -> Tensor:
    """Put the processes' pieces together along a dimension, whatever their sizes.

    In the place of diffusers' own gathering, which works over NCCL alone where sizes differ.
    """
    count = torch.distributed.get_world_size()
    size = torch.tensor([piece.shape[dim]], device=piece.device)
    sizes = [torch.empty_like(size) for _ in range(count)]
    torch.distributed.all_gather(sizes, size)
    lengths = [int(each) for each in sizes]
    padding = piece.new_zeros(
        (*piece.shape[:dim], max(lengths) - piece.shape[dim], *piece.shape[dim + 1 :])
    )
    padded = torch.cat([piece, padding], dim)
    pieces = [torch.empty_like(padded) for _ in range(count)]
    torch.distributed.all_gather(pieces, padded)
    cut = [each.narrow(dim, 0, length) for each, length in zip(pieces, lengths, strict=True)]
    return torch.cat(cut, dim)


def _parallel_config(kind: str, count: int) -> "ContextParallelConfig":
    from diffusers import ContextParallelConfig  # noqa: PLC0415 - diffusers loads it slowly

    if kind == "ring":
        return ContextParallelConfig(ring_degree=count)
    return ContextParallelConfig(ulysses_degree=count, ulysses_anything=True)


def _check_ring_backend(model: RaysAsPixelsTransformer3DModel) -> None:
    backend = next(m for m in model.modules() if isinstance(m, RotaryAttention)).processor
    name = backend._attention_backend
    if name is None or getattr(name, "value", name) not in _RING_BACKENDS:
        raise InputError(
            "ring attention must use a backend that returns the softmax's normaliser; got "
            f"{getattr(name, 'value', name) or DEFAULT_BACKEND!r}. Set one of "
            f"{', '.join(_RING_BACKENDS)} first, or use 'ulysses'."
        )


def _refuse_matmul(model: RaysAsPixelsTransformer3DModel) -> None:
    for module in model.modules():
        if isinstance(module, RotaryAttention) and isinstance(
            module.processor, MatmulAttentionProcessor
        ):
            raise InputError(
                "attention must go through diffusers' dispatcher for this; got the written-out "
                "products of CPU training. Call `set_attn_processor(RotaryAttentionProcessor())`."
            )


@contextmanager
def _quiet_diffusers() -> Iterator[None]:
    """Leave out diffusers' warnings that these features are experimental; its errors stay."""
    before = diffusers_logging.get_verbosity()
    diffusers_logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        diffusers_logging.set_verbosity(before)


@contextmanager
def _one_accelerator_at_least() -> Iterator[None]:
    """Let diffusers divide by the number of accelerators where there is only a CPU."""
    counted = torch.accelerator.device_count
    if counted() == 0:
        torch.accelerator.device_count = lambda: 1
    try:
        yield
    finally:
        torch.accelerator.device_count = counted
