"""The frames between those of a clip, to track points where its own frames lie far apart."""

import logging
from pathlib import Path

from rays_as_pixels.media.clip import Clip
from rays_as_pixels.media.limits import ClipTooLargeError
from rays_as_pixels.media.video import read_clip

_LOG = logging.getLogger(__name__)
MOST_FRAMES = 33
LEAST_GAIN = 1.2  # times the frames; with fewer there is little more to see


def frames_between(
    path: "str | Path", clip: Clip, *, end_sec: float | None = None
) -> tuple[Clip, tuple[int, ...]] | None:
    """Read the part of the input that a clip was taken from again, with more frames.

    Args:
        path: The input.
        clip: What was read of it, with equally spaced frames; its own frames are among the result.
        end_sec: Where the part ends, as it was asked for; None for the input's end.

    Returns:
        All frames of the part, or up to 33 where there are more, the clip's evenly among them; and
        the place of each of the clip's frames. None if there are hardly any between, or if
        they would not fit in memory, which is logged as a warning.

    Raises:
        InputError: The input is no longer what it was.
    """
    first, last = clip.source_frame[0], clip.source_frame[-1]
    there = last - first + 1
    if there < LEAST_GAIN * len(clip) or len(clip) < 2:
        return None
    fps = None
    if there > MOST_FRAMES:
        times = (MOST_FRAMES - 1) // (len(clip) - 1)
        if times < 2:
            return None
        fps = times * (len(clip) - 1) / float(clip.time_sec[-1])
    try:
        longer = read_clip(
            path, start_sec=clip.start_sec or None, end_sec=end_sec, fps=fps, downscale=True
        )
    except ClipTooLargeError as error:
        _LOG.warning("The frames between are not used: %s", error)
        return None
    return _between_own_frames(longer, clip.source_frame)


def _between_own_frames(
    longer: Clip, own_frames: tuple[int, ...]
) -> tuple[Clip, tuple[int, ...]] | None:
    """Cut a clip to where the first and last of the given source frames are.

    Returns:
        The part and the place of each of the frames in it; None where one of them is missing, as
        with uneven times, to which other frames are nearest.
    """
    place = {frame: k for k, frame in enumerate(longer.source_frame)}
    if any(frame not in place for frame in own_frames):
        return None
    first = place[own_frames[0]]
    kept = slice(first, place[own_frames[-1]] + 1)
    part = Clip(
        longer.video[kept],
        longer.fps,
        longer.time_sec[kept] - longer.time_sec[first],
        longer.source_frame[kept],
        longer.source,
        longer.notes,
        float(longer.start_sec + longer.time_sec[first]),
    )
    return part, tuple(place[frame] - first for frame in own_frames)
