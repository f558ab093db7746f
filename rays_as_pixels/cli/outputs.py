"""Results appear whole or not at all.

A verb writes into a hidden folder on the same disk; only when everything is there are the files
moved to where they were asked for. Files of ours that stand there already are replaced, all other
files are left alone, and a file where a folder must be (or the other way round) is refused before
any work is done.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rays_as_pixels.errors import InputError


class Staging:
    """A hidden folder to write results into, and the places they are moved to at the end.

    Attributes:
        folder: Write the files here, under their final names.
        results: Their final paths, in the order of the names given to `staged`.
    """

    def __init__(self, folder: Path, results: list[Path]) -> None:
        self.folder = folder
        self.results = results

    def __truediv__(self, name: str) -> Path:
        """Return the path to write the file `name` to."""
        return self.folder / name

    def add(self, name: str) -> None:
        """Announce one more file, which becomes known only while the work is done."""
        self.results.append(self.results[0].parent / name)


@contextmanager
def staged(out: Path, names: tuple[str, ...]) -> Iterator[Staging]:
    """Collect the files `names` and move them into the folder `out` when the block ends well.

    Raises:
        InputError: `out` is no folder, cannot be written to, or holds a folder named like a file.
        OSError: The disk is full or fails; `out` is then as it was before.
    """
    check_place(out, names)
    home = out
    while not home.exists():
        home = home.parent
    folder = home / f".{out.name}.partial-{secrets.token_hex(4)}"
    try:
        folder.mkdir()
    except OSError as error:
        raise InputError(
            f"out must be a place one may write to; got {out} ({error.strerror}). "
            "Choose another folder."
        ) from error
    try:
        staging = Staging(folder, [out / name for name in names])
        yield staging
        written = [path.name for path in staging.results]
        missing = [name for name in written if not (folder / name).is_file()]
        assert not missing, f"not written: {missing}"
        check_place(out, tuple(written))
        out.mkdir(parents=True, exist_ok=True)
        for name in written:
            os.replace(folder / name, out / name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def staged_file(out: Path, *, suffix: str) -> Iterator[Path]:
    """Like `staged`, for one file whose name must end in `suffix`."""
    if out.suffix.lower() != suffix:
        raise InputError(f"out must end in {suffix}; got {out}. Rename it.")
    with staged(out.parent, (out.name,)) as staging:
        yield staging / out.name


def check_place(out: Path, names: tuple[str, ...]) -> None:
    """Refuse an output folder that could not take the results, before any work is done.

    Raises:
        InputError: As in `staged`.
    """
    for place in (out, *out.parents):
        if place.exists() and not place.is_dir():
            raise InputError(
                f"out must be a folder; got {out}, where {place} is a file. Choose another name."
            )
    for name in names:
        if (out / name).is_dir():
            raise InputError(
                f"out must have room for the file {name}; got {out / name}, which is a folder. "
                "Move it away or choose another folder."
            )
