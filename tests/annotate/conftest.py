"""Small videos, and runs of the command in a process of its own, as users start it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rays_as_pixels.media.video import write_video

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def videos(tmp_path):
    """Six videos of moving stripes, one in a folder of its own, and one that is no video."""
    folder = tmp_path / "videos"
    (folder / "inner").mkdir(parents=True)
    generator = torch.Generator().manual_seed(0)
    for k in range(6):
        picture = torch.rand(3, 6, 14, generator=generator)
        picture = picture.repeat_interleave(8, -1).repeat_interleave(8, -2)
        frames = torch.stack([picture[..., 2 * f : 2 * f + 64] for f in range(9)])
        path = folder / ("inner" if k == 5 else "") / f"video{k}.mp4"
        write_video(path, frames, fps=10)
    (folder / "broken.mp4").write_bytes(b"this is no video")
    return folder


def command(*words):
    return [sys.executable, "-m", "rays_as_pixels", "annotate", *map(str, words)]


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def start(*words):
    return subprocess.Popen(
        command(*words),
        env=environment(),
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process, timeout=150):
    out, err = process.communicate(timeout=timeout)
    assert process.returncode == 0, err
    return out.split(), err
