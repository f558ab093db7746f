"""Clip: frames read from a file, with where they came from and what was done to them."""

from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.media.sampling import own_rate, pick_count


@dataclass(frozen=True)
class SourceInfo:
    """What a video file, an image folder or an image holds.

    Attributes:
        name: File or folder name, without the folders above it.
        width: Of the upright frames, in pixels.
        height: Of the upright frames, in pixels.
        fps: Mean frames per second; nominal (10 unless stated) for images.
        num_frames: Frames in the whole input.
        duration_sec: Length, the last frame's showing time included.
        codec: As the decoder or image library names it, such as "h264" or "png".
        rotation_deg: Clockwise turn, from metadata, that makes stored frames upright.
        pixel_aspect: Width of a pixel over its height, from metadata, of the upright frames.
    """

    name: str
    width: int
    height: int
    fps: float
    num_frames: int
    duration_sec: float
    codec: str
    rotation_deg: int
    pixel_aspect: float = 1.0


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames with their true times.

    Attributes:
        video: Frames in [0, 1], upright.
        fps: Nominal frames per second, for playing the clip.
        time_sec: Seconds from the clip's first frame; `start_sec` + these are times of the input.
        source_frame: For each frame its index in the input.
        source: The input.
        notes: What was done to the frames, one plain sentence each; empty if nothing was.
        start_sec: Time of the first frame in the input.
    """

    video: Float[Tensor, "frames 3 height width"]
    fps: float
    time_sec: Float[Tensor, "frames"]
    source_frame: tuple[int, ...]
    source: SourceInfo
    notes: tuple[str, ...] = ()
    start_sec: float = 0.0

    def __len__(self) -> int:
        """Return the number of frames F."""
        return self.video.shape[0]

    def resampled(self, num_frames: int) -> "Clip":
        """Keep `num_frames` different frames, equally spaced in time, and say so in the notes.

        Raises:
            InputError: `num_frames` is below 1, or above the frames there are.
        """
        if num_frames == len(self):
            return self
        times = self.time_sec.tolist()
        chosen = pick_count(times, num_frames)
        kept = [times[k] for k in chosen]
        return replace(
            self,
            video=self.video[chosen],
            fps=own_rate(kept) or self.fps,
            time_sec=self.time_sec[chosen] - self.time_sec[chosen[0]],
            source_frame=tuple(self.source_frame[k] for k in chosen),
            notes=(*self.notes, resampled_note(num_frames, len(self))),
            start_sec=self.start_sec + kept[0],
        )


def resampled_note(kept: int, available: int) -> str:
    """Say that `kept` of `available` frames were chosen by time."""
    if kept == 1:
        return f"Kept the first of {available} frames."
    return f"Kept {kept} of {available} frames, equally spaced in time, first and last included."
