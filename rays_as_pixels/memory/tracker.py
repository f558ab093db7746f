"""Count the bytes that a computation holds, without computing it.

The real network runs on the meta device, where tensors have shapes and no data. Every storage that
an operation makes is counted until it is dropped, so the peak is that of the code as it is, not of
a formula that would have to be kept in step with it.
"""

import weakref
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

META = torch.device("meta")


class _LiveBytes(TorchDispatchMode):
    """Bytes of the storages made inside this context that are still alive, and their peak."""

    def __init__(self, device_type: str) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._workspace = _cpu_workspace if device_type == "cpu" else _gpu_workspace
        self._seen: set[int] = set()

    def ignore(self, tensors: Iterable[Tensor]) -> None:
        """Leave out storages that were there before, such as weights."""
        for tensor in tensors:
            self._seen.add(tensor.untyped_storage()._cdata)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_iter(result):
            if isinstance(value, Tensor) and value.device.type == "meta":
                self._count(value)
        if func is torch.ops.aten.convolution.default:
            self.peak = max(self.peak, self.live + self._workspace(args, result))
        return result

    def _count(self, value: Tensor) -> None:
        storage = value.untyped_storage()
        key = storage._cdata
        if key in self._seen:
            return
        size = storage.nbytes()
        self._seen.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.live -= size


def _cpu_workspace(args: tuple[Any, ...], result: Tensor) -> int:
    """Bytes of the unfolded input where torch has no better kernel than a matrix product."""
    inputs, weight, bias, *numbers = args
    settings = tuple(tuple(n) if isinstance(n, list) else n for n in numbers)
    unfolds = _unfolds(inputs.shape, weight.shape, bias is not None, inputs.dtype, settings)
    if not unfolds:
        return 0
    return weight[0].numel() * (result.numel() // weight.shape[0]) * inputs.element_size()


@lru_cache(maxsize=4096)
def _unfolds(
    inputs: torch.Size, weight: torch.Size, bias: bool, dtype: torch.dtype, settings: Any
) -> bool:
    """Ask torch which kernel it would choose, with tensors that hold one element each."""
    if set(weight[2:]) == {1}:
        return False
    one = torch.empty((), dtype=dtype)
    offset = one.expand(weight[0]) if bias else None
    backend = torch._C._select_conv_backend(
        one.expand(inputs), one.expand(weight), offset, *settings, None
    )
    return backend.name.startswith(("Slow2d", "Slow3d"))


def _gpu_workspace(args: tuple[Any, ...], result: Tensor) -> int:
    """Bytes of input and output in the layout of the tensor cores: an allowance, not a measure."""
    return args[0].nbytes + result.nbytes


class _Attention(TorchFunctionMode):
    """Stand in for fused attention, whose scores never exist as a whole.

    On the meta device torch would fall back to the kernel that writes out all scores. Fused kernels
    keep the result and one number per query and head.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is not torch.nn.functional.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        named = dict(zip(("query", "key", "value"), args, strict=False)) | (kwargs or {})
        query, value = named["query"], named["value"]
        log_sum = query.new_empty(query.shape[:-1], dtype=torch.float32)
        result = query.new_empty((*query.shape[:-1], value.shape[-1]))
        del log_sum
        return result


def peak_bytes(
    run: Callable[[], object], *, held: Iterable[Tensor] = (), device_type: str = "cuda"
) -> int:
    """Return the most bytes that tensors made by `run` hold at one time.

    Args:
        run: Computes with tensors on the meta device.
        held: Tensors that were there before and are not to be counted: weights, inputs.
        device_type: What it will run on; kernels differ in the workspace they need.
    """
    with _LiveBytes(device_type) as counter, _Attention(), torch.no_grad():
        counter.ignore(held)
        result = run()
        peak = counter.peak
    del result
    return peak
