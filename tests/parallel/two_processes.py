"""Run a script in two processes that talk over gloo, as under torchrun; read what rank 0 says."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SEC = 280  # a quarter of a minute on an idle machine


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_in_two(arguments: list[str], **extra: str) -> Any:
    """Start `python ARGUMENTS` twice as ranks 0 and 1; return the JSON of rank 0's last line."""
    common = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        "CUDA_VISIBLE_DEVICES": "",
        **extra,
    }
    processes = [
        subprocess.Popen(
            [sys.executable, *arguments],
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    deadline = time.monotonic() + TIMEOUT_SEC
    try:  # one that fails leaves the other waiting for it
        while any(process.poll() is None for process in processes):
            failed = any(process.returncode for process in processes)
            if failed or time.monotonic() > deadline:
                break
            time.sleep(0.05)
    finally:
        for process in processes:
            process.kill()
    outputs = [process.communicate() for process in processes]
    said = [f"rank {rank}:\n{errors[-2000:]}" for rank, (_, errors) in enumerate(outputs)]
    assert all(process.returncode == 0 for process in processes), "\n".join(said)
    last = outputs[0][0].strip().splitlines()
    return json.loads(last[-1]) if last else None
