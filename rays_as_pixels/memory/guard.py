"""When memory runs out all the same: an error that names the setting to change."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch

from rays_as_pixels.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")
_SAYS = (
    "can't allocate memory",
    "not enough memory",
    "DefaultCPUAllocator",
    "MPS backend out of memory",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error is memory that ran out, of a device or of the machine."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _SAYS)


def out_of_memory(pipeline: Any, verb: str, error: BaseException) -> InputError:
    """Say that a verb did not fit, and what to change.

    Args:
        pipeline: That ran; its `memory_setting`, if any, is the name of how.
        verb: That ran.
        error: What was raised.
    """
    setting = getattr(pipeline, "memory_setting", "full")
    device = getattr(pipeline, "_execution_device", torch.device("cpu"))
    words = " ".join(str(error).split())[:160]
    return InputError(
        f"{verb} must fit in the memory of {device}; with --offload {setting} it did not ({words})."
        f" Use {_next_setting(setting, device.type)}, or take fewer frames or seeds; "
        "`python -m rays_as_pixels memory` shows what each setting needs."
    )


def _next_setting(setting: str, device_type: str) -> str:
    """Name the next smaller setting that a kind of device allows."""
    words = setting.split("+")
    if "slicing" not in words and "tiling" not in words:
        return f"--offload {setting}+slicing"
    smaller = ["full+tiling"]
    if device_type == "cuda":
        smaller = ["group-offload+tiling", "group-offload+fp8+tiling"]
    left = smaller[smaller.index(setting) + 1 :] if setting in smaller else smaller
    return f"--offload {left[0]}" if left else "a smaller model"


def explain_out_of_memory(method: Callable[P, R]) -> Callable[P, R]:
    """Make a pipeline's verb raise InputError where memory runs out."""

    @functools.wraps(method)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except (MemoryError, RuntimeError) as error:  # torch's own is a RuntimeError
            if not is_out_of_memory(error):
                raise
            caught = error
        # without its traceback the tensors that filled the memory can go
        raise out_of_memory(args[0], method.__name__, caught) from caught.with_traceback(None)

    return guarded
