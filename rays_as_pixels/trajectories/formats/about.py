"""What every exported file says about itself: program, convention, scale."""

import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

import rays_as_pixels

PROGRAM = "rays-as-pixels"


@cache
def app_version() -> str:
    """Return the program's version, from the installed package or the source tree around it."""
    try:
        return metadata.version(PROGRAM)
    except metadata.PackageNotFoundError:
        pyproject = Path(rays_as_pixels.__path__[0]).parent / "pyproject.toml"
        if not pyproject.is_file():
            return "unknown"
        return str(tomllib.loads(pyproject.read_text("utf-8"))["project"]["version"])
