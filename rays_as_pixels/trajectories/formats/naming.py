"""Image names: those we write, and the order of those we read."""

import re
from collections.abc import Sequence

from rays_as_pixels.trajectories.formats.base import Frames


def frame_names(frames: Frames, suffix: str = ".png") -> list[str]:
    """Name each frame by its number, without spaces, so that sorting keeps the order."""
    return [f"frame_{index:06d}{suffix}" for index in range(len(frames))]


def natural_key(name: str) -> tuple:
    """Sort key that puts image 9 before image 10."""
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts)


def natural_order(names: Sequence[str], field: str, notes: list[str]) -> list[int]:
    """Return the indices that sort `names` by the numbers in them, and say so if it matters.

    Args:
        names: Image names or paths.
        field: What the format calls them, for the note.
        notes: Gains a sentence if the file's own order is another one.
    """
    order = sorted(range(len(names)), key=lambda index: natural_key(names[index]))
    if order != list(range(len(names))):
        notes.append(f"Frames were put in the order of the numbers in their {field}.")
    return order
