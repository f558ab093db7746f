"""One ZIP with a path in every format, and a page that says what is what."""

import io
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rays_as_pixels.errors import InputError
from rays_as_pixels.files import write_bytes
from rays_as_pixels.trajectories.formats.about import summary_of
from rays_as_pixels.trajectories.formats.base import (
    FormatSpec,
    Frames,
    PathData,
    ReadOptions,
    Written,
)
from rays_as_pixels.trajectories.formats.content import FileContent
from rays_as_pixels.trajectories.formats.native import SPEC as NATIVE
from rays_as_pixels.trajectories.formats.native import data_of, parse_native
from rays_as_pixels.trajectories.formats.textfile import (
    MAX_FILE_BYTES,
    decode,
    read_bytes,
)

NATIVE_NAME = NATIVE.file_name
_DATE = (1980, 1, 1, 0, 0, 0)  # the same path gives the same bytes


def bundle_of(specs: Iterable[FormatSpec]) -> FormatSpec:
    """Describe the ZIP that holds a path in each of `specs`, all of them writable."""
    members = tuple(specs)

    def write(frames: Frames, path: Path, extra: "dict[str, Any]") -> Written:
        return _write(members, frames, path, extra)

    return FormatSpec(
        name="bundle",
        title="ZIP of every format",
        convention=f"every format in its own; {NATIVE_NAME} is read",
        read=read,
        sniff=sniff,
        write=write,
        file_name="camera-path.zip",
        extensions=(".zip",),
    )


def sniff(content: FileContent) -> bool:
    """Look for the native file in an archive."""
    return NATIVE_NAME in content.archive_names


def _write(
    specs: tuple[FormatSpec, ...], frames: Frames, path: Path, extra: "dict[str, Any]"
) -> Written:
    summary = summary_of(frames, "each file in its own, below", extra)
    lines = [f"{key}: {value}" for key, value in summary.items()]
    with tempfile.TemporaryDirectory() as folder:
        for spec in specs:
            assert spec.write is not None
            written = spec.write(frames, Path(folder) / spec.file_name, extra)
            lines += ["", f"{spec.file_name} ({spec.title})", f"  {spec.convention}"]
            lines += [f"  {note}" for note in written.notes]
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            _add(archive, "README.txt", "\n".join(lines) + "\n")
            for file in sorted(Path(folder).rglob("*")):
                if file.is_file():
                    _add(archive, file.relative_to(folder).as_posix(), file.read_bytes())
    write_bytes(path, stream.getvalue())
    return Written((path,), (f"{len(specs)} formats; README.txt in the ZIP says what is what.",))


def _add(archive: zipfile.ZipFile, name: str, content: "str | bytes") -> None:
    info = zipfile.ZipInfo(name, _DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    archive.writestr(info, content)


def read(path: Path, options: ReadOptions) -> PathData:
    """Read the native file in the ZIP."""
    try:
        with zipfile.ZipFile(io.BytesIO(read_bytes(path))) as archive:
            info = archive.getinfo(NATIVE_NAME)
            if info.file_size > MAX_FILE_BYTES:
                raise InputError(
                    f"{NATIVE_NAME} in {path.name} must be at most {MAX_FILE_BYTES // 2**20} MiB; "
                    f"got {info.file_size // 2**20} MiB. Cut the path into pieces."
                )
            payload = archive.read(info)
    except KeyError:
        raise InputError(
            f"{path.name} must hold {NATIVE_NAME}; it does not. Unpack it and name one file."
        ) from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise InputError(f"{path.name} must be a ZIP; got {error}. Copy it again.") from None
    name = f"{path.name}/{NATIVE_NAME}"
    trajectory, extra = parse_native(decode(payload, name), name)
    return data_of(trajectory, extra, lambda frame: f"{name}, field frames[{frame}]")
