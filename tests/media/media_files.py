"""Small media files made at test time, whose frames say their own number."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

BITS = 8
MILLISECOND = Fraction(1, 1000)


def numbered(index: int, height: int = 32, width: int = 64) -> np.ndarray:
    """Draw `index` as 8 black or white bars, most significant bit on the left."""
    bits = [(index >> (BITS - 1 - k)) & 1 for k in range(BITS)]
    row = np.repeat(np.array(bits, np.uint8) * 255, width // BITS)
    return np.broadcast_to(row[None, :, None], (height, width, 3)).copy()


def numbers(video: torch.Tensor) -> list[int]:
    """Read the bars of `numbered` back off a clip."""
    bar = video.shape[-1] // BITS
    centres = video.mean(dim=(1, 2))[:, bar // 2 :: bar][:, :BITS] > 0.5
    weights = 2 ** torch.arange(BITS - 1, -1, -1)
    return (centres * weights).sum(-1).tolist()


def quadrants(height: int = 48, width: int = 64) -> np.ndarray:
    """Draw red top left, green top right, blue bottom left, white bottom right."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = (255, 0, 0)
    image[: height // 2, width // 2 :] = (0, 255, 0)
    image[height // 2 :, : width // 2] = (0, 0, 255)
    image[height // 2 :, width // 2 :] = (255, 255, 255)
    return image


def corner_colours(image: torch.Tensor) -> list[str]:
    """Name the colours of a 3 H W image: top left, top right, bottom left, bottom right."""
    names = {(1, 0, 0): "red", (0, 1, 0): "green", (0, 0, 1): "blue", (1, 1, 1): "white"}
    height, width = image.shape[-2:]
    points = [(y, x) for y in (height // 4, -height // 4) for x in (width // 4, -width // 4)]
    return [names[tuple((image[:, y, x] > 0.5).int().tolist())] for y, x in points]


def write_frames(
    path: Path,
    frames: Sequence[np.ndarray],
    *,
    codec: str = "libx264",
    fps: int = 10,
    times_ms: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    muxer: dict[str, str] | None = None,
    prepare: "Callable[[av.VideoStream], None] | None" = None,
) -> Path:
    """Write RGB frames with any encoder, times and stream settings."""
    with av.open(str(path), "w", options=muxer or {}) as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        if times_ms is not None:
            stream.codec_context.time_base = MILLISECOND
        if prepare is not None:
            prepare(stream)
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[index], MILLISECOND
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_numbered(path: Path, num_frames: int = 20, **keywords: object) -> Path:
    """Write frames that carry their own number."""
    codec = {".webm": "libvpx-vp9", ".gif": "gif"}.get(path.suffix, "libx264")
    frames = [numbered(k) for k in range(num_frames)]
    return write_frames(path, frames, **{"codec": codec, **keywords})


def write_plane_values(path: Path, yuv: tuple[int, int, int], **tags: int) -> Path:
    """Write one flat lossless frame of given Y, U, V values, tagged as told or not at all."""
    height, width = tags.pop("height", 32), tags.pop("width", 32)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"qp": "0"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        planes = [
            np.full((height, width), yuv[0], np.uint8).reshape(-1),
            np.full((height // 2, width // 2), yuv[1], np.uint8).reshape(-1),
            np.full((height // 2, width // 2), yuv[2], np.uint8).reshape(-1),
        ]
        stacked = np.concatenate(planes).reshape(height * 3 // 2, width)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(stacked, format="yuv420p")))
        container.mux(stream.encode(None))
    return path
