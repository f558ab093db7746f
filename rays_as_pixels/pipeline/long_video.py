"""Paths of videos longer than the network takes: many short windows, joined.

Windows of neighbouring frames alone would drift: each adds its own error, and in a few neighbouring
frames there is little motion to see. So windows are laid at several strides, each twice the last,
up to one that spans the whole video; `solve.window_alignment` solves for all of them at once, and
leaves out long windows that contradict the short ones by more than these can have drifted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.model.clip_lengths import largest_clip_length
from rays_as_pixels.pipeline.outputs import PoseStd
from rays_as_pixels.pipeline.validation import check_clip_length
from rays_as_pixels.solve.window_alignment import Window, join_levels

DEFAULT_OVERLAP = 4
MIN_FRAMES = 5  # fewer are no long video: `estimate` takes them in one pass
MAX_FRAMES = 3000  # the joining's memory grows with the square


@dataclass(frozen=True)
class WindowPlan:
    """Which frames each window looks at.

    Attributes:
        frames: Frames per window, as many as the model takes; the model's own length if None.
        overlap: Frames that neighbouring windows of one stride share.
        strides: Distances between a window's frames. None is 1, 2, 4, ... as long as a window fits,
            and one window over the whole video; (1,) is a plain chain of neighbours.
    """

    frames: int | None = None
    overlap: int = DEFAULT_OVERLAP
    strides: Sequence[int] | None = None

    def windows(
        self, num_frames: int, *, native: int, longest: int, temporal_stride: int
    ) -> list[tuple[int, ...]]:
        """Return the frames of every window, the finest stride first.

        Args:
            num_frames: Frames of the video.
            native: The model's own clip length.
            longest: The longest clip the model takes.
            temporal_stride: Video frames per latent frame of its autoencoder, after the first.

        Raises:
            InputError: The video is too short or too long, or a size, overlap or stride does not
                fit it.
        """
        if not MIN_FRAMES <= num_frames <= MAX_FRAMES:
            raise InputError(
                f"a video must have {MIN_FRAMES} to {MAX_FRAMES} frames to be estimated in "
                f"windows; got {num_frames}. Read a part of it, or fewer frames per second."
            )
        wanted = native if self.frames is None else self.frames
        check_clip_length(wanted, max_frames=longest, temporal_stride=temporal_stride)
        size = min(wanted, largest_clip_length(num_frames, temporal_stride))
        if not 2 <= self.overlap < size:
            raise InputError(
                f"window_overlap must be from 2 to {size - 1} for windows of {size} frames; got "
                f"{self.overlap}. Use {min(DEFAULT_OVERLAP, size - 1)}."
            )
        found = [
            frames
            for stride in self._strides(num_frames, size)
            for frames in _at_stride(stride, num_frames, size, self.overlap)
        ]
        if self.strides is None:
            found.append(tuple(round(k * (num_frames - 1) / (size - 1)) for k in range(size)))
        return list(dict.fromkeys(found))

    def _strides(self, num_frames: int, size: int) -> list[int]:
        most = (num_frames - 1) // (size - 1)
        if self.strides is None:
            return [2**k for k in range(most.bit_length())]
        strides = list(self.strides)
        if 1 not in strides or min(strides) < 1 or max(strides) > most:
            raise InputError(
                f"window_strides must hold 1 and be at most {most} for {num_frames} frames; got "
                f"{strides}. Leave them out."
            )
        return strides


def _at_stride(stride: int, num_frames: int, size: int, overlap: int) -> list[tuple[int, ...]]:
    """Return windows over every stride-th frame; the last one is moved back to end with them."""
    count = (num_frames - 1) // stride + 1
    starts = [*range(0, count - size, size - overlap), count - size]
    return [tuple(stride * (start + k) for k in range(size)) for start in starts]


@dataclass(frozen=True, eq=False)
class LongPath:
    """A path joined from windows.

    Attributes:
        cameras: (F,) one per frame, frame 0 the identity.
        pose_std: Over the windows, per frame.
        windows: How many there were.
        num_outlier_windows: How many of them disagreed so much with the others that they were left
            out or count for less than a tenth.
    """

    cameras: Cameras
    pose_std: PoseStd
    windows: int
    num_outlier_windows: int


def estimate_in_windows(
    video: Float[Tensor, "frames 3 height width"],
    windows: Sequence[tuple[int, ...]],
    estimate: Callable[[Float[Tensor, "n 3 height width"], int], Cameras],
    *,
    shared_focal: bool = False,
) -> LongPath:
    """Estimate every window and join them.

    Args:
        video: The whole video.
        windows: The frames of each window (`WindowPlan.windows`).
        estimate: Frames and the window's number in, their cameras out.
        shared_focal: One focal length for the whole video.
    """
    found = [
        Window(frames, estimate(video[torch.tensor(frames)], index))
        for index, frames in enumerate(windows)
    ]
    joined = join_levels(by_stride(found), len(video))
    cameras = joined.cameras
    if shared_focal:
        mean = cameras.focal_px.log().mean(0).exp().expand_as(cameras.focal_px)
        cameras = Cameras(
            cameras.world_from_cam, mean, cameras.center_px, cameras.height, cameras.width
        )
    pose_std = PoseStd(joined.rotation_rad, joined.position, _focal_std(found, cameras))
    return LongPath(cameras, pose_std, len(found), int((joined.weight < 0.1).sum()))


def by_stride(windows: Sequence[Window]) -> list[list[Window]]:
    """Group windows by how far their frames lie apart, the nearest first."""
    levels: dict[int, list[Window]] = {}
    for window in windows:
        levels.setdefault(window.frames[-1] - window.frames[0], []).append(window)
    return [levels[span] for span in sorted(levels)]


def _focal_std(windows: Sequence[Window], mean: Cameras) -> Float[Tensor, "frames"]:
    """Root mean square of the logarithm of the windows' focal lengths over the joined one."""
    frame = torch.tensor([f for window in windows for f in window.frames])
    focal = torch.cat([window.cameras.focal_px.to(mean.focal_px) for window in windows])
    squared = (focal / mean.focal_px[frame]).log().mean(-1) ** 2
    total = squared.new_zeros(len(mean.focal_px)).index_add_(0, frame, squared)
    return (total / torch.bincount(frame, minlength=len(total))).sqrt()
