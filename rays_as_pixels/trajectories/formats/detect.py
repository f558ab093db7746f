"""Which format a file is in, by its content, and which one an output's name asks for."""

from pathlib import Path

from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.formats.content import FileContent
from rays_as_pixels.trajectories.formats.registry import FORMATS


def detect(path: "str | Path") -> str:
    """Return the name of the format a file or folder is in.

    Where several formats recognise it, the first in FORMATS wins; formats that go by file names
    and need not read the file are asked before all others.

    Raises:
        InputError: It is missing, damaged, or in none of the formats.
    """
    content = FileContent(Path(path))
    specs = sorted(FORMATS.values(), key=lambda spec: not spec.is_folder)
    for spec in specs:
        if spec.sniff(content):
            return spec.name
    content.check_decodable()
    raise InputError(
        f"{content.path.name} must be a trajectory in a known format; got {content.summary()}. "
        f"Name one with --input-format: {', '.join(FORMATS)}."
    )


def output_format(path: "str | Path") -> str:
    """Return the format that an output's name asks for.

    Raises:
        InputError: The name leaves it open.
    """
    path = Path(path)
    writable = [spec for spec in FORMATS.values() if spec.writable]
    rules = (
        lambda spec: path.name == spec.file_name,
        lambda spec: path.suffix.lower() in spec.extensions,
        lambda spec: path.stem == spec.name,
        lambda spec: spec.is_folder and (path.is_dir() or not path.suffix),
    )
    for fits in rules:
        for spec in writable:
            if fits(spec):
                return spec.name
    raise InputError(
        f"the output's format must be known; its name {path.name!r} leaves it open. Add --format "
        f"with one of {', '.join(spec.name for spec in writable)}."
    )
