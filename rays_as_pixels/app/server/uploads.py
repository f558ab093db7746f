"""What an uploaded file is, judged by its content, and which folders a file may come from.

Names and declared types are the uploader's to choose, so neither is trusted. Pickles and programs
are no kind of file that this app reads.
"""

import os
import zipfile
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from rays_as_pixels.app.examples import EXAMPLES_DIR
from rays_as_pixels.errors import InputError
from rays_as_pixels.media.video import probe_video

HEAD_BYTES = 4096  # that are looked at
MAX_PATH_BYTES = 64 << 20
MAX_ZIP_ENTRIES, MAX_ZIP_RATIO = 10_000, 200
IMAGE_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"II*\x00", b"MM\x00*")
IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")  # JPEG opens MPO, too
QUICKTIME_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")  # a file's first
STILL_IMAGE_BRANDS = (
    b"heic",
    b"heix",
    b"mif1",
    b"avif",
)  # ISO media files that hold a photo; not read here
KINDS = "a video (mp4, mov, webm, mkv, gif), an image (png, jpg, webp, bmp, tiff) or a path file"


def check_upload(path: "str | Path") -> str:
    """Return what a file is by its content: "video", "image" or "path".

    Raises:
        InputError: It is none of them, or it is too large for a path.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise InputError(
            f"{path.name} must be readable; got '{error.strerror}'. Upload it again."
        ) from error
    kind = _kind(head)
    if kind == "zip":
        _check_zip(path)
        kind = "path"
    if not head:
        raise InputError(f"{path.name} must hold something; got an empty file. Upload it again.")
    if not kind:
        raise InputError(f"{path.name} must be {KINDS}; got something else. Convert it first.")
    size = path.stat().st_size
    if kind == "path" and size > MAX_PATH_BYTES:
        raise InputError(
            f"{path.name} must be {MAX_PATH_BYTES >> 20} MB or smaller; got {size >> 20} MB. "
            "Export the path alone, without points or images."
        )
    return kind


def video_file(value: object, message: str) -> Path:
    """Return an uploaded video that can be opened.

    Args:
        value: What the page or a caller of the API sent.
        message: What to say when nothing was sent.

    Raises:
        InputError: There is none, it is no upload, or it is no video that can be opened.
    """
    path = _uploaded(value, message)
    _expect(path, "video")
    probe_video(path)
    return path


def image_file(value: object, message: str) -> Path:
    """Return an uploaded image that can be opened; arguments as of `video_file`.

    Raises:
        InputError: There is none, it is no upload, or it is no image that can be opened.
    """
    path = _uploaded(value, message)
    _expect(path, "image")
    try:
        with Image.open(path, formats=IMAGE_FORMATS) as image:
            image.verify()
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError) as error:
        raise InputError(
            f"{path.name} must be a complete image; got '{str(error)[:100]}'. Save it again as PNG."
        ) from error
    except Image.DecompressionBombError as error:
        raise InputError(
            f"{path.name} must have fewer pixels; got '{str(error)[:100]}'. Make it smaller."
        ) from error
    return path


def path_file(value: object, message: str) -> Path:
    """Return an uploaded camera path file, not read yet; arguments as of `video_file`.

    Raises:
        InputError: There is none, it is no upload, or it is no text, npz, zip or glb.
    """
    path = _uploaded(value, message)
    _expect(path, "path")
    return path


def upload_folder() -> Path:
    """Return the folder that uploads lie in."""
    from gradio.utils import get_upload_folder  # noqa: PLC0415 - it reads the environment

    return Path(get_upload_folder())


def _uploaded(value: object, message: str) -> Path:
    """Return a file that lies among the uploads or the project's examples, links followed."""
    if not isinstance(value, str | os.PathLike) or not str(value):
        raise InputError(message)
    try:
        path = Path(value).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):  # gone, no path at all, or links in a circle
        raise InputError(message) from None
    folders = (upload_folder().resolve(), EXAMPLES_DIR.resolve())
    if not path.is_file() or not any(path.is_relative_to(folder) for folder in folders):
        raise InputError(f"{path.name} must be uploaded here; got a file of the server. Upload it.")
    return path


def _expect(path: Path, kind: str) -> None:
    found = check_upload(path)
    if found != kind:
        raise InputError(
            f"{path.name} must be a {kind} file; got one that is a {found} by its content. "
            "Choose another file."
        )


def _kind(head: bytes) -> str:
    if head[4:8] == b"ftyp" and head[8:12] in STILL_IMAGE_BRANDS:
        return ""
    if head[4:8] in QUICKTIME_BOXES or head.startswith((b"\x1a\x45\xdf\xa3", b"GIF87a", b"GIF89a")):
        return "video"
    if head.startswith(IMAGE_SIGNATURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "image"
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    return "path" if head.startswith(b"glTF") or _is_text(head) else ""


def _is_text(head: bytes) -> bool:
    if not head or b"\x00" in head:
        return False
    try:
        head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # else the last letter is cut by our own reading
            return False
    return sum(byte < 32 and byte not in (9, 10, 12, 13) for byte in head) == 0


def _check_zip(path: Path) -> None:
    """Refuse archives that unpack to far more than they are, lead outside, or hold pickles."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path.name} must be a complete zip; got '{str(error)[:80]}'. Pack it again."
        ) from error
    unpacked = sum(entry.file_size for entry in entries)
    packed = max(1, sum(entry.compress_size for entry in entries))
    if (
        len(entries) > MAX_ZIP_ENTRIES
        or unpacked > MAX_PATH_BYTES
        or unpacked / packed > MAX_ZIP_RATIO
    ):
        raise InputError(
            f"{path.name} must unpack to {MAX_PATH_BYTES >> 20} MB or less; got "
            f"{unpacked >> 20} MB in {len(entries)} files. Pack the camera files alone."
        )
    for entry in entries:
        parts = Path(entry.filename.replace("\\", "/")).parts
        if ".." in parts or entry.filename.startswith(("/", "\\")) or ":" in entry.filename:
            raise InputError(
                f"{path.name} must keep its files inside; got '{entry.filename[:60]}'. "
                "Pack it again."
            )
        if entry.filename.lower().endswith((".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".exe")):
            raise InputError(
                f"{path.name} must hold camera files; got '{entry.filename[-60:]}', which is not "
                "read here. Export the cameras as text or npz."
            )
