"""The example clips that come with the project: rendered worlds, whose true path is known."""

import json
from dataclasses import dataclass
from pathlib import Path

EXAMPLES_DIR = Path(__file__).resolve().parents[2] / "assets" / "examples"


@dataclass(frozen=True)
class Example:
    """A clip to try.

    Attributes:
        title: Name for people.
        clip: The video.
        poster: A picture of it.
        truth: Its true path as a native trajectory file, None if not known.
    """

    title: str
    clip: Path
    poster: Path
    truth: Path | None


def find_examples(folder: Path = EXAMPLES_DIR) -> list[Example]:
    """Return the examples in a folder, one sub-folder each, in the order of their names."""
    found = []
    for place in sorted(folder.iterdir()) if folder.is_dir() else []:
        clip, poster, about = place / "clip.mp4", place / "poster.png", place / "about.json"
        if not (clip.is_file() and poster.is_file() and about.is_file()):
            continue
        title = json.loads(about.read_text(encoding="utf-8"))["title"]
        truth = place / "truth.json"
        found.append(Example(title, clip, poster, truth if truth.is_file() else None))
    return found
