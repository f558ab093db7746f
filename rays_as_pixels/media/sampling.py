"""Which frames to keep, chosen by their times alone, before any of them is decoded."""

import bisect
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from rays_as_pixels.errors import InputError

_TIME_SLACK_SEC = 1e-6  # below any container's clock tick that matters
_RATE_SLACK = 1.02  # 29.97 frames per second may be asked for as 30


def check_whole(num_frames: int) -> None:
    """Refuse a number of frames that is no whole number from 1.

    Raises:
        InputError: It is none.
    """
    if isinstance(num_frames, bool) or not isinstance(num_frames, int) or num_frames < 1:
        raise InputError(
            f"num_frames must be a whole number of 1 or more; got {num_frames!r}. "
            "Use one such as 9."
        )


def check_times(time_sec: Sequence[float]) -> None:
    """Refuse times that are not finite or do not increase.

    Raises:
        InputError: Names the first offending frame.
    """
    for index, time in enumerate(time_sec):
        if not math.isfinite(time) or (index and time <= time_sec[index - 1]):
            before = f" after {time_sec[index - 1]:g} s" if index else ""
            raise InputError(
                f"frame times must increase; got {time:g} s{before} at frame {index}. "
                "Convert the file to mp4 again, at a constant frame rate."
            )


@dataclass(frozen=True)
class Request:
    """Which part of an input to read, and how densely.

    Attributes:
        start_sec: First moment to keep; None is the start.
        end_sec: First moment to leave out; None is the end.
        fps: Keep frames 1/fps apart; None keeps the input's own rate.
        num_frames: Keep so many frames, equally spaced in time.

    Raises:
        InputError: A time is negative or not finite, the start is not before the end, fps is not
            positive, both fps and num_frames are given, or num_frames is no whole number from 1.
    """

    start_sec: float | None = None
    end_sec: float | None = None
    fps: float | None = None
    num_frames: int | None = None

    def __post_init__(self) -> None:
        """Check every rule in the class docstring."""
        for name, value in (("start_sec", self.start_sec), ("end_sec", self.end_sec)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise InputError(
                    f"{name} must be 0 or more seconds; got {value}. "
                    "Count from the first frame of the video."
                )
        start, end, fps = self.start_sec, self.end_sec, self.fps
        if start is not None and end is not None and start >= end:
            raise InputError(
                f"start_sec must be before end_sec; got start_sec {start:g} and end_sec {end:g}. "
                "Swap them, or leave one out."
            )
        if fps is not None and self.num_frames is not None:
            raise InputError(
                f"only one of fps and num_frames must be given; got fps {fps:g} and num_frames "
                f"{self.num_frames}. Leave one out."
            )
        if fps is not None and not (math.isfinite(fps) and fps > 0):
            raise InputError(
                f"fps must be positive; got {fps}. Leave it out to keep the video's own rate."
            )
        if self.num_frames is not None:
            check_whole(self.num_frames)


def frames_in_span(
    time_sec: Sequence[float],
    *,
    duration_sec: float,
    start_sec: float | None,
    end_sec: float | None,
) -> range:
    """Return the indices of the frames with start_sec <= time < end_sec.

    Args:
        time_sec: Increasing times of all frames, from 0.
        duration_sec: Length of the video, the last frame's showing time included.
        start_sec: First moment to keep; None is the start.
        end_sec: First moment to leave out; None is the end.

    Raises:
        InputError: The span reaches outside the video or holds no frame.
    """
    start = 0.0 if start_sec is None else start_sec
    end = math.inf if end_sec is None else end_sec
    if start >= duration_sec:
        raise InputError(
            f"start_sec must be before the video's end at {duration_sec:.3f} s; got {start:g}. "
            "Choose an earlier start."
        )
    if end_sec is not None and end > duration_sec + 1e-3:  # people read durations to 1 ms
        raise InputError(
            f"end_sec must be at most the video's duration, {duration_sec:.3f} s; got {end:g}. "
            "Leave it out to read to the end."
        )
    first = bisect.bisect_left(time_sec, start - _TIME_SLACK_SEC)
    last = bisect.bisect_left(time_sec, end - _TIME_SLACK_SEC)
    if first >= last:
        raise InputError(
            f"the part to read must hold a frame; got none from {start:g} s to {end:g} s. "
            "Choose a longer part."
        )
    return range(first, last)


def _nearest(time_sec: Sequence[float], wanted: float) -> int:
    right = bisect.bisect_left(time_sec, wanted)
    if right == 0:
        return 0
    if right == len(time_sec):
        return right - 1
    # A tie goes to the earlier frame; the slack keeps rounding from deciding it.
    to_left, to_right = wanted - time_sec[right - 1], time_sec[right] - wanted
    return right if to_right < to_left - 1e-9 else right - 1


def pick_count(time_sec: Sequence[float], num_frames: int) -> list[int]:
    """Return `num_frames` different frames nearest to equally spaced times, ends included.

    Raises:
        InputError: There are fewer frames than that, or it is no whole number from 1.
    """
    check_whole(num_frames)
    available = len(time_sec)
    if num_frames > available:
        raise InputError(
            f"num_frames must be at most the {available} different frame"
            f"{'s' if available != 1 else ''} there {'are' if available != 1 else 'is'}; got "
            f"{num_frames}. Ask for fewer frames or read a longer part."
        )
    first, last = time_sec[0], time_sec[-1]
    step = (last - first) / max(1, num_frames - 1)
    chosen = [_nearest(time_sec, first + k * step) for k in range(num_frames)]
    # Where frames are sparse two times may share one: move the later pick on, then make room back.
    for k in range(1, num_frames):
        chosen[k] = max(chosen[k], chosen[k - 1] + 1)
    for k in range(num_frames):
        chosen[k] = min(chosen[k], available - num_frames + k)
    return chosen


def own_rate(time_sec: Sequence[float]) -> float | None:
    """Return the frames per second of the times themselves; None for a single frame."""
    if len(time_sec) < 2:
        return None
    return (len(time_sec) - 1) / (time_sec[-1] - time_sec[0])


def pick_rate(time_sec: Sequence[float], fps: float) -> tuple[list[int], int]:
    """Return the frames nearest to times 1/fps apart, and how many of those times had none.

    A variable-rate video may hold one frame for longer than 1/fps; it is then kept once, with its
    own time, never repeated.

    Raises:
        InputError: `fps` is above the rate of the frames there are.
    """
    rate = own_rate(time_sec)
    if rate is None:
        return [0], 0
    gaps = sorted(b - a for a, b in itertools.pairwise(time_sec))
    fastest = max(rate, 1 / gaps[len(gaps) // 2])
    if fps > fastest * _RATE_SLACK:
        raise InputError(
            f"fps must be at most the video's own {fastest:.6g} frames per second; got {fps:g}. "
            "Leave fps out to take every frame."
        )
    first, last = time_sec[0], time_sec[-1]
    count = math.floor((last - first) * fps + 1e-6) + 1
    wanted = [_nearest(time_sec, first + k / fps) for k in range(count)]
    chosen = sorted(set(wanted))
    return chosen, count - len(chosen)
