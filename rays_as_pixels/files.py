"""Atomic writes: a reader finds the old file or the complete new one, never a part of it.

The bytes go to a hidden file in the same folder, hence on the same disk, and that file is renamed
over the target, which POSIX and Windows both do in one step.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from rays_as_pixels.errors import InputError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; it replaces `path` if the block succeeds.

    On an error the temporary file is deleted and an older `path` stays as it was. The new file
    gets the permissions of any file newly made by this process.

    Raises:
        InputError: The folder of `path` does not exist, or `path` is a folder.
    """
    if not path.parent.is_dir():
        raise InputError(
            f"output {path} must be writable; its folder {path.parent} does not exist. "
            "Create the folder first."
        )
    if path.is_dir():
        raise InputError(f"output must be a file; got the folder {path}. Add a file name.")
    # The suffix is last but one, so that a search for "*.npz" finds no file left by a killed run.
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:12]}.partial")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically.

    Raises:
        InputError: The folder is missing or cannot be written to, or `path` is a folder.
    """
    try:
        with atomic_write(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise InputError(
            f"output {path} must be writable; got {error.strerror}. Check the disk and the "
            "folder's permissions."
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; line feeds stay as they are. Errors as for `write_bytes`."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value atomically, indented by one. Errors as for `write_bytes`."""
    write_text(path, json.dumps(value, indent=1) + "\n")


@contextmanager
def folders_replaced(home: Path, names: tuple[str, ...]) -> Iterator[Path]:
    """Yield a hidden folder to make the folders `names` in; they move to `home` at the end.

    Only folders of these names are replaced, and only if the block succeeds; `home` is made if it
    does not exist. On an error everything is as it was.

    Raises:
        InputError: The place cannot be written to.
    """
    parent = home
    while not parent.is_dir():
        parent = parent.parent
    staging = parent / f".{home.name}.{uuid4().hex[:12]}.partial"
    try:
        (staging / "replaced").mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"output {home} must be in a place one may write to; got {error.strerror}. Choose "
            "another folder."
        ) from error
    try:
        yield staging
        home.mkdir(parents=True, exist_ok=True)
        _exchange(staging, home, names)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _exchange(staging: Path, home: Path, names: tuple[str, ...]) -> None:
    """Move folders into `home`, old ones out of it first; on an error move these back."""
    moved: list[tuple[Path, Path]] = []
    moves = [
        (home / name, staging / "replaced" / name) for name in names if (home / name).exists()
    ] + [(staging / name, home / name) for name in names]
    try:
        for source, target in moves:
            source.rename(target)
            moved.append((source, target))
    except OSError:
        for source, target in reversed(moved):
            target.rename(source)
        raise
