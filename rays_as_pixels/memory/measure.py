"""Measure what a run really holds: torch's own count of its allocations, on a CPU or a GPU."""

import resource
import sys
from collections.abc import Callable
from typing import Any, cast

import torch
from torch.profiler import ProfilerActivity, profile


def measured_bytes(run: Callable[[], object], device: torch.device) -> int:
    """Run something and return the most bytes that tensors made by it held at one time.

    On a CPU torch's profiler reports every allocation and release; on a GPU the allocator keeps
    the peak. What libraries allocate for themselves is in neither.

    Args:
        run: Called once.
        device: Where it works.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    recorded = cast(Any, profiler.profiler).kineto_results.events()
    changes = [(e.start_ns(), e.nbytes()) for e in recorded if e.name() == "[memory]"]
    held = peak = 0
    for _, change in sorted(changes, key=lambda pair: pair[0]):
        held += change
        peak = max(peak, held)
    return peak


def resident_peak_bytes() -> int:
    """Return the most memory that this process has held so far, as the system counts it."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
