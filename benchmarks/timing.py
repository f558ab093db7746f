"""Times that can be trusted on a shared machine: in turn, many times, medians; and peak memory."""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Times:
    """Seconds of several runs of one thing."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.seconds)


def wait_for(device: torch.device) -> None:
    """Let a GPU finish what it was asked to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def clock(device: torch.device) -> Callable[[], float]:
    """Choose the clock: on one CPU thread this process's own time, which others do not lengthen."""
    one_thread = device.type == "cpu" and torch.get_num_threads() == 1
    return time.process_time if one_thread else time.perf_counter


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds of one run."""
    now = clock(device)
    wait_for(device)
    start = now()
    work()
    wait_for(device)
    return now() - start


def interleaved(
    works: dict[str, Callable[[], object]],
    device: torch.device,
    *,
    budget_sec: float,
    at_least: int = 3,
    at_most: int = 25,
) -> dict[str, Times]:
    """Run things in turn, A B A B ..., after one run each to warm up, until the budget is spent."""
    for work in works.values():
        timed(work, device)
    seconds: dict[str, list[float]] = {name: [] for name in works}
    start = time.perf_counter()
    for number in range(at_most):
        for name, work in works.items():
            seconds[name].append(timed(work, device))
        if number + 1 >= at_least and time.perf_counter() - start > budget_sec:
            break
    return {name: Times(tuple(values)) for name, values in seconds.items()}


def ratio(times: dict[str, Times], one: str, other: str) -> float:
    """Return the median of pairwise ratios: a machine that slows down slows both of a pair."""
    pairs = zip(times[one].seconds, times[other].seconds, strict=True)
    return statistics.median(a / b for a, b in pairs)


def reset_peak(device: torch.device) -> None:
    """Forget the highest memory use so far."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    else:
        clear = Path("/proc/self/clear_refs")
        if clear.exists():
            clear.write_text("5")


def peak_bytes(device: torch.device) -> int | None:
    """Return the highest memory use since `reset_peak`: of the GPU, or of this process (Linux)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
