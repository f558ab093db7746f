"""Pictures, videos and paths as the bytes of a job's files."""

import tempfile
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.app.jobs import tasks
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.video import write_image
from rays_as_pixels.trajectories.depth import depth_for_extra
from rays_as_pixels.trajectories.formats.native import native_text


def png_bytes(picture: Float[Tensor, "3 height width"]) -> bytes:
    """Return a picture as a PNG file's bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame.png"
        write_image(path, picture)
        return path.read_bytes()


def npy_bytes(video: Float[Tensor, "frames 3 height width"]) -> bytes:
    """Return frames as `tasks.load_frames` reads them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.npy"
        tasks.save_frames(path, torch.as_tensor(video))
        return path.read_bytes()


def path_bytes(path: Trajectory, depth: Float[Tensor, "rows columns"] | None) -> bytes:
    """Return a path as a file that keeps the depths of frame 0, see `trajectories.depth`."""
    return native_text(path, extra=depth_for_extra(depth)).encode()
