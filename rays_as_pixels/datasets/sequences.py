"""Posed videos: what every reader returns, whatever the layout of its files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, invert_rigid


class FrameSource(Protocol):
    """Frames on disk, read when they are wanted."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of every frame, in pixels."""
        ...

    def __len__(self) -> int:
        """Return the number of frames."""
        ...

    def read(self, indices: Sequence[int]) -> Float[Tensor, "frames 3 height width"]:
        """Read frames in the order asked for, in [0, 1].

        Raises:
            InputError: A file is missing, damaged or of another size.
        """
        ...


@dataclass(frozen=True, eq=False)
class ScenePoints:
    """3D points of a scene, and in which frames each was seen.

    Attributes:
        xyz: Points in world axes, in the data set's own unit.
        frame: For each observation the frame, or None where nobody recorded observations.
        point: For each observation the row of `xyz`; None as above.
    """

    xyz: Float[Tensor, "points 3"]
    frame: Int[Tensor, "observations"] | None = None
    point: Int[Tensor, "observations"] | None = None

    def seen_in(self, frame: int) -> Float[Tensor, "seen 3"]:
        """Return the points observed in a frame; all of them where nobody recorded it."""
        if self.frame is None:
            return self.xyz
        rows = self._rows_by_frame.get(frame)
        return self.xyz[:0] if rows is None else self.xyz[rows]

    @cached_property
    def frames_with_points(self) -> Int[Tensor, "frames"]:
        """The frames that saw any point, in order; none where nobody recorded observations."""
        return torch.tensor(sorted(self._rows_by_frame), dtype=torch.int64)

    @cached_property
    def _rows_by_frame(self) -> dict[int, Tensor]:
        if self.frame is None or self.point is None or not len(self.frame):
            return {}
        order = self.frame.argsort(stable=True)
        frames, counts = self.frame[order].unique_consecutive(return_counts=True)
        rows = self.point[order].split(counts.tolist())
        return dict(zip(frames.tolist(), rows, strict=True))


@dataclass(frozen=True, eq=False)
class PosedVideo:
    """Frames with the camera of each, as one data set states them.

    Attributes:
        name: Unique within its data set.
        cameras: (N,) float64, intrinsics in pixels of `frames`, world as in the data set.
        frames: The N frames.
        time_sec: (N,) seconds, or None where the data set has no times.
        points: Points of the scene in the same world, or None.
        notes: Plain sentences on what reading decided.

    Raises:
        InputError: Frames and cameras differ in number or size.
    """

    name: str
    cameras: Cameras
    frames: FrameSource
    time_sec: Float[Tensor, "frames"] | None = None
    points: ScenePoints | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that frames and cameras belong together."""
        if len(self.frames) != len(self):
            raise InputError(
                f"{self.name} must have one camera per frame; got {len(self)} cameras and "
                f"{len(self.frames)} frames. Extract the frames that the camera file names."
            )
        if self.frames.size != (self.cameras.height, self.cameras.width):
            raise InputError(
                f"{self.name}: cameras must be stated for the frames' size {self.frames.size}; "
                f"got {(self.cameras.height, self.cameras.width)}. Rescale the intrinsics."
            )

    def __len__(self) -> int:
        """Return the number of frames N."""
        return self.cameras.batch_shape[0]


@dataclass(frozen=True)
class SequenceRef:
    """A posed video that has been found but not read.

    Attributes:
        name: Unique within its data set.
        load: Reads it; raises InputError where a file breaks a rule.
    """

    name: str
    load: Callable[[], PosedVideo]


def restated(cameras: Cameras, *, size: tuple[int, int], name: str) -> Cameras:
    """State cameras for images that are a resized copy of those they were measured on.

    Args:
        cameras: In pixels of the size that the camera file names.
        size: (height, width) of the images at hand.
        name: Of the sequence, for the message.

    Raises:
        InputError: The two sizes are not of one shape, to a pixel of rounding.
    """
    height, width = size
    if (cameras.height, cameras.width) == size:
        return cameras
    scale = max(height / cameras.height, width / cameras.width)
    rounding_px = max(abs(cameras.height * scale - height), abs(cameras.width * scale - width))
    if rounding_px > max(1.0, scale):
        raise InputError(
            f"{name}: images must have the shape that the cameras name, {cameras.width}x"
            f"{cameras.height}; got {width}x{height}. Use images that were only resized."
        )
    return cameras.resized(height=height, width=width)


def points_in_camera(
    points: Float[Tensor, "points 3"], world_from_cam: Float[Tensor, "4 4"]
) -> Float[Tensor, "points 3"]:
    """Bring world points into one camera's axes; z is the depth."""
    cam_from_world = invert_rigid(world_from_cam)
    return points @ cam_from_world[:3, :3].T + cam_from_world[:3, 3]


def projected(
    point_in_cam: Float[Tensor, "points 3"],
    focal_px: Float[Tensor, "2"],
    center_px: Float[Tensor, "2"],
) -> Float[Tensor, "points 2"]:
    """Project points in camera axes to pixels; those behind the camera become NaN."""
    z = point_in_cam[:, 2:]
    ahead = torch.where(z > 0, z, torch.full_like(z, torch.nan))
    return point_in_cam[:, :2] / ahead * focal_px + center_px
