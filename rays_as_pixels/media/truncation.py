"""Tell a whole video file from a cut one by its container's own lengths, before decoding.

Decoders hide a missing end: they return the frames that are left and report success.
"""

import mmap
import re
from pathlib import Path
from typing import BinaryIO

from rays_as_pixels.errors import InputError

_EBML_ID = b"\x1a\x45\xdf\xa3"
_SEGMENT_ID = b"\x18\x53\x80\x67"
_GIF_TRAILER = 0x3B
_MP4_ESSENTIAL = (b"moov", b"mdat", b"moof")
_MP4_CODEC = re.compile(rb"stsd.{12}([ -~]{4})", re.DOTALL)  # version, count and size come between
_MATROSKA_CODEC = re.compile(rb"V_[A-Z0-9/_]{2,24}")


def check_whole(path: Path) -> None:
    """Refuse a file that is empty, plain text, or ends before its container says it does.

    Raises:
        InputError: One of these; a file of an unknown kind passes, and is left to the decoder.
    """
    size = path.stat().st_size
    if size == 0:
        raise InputError(
            f"{path.name} must hold a video; got an empty file of 0 bytes. "
            "Copy or download it again."
        )
    with path.open("rb") as file:
        head = file.read(512)
        if _is_text(head):
            raise InputError(
                f"{path.name} must hold a video; got plain text. "
                "Choose a video file; renaming does not convert one."
            )
        file.seek(0)
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            expected = _mp4_end(file, size)
        elif head[:4] == _EBML_ID:
            expected = _matroska_end(file)
        elif head[:4] == b"GIF8":
            expected = size if _ends_like_gif(file, size) else size + 1
        else:
            return
    if expected > size:
        flaw = f"ends after {size} of {expected} bytes" if head[:3] != b"GIF" else "has no end mark"
        raise InputError(
            f"{path.name} must be complete; got a truncated file that {flaw}. "
            "Copy or download it again."
        )


def _is_text(head: bytes) -> bool:
    if b"\x00" in head:
        return False
    try:
        text = head.decode("utf-8", errors="strict")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # a character cut by the end of `head` is still text
            return False
        text = head[: error.start].decode("utf-8")
    return not text.startswith("GIF8") and all(c.isprintable() or c in "\r\n\t\f" for c in text)


def _mp4_end(file: BinaryIO, size: int) -> int:
    """Walk the top-level boxes; return where the last one says it ends."""
    position = 0
    seen: set[bytes] = set()
    while position + 8 <= size:
        file.seek(position)
        header = file.read(16)
        kind = header[4:8]
        length = int.from_bytes(header[:4], "big")
        if length == 1 and len(header) == 16:
            length = int.from_bytes(header[8:16], "big")
        if length == 0:  # this box reaches to the end of the file
            return size
        # Some phones append data of their own: pictures and index that are whole are enough.
        foreign = kind not in _MP4_ESSENTIAL and seen >= {b"moov", b"mdat"}
        if length < 8 or (foreign and position + length > size):
            return size
        seen.add(kind)
        position += length
    return position


def _vint(data: bytes) -> tuple[int | None, int]:
    """Return an EBML length and how many bytes it takes; None stands for "unknown"."""
    if not data or data[0] == 0:
        return None, 1
    width = 9 - data[0].bit_length()
    value = int.from_bytes(data[:width], "big") & ((1 << 7 * width) - 1)
    return (None if value == (1 << 7 * width) - 1 else value), width


def _matroska_end(file: BinaryIO) -> int:
    """Return where the Segment, which holds everything, says it ends; 0 where it does not say."""
    head = file.read(4096)
    length, width = _vint(head[4:12])
    start = 4 + width + (length or 0)
    if length is None or head[start : start + 4] != _SEGMENT_ID:
        return 0
    length, width = _vint(head[start + 4 : start + 12])
    return 0 if length is None else start + 4 + width + length


def _ends_like_gif(file: BinaryIO, size: int) -> bool:
    file.seek(max(0, size - 64))
    tail = file.read().rstrip(b"\x00\r\n")
    return bool(tail) and tail[-1] == _GIF_TRAILER


def codec_tags(path: Path) -> list[str]:
    """Return the codec names that a video container writes down, to name one nobody can decode."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        tags = _MATROSKA_CODEC.findall(data[:65536]) if data[:4] == _EBML_ID else []
        tags = tags or _MP4_CODEC.findall(data)
    return sorted({tag.decode("ascii") for tag in tags})
