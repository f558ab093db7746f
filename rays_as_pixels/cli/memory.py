"""`memory`: what a model needs on which GPU, before anything is fetched or loaded."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rays_as_pixels.cli import options
from rays_as_pixels.cli.loading import add_dtype_option
from rays_as_pixels.errors import InputError

if TYPE_CHECKING:
    from rays_as_pixels.memory.estimate import Planner
    from rays_as_pixels.memory.shapes import ModelShapes

PRESETS = ("mini", "1.3B", "14B")
GPU_SIZES_GB = (8, 16, 24, 48, 80)
PLENTY = 10**15  # bytes of the machine's own memory


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb and its options."""
    parser = subparsers.add_parser(
        "memory",
        help="predict the memory a model needs",
        description="Predict the most memory that each task holds on its device, from the model's "
        "configs alone, and name the first way to run it that fits GPUs of several sizes. "
        "Predictions include a reserve for libraries and for what they leave out.",
    )
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="mini, 1.3B or 14B for a size that need not exist yet, a folder, or "
        "org/name[@revision] (default: the project's own)",
    )
    parser.add_argument(
        "--frames", type=options.whole, metavar="N", help="of a clip (default: the model's own)"
    )
    parser.add_argument(
        "--size", metavar="HxW", help="pixels, for example 480x832 (default: its first)"
    )
    parser.add_argument("--num-samples", type=options.whole, default=1, help="samples in one pass")
    add_dtype_option(parser)
    parser.add_argument(
        "--gpu-gb",
        type=options.positive,
        action="append",
        metavar="GB",
        help="size of a GPU; may be given several times (default: 8, 16, 24, 48, 80)",
    )
    parser.add_argument("--all", action="store_true", help="also every setting, with its phases")


def run(args: argparse.Namespace) -> int:
    """Print the table; returns exit code 0.

    Raises:
        InputError: The model is not there, or frames or size break a rule.
    """
    planners = _planners(args, _shapes(args.model))
    print(_table_of_gpus(planners, args.gpu_gb or GPU_SIZES_GB))  # noqa: T201 - the answer
    if args.all:
        print(*("\n" + _table_of_settings(each) for each in planners), sep="\n")  # noqa: T201
    return 0


def _shapes(model: str | None) -> "ModelShapes":
    from rays_as_pixels.hub.location import HubAccess, locate_model
    from rays_as_pixels.memory.shapes import ModelShapes
    from rays_as_pixels.model.checkpoints import check_model_index

    if model in PRESETS:
        return ModelShapes.from_preset(model)
    where = locate_model(model)
    if where.folder is not None:
        check_model_index(where.folder, name=where.text)
        return ModelShapes.from_folder(where.folder)
    from rays_as_pixels.hub.fetch import fetch_configs

    folder, text = fetch_configs(where, HubAccess())
    return ModelShapes.from_folder(folder, name=where.label, text=text)


def _planners(args: argparse.Namespace, shapes: "ModelShapes") -> "list[Planner]":
    from rays_as_pixels.memory.estimate import TASKS, Planner, Workload
    from rays_as_pixels.memory.settings import choose_dtype

    height, width = shapes.sizes[0] if args.size is None else _size(args.size)
    parameters = shapes.transformer_parameters
    dtype = choose_dtype(args.dtype, device_type="cuda", parameters=parameters)
    frames = shapes.num_frames if args.frames is None else args.frames
    return [
        Planner(shapes, Workload(task, frames, height, width, args.num_samples), dtype)
        for task in TASKS
    ]


def _size(text: str) -> tuple[int, int]:
    try:
        height, width = (int(part) for part in text.lower().split("x"))
    except ValueError as error:
        raise InputError(f"--size must be HxW in pixels; got {text!r}. Write 480x832.") from error
    return height, width


def _table_of_gpus(planners: "Sequence[Planner]", sizes_gb: Sequence[float]) -> str:
    """Name for each GPU and task the first setting that fits, with the predicted GB."""
    from rays_as_pixels.memory.choose import GB

    work, shapes, dtype = planners[0].work, planners[0].shapes, planners[0].dtype
    text = f" + {shapes.text_parameters / GB:.2f}B text encoder" if shapes.text_parameters else ""
    samples = f", {work.seeds} samples" if work.seeds > 1 else ""
    lines = [
        f"{shapes.name}: {shapes.transformer_parameters / GB:.3g}B{text}, {work.frames} frames at "
        f"{work.height}x{work.width}{samples}, {str(dtype).removeprefix('torch.')} (estimated, not "
        "measured)",
        "",
        "| GPU | " + " | ".join(planner.work.task for planner in planners) + " |",
        "|---:|" + "---|" * len(planners),
    ]
    for size in sizes_gb:
        cells = [_cell(planner, size) for planner in planners]
        lines.append(f"| {size:g} GB | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(planner: "Planner", size_gb: float) -> str:
    from rays_as_pixels.memory.choose import GB, Budget, choose_setting

    try:
        found = choose_setting(planner, Budget(int(size_gb * GB), PLENTY))
    except InputError:
        return "does not fit"
    return f"{found.setting.name} {found.total / GB:.1f}"


def _table_of_settings(planner: "Planner") -> str:
    """List all settings of one task with the GB of each phase, the reserve and the sum."""
    from rays_as_pixels.memory.choose import GB
    from rays_as_pixels.memory.settings import SETTINGS

    found = [planner.estimate(setting) for setting in SETTINGS]
    names = [*(phase.name for phase in found[0].phases), "reserve", "needs", "in the machine"]
    lines = [
        f"{planner.work.task}, GB by phase",
        "",
        "| setting | " + " | ".join(names) + " |",
        "|---|" + "---:|" * len(names),
    ]
    for each in found:
        numbers = [*(phase.total for phase in each.phases), each.reserve, each.total]
        cells = [f"{number / GB:.2f}" for number in (*numbers, each.host_bytes)]
        lines.append(f"| {each.setting.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
