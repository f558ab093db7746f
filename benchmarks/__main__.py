"""`python -m benchmarks`: measure this device, and write JSON and Markdown tables."""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch

from benchmarks import levers
from benchmarks.report import DEVICES, markdown
from benchmarks.shapes import NETWORKS
from benchmarks.step import StepResult, matmul_rate, measure_step, plan
from benchmarks.tasks import (
    extrapolated_tasks,
    measured_tasks,
    mini_pipeline,
    random_pipeline,
    weight_bytes,
)

Say = Callable[[str], None]
Keep = Callable[[dict[str, Any]], None]


def build_parser() -> argparse.ArgumentParser:
    """Build the parser."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--device", choices=DEVICES, default=None, help="default: a GPU if any")
    parser.add_argument("--size", action="append", choices=tuple(NETWORKS), help="default: all")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), metavar="DIR")
    parser.add_argument("--seconds", type=float, default=8.0, help="per comparison (%(default)s)")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads (default: torch's)")
    parser.add_argument("--compile", action="store_true", help="measure compiled blocks too")
    return parser


def device_name(device: torch.device) -> str:
    """Say which machine this is, in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} cores"
    return platform.processor() or platform.machine()


def measure(device: torch.device, args: argparse.Namespace, say: Say, keep: Keep) -> None:
    """Measure everything that this device can be asked for, size by size.

    Args:
        device: Where.
        args: Of the command line.
        say: Is told what happens.
        keep: Is given the results so far after each size.
    """
    sizes = [NETWORKS[name] for name in (args.size or NETWORKS)]
    result: dict[str, Any] = {
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "date": time.strftime("%Y-%m-%d"),
        "matmul": {},
        "steps": [],
        "tasks": [],
        "levers": [],
        "weights_bf16": {},
    }
    for dtype in sorted({plan(network, device)[2] for network in sizes}, key=str):
        result["matmul"][str(dtype)[6:]] = matmul_rate(device, dtype)
    for network in sizes:
        say(f"{network.name}: one step")
        step = measure_step(network, device, budget_sec=args.seconds)
        result["steps"].append(step.as_dict())
        say(f"{network.name}: tasks")
        result["tasks"] += [row.as_dict() for row in _tasks(step, device)]
        say(f"{network.name}: levers")
        result["levers"] += [row.as_dict() for row in _levers(step, device, args)]
        result["weights_bf16"][network.name] = weight_bytes(network)
        keep(result)


def _tasks(step: StepResult, device: torch.device) -> list:
    network = NETWORKS[step.network]
    if network.name == "mini":
        return measured_tasks(network, mini_pipeline(device), device, every_step=True)
    if device.type == "cuda":
        return measured_tasks(network, random_pipeline(network, device), device, every_step=False)
    return extrapolated_tasks(step)


def _levers(step: StepResult, device: torch.device, args: argparse.Namespace) -> list:
    network = NETWORKS[step.network]
    found = levers.reuse(network, device, budget_sec=args.seconds)
    if network.name == "mini" or device.type == "cuda":
        found += levers.backends(network, device, budget_sec=args.seconds)
        if args.compile:
            found.append(levers.compiled(network, device, budget_sec=args.seconds))
    if network.name == "mini":
        found += levers.batches(network, device, budget_sec=args.seconds)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Measure, write `DEVICE.json`, and join what is there of other devices in `README.md`."""
    args = build_parser().parse_args(arguments)
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    kind = args.device or ("cuda" if torch.cuda.is_available() else "cpu")

    def keep(result: dict[str, Any]) -> None:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / f"{kind}.json").write_text(json.dumps(result, indent=1) + "\n")
        (args.out / "README.md").write_text(joined(args.out))

    measure(torch.device(kind), args, lambda text: print(text, file=sys.stderr), keep)
    print(joined(args.out))
    return 0


def joined(folder: Path) -> str:
    """Write one report of all devices whose results are in a folder."""
    files = {name: folder / f"{name}.json" for name in DEVICES}
    return markdown({n: json.loads(f.read_text()) for n, f in files.items() if f.exists()})


if __name__ == "__main__":
    sys.exit(main())
