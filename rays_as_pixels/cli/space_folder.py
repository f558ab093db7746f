"""The folder a Hugging Face Space needs: the app, one model, and what the Space is to install."""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from rays_as_pixels.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "rays_as_pixels"
# What ZeroGPU lists (August 2026): Python 3.10 and 3.12, torch 2.8 to 2.11. The package needs 3.11.
SPACE_PYTHON, SPACE_TORCH = "3.12", "2.11.0"
APT_PACKAGES = ("ffmpeg",)
PINS = "requirements.txt"
CODE = (".py", ".js", ".css", ".json", ".toml", ".html")
HARDWARE = "zero-a10g"  # the Hub's name for ZeroGPU

README = """---
title: Rays as Pixels
emoji: 🎥
colorFrom: green
colorTo: blue
sdk: gradio
sdk_version: {gradio}
python_version: "{python}"
app_file: app.py
short_description: Camera paths from videos, videos along camera paths
license: apache-2.0
tags:
  - camera-pose-estimation
  - novel-view-synthesis
  - video-generation
suggested_hardware: {hardware}
startup_duration_timeout: 30m
fullWidth: true
pinned: false
{model}---

# Rays as Pixels

An open implementation of *Rays as Pixels* ([arXiv 2604.09429](https://arxiv.org/abs/2604.09429)):
one diffusion model over a video and its camera rays. This Space was written by
`python -m rays_as_pixels deploy`; change the project, not these files.
"""

APP = '''"""Start the page on a Space."""

import sys

from rays_as_pixels.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["app", "--model", {model!r}, *sys.argv[1:]]))
'''


@dataclass(frozen=True)
class SpaceModel:
    """The model a Space runs.

    Attributes:
        folder: A saved pipeline that is copied into the Space; None for one on the Hub.
        repository: `org/name` on the Hub that the Space fetches when it is built; "" for a folder.
    """

    folder: Path | None = None
    repository: str = ""

    @property
    def option(self) -> str:
        """What the Space's app gives to --model."""
        return f"checkpoints/{self.folder.name}" if self.folder is not None else self.repository


def write_space(out: Path, model: SpaceModel, *, hardware: str = HARDWARE) -> list[Path]:
    """Write the folder of a Space and return its files.

    Args:
        out: An empty folder, or one that does not exist.
        model: What it runs.
        hardware: What the Space's page suggests to those who copy it.

    Raises:
        InputError: The folder is in use, the model is none, or this is no checkout of the project.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"dry-run must name an empty folder; got {out}. Choose another one.")
    pins = direct_pins(ROOT / PINS)
    out.mkdir(parents=True, exist_ok=True)
    _copy_tree(PACKAGE, out / PACKAGE.name, suffixes=CODE)
    _copy_tree(ROOT / "assets" / "examples", out / "assets" / "examples", suffixes=None)
    preload = f"models:\n  - {model.repository}\npreload_from_hub:\n  - {model.repository}\n"
    if model.folder is not None:
        _copy_tree(model.folder, out / model.option, suffixes=None)
        preload = ""
    words = {
        "README.md": README.format(
            gradio=pins["gradio"], python=SPACE_PYTHON, hardware=hardware, model=preload
        ),
        "app.py": APP.format(model=model.option),
        PINS: space_requirements(pins),
        "packages.txt": "".join(f"{name}\n" for name in APT_PACKAGES),
        ".gitattributes": "*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
        "*.mp4 filter=lfs diff=lfs merge=lfs -text\n*.png filter=lfs diff=lfs merge=lfs -text\n",
    }
    for name, text in words.items():
        (out / name).write_text(text, encoding="utf-8")
    shutil.copyfile(ROOT / "LICENSE", out / "LICENSE")
    return sorted(path for path in out.rglob("*") if path.is_file())


def space_requirements(pins: dict[str, str]) -> str:
    """Return a Space's requirements.txt: our own versions, but the torch that ZeroGPU knows.

    Gradio's version is the Space's `sdk_version`; what these packages need is left to pip.

    Args:
        pins: Version by package, of what the project itself asks for.
    """
    wanted = {name: version for name, version in pins.items() if name != "gradio"}
    wanted["torch"] = SPACE_TORCH
    lines = [f"{name}=={version}\n" for name, version in sorted(wanted.items())]
    return "".join([*lines, "spaces\n"])


def direct_pins(path: Path) -> dict[str, str]:
    """Read the versions of the packages that the project itself asks for from requirements.txt.

    Raises:
        InputError: There is no such file, or it is not the one that the project writes.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"deploy must run in a checkout of the project; got none at {path.parent} "
            f"({error.strerror}). Clone the project and run it there."
        ) from error
    own = text.partition("# needed by these")[0]
    pins = dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)$", own, flags=re.MULTILINE))
    if not {"gradio", "torch"} <= pins.keys():
        raise InputError(
            f"{path.name} must pin gradio and torch; got {len(pins)} other packages. "
            "Run 'python scripts/pin_requirements.py'."
        )
    return pins


def check_model_is_small(folder: Path, *, most_bytes: int = 1 << 30) -> None:
    """Refuse to copy a large model into a Space, where it would be stored twice.

    Raises:
        InputError: It is no pipeline, or larger than `most_bytes`.
    """
    try:
        json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"model must be a folder of a saved pipeline; got {folder} ({error}). Check its name."
        ) from error
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > most_bytes:
        raise InputError(
            f"model must be {most_bytes >> 20} MB or smaller to lie in the Space; got "
            f"{size >> 20} MB. Push it to the Hub and name it: --model org/name."
        )


def _copy_tree(source: Path, target: Path, *, suffixes: tuple[str, ...] | None) -> None:
    """Copy files of these kinds, but nothing hidden or cached, and no links."""
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in inside.parts)
        if hidden or path.is_symlink() or not path.is_file():
            continue
        if suffixes is None or path.suffix in suffixes:
            (target / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / inside)
