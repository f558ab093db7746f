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
TIMEOUT_SEC = 600  # a quarter of a minute on an idle machine


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_in_one(arguments: list[str], **extra: str) -> Any:
    """Start `python ARGUMENTS` once, without the others; return the JSON of its last line."""
    return _run([_start(arguments, extra)], 0)


def run_in_two(arguments: list[str], *, ends: int = 0, **extra: str) -> Any:
    """Start `python ARGUMENTS` twice as ranks 0 and 1; return the JSON of rank 0's last line.

    Args:
        arguments: Of python.
        ends: The exit code that both must end with; -9 where they kill themselves.
        extra: Environment variables of both.
    """
    common = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        **extra,
    }
    ranks = ({"RANK": rank, "LOCAL_RANK": rank} for rank in ("0", "1"))
    return _run([_start(arguments, {**common, **rank}) for rank in ranks], ends)


def _start(arguments: list[str], extra: dict[str, str]) -> subprocess.Popen[str]:
    common = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        "CUDA_VISIBLE_DEVICES": "",
    }
    return subprocess.Popen(
        [sys.executable, *arguments],
        env={**common, **extra},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _run(processes: list[subprocess.Popen[str]], ends: int) -> Any:
    deadline = time.monotonic() + TIMEOUT_SEC
    try:  # one that fails leaves the other waiting for it
        while any(process.poll() is None for process in processes):
            failed = any(process.returncode not in (None, ends) for process in processes)
            if failed or time.monotonic() > deadline:
                break
            time.sleep(0.05)
    finally:
        for process in processes:
            process.kill()
    outputs = [process.communicate() for process in processes]
    codes = [process.returncode for process in processes]
    said = [f"rank {rank}:\n{errors[-2000:]}" for rank, (_, errors) in enumerate(outputs)]
    assert all(code == ends for code in codes), "\n".join([f"exit codes {codes}", *said])
    last = outputs[0][0].strip().splitlines()
    return json.loads(last[-1]) if last else None
