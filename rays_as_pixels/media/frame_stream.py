"""Frames of an input that are decoded as they are asked for, with their true times.

Which frames, and at what size, is settled before any of them is decoded; one is held at a time.
"""

import copy
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import UInt8

from rays_as_pixels.media.clip import Clip, SourceInfo, resampled_note
from rays_as_pixels.media.container import VideoIndex, decoded_frames
from rays_as_pixels.media.images import ImageSequence, image_pixels
from rays_as_pixels.media.limits import check_memory
from rays_as_pixels.media.sampling import (
    Request,
    frames_in_span,
    own_rate,
    pick_count,
    pick_rate,
)


class FrameStream:
    """The frames of an input that a request asks for.

    Attributes:
        info: The input.
        source_frame: For each frame its index in the input.
        time_sec: For each frame its time in the input, in seconds from the input's first frame.
        fps: Nominal frames per second.
        height: Of the frames as they are given, in pixels.
        width: Of the frames as they are given, in pixels.
        span_sec: Length of the part of the input, the last frame's showing time included.
        notes: What is done to the frames, one plain sentence each.
    """

    def __init__(
        self, source: VideoIndex | ImageSequence, times: Sequence[float], request: Request
    ) -> None:
        """Choose the frames by their times.

        Args:
            source: A video or images.
            times: Of all its frames, in seconds.
            request: Which of them to give.

        Raises:
            InputError: The request contradicts the input.
        """
        info = source.info
        self._source = source
        self.info: SourceInfo = info
        self.notes = tuple(source.notes)
        span = frames_in_span(
            times,
            duration_sec=info.duration_sec,
            start_sec=request.start_sec,
            end_sec=request.end_sec,
        )
        is_complete = len(span) == info.num_frames
        self.span_sec = info.duration_sec if is_complete else times[span[-1]] - times[span[0]]
        if not is_complete:
            self.span_sec += 1 / info.fps
            self._note(
                f"Trimmed to {times[span[0]]:.3f} s to {times[span[-1]]:.3f} s: "
                f"{len(span)} of {info.num_frames} frames."
            )
        chosen = self._choose([times[k] for k in span], request)
        self.source_frame = tuple(span[k] for k in chosen)
        self.time_sec = tuple(times[k] for k in self.source_frame)
        self.fps = float(request.fps or own_rate(self.time_sec) or info.fps)
        self.height, self.width = info.height, info.width
        gaps = [b - a for a, b in itertools.pairwise(self.time_sec)]
        if gaps and max(gaps) > 1.5 * min(gaps):
            self._note(
                f"Frame times are not evenly spaced: {min(gaps):.3f} s to {max(gaps):.3f} s apart."
            )

    def __len__(self) -> int:
        """Return the number of frames F."""
        return len(self.source_frame)

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        """Decode the frames in order, upright, RGB.

        Raises:
            InputError: A frame is damaged, or the frame size changes within a video.
            FrameMissingError: See `decoded_frames`.
        """
        return self.at(range(len(self)))

    def at(self, places: Sequence[int]) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        """Decode some of the frames: ascending places among those of the stream."""
        chosen = [self.source_frame[k] for k in places]
        if isinstance(self._source, VideoIndex):
            yield from decoded_frames(self._source, chosen, height=self.height, width=self.width)
            return
        for frame in chosen:
            yield image_pixels(self._source.paths[frame], height=self.height, width=self.width)

    def resized(self, *, height: int, width: int) -> "FrameStream":
        """Return the same frames at another size, at most the input's, and say so in the notes."""
        if (height, width) == (self.height, self.width):
            return self
        other = copy.copy(self)
        other.height, other.width = height, width
        other._note(
            f"Frames reduced from {self.info.width}x{self.info.height} to {width}x{height}."
        )
        return other

    def clip(self, places: Sequence[int] | None = None) -> Clip:
        """Hold the frames, or those at some ascending places, in memory.

        Raises:
            InputError: They would need more memory than allowed, or see `__iter__`.
        """
        places = range(len(self)) if places is None else places
        check_memory(len(places), height=self.height, width=self.width)
        video = torch.empty(len(places), 3, self.height, self.width)
        for row, pixels in zip(video, self.at(places), strict=True):
            row.copy_(torch.from_numpy(pixels).movedim(-1, 0))
        times = [self.time_sec[k] for k in places]
        time_sec = torch.tensor(times, dtype=torch.float64)
        return Clip(
            video=video.div_(255.0),
            fps=self.fps if len(places) == len(self) else own_rate(times) or self.fps,
            time_sec=time_sec - time_sec[0],
            source_frame=tuple(self.source_frame[k] for k in places),
            source=self.info,
            notes=self.notes,
            start_sec=times[0],
        )

    def _note(self, text: str) -> None:
        self.notes = (*self.notes, text)

    def _choose(self, times: list[float], request: Request) -> Sequence[int]:
        fps, num_frames = request.fps, request.num_frames
        if num_frames is not None:
            if num_frames != len(times):
                self._note(resampled_note(num_frames, len(times)))
                return pick_count(times, num_frames)
        elif fps is not None:
            chosen, shared = pick_rate(times, fps)
            if len(chosen) != len(times):
                self._note(
                    f"Kept {len(chosen)} of {len(times)} frames, at {fps:g} frames per second."
                )
            if shared:
                self._note(
                    f"{shared} of the moments asked for show a frame already taken, which was not "
                    "repeated."
                )
            return chosen
        return range(len(times))
