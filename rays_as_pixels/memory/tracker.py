"""Count the bytes that a computation holds, without computing it.

The real network runs on the meta device, where tensors have shapes and no data. Every storage that
an operation makes is counted until it is dropped, so the peak is that of the code as it is, not of
a formula that would have to be kept in step with it. What kernels take for themselves is no tensor
and is added by rule: `_cpu_workspace`, `_gpu_workspace`.
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
Trace = list[tuple[Any, int]]  # of each operation, its name and the bytes held while it runs
_CHANNELS = 8  # oneDNN keeps channels by so many, and copies no input that has fewer


class _LiveBytes(TorchDispatchMode):
    """Bytes of the storages made inside this context that are still alive, by operation.

    Where code asks for values, which are not there, the answer is that nothing is wrong: yes to
    whether all are right, no to whether any is not, and 0 for a number.
    """

    def __init__(self, device_type: str) -> None:
        super().__init__()
        self.live = 0
        self.trace: Trace = []
        self._workspace = _cpu_workspace if device_type == "cpu" else _gpu_workspace
        self._seen: set[int] = set()
        self._yes: set[int] = set()

    def ignore(self, tensors: Iterable[Tensor]) -> None:
        """Leave out storages that were there before, such as weights."""
        for tensor in tensors:
            self._seen.add(_key(tensor))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs, aten = kwargs or {}, torch.ops.aten
        if func is aten._local_scalar_dense.default and args[0].device == META:
            return _key(args[0]) in self._yes
        if func is aten._to_copy.default and args[0].device == META:
            if (kwargs.get("dtype") or args[0].dtype) == args[0].dtype and "device" in kwargs:
                return args[0]  # to another device: it counts as the same
            kwargs = {**kwargs, "device": META}
        result = func(*args, **kwargs)
        for value in tree_iter(result):
            if isinstance(value, Tensor) and value.device == META:
                self._count(value)
        if func.overloadpacket is aten.all:
            self._yes.add(_key(result))
        workspace = self._workspace(args, result) if func is aten.convolution.default else 0
        self.trace.append((func, self.live + workspace))
        return result

    def _count(self, value: Tensor) -> None:
        storage, key = value.untyped_storage(), _key(value)
        if key in self._seen:
            return
        size = storage.nbytes()
        self._seen.add(key)
        self.live += size
        weakref.finalize(storage, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self._yes.discard(key)
        self.live -= size


def _key(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _cpu_workspace(args: tuple[Any, ...], result: Tensor) -> int:
    """Bytes that a convolution on a CPU takes beside its input and result.

    Torch's own kernels unfold the input, unless the kernel is one cell. oneDNN, which takes most
    batches, copies input and weight into its layout, then the result back out of it; measured with
    torch 2.13 and AVX2, to the byte: channels are filled up to a multiple of 8, and an input of
    fewer stays as it is.
    """
    inputs, weight, bias, *numbers = args
    settings = tuple(tuple(n) if isinstance(n, list) else n for n in numbers)
    backend = _cpu_backend(inputs.shape, weight.shape, bias is not None, inputs.dtype, settings)
    per_output = weight[0].numel()
    outputs = result.numel() // weight.shape[0]
    if backend.startswith("Slow"):
        one_cell = set(weight.shape[2:]) == {1}
        return 0 if one_cell else per_output * outputs * inputs.element_size()
    if not backend.startswith("Mkldnn"):
        return 0
    out_bytes = outputs * _filled_up(weight.shape[0]) * result.element_size()
    copied = _filled_up(weight.shape[0]) * per_output
    channels = weight.shape[1]
    if channels >= _CHANNELS:
        copied = (copied + inputs.numel()) * _filled_up(channels) // channels
    return max(copied * inputs.element_size() + out_bytes - result.nbytes, out_bytes)


def _filled_up(channels: int) -> int:
    return -(-channels // _CHANNELS) * _CHANNELS


@lru_cache(maxsize=4096)
def _cpu_backend(
    inputs: torch.Size, weight: torch.Size, bias: bool, dtype: torch.dtype, settings: Any
) -> str:
    """Ask torch which kernel it would choose, with tensors that hold one element each."""
    one = torch.empty((), dtype=dtype)
    offset = one.expand(weight[0]) if bias else None
    backend = torch._C._select_conv_backend(
        one.expand(inputs), one.expand(weight), offset, *settings, None
    )
    return backend.name


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


def held_bytes(
    run: Callable[[], object], *, held: Iterable[Tensor] = (), device_type: str = "cuda"
) -> Trace:
    """Return the bytes that tensors made by `run` hold, at each of its operations.

    Args:
        run: Computes with tensors on the meta device.
        held: Tensors that were there before and are not to be counted: weights, inputs.
        device_type: What it will run on; kernels differ in the workspace they need.
    """
    with _LiveBytes(device_type) as counter, _Attention(), torch.no_grad():
        counter.ignore(held)
        result = run()
    del result
    return counter.trace


def peak_of(trace: Trace) -> int:
    """Return the most bytes held at one time."""
    return max((size for _, size in trace), default=0)


def peak_bytes(
    run: Callable[[], object], *, held: Iterable[Tensor] = (), device_type: str = "cuda"
) -> int:
    """Return the most bytes that tensors made by `run` hold at one time; see `held_bytes`."""
    return peak_of(held_bytes(run, held=held, device_type=device_type))


def continued(short: Trace, long: Trace, rounds: int) -> int:
    """Return the peak of a loop that goes on for `rounds` more than the longer of two traces.

    Each operation holds so many bytes more with every further round. Those before the last round
    are compared at the same distance from the start, the others at the same distance from the end.
    The peak may move from one to another, so no line through the two peaks would do.

    Args:
        short: Of the loop with one round less; before its last round all have settled.
        long: Of the loop.
        rounds: Further rounds, 0 or more.
    """
    added = len(long) - len(short)
    pairs = enumerate(zip(short, long, strict=False))
    # here the short loop has ended, and the long one goes on
    end = next((i for i, (one, other) in pairs if one[0] is not other[0]), len(short))
    last = end - added
    held = [(size, long[i if i < last else i + added][1]) for i, (_, size) in enumerate(short)]
    return max(after + (after - before) * rounds for before, after in held)
