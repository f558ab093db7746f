"""What all formats share: what a format is, what a reader finds, what a writer reports."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.formats.content import FileContent


@dataclass(frozen=True)
class ReadOptions:
    """What the caller knows about a file that the file may not say itself.

    Attributes:
        size: (width, height) of the images in pixels. A file that names its own size is restated
            for this one; a file that names none is read as being for it.
        fps: Frames per second of a file without times; replaces the times of a file with them.
        hfov_deg: Horizontal field of view in degrees, for a file without intrinsics.
        camera: Which camera of a file that holds several, by the file's own name for it.
    """

    size: tuple[int, int] | None = None
    fps: float | None = None
    hfov_deg: float | None = None
    camera: str | None = None


@dataclass
class PathData:
    """What a reader found, turned to OpenCV axes and camera-to-world; None where not in the file.

    Attributes:
        world_from_cam: (F, 4, 4) float64.
        where: Names the place of a frame for messages, "poses.txt, line 12".
        focal_px: (F, 2) or None.
        center_px: (F, 2), the first pixel's centre at (0.5, 0.5), or None.
        hfov_rad: (F,) horizontal field of view, for files that give an angle and no focal length.
        vfov_rad: (F,) vertical field of view, likewise; pixels are square where only one is there.
        size: (width, height) or None.
        time_sec: (F,) or None.
        fps: Frames per second, if the file says so.
        source_frame: Index of each frame in the video it was read off.
        notes: Plain sentences on what was decided while reading.
        about: What our own writer put beside the format's fields, see `about.py`.
        extra: Values that the file keeps for its writer.
        assumed: What the reader had to assume, in the words of `LoadedTrajectory.assumed`.
    """

    world_from_cam: np.ndarray
    where: Callable[[int], str]
    focal_px: np.ndarray | None = None
    center_px: np.ndarray | None = None
    hfov_rad: np.ndarray | None = None
    vfov_rad: np.ndarray | None = None
    size: tuple[int, int] | None = None
    time_sec: np.ndarray | None = None
    fps: float | None = None
    source_frame: tuple[int, ...] | None = None
    notes: list[str] = field(default_factory=list)
    about: "dict[str, Any] | None" = None
    extra: "dict[str, Any]" = field(default_factory=dict)
    assumed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Frames:
    """A trajectory as float64 arrays, for writers.

    Attributes:
        world_from_cam: (F, 4, 4), OpenCV axes.
        focal_px: (F, 2).
        center_px: (F, 2).
        time_sec: (F,).
        size: (width, height).
        fps: Frames per second.
        source_frame: Indices in the source video, or None.
    """

    world_from_cam: np.ndarray
    focal_px: np.ndarray
    center_px: np.ndarray
    time_sec: np.ndarray
    size: tuple[int, int]
    fps: float
    source_frame: tuple[int, ...] | None

    def __len__(self) -> int:
        return len(self.world_from_cam)

    @property
    def is_centered(self) -> bool:
        """Whether every principal point is the image centre, to 1e-9 px."""
        half = np.array(self.size) / 2
        return bool(np.abs(self.center_px - half).max() < 1e-9)

    @property
    def has_square_pixels(self) -> bool:
        """Whether fx = fy in every frame, to 1e-12 relative."""
        return bool(np.allclose(self.focal_px[:, 0], self.focal_px[:, 1], rtol=1e-12, atol=0))

    @property
    def has_one_lens(self) -> bool:
        """Whether the intrinsics are the same in every frame."""
        rows = np.hstack([self.focal_px, self.center_px])
        return bool((rows == rows[0]).all())


def frames_of(trajectory: Trajectory) -> Frames:
    """Return a trajectory as float64 arrays."""
    cameras = trajectory.cameras
    pose, focal, center, time = (
        value.detach().cpu().double().numpy()
        for value in (
            cameras.world_from_cam,
            cameras.focal_px,
            cameras.center_px,
            trajectory.times_sec,
        )
    )
    size = (cameras.width, cameras.height)
    return Frames(pose, focal, center, time, size, float(trajectory.fps), trajectory.source_frame)


@dataclass(frozen=True)
class Written:
    """What a writer wrote.

    Attributes:
        paths: The files.
        notes: Plain sentences on what the format could not hold and where that went instead.
    """

    paths: tuple[Path, ...]
    notes: tuple[str, ...] = ()


Reader = Callable[[Path, ReadOptions], PathData]
Writer = Callable[[Frames, Path, "dict[str, Any]"], Written]
Sniffer = Callable[[FileContent], bool]


@dataclass(frozen=True)
class FormatSpec:
    """One file format: all that the rest of the program needs to know of it.

    Attributes:
        name: What `--input-format` and `--format` call it.
        title: What people call it.
        convention: One sentence: direction, axes, units, storage order.
        read: Its reader.
        sniff: Tells by a file's content whether it is in this format.
        write: Its writer, or None.
        file_name: Usual name of a file or folder in this format; an output of this name is written
            in it.
        extensions: File endings that only this format claims; an output with one is written in it.
        is_folder: Whether it is a folder of files.
        names_cameras: Whether a file may hold several cameras, chosen by name.
    """

    name: str
    title: str
    convention: str
    read: Reader
    sniff: Sniffer
    write: Writer | None = None
    file_name: str = ""
    extensions: tuple[str, ...] = ()
    is_folder: bool = False
    names_cameras: bool = False

    @property
    def writable(self) -> bool:
        """Whether this program writes it."""
        return self.write is not None


@dataclass(frozen=True)
class LoadedTrajectory:
    """A path as read, with everything that a reader of the screen should know about it.

    Attributes:
        trajectory: The path: OpenCV axes, camera to world, the first pixel's centre at (0.5, 0.5).
        format: Name of the format it was read as.
        convention: That format's convention, from which the path was converted.
        notes: Plain sentences: what was decided, converted or ignored.
        assumed: What the file did not say and nobody gave: of "size", "intrinsics", "fps".
        extra: Values the file keeps for its writer (app version, seed, scale note, ...).
    """

    trajectory: Trajectory
    format: str
    convention: str
    notes: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    extra: "dict[str, Any]" = field(default_factory=dict)
