"""Read clips from videos, image folders and images, and write them: the public face of media.

Frames are chosen by their true times before any is decoded, and only the chosen ones are kept.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from rays_as_pixels.errors import InputError
from rays_as_pixels.media.clip import Clip, SourceInfo
from rays_as_pixels.media.container import FrameMissingError, existing, index_video
from rays_as_pixels.media.frame_stream import FrameStream
from rays_as_pixels.media.images import image_sequence, is_image_file, read_image, write_image
from rays_as_pixels.media.limits import check_span, output_size
from rays_as_pixels.media.sampling import Request
from rays_as_pixels.media.writing import write_video, write_video_stream

__all__ = [
    "Clip",
    "FrameStream",
    "Request",
    "SourceInfo",
    "open_frames",
    "probe_video",
    "read_clip",
    "read_image",
    "with_frames",
    "write_image",
    "write_video",
    "write_video_stream",
]

Result = TypeVar("Result")


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

    def read(stream: FrameStream) -> Clip:
        check_span(stream.span_sec)
        height, width = output_size(
            height=stream.info.height, width=stream.info.width, downscale=downscale
        )
        return stream.resized(height=height, width=width).clip()

    request = Request(start_sec, end_sec, fps, num_frames)
    return with_frames(path, request, read)


def open_frames(path: "str | Path", request: Request) -> FrameStream:
    """Choose frames of an input without decoding them; they are decoded as they are asked for.

    Args:
        path: As for `read_clip`.
        request: Which part, and how densely.

    Raises:
        InputError: See `read_clip`; nothing is too large or too long.
    """
    return _opened(path, request, by_decoding=False)


def with_frames(
    path: "str | Path", request: Request, use: Callable[[FrameStream], Result]
) -> Result:
    """Return what a function makes of the chosen frames.

    The function is called a second time where a video turns out to have other frames than its
    container lists, with those that it really has.

    Raises:
        InputError: See `open_frames`.
    """
    try:
        return use(_opened(path, request, by_decoding=False))
    except FrameMissingError:
        stream = _opened(path, request, by_decoding=True)
    try:
        return use(stream)
    except FrameMissingError:
        raise InputError(
            f"{stream.info.name} must give the same frames each time it is decoded; got other "
            "times the second time. Convert it to an H.264 mp4."
        ) from None


def _opened(path: "str | Path", request: Request, *, by_decoding: bool) -> FrameStream:
    found = existing(path)
    if found.is_dir() or is_image_file(found):
        images = image_sequence(found, fps=request.fps)
        times = [k / images.info.fps for k in range(images.info.num_frames)]
        return FrameStream(images, times, replace(request, fps=None))
    index = index_video(found, by_decoding=by_decoding)
    return FrameStream(index, index.time_sec, request)
