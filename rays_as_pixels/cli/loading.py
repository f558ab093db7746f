"""Which model, where, and how: the options of every verb that loads one, and the loading."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from rays_as_pixels.errors import InputError

if TYPE_CHECKING:
    import torch

    from rays_as_pixels.pipeline import RaysAsPixelsPipeline


def add_loading_options(parser: "argparse._ActionsContainer") -> None:
    """Add --model and --device."""
    from rays_as_pixels.hub.source import MODEL_HELP

    parser.add_argument("--model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: %(default)s)"
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
        InputError: The device is not there.
    """
    device = choose_device(args.device)
    from diffusers.utils import logging as diffusers_logging

    from rays_as_pixels.hub.source import HubAccess, find_model, model_name
    from rays_as_pixels.pipeline import RaysAsPixelsPipeline

    diffusers_logging.set_verbosity_error()  # our progress and errors say what matters
    diffusers_logging.disable_progress_bar()
    found = find_model(args.model, access=HubAccess(say=say))
    if found.commit is not None:
        args.model = f"{model_name(found.name).repository}@{found.commit}"
    say(f"model: {args.model or found.name} on {device}")
    pipeline = RaysAsPixelsPipeline.from_pretrained(found.folder).to(device)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
