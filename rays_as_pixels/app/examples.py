"""The example clips that come with the project: rendered worlds, whose true path is known.

Beside each clip lies what a shipped model made of it (scripts/make_examples.py writes it anew), so
that the page opens with something to look at and nothing is computed when one picks an example.
"""

import json
from dataclasses import dataclass
from pathlib import Path

EXAMPLES_DIR = Path(__file__).resolve().parents[2] / "assets" / "examples"
SOLVED, KINDS = "solved", ("estimate", "generate", "loop")


@dataclass(frozen=True)
class Example:
    """A clip to try.

    Attributes:
        title: Name for people, by language.
        clip: The video.
        poster: A picture of it.
        truth: Its true path as a native trajectory file, None if not known.
    """

    title: dict[str, str]
    clip: Path
    poster: Path
    truth: Path | None

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.clip.parent.name

    def solved(self, kind: str) -> Path | None:
        """Return the folder of a shipped result, None if there is none."""
        folder = self.clip.parent / SOLVED / kind
        return folder if kind in KINDS and (folder / "record.json").is_file() else None


def find_examples(folder: Path = EXAMPLES_DIR) -> list[Example]:
    """Return the examples in a folder, one sub-folder each, in the order of their names."""
    found = []
    for place in sorted(folder.iterdir()) if folder.is_dir() else []:
        clip, poster, about = place / "clip.mp4", place / "poster.png", place / "about.json"
        if not (clip.is_file() and poster.is_file() and about.is_file()):
            continue
        title = json.loads(about.read_text(encoding="utf-8"))["title"]
        titles = title if isinstance(title, dict) else {"en": title}
        truth = place / "truth.json"
        found.append(Example(titles, clip, poster, truth if truth.is_file() else None))
    return found
