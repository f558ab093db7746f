"""What the reader and writer refuse by size: frame areas, spans and memory."""

import math

from rays_as_pixels.errors import InputError

MAX_FRAME_AREA_PX = 2560 * 1440
MAX_SPAN_SEC = 300.0
MAX_CLIP_BYTES = 4 * 2**30  # of float32 frames held at once
FLOAT32_BYTES = 4


class ClipTooLargeError(InputError):
    """A clip would need more memory than MAX_CLIP_BYTES."""


def output_size(*, height: int, width: int, downscale: bool) -> tuple[int, int]:
    """Return the (height, width) at which frames are kept.

    Args:
        height: Of the upright frames, in pixels.
        width: Of the upright frames, in pixels.
        downscale: Shrink frames above the limit to it, to even sizes, instead of refusing them.

    Raises:
        InputError: Frames are larger than 2560 x 1440 in area and `downscale` is False.
    """
    area = height * width
    if area <= MAX_FRAME_AREA_PX:
        return height, width
    factor = math.sqrt(MAX_FRAME_AREA_PX / area)
    reduced = (max(2, int(height * factor) // 2 * 2), max(2, int(width * factor) // 2 * 2))
    if not downscale:
        raise InputError(
            f"frames must have at most the area of 2560x1440 pixels; got {width}x{height}. "
            f"Pass downscale=True to read them at {reduced[1]}x{reduced[0]}, "
            "or make a smaller copy."
        )
    return reduced


def check_span(span_sec: float) -> None:
    """Refuse a clip longer than five minutes.

    Raises:
        InputError: The span is longer than 300 s.
    """
    if span_sec > MAX_SPAN_SEC:
        raise InputError(
            f"a clip must last at most {MAX_SPAN_SEC:g} s; got {span_sec:.1f} s. "
            "Read a part of it with --start-sec and --end-sec (start_sec, end_sec)."
        )


def check_memory(num_frames: int, *, height: int, width: int) -> None:
    """Refuse to hold more frames in memory than 4 GiB of float32 pixels.

    Raises:
        ClipTooLargeError: The frames would need more.
    """
    per_frame = 3 * height * width * FLOAT32_BYTES
    if num_frames * per_frame > MAX_CLIP_BYTES:
        raise ClipTooLargeError(
            f"a clip must need at most {MAX_CLIP_BYTES / 2**30:g} GiB of memory; got {num_frames} "
            f"frames of {width}x{height}, {num_frames * per_frame / 2**30:.1f} GiB. "
            f"Ask for num_frames (at most {MAX_CLIP_BYTES // per_frame} here), a lower fps or a "
            "shorter part."
        )
