"""The path that every golden file holds, random paths, and what it means for two to agree."""

from pathlib import Path

import numpy as np
import torch

from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.formats import FORMATS

GOLDEN = Path(__file__).parent / "golden"
WRITABLE = [name for name, spec in FORMATS.items() if spec.writable]

# Two cameras of 640x480 at 10 fps: the identity, and one at (1, 2, 3) turned by 90 degrees about
# +y, so that it looks along +x, its right is -z and its down is still +y.
IDENTITY = [[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1.0]]
TURNED = [[0, 0, 1.0, 1.0], [0, 1.0, 0, 2.0], [-1.0, 0, 0, 3.0], [0, 0, 0, 1.0]]
SIZE, FPS, LENS = (640, 480), 10.0, (500.0, 510.0, 330.0, 252.0)


def golden_path(lens: tuple[float, float, float, float] = LENS) -> Trajectory:
    """The path of the golden files, with fx fy cx cy for both frames."""
    pose = torch.tensor([IDENTITY, TURNED], dtype=torch.float64)
    rows = torch.tensor([lens, lens], dtype=torch.float64)
    return Trajectory(Cameras(pose, rows[:, :2], rows[:, 2:], SIZE[1], SIZE[0]), FPS)


def random_path(seed: int, num_frames: int, *, one_lens: bool = False) -> Trajectory:
    """A path with any rotations, places from 1e-3 to 1e3, any lens, and uneven times."""
    draw = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=draw, dtype=torch.float64)

    rotation = rotation_from_vector(2 * np.pi * (uniform(num_frames, 3) - 0.5))
    place = (uniform(num_frames, 3) - 0.5) * 10 ** (6 * float(uniform(1)) - 3)
    width, height = 16 + int(2000 * uniform(1)), 16 + int(2000 * uniform(1))
    focal = (0.3 + 2 * uniform(num_frames, 2)) * width
    center = torch.tensor([width, height]) * (0.3 + 0.4 * uniform(num_frames, 2))
    if one_lens:
        focal, center = focal[:1].expand(num_frames, 2), center[:1].expand(num_frames, 2)
    fps = 1 + 59 * float(uniform(1))
    time = torch.arange(num_frames, dtype=torch.float64) / fps
    source = None
    if seed % 2:
        time = time + 0.4 / fps * uniform(num_frames)
        source = tuple(range(3, 3 + 2 * num_frames, 2))
    cameras = Cameras(rigid(rotation, place), focal, center, height, width)
    return Trajectory(cameras, fps, time, source)


def assert_same(actual: Trajectory, expected: Trajectory, *, tolerance: float = 1e-6) -> None:
    """Agreement to `tolerance`, relative to the path's extent, the focal length and the image."""
    one, two = actual.cameras, expected.cameras
    assert len(actual) == len(expected)
    assert (one.width, one.height) == (two.width, two.height)
    rotation = (one.world_from_cam - two.world_from_cam)[:, :3, :3].abs().max()
    assert rotation <= tolerance
    extent = expected.positions.abs().max().clamp_min(1e-12)
    assert (actual.positions - expected.positions).abs().max() <= tolerance * extent
    assert ((one.focal_px - two.focal_px) / two.focal_px).abs().max() <= tolerance
    assert (one.center_px - two.center_px).abs().max() <= tolerance * two.width
    duration = max(float(expected.times_sec[-1]), 1 / expected.fps)
    assert (actual.times_sec - expected.times_sec).abs().max() <= tolerance * duration
    assert abs(actual.fps - expected.fps) <= tolerance * expected.fps
    assert actual.source_frame == expected.source_frame


def output_of(folder: Path, name: str) -> Path:
    """Where to write a format, with its usual ending."""
    return folder / f"path-{name}{Path(FORMATS[name].file_name).suffix}"
