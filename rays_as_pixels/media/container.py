"""Video containers: list frame times without decoding, then decode only the frames wanted."""

import bisect
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import av.container
import av.stream
import numpy as np
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from rays_as_pixels.errors import InputError
from rays_as_pixels.media.clip import SourceInfo
from rays_as_pixels.media.orientation import (
    Orientation,
    orientation_from_display_matrix,
    orientation_note,
)
from rays_as_pixels.media.sampling import check_times, own_rate
from rays_as_pixels.media.truncation import check_whole, codec_tags

# Only these demuxers: a playlist renamed to .mp4 must not make the reader open other files.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,gif"
_SEEKABLE = ("mov", "matroska")  # a gif frame needs every frame before it
_SEEK_AHEAD_FRAMES = 24  # below this, decoding on is cheaper than starting again at a keyframe
_UNTAGGED = 2  # "unspecified" among colour matrices (ITU-T H.273)
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
_FULL_CHROMA = (
    Interpolation.BICUBIC
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.ACCURATE_RND
)
_REDUCING = Interpolation.AREA | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND


class FrameMissingError(Exception):
    """A listed time has no picture: packets of this file are not frames one to one."""


@dataclass(frozen=True)
class VideoIndex:
    """All frame times of a video file, and how to decode single frames.

    Attributes:
        path: The file.
        pts: Presentation times of all frames, increasing, in ticks.
        time_base: Seconds per tick.
        keyframes: (presentation, decoding) ticks of frames at which decoding may start.
        orientation: Turn that makes stored frames upright.
        info: What the file holds.
        notes: What is worth saying about it.
    """

    path: Path
    pts: tuple[int, ...]
    time_base: Fraction
    keyframes: tuple[tuple[int, int], ...] = field(repr=False)
    orientation: Orientation
    info: SourceInfo
    notes: tuple[str, ...]

    @property
    def time_sec(self) -> list[float]:
        """Times of all frames from the first, in seconds."""
        return [float((pts - self.pts[0]) * self.time_base) for pts in self.pts]


@contextmanager
def _opened(path: Path) -> "Iterator[tuple[av.container.InputContainer, av.VideoStream]]":
    """Open a file and its first true video stream; turn library errors into `InputError`."""
    try:
        # The prefix keeps a name like "a:b.mp4" from being taken for a protocol.
        container = av.open(f"file:{path}", options={"format_whitelist": _CONTAINERS})
    except (av.FFmpegError, OSError) as error:
        raise InputError(
            f"{path.name} must be an mp4, mov, webm, mkv or gif video; got a file that cannot be "
            f"opened as one ({_reason(error)}). Convert it to an H.264 mp4."
        ) from None
    with container:
        stream = _video_stream(container, path)
        try:
            yield container, stream
        except av.FFmpegError as error:
            raise InputError(
                f"{path.name} must be complete and undamaged; got a video that cannot be decoded "
                f"({_reason(error)}). Copy or download it again, or convert it to an H.264 mp4."
            ) from None


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).strip().lower()


def _video_stream(container: "av.container.InputContainer", path: Path) -> "av.VideoStream":
    streams = [
        s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic
    ]
    if not streams:
        kinds = sorted({s.type for s in container.streams}) or ["no stream at all"]
        raise InputError(
            f"{path.name} must hold a video stream; got {', '.join(kinds)}. "
            "Choose a file with pictures, or copy it again if it should have some."
        )
    stream = streams[0]
    if stream.codec_context is None:
        tags = " or ".join(codec_tags(path)) or "an unknown one"
        raise InputError(
            f"{path.name} must use a codec that can be decoded; got {tags}. "
            "Convert it to an H.264 mp4."
        )
    stream.thread_type = "AUTO"
    return stream


def index_video(path: Path, *, by_decoding: bool = False) -> VideoIndex:
    """List the times of all frames of a video file, and decode the first frame to describe it.

    Args:
        path: An existing file.
        by_decoding: Decode everything instead of trusting packet times; slow, and holds no frame.

    Raises:
        InputError: The file is empty, cut, not a video, of an unknown codec or container, holds no
            frame, or its times do not increase.
    """
    check_whole(path)
    with _opened(path) as (container, stream):
        first_frame = _first_frame(container, stream, path.name)
        container.seek(0, stream=stream)
        if not by_decoding and (listed := _packet_times(container, stream)) is not None:
            pts, keyframes = listed
        else:
            container.seek(0, stream=stream)
            pts, keyframes = _frame_times(container, stream, path.name), []
        time_base = stream.time_base or Fraction(1, 1000)
        if not any(kind in container.format.name for kind in _SEEKABLE):
            keyframes = []
        times = [float((p - pts[0]) * time_base) for p in pts]
        check_times(times)
        orientation = orientation_from_display_matrix(_display_matrix(first_frame))
        height, width = orientation.size(height=first_frame.height, width=first_frame.width)
        rate = own_rate(times) or float(stream.average_rate or 10)
        info = SourceInfo(
            name=path.name,
            width=width,
            height=height,
            fps=rate,
            num_frames=len(pts),
            duration_sec=times[-1] + 1 / rate,
            codec=stream.codec_context.name,
            rotation_deg=orientation.rotation_deg,
            pixel_aspect=_pixel_aspect(stream, orientation),
        )
        notes = (*orientation_note(orientation), *_remarks(container, stream, first_frame))
        return VideoIndex(path, tuple(pts), time_base, tuple(keyframes), orientation, info, notes)


def _first_frame(
    container: "av.container.InputContainer", stream: "av.VideoStream", name: str
) -> av.VideoFrame:
    for frame in container.decode(stream):
        return frame
    raise InputError(f"{name} must hold 1 or more frames; got none. Choose another video.")


def _packet_times(
    container: "av.container.InputContainer", stream: "av.VideoStream"
) -> "tuple[list[int], list[tuple[int, int]]] | None":
    pts: list[int] = []
    keyframes: list[tuple[int, int]] = []
    for packet in container.demux(stream):
        if packet.size == 0 or packet.is_discard:
            continue
        if packet.pts is None:
            return None
        pts.append(packet.pts)
        if packet.is_keyframe:
            keyframes.append((packet.pts, packet.pts if packet.dts is None else packet.dts))
    return (sorted(pts), sorted(keyframes)) if pts else None


def _frame_times(
    container: "av.container.InputContainer", stream: "av.VideoStream", name: str
) -> list[int]:
    pts = []
    for frame in container.decode(stream):
        if frame.pts is None:
            raise InputError(
                f"{name} must carry a time for every frame; got none at frame {len(pts)}. "
                "Convert it to an H.264 mp4."
            )
        pts.append(frame.pts)
    return pts


def _pixel_aspect(stream: "av.VideoStream", orientation: Orientation) -> float:
    stored = float(stream.sample_aspect_ratio or 1)  # 0 stands for unknown
    return 1 / stored if orientation.rotation_deg % 180 else stored


def _display_matrix(frame: av.VideoFrame) -> bytes | None:
    data = frame.side_data.get("DISPLAYMATRIX")
    return None if data is None else bytes(data)


def _remarks(
    container: "av.container.InputContainer", stream: "av.VideoStream", frame: av.VideoFrame
) -> tuple[str, ...]:
    """Say what the pictures have that this reader leaves as it is."""
    remarks = []
    streams = len(container.streams.video)
    if streams > 1:
        remarks.append(f"Read the first of {streams} video streams.")
    aspect = stream.sample_aspect_ratio
    if aspect and aspect != 1:
        remarks.append(f"Pixels are {aspect} as wide as high and were kept as stored.")
    if frame.interlaced_frame:
        remarks.append("The video is interlaced; both fields were kept in one picture.")
    transfer = _HDR_TRANSFERS.get(int(frame.color_trc))
    if transfer:
        remarks.append(f"The video is HDR ({transfer}); its values were kept without tone mapping.")
    return tuple(remarks)


def decoded_frames(
    index: VideoIndex, chosen: Sequence[int], *, height: int, width: int
) -> Iterator[np.ndarray]:
    """Decode the chosen frames one after the other, upright, as H W 3 uint8 RGB.

    Skips from keyframe to keyframe where the choice is sparse, and holds one frame at a time.
    Colours: the matrix and range that the file is tagged with; where it has no tag, limited range
    and BT.709 for 720 lines or more, else BT.601.

    Args:
        index: From `index_video`.
        chosen: Increasing frame indices.
        height: Of the upright result, at most the video's.
        width: Of the upright result, at most the video's.

    Raises:
        InputError: A frame is damaged, or the frame size changes within the video.
        FrameMissingError: A listed time has no frame; list the times by decoding and retry.
    """
    stored = index.orientation.size(height=index.info.height, width=index.info.width)
    target = index.orientation.size(height=height, width=width)
    reformatter = VideoReformatter()
    for position, frame in zip(chosen, _frames_at(index, chosen), strict=True):
        if (frame.height, frame.width) != stored:
            raise InputError(
                f"all frames of {index.path.name} must have one size; got {stored[1]}x{stored[0]}, "
                f"then {frame.width}x{frame.height} at frame {position}. "
                "Convert it to mp4 at one size."
            )
        if frame.is_corrupt:
            raise InputError(
                f"{index.path.name} must be undamaged; got a damaged frame {position}. "
                "Copy or download it again."
            )
        yield index.orientation.apply(_rgb(frame, reformatter, target))


def _rgb(frame: av.VideoFrame, reformatter: VideoReformatter, size: tuple[int, int]) -> np.ndarray:
    matrix = None
    if int(frame.colorspace) == _UNTAGGED:
        large = frame.height >= 720 or frame.width >= 1280
        matrix = int(Colorspace.ITU709 if large else Colorspace.ITU601)
    reduced = size != (frame.height, frame.width)
    return reformatter.reformat(
        frame,
        height=size[0],
        width=size[1],
        format="rgb24",
        src_colorspace=matrix,
        interpolation=_REDUCING if reduced else _FULL_CHROMA,
    ).to_ndarray()


def _frames_at(index: VideoIndex, chosen: Sequence[int]) -> Iterator[av.VideoFrame]:
    key_pts = [pts for pts, _ in index.keyframes]
    done, last_position, last_pts = 0, -1, index.pts[0] - 1
    with _opened(index.path) as (container, stream):
        frames = container.decode(stream)
        while done < len(chosen):
            wanted = index.pts[chosen[done]]
            key = bisect.bisect_right(key_pts, wanted) - 1
            far = chosen[done] - last_position > _SEEK_AHEAD_FRAMES
            if key > 0 and key_pts[key] > last_pts and far:
                # Containers seek by decoding time, which is never after the presentation time.
                container.seek(min(index.keyframes[key]), stream=stream)
                frames = container.decode(stream)
            frame = next((f for f in frames if f.pts is not None and f.pts >= wanted), None)
            if frame is None or frame.pts != wanted:
                raise FrameMissingError
            yield frame
            last_position, last_pts = chosen[done], wanted
            done += 1


def existing(path: "str | os.PathLike[str]") -> Path:
    """Return the path, refusing one where nothing is.

    Raises:
        InputError: There is no such file or folder.
    """
    found = Path(path)
    if not found.exists():
        raise InputError(
            f"the input must exist; got {found}, where there is no file or folder. "
            "Check the path and its spelling."
        )
    return found
