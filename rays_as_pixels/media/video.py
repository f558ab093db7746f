"""Read clips from videos, image folders and images, and write them: the public face of media.

Frames are chosen by their true times before any is decoded, and only the chosen ones are kept.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.media.clip import Clip, SourceInfo, resampled_note
from rays_as_pixels.media.container import (
    FrameMissingError,
    VideoIndex,
    decoded_frames,
    existing,
    index_video,
)
from rays_as_pixels.media.images import (
    ImageSequence,
    image_pixels,
    image_sequence,
    is_image_file,
    read_image,
    write_image,
)
from rays_as_pixels.media.limits import (
    check_memory,
    check_span,
    output_size,
)
from rays_as_pixels.media.sampling import (
    Request,
    frames_in_span,
    own_rate,
    pick_count,
    pick_rate,
)
from rays_as_pixels.media.writing import write_video

__all__ = [
    "Clip",
    "SourceInfo",
    "probe_video",
    "read_clip",
    "read_image",
    "write_image",
    "write_video",
]


def probe_video(path: "str | Path") -> SourceInfo:
    """Describe a video, an image folder or an image without reading its frames.

    Raises:
        InputError: There is nothing at `path`, or it holds no frames that can be read.
    """
    found = existing(path)
    if found.is_dir() or is_image_file(found):
        return image_sequence(found, fps=None).info
    return index_video(found).info


def read_clip(
    path: "str | Path",
    *,
    start_sec: float | None = None,
    end_sec: float | None = None,
    fps: float | None = None,
    num_frames: int | None = None,
    downscale: bool = False,
) -> Clip:
    """Read frames of an mp4, mov, webm, mkv or gif video, an image folder or one image.

    Without `fps` and `num_frames` every frame of the part is kept.

    Args:
        path: File or folder.
        start_sec: First moment to keep, from the first frame; None is the start.
        end_sec: First moment to leave out; None is the end.
        fps: Keep the frames nearest to times 1/fps apart. For images, which carry no times, the
            rate at which they were taken.
        num_frames: Keep so many different frames, equally spaced in time.
        downscale: Shrink frames above 2560 x 1440 in area to it instead of refusing them.

    Returns:
        The clip; whatever was done to the frames is in its notes.

    Raises:
        InputError: There is nothing at `path`; it is empty, cut, damaged or of another kind; the
            request contradicts itself or the input; frames or the part are too large or too long.
    """
    request = Request(start_sec, end_sec, fps, num_frames, downscale)
    found = existing(path)
    if found.is_dir() or is_image_file(found):
        images = image_sequence(found, fps=fps)
        times = [k / images.info.fps for k in range(images.info.num_frames)]
        plan = _Plan(images, times, replace(request, fps=None))
        return plan.read()
    index = index_video(found)
    try:
        return _Plan(index, index.time_sec, request).read()
    except FrameMissingError:
        index = index_video(found, by_decoding=True)
    try:
        return _Plan(index, index.time_sec, request).read()
    except FrameMissingError:
        raise InputError(
            f"{found.name} must give the same frames each time it is decoded; got other times the "
            "second time. Convert it to an H.264 mp4."
        ) from None


class _Plan:
    """Which frames to read and at what size, settled before any of them is decoded."""

    def __init__(
        self,
        source: VideoIndex | ImageSequence,
        times: Sequence[float],
        request: Request,
    ) -> None:
        info = source.info
        self.source = source
        self.notes = list(source.notes)
        span = frames_in_span(
            times,
            duration_sec=info.duration_sec,
            start_sec=request.start_sec,
            end_sec=request.end_sec,
        )
        whole = len(span) == info.num_frames
        check_span(info.duration_sec if whole else times[span[-1]] - times[span[0]] + 1 / info.fps)
        if not whole:
            self.notes.append(
                f"Trimmed to {times[span[0]]:.3f} s to {times[span[-1]]:.3f} s: "
                f"{len(span)} of {info.num_frames} frames."
            )
        chosen = self._choose([times[k] for k in span], request)
        self.chosen = [span[k] for k in chosen]
        self.times = [times[k] for k in self.chosen]
        self.fps = request.fps or own_rate(self.times) or info.fps
        self._note_gaps()
        self.height, self.width = output_size(
            height=info.height, width=info.width, downscale=request.downscale
        )
        if (self.height, self.width) != (info.height, info.width):
            self.notes.append(
                f"Frames reduced from {info.width}x{info.height} to {self.width}x{self.height}."
            )
        check_memory(len(self.chosen), height=self.height, width=self.width)

    def _choose(self, times: list[float], request: Request) -> Sequence[int]:
        fps, num_frames = request.fps, request.num_frames
        if num_frames is not None:
            if num_frames != len(times):
                chosen = pick_count(times, num_frames)
                self.notes.append(resampled_note(num_frames, len(times)))
                return chosen
        elif fps is not None:
            chosen, shared = pick_rate(times, fps)
            if len(chosen) != len(times):
                self.notes.append(
                    f"Kept {len(chosen)} of {len(times)} frames, at {fps:g} frames per second."
                )
            if shared:
                self.notes.append(
                    f"{shared} of the moments asked for show a frame already taken, which was not "
                    "repeated."
                )
            return chosen
        return range(len(times))

    def _note_gaps(self) -> None:
        gaps = [b - a for a, b in itertools.pairwise(self.times)]
        if gaps and max(gaps) > 1.5 * min(gaps):
            self.notes.append(
                f"Frame times are not evenly spaced: {min(gaps):.3f} s to {max(gaps):.3f} s apart."
            )

    def _pixels(self) -> Iterator[np.ndarray]:
        if isinstance(self.source, VideoIndex):
            yield from decoded_frames(
                self.source, self.chosen, height=self.height, width=self.width
            )
            return
        for position in self.chosen:
            yield image_pixels(self.source.paths[position], height=self.height, width=self.width)

    def read(self) -> Clip:
        video = torch.empty(len(self.chosen), 3, self.height, self.width)
        for row, pixels in zip(video, self._pixels(), strict=True):
            row.copy_(torch.from_numpy(pixels).movedim(-1, 0))
        time_sec = torch.tensor(self.times, dtype=torch.float64)
        return Clip(
            video=video.div_(255.0),
            fps=float(self.fps),
            time_sec=time_sec - time_sec[0],
            source_frame=tuple(self.chosen),
            source=self.source.info,
            notes=tuple(self.notes),
            start_sec=self.times[0],
        )
