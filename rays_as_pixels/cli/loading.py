"""Which model, where, and how: the options of every verb that loads one, and the loading."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rays_as_pixels.errors import InputError

if TYPE_CHECKING:
    import torch

    from rays_as_pixels.memory.estimate import Planner
    from rays_as_pixels.memory.settings import MemorySetting
    from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline

SMALL_MODEL_BYTES = 10**9  # below, a CPU has room and is not worth a prediction


def add_device_option(parser: "argparse._ActionsContainer", purpose: str = "") -> None:
    """Add --device, which `choose_device` reads."""
    parser.add_argument(
        "--device",
        default="auto",
        help=f"{purpose}auto, cpu, cuda, cuda:N or mps (default: %(default)s)",
    )


def add_dtype_option(parser: "argparse._ActionsContainer") -> None:
    """Add --dtype, the precision of the network, which `choose_dtype` reads."""
    parser.add_argument(
        "--dtype",
        default="auto",
        choices=("auto", "float32", "bfloat16", "float16"),
        help="precision of the network; auto is bfloat16 for large ones on a GPU, else float32",
    )


def add_model_option(parser: "argparse._ActionsContainer") -> None:
    """Add --model, which `find_model` reads."""
    from rays_as_pixels.hub.location import MODEL_HELP

    parser.add_argument("--model", metavar="MODEL", help=MODEL_HELP)


def add_loading_options(parser: "argparse._ActionsContainer") -> None:
    """Add --model, --device, --offload, --dtype, --attention-backend and --compile."""
    add_model_option(parser)
    add_device_option(parser)
    parser.add_argument(
        "--offload",
        default="auto",
        metavar="HOW",
        help="auto, full, model-offload, group-offload or fp8, each with +slicing or +tiling; "
        "auto takes the first that fits (default: %(default)s)",
    )
    add_dtype_option(parser)
    parser.add_argument(
        "--attention-backend",
        metavar="NAME",
        help="kernel of the attention, as diffusers names it: native, flash, sage, ... (default: "
        "torch's own choice)",
    )
    parser.add_argument(
        "--compile",
        action="store_true",
        help="compile the network's repeated block: the first call takes a minute, later ones less",
    )


def choose_device(name: str) -> "torch.device":
    """Turn --device into a device that is there.

    Args:
        name: auto, cpu, cuda, cuda:N or mps.

    Raises:
        InputError: No such kind of device, or this machine has none.
    """
    import torch

    if name == "auto":
        has_mps = torch.backends.mps.is_available()
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise InputError(
            f"device must be auto, cpu, cuda, cuda:N or mps; got {name!r}. Use auto to let the "
            "program choose."
        )
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": torch.backends.mps.is_available()}
    if (device.index or 0) >= int(count[device.type]):
        raise InputError(
            f"device must be one this machine has; got {name!r}, and it has "
            f"{int(count[device.type])} of that kind. Use auto or cpu."
        )
    return device


def load(args: argparse.Namespace, say: Callable[[str], None]) -> "RaysAsPixelsPipeline":
    """Load the pipeline named by --model onto --device, fetching it first if need be.

    `args.model` of a repository is pinned to the commit that was loaded, so that results name it.

    Args:
        args: With the options of `add_loading_options`.
        say: Is told what happens.

    Raises:
        CheckpointError: The model is missing, cannot be fetched, or is damaged.
        InputError: The device is not there, or the attention backend does not work on it.
    """
    device = choose_device(args.device)
    from rays_as_pixels.pipeline.acceleration import accelerate, join_processes

    parallel = getattr(args, "parallel", None)
    if parallel is not None:
        device = join_processes(device.type)
    import torch
    from diffusers.utils import logging as diffusers_logging

    from rays_as_pixels.hub.fetch import find_model
    from rays_as_pixels.hub.location import HubAccess, locate_model
    from rays_as_pixels.memory.choose import apply_setting
    from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline

    diffusers_logging.set_verbosity_error()  # our progress and errors say what matters
    diffusers_logging.disable_progress_bar()
    found = find_model(args.model, access=HubAccess(log=say))
    if found.commit is not None:
        args.model = f"{locate_model(found.name).repository}@{found.commit}"
    planner = _planner(args, found.folder, device)
    setting = _setting(args, planner, device, say)
    say(f"model: {args.model or found.name} on {device}, memory {setting.name}")
    precision = {"default": planner.dtype, "vae": torch.float32}
    pipeline = RaysAsPixelsPipeline.from_pretrained(found.folder, torch_dtype=precision)
    apply_setting(pipeline, setting, device)
    pipeline.memory_setting = setting.name
    pipeline.set_progress_bar_config(disable=True)
    accelerate(
        pipeline.transformer,
        attention_backend=args.attention_backend,
        compiled=args.compile,
        parallel=parallel,
    )
    return pipeline


def _planner(args: argparse.Namespace, folder: Path, device: "torch.device") -> "Planner":
    """Describe the run that the model is loaded for; what is not known yet is taken as large."""
    from rays_as_pixels.memory.estimate import TASKS, Planner, Workload
    from rays_as_pixels.memory.settings import choose_dtype
    from rays_as_pixels.memory.shapes import ModelShapes
    from rays_as_pixels.model.clip_lengths import clip_lengths

    shapes = ModelShapes.from_folder(folder)
    task = getattr(args, "verb", "")
    frames = getattr(args, "frames", None)
    allowed = clip_lengths(shapes.max_frames, shapes.temporal_stride)
    height, width = max(shapes.sizes, key=lambda size: size[0] * size[1])
    work = Workload(
        task if task in TASKS else "loop",
        frames if isinstance(frames, int) and frames in allowed else shapes.max_frames,
        height,
        width,
        seeds=args.num_samples if task == "estimate" else 1,
    )
    dtype = choose_dtype(
        args.dtype, device_type=device.type, parameters=shapes.transformer_parameters
    )
    return Planner(shapes, work, dtype=dtype, device_type=device.type)


def _setting(
    args: argparse.Namespace,
    planner: "Planner",
    device: "torch.device",
    say: Callable[[str], None],
) -> "MemorySetting":
    from rays_as_pixels.memory.choose import GB, choose_setting, free_memory
    from rays_as_pixels.memory.settings import MemorySetting, named_setting

    if args.offload != "auto":
        return named_setting(args.offload, device.type)
    if planner.shapes.stored_bytes < SMALL_MODEL_BYTES and device.type != "cuda":
        return MemorySetting()
    chosen = choose_setting(planner, free_memory(device))
    if chosen.setting != MemorySetting():
        say(
            f"memory: {chosen.setting.name}, predicted {chosen.total / GB:.1f} GB for "
            f"{planner.work.frames} frames ({chosen.largest.name})"
        )
    return chosen.setting
