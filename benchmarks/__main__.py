"""`python -m benchmarks`: measure this device, and write JSON and Markdown tables."""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import diffusers
import torch

from benchmarks.report import DEVICES, markdown
from benchmarks.shapes import NETWORKS
from benchmarks.step import matmul_rate, measure_step, plan
from benchmarks.tasks import measured_tasks, mini_pipeline, random_pipeline


def build_parser() -> argparse.ArgumentParser:
    """Build the parser."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--device", choices=DEVICES, default=None, help="default: a GPU if any")
    parser.add_argument("--size", action="append", choices=tuple(NETWORKS), help="default: all")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), metavar="DIR")
    parser.add_argument("--seconds", type=float, default=8.0, help="per comparison (%(default)s)")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads (default: torch's)")
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


def measure(args: argparse.Namespace, device: torch.device) -> Iterator[dict[str, Any]]:
    """Measure everything that this device can be asked for; yields the results after each size."""
    sizes = [NETWORKS[name] for name in (args.size or NETWORKS)]
    dtypes = sorted({plan(network, device)[2] for network in sizes}, key=str)
    result: dict[str, Any] = {
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "date": time.strftime("%Y-%m-%d"),
        "matmul": {str(dtype)[6:]: matmul_rate(device, dtype) for dtype in dtypes},
        "steps": [],
        "tasks": [],
    }
    for network in sizes:
        sys.stderr.write(f"{network.name}\n")
        result["steps"].append(asdict(measure_step(network, device, budget_sec=args.seconds)))
        if network.name == "mini" or device.type == "cuda":
            mini = network.name == "mini"
            pipeline = mini_pipeline(device) if mini else random_pipeline(network, device)
            tasks = measured_tasks(network, pipeline, device, every_step=mini)
            result["tasks"] += map(asdict, tasks)
            del pipeline
        yield result


def main(arguments: list[str] | None = None) -> int:
    """Measure, write `DEVICE.json`, and join what is there of other devices in `README.md`."""
    args = build_parser().parse_args(arguments)
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    kind = args.device or ("cuda" if torch.cuda.is_available() else "cpu")

    args.out.mkdir(parents=True, exist_ok=True)
    for result in measure(args, torch.device(kind)):
        (args.out / f"{kind}.json").write_text(json.dumps(result, indent=1) + "\n")
        (args.out / "README.md").write_text(joined(args.out))
    print(joined(args.out))
    return 0


def joined(folder: Path) -> str:
    """Write one report of all devices whose results are in a folder."""
    files = {name: folder / f"{name}.json" for name in DEVICES}
    return markdown({n: json.loads(f.read_text()) for n, f in files.items() if f.exists()})


if __name__ == "__main__":
    sys.exit(main())
