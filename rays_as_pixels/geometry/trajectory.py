"""Trajectory: cameras with times, and what one does to a path as a whole."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import slerp


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A camera path: F cameras at F increasing times.

    Attributes:
        cameras: Batch shape (F,).
        fps: Nominal frames per second, for playing the path.
        time_sec: (F,) seconds from the start of the clip; `arange(F) / fps` if not given.
        source_frame: For each camera the index of the input video's frame it belongs to, or None
            where the path was not read off a video.

    Raises:
        InputError: No camera, a wrong shape, an fps that is not positive, or times that do not
            increase.
    """

    cameras: Cameras
    fps: float
    time_sec: Float[Tensor, "frames"] | None = None
    source_frame: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Fill in the times and check every rule in the class docstring."""
        if len(self.cameras.batch_shape) != 1 or self.cameras.batch_shape[0] < 1:
            raise InputError(
                f"a trajectory must have one axis of 1 or more cameras; got batch shape "
                f"{self.cameras.batch_shape}. Select one sequence of the batch."
            )
        if not (self.fps > 0 and self.fps < 1e6):
            raise InputError(f"fps must be positive; got {self.fps}. Use 10 if it is not known.")
        if self.time_sec is None:
            time = torch.arange(len(self), dtype=torch.float64) / self.fps
            object.__setattr__(self, "time_sec", time)
        if self.times_sec.shape != (len(self),):
            raise InputError(
                f"time_sec must hold {len(self)} times; got shape {tuple(self.times_sec.shape)}. "
                "Give one time per camera."
            )
        steps = self.times_sec.diff()
        if not bool(torch.isfinite(self.times_sec).all()) or bool((steps <= 0).any()):
            wrong = ~torch.isfinite(self.times_sec)
            wrong[1:] |= ~(steps > 0)
            bad = int(wrong.nonzero()[0])
            raise InputError(
                f"time_sec must be finite and increase; got {self.times_sec[bad].item()} at frame "
                f"{bad}. Sort the frames by time and drop repeats."
            )
        if self.source_frame is not None and len(self.source_frame) != len(self):
            raise InputError(
                f"source_frame must hold {len(self)} indices; got {len(self.source_frame)}. "
                "Leave it out for a path that belongs to no video."
            )

    def __len__(self) -> int:
        """Return the number of cameras F."""
        return self.cameras.batch_shape[0]

    @property
    def times_sec(self) -> Float[Tensor, "frames"]:
        """Times as a tensor that is never None."""
        assert self.time_sec is not None
        return self.time_sec

    @property
    def positions(self) -> Float[Tensor, "frames 3"]:
        """Camera centres in the world frame, in scene units."""
        return self.cameras.world_from_cam[:, :3, 3]

    def __getitem__(self, index: slice) -> "Trajectory":
        """Select a range of frames; times and source frames stay theirs."""
        return replace(
            self,
            cameras=self.cameras[index],
            time_sec=self.times_sec[index],
            source_frame=None if self.source_frame is None else self.source_frame[index],
        )

    def picked(self, frames: Sequence[int]) -> "Trajectory":
        """Select ascending frames; times and source frames stay theirs, the rate is their own."""
        index = torch.tensor(list(frames))
        time_sec = self.times_sec[index]
        span_sec = float(time_sec[-1] - time_sec[0])
        source = self.source_frame
        return replace(
            self,
            cameras=self.cameras[index],
            fps=(len(index) - 1) / span_sec if span_sec > 0 else self.fps,
            time_sec=time_sec,
            source_frame=None if source is None else tuple(source[k] for k in frames),
        )

    def reanchored(self, reference: int = 0) -> "Trajectory":
        """Make frame `reference` the world frame: its pose becomes the identity.

        Raises:
            InputError: There is no frame `reference`.
        """
        return replace(self, cameras=self.cameras.relative_to(reference))

    def scaled(self, factor: float) -> "Trajectory":
        """Multiply every camera centre by `factor`."""
        return replace(self, cameras=self.cameras.scaled(factor))

    def resized(self, *, height: int, width: int) -> "Trajectory":
        """State the intrinsics for images resampled to another size."""
        return replace(self, cameras=self.cameras.resized(height=height, width=width))

    def sampled_at(self, time_sec: Float[Tensor, "n"], *, fps: float | None = None) -> "Trajectory":
        """Read the path at other times: rotation by slerp, centre and intrinsics linearly.

        Raises:
            InputError: A time is not finite or lies outside the path, which is never extrapolated.
        """
        if fps is None:
            fps = self.fps
        time = time_sec.to(torch.float64)
        if not bool(torch.isfinite(time).all()):
            raise InputError(
                f"time_sec must be finite; got {time.tolist()}. Ask for times within the path."
            )
        first, last = float(self.times_sec[0]), float(self.times_sec[-1])
        slack = 1e-9 * max(1.0, abs(last))
        if bool((time < first - slack).any()) or bool((time > last + slack).any()):
            raise InputError(
                f"time_sec must lie within the path ({first:g} s to {last:g} s); got "
                f"{time.min().item():g} s to {time.max().item():g} s. Shorten the request."
            )
        known = self.times_sec.to(torch.float64)
        if len(self) == 1:
            index = torch.zeros(len(time), dtype=torch.long)
            return replace(
                self,
                cameras=self.cameras[index],
                time_sec=time,
                fps=fps,
                source_frame=None,
            )
        right = torch.searchsorted(known, time.clamp(first, last)).clamp(1, len(self) - 1)
        left = right - 1
        weight = (time.clamp(first, last) - known[left]) / (known[right] - known[left])
        cameras = self.cameras
        weight = weight.to(cameras.focal_px.dtype)
        start, end = cameras.world_from_cam[left], cameras.world_from_cam[right]
        rotation = slerp(start[:, :3, :3], end[:, :3, :3], weight)
        blend = weight[:, None]
        pose = rigid(rotation, torch.lerp(start[:, :3, 3], end[:, :3, 3], blend))
        sampled = Cameras(
            pose,
            torch.lerp(cameras.focal_px[left], cameras.focal_px[right], blend),
            torch.lerp(cameras.center_px[left], cameras.center_px[right], blend),
            cameras.height,
            cameras.width,
        )
        return replace(self, cameras=sampled, time_sec=time, fps=fps, source_frame=None)

    def resampled(self, num_frames: int) -> "Trajectory":
        """Read the path at `num_frames` equally spaced times, first and last included.

        The fps changes so that the path lasts as long as before.
        """
        if num_frames < 1 or (num_frames > 1 and len(self) == 1):
            raise InputError(
                f"num_frames must be 1 or more, and a path of 1 camera gives only 1; got "
                f"{num_frames} from {len(self)}. Add a second camera."
            )
        first, last = self.times_sec[0].item(), self.times_sec[-1].item()
        time = torch.linspace(first, last, num_frames, dtype=torch.float64)
        fps = (num_frames - 1) / (last - first) if num_frames > 1 else self.fps
        return self.sampled_at(time, fps=fps)
