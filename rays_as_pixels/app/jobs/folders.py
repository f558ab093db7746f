"""The folder of a job's files."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from rays_as_pixels.errors import InputError


def fill_folder(folder: Path, inputs: "Mapping[str, Path | bytes]") -> None:
    """Make a job's folder and put its inputs there.

    Args:
        folder: The folder, which must not exist.
        inputs: Files to copy, or bytes to write, by the name they get.

    Raises:
        InputError: An input cannot be copied; the folder is then gone again.
    """
    folder.mkdir()
    for name, source in inputs.items():
        assert Path(name).name == name, f"{name!r} would lie outside the job's folder"
        try:
            if isinstance(source, bytes):
                (folder / name).write_bytes(source)
            else:
                shutil.copyfile(source, folder / name)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise InputError(
                f"{name} must be readable; got '{error.strerror}'. Upload it again."
            ) from error


def folder_bytes(folder: Path) -> int:
    """Return the size of all files below a folder, 0 if it is gone."""
    total = 0
    for path in folder.rglob("*"):
        try:
            if not path.is_symlink() and path.is_file():
                total += path.stat().st_size
        except OSError:  # deleted meanwhile
            continue
    return total
