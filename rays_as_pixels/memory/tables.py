"""Predictions as tables in markdown."""

from collections.abc import Sequence

from rays_as_pixels.errors import InputError
from rays_as_pixels.memory.choose import GB, Budget, choose_setting
from rays_as_pixels.memory.estimate import MemoryEstimate, Planner
from rays_as_pixels.memory.settings import SETTINGS

PLENTY = 10**15  # of memory beside the device


def heading(planner: Planner) -> str:
    """Name the model, the size of the run and the precision."""
    work, shapes = planner.work, planner.shapes
    parameters = sum(p.numel() for p in shapes.network.parameters())
    precision = str(planner.dtype).removeprefix("torch.")
    text = f" + {shapes.text_parameters / GB:.2f}B text encoder" if shapes.text_parameters else ""
    seeds = f", {work.seeds} seeds" if work.seeds > 1 else ""
    return (
        f"{shapes.name}: {parameters / GB:.3g}B{text}, {work.frames} frames at {work.height}x"
        f"{work.width}{seeds}, {precision}"
    )


def per_gpu(planners: Sequence[Planner], sizes_gb: Sequence[float]) -> str:
    """Tell for each GPU and task the first setting that fits, with the predicted GB.

    Args:
        planners: One per task, of one model.
        sizes_gb: Memory of the GPUs in GB of 10^9 bytes.
    """
    tasks = [planner.work.task for planner in planners]
    lines = [
        f"{heading(planners[0])} (estimated, not measured)",
        "",
        "| GPU | " + " | ".join(tasks) + " |",
        "|---:|" + "---|" * len(tasks),
    ]
    for size in sizes_gb:
        cells = [_cell(planner, size) for planner in planners]
        lines.append(f"| {size:g} GB | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(planner: Planner, size_gb: float) -> str:
    try:
        found = choose_setting(planner, Budget(int(size_gb * GB), PLENTY))
    except InputError:
        return "does not fit"
    return f"{found.setting.name} {found.total / GB:.1f}"


def every_setting(planner: Planner) -> str:
    """List all settings of one task with the GB of each phase, the reserve and the sum."""
    found = [planner.estimate(setting) for setting in SETTINGS]
    names = [phase.name for phase in found[0].phases]
    lines = [
        f"{planner.work.task}, GB by phase",
        "",
        "| setting | " + " | ".join([*names, "reserve", "needs", "beside the GPU"]) + " |",
        "|---|" + "---:|" * (len(names) + 3),
    ]
    return "\n".join([*lines, *(_row(each) for each in found)])


def _row(found: MemoryEstimate) -> str:
    numbers = [phase.total for phase in found.phases]
    numbers += [found.reserve, found.total, found.host_bytes]
    return f"| {found.setting.name} | " + " | ".join(f"{n / GB:.2f}" for n in numbers) + " |"
