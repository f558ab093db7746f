"""Pick the first setting that fits a device, and set a pipeline up for it."""

import os
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.hooks import apply_group_offloading

from rays_as_pixels.errors import InputError
from rays_as_pixels.memory.estimate import MemoryEstimate, Planner
from rays_as_pixels.memory.settings import (
    FP8,
    MemorySetting,
    Offload,
    VaePieces,
    settings_for,
)

GB = 1e9
MARGIN = 0.95  # share of the free memory that a prediction may fill


@dataclass(frozen=True)
class Budget:
    """Free bytes of the device, and of the machine's own memory."""

    device: int
    host: int


def free_memory(device: torch.device) -> Budget:
    """Ask the device and the system what is free."""
    host = _available_bytes()
    if device.type == "cuda":
        return Budget(torch.cuda.mem_get_info(device)[0], host)
    return Budget(host, host)


def _available_bytes() -> int:
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            found = next(line for line in lines if line.startswith("MemAvailable:"))
        return int(found.split()[1]) * 1024
    except (OSError, StopIteration, ValueError):  # no Linux: half of what there is
        pages = getattr(os, "sysconf", lambda _: 0)
        return int(pages("SC_PAGE_SIZE") * pages("SC_PHYS_PAGES") // 2) or 8 * 10**9


def choose_setting(planner: Planner, budget: Budget) -> MemoryEstimate:
    """Return the first setting, in the order of `SETTINGS`, that fits.

    Raises:
        InputError: None does; the message says what the smallest needs.
    """
    tried = []
    for setting in settings_for(planner.device_type):
        found = planner.estimate(setting)
        if found.total <= MARGIN * budget.device and found.host_bytes <= MARGIN * budget.host:
            return found
        tried.append(found)
    least = min(tried, key=lambda found: found.total)
    work = planner.work
    raise InputError(
        f"memory must be enough for {work.task} of {work.frames} frames at {work.height} x "
        f"{work.width}; "
        f"got {budget.device / GB:.1f} GB free on the device and {budget.host / GB:.1f} GB in the "
        f"machine, and --offload {least.setting.name} needs {least.total / GB:.1f} and "
        f"{least.host_bytes / GB:.1f} GB. Use fewer --frames, a smaller model or another --device, "
        "or name --offload to try all the same."
    )


def apply_setting(pipeline: Any, setting: MemorySetting, device: torch.device) -> None:
    """Put a freshly loaded pipeline on its device the way a setting says.

    Args:
        pipeline: With all weights still on the CPU.
        setting: How.
        device: Where it will compute.
    """
    if setting.vae is not VaePieces.WHOLE:
        pipeline.vae.enable_slicing()
    if setting.vae is VaePieces.TILES:
        pipeline.vae.enable_tiling()
    if setting.fp8:
        pipeline.transformer.enable_layerwise_casting(
            storage_dtype=FP8, compute_dtype=pipeline.transformer.dtype
        )
    if setting.offload is Offload.NONE:
        pipeline.to(device)
    elif setting.offload is Offload.MODEL:
        pipeline.enable_model_cpu_offload(device=device)
    else:
        _offload_groups(pipeline, device)


def _offload_groups(pipeline: Any, device: torch.device) -> None:
    common = {
        "onload_device": device,
        "offload_device": torch.device("cpu"),
        "use_stream": device.type == "cuda",
    }
    pipeline.transformer.enable_group_offload(
        offload_type="block_level", num_blocks_per_group=1, **common
    )
    text = getattr(pipeline, "text_encoder", None)
    if text is not None:
        apply_group_offloading(text, offload_type="leaf_level", **common)
    pipeline.vae.to(device)
