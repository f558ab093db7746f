"""Write videos as H.264.

Colour: BT.709 matrix, limited ("tv") range, tagged as such in the file. Chroma is halved with its
samples on the left pixel of each pair, which is what H.264 means where nothing else is said; a
filter centred between the pixels would shift colours by half a pixel when read back.
"""

from collections.abc import Iterable
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.files import atomic_write

_BT709 = 1  # the number of BT.709 among primaries, transfers and matrices (ITU-T H.273)
_CRF = "12"  # x264 constant quality: 0 is lossless; a clip may be read again to estimate its path
_WATCHING_CRF = "20"
_RANGE_SLACK = 1e-4  # rounding of resampling filters; a quarter of an 8-bit step is 1e-3
_LIMITED_RANGE = 1
_KR, _KB = 0.2126, 0.0722  # luma weights of red and blue (ITU-R BT.709)


def check_unit_range(name: str, pixels: Float[Tensor, "*shape"]) -> None:
    """Refuse pixels that are not floating point numbers in [0, 1].

    Raises:
        InputError: A value is not finite or outside, or the dtype is not a float.
    """
    if not pixels.is_floating_point():
        raise InputError(
            f"{name} must hold floats in [0, 1]; got {pixels.dtype}. Divide 8-bit values by 255."
        )
    if not bool(torch.isfinite(pixels).all()):
        frame = int((~torch.isfinite(pixels)).nonzero()[0, 0])
        where = f" in frame {frame}" if pixels.dim() == 4 else ""
        raise InputError(
            f"{name} must be finite; got NaN or infinity{where}. "
            "Run the model in float32 or look for the step that made it."
        )
    low, high = pixels.min().item(), pixels.max().item()
    if low < -_RANGE_SLACK or high > 1 + _RANGE_SLACK:
        raise InputError(
            f"{name} must lie in [0, 1]; got {low:.4g} to {high:.4g}. "
            "Map or clamp it to that range before writing."
        )


def as_uint8(pixels: Float[Tensor, "*batch 3 height width"]) -> UInt8[Tensor, "*batch h w 3"]:
    """Round [0, 1] channels-first pixels to 8-bit channels-last, on the CPU."""
    values = (pixels.detach().float().cpu() * 255.0).round()
    return values.to(torch.uint8).movedim(-3, -1).contiguous()


def _check_video(path: Path, video: Tensor, fps: float) -> None:
    if path.suffix.lower() != ".mp4":
        raise InputError(f"a video file must end in .mp4; got {path.name}. Rename the output.")
    if not (isfinite(fps) and 0.01 <= fps <= 1000):
        raise InputError(
            f"fps must be positive, from 0.01 to 1000; got {fps}. Use 10 if it is not known."
        )
    if video.dim() != 4 or video.shape[1] != 3 or 0 in video.shape:
        raise InputError(
            f"video must have shape F 3 H W with 1 or more frames; got {tuple(video.shape)}. "
            "Put frames first and channels second."
        )
    height, width = video.shape[-2:]
    if height % 2 or width % 2:
        raise InputError(
            f"height and width of a video to write must be even (yuv420p); got {height} x {width}. "
            f"Crop it to {height // 2 * 2} x {width // 2 * 2} or pad it by one pixel."
        )


def write_video(path: "str | Path", video: Float[Tensor, "frames 3 h w"], *, fps: float) -> None:
    """Write an H.264 yuv420p mp4 that browsers play, atomically.

    Args:
        path: Ends in .mp4; replaced if it exists.
        video: RGB in [0, 1], even height and width.
        fps: Constant frame rate.

    Raises:
        InputError: A shape, size, value or rate is wrong, or the folder does not exist.
    """
    path = Path(path)
    _check_video(path, video, fps)
    check_unit_range("video", video)
    with atomic_write(path) as temporary:
        _encode(temporary, video, Fraction(fps).limit_denominator(1001))


def write_video_stream(
    path: "str | Path", frames: Iterable[UInt8[np.ndarray, "height width 3"]], *, fps: float
) -> None:
    """Write frames as they come, for watching: as `write_video`, but converted by FFmpeg, faster.

    Args:
        path: Ends in .mp4; replaced if it exists.
        frames: RGB, all of one even height and width; one is held at a time.
        fps: Constant frame rate.
    """
    with atomic_write(Path(path)) as temporary, _mp4(temporary) as container:
        rate = Fraction(fps).limit_denominator(1001)
        stream = container.add_stream("libx264", rate=rate, options={"crf": _WATCHING_CRF})
        for index, pixels in enumerate(frames):
            if not index:
                stream.height, stream.width, stream.pix_fmt = *pixels.shape[:2], "yuv420p"
                _tag(stream.codec_context)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame = frame.reformat(
                format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED_RANGE
            )
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _mp4(path: Path) -> Any:
    return av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})


def _tag(picture: Any) -> None:
    """Say on a codec that its pictures are BT.709 in limited range."""
    picture.color_primaries = picture.color_trc = picture.colorspace = _BT709
    picture.color_range = _LIMITED_RANGE


def yuv420p_planes(rgb: Float[Tensor, "3 h w"]) -> list[np.ndarray]:
    """Convert one picture in [0, 1] to Y, Cb and Cr planes: BT.709, limited range, left-sited."""
    red, green, blue = rgb.detach().double().cpu().unbind(0)
    luma = _KR * red + (1 - _KR - _KB) * green + _KB * blue
    planes = [16 + 219 * luma]
    for colour, weight in ((blue, _KB), (red, _KR)):
        chroma = 128 + 224 * (colour - luma) / (2 * (1 - weight))
        rows = (chroma[0::2] + chroma[1::2]) / 2
        even, odd = rows[:, 0::2], rows[:, 1::2]
        before = torch.cat([even[:, :1], odd[:, :-1]], dim=1)
        planes.append((before + 2 * even + odd) / 4)
    return [plane.round().to(torch.uint8).numpy() for plane in planes]


def _encode(path: Path, video: Tensor, rate: Fraction) -> None:
    height, width = video.shape[-2:]
    with _mp4(path) as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": _CRF})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        _tag(stream.codec_context)
        for index, picture in enumerate(video):
            stacked = np.concatenate([plane.reshape(-1) for plane in yuv420p_planes(picture)])
            frame = av.VideoFrame.from_ndarray(
                stacked.reshape(height * 3 // 2, width), format="yuv420p"
            )
            frame.colorspace, frame.color_range = _BT709, _LIMITED_RANGE
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
