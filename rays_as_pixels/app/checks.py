"""Checks of values that come from the page. Hidden or not, every event can be called by anyone."""

import contextlib
import math
import secrets
from pathlib import Path
from typing import TypeGuard

from rays_as_pixels.errors import InputError
from rays_as_pixels.model.clip_lengths import clip_lengths_in_words

MOST_SEED = 2**31 - 1
NEED_FRAMES = "frames must be {allowed}; got {value}. Use {use}."
NEED_NUMBER = "{name} must be a {kind} from {low:g} to {high:g}; got {value}. Change it."
UNKNOWN_CHOICE = "{name} must be one of {known}; got {value!r}. Pick one of these."


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def whole(name: str, value: object, low: int, high: int) -> int:
    """Return a whole number in [low, high].

    Raises:
        InputError: It is none.
    """
    if not _is_number(value) or value != value // 1 or not low <= value <= high:
        raise InputError(
            NEED_NUMBER.format(
                name=name, kind="whole number", low=low, high=high, value=shown(value)
            )
        )
    return int(value)


def real(name: str, value: object, low: float, high: float) -> float:
    """Return a number in [low, high].

    Raises:
        InputError: It is none.
    """
    if not _is_number(value) or not math.isfinite(value) or not low <= value <= high:
        raise InputError(
            NEED_NUMBER.format(name=name, kind="number", low=low, high=high, value=shown(value))
        )
    return float(value)


def optional_seconds(name: str, value: object) -> float | None:
    """Return a time of 0 s or more from a text field, or None if it is empty.

    Raises:
        InputError: It is no such time.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    with contextlib.suppress(ValueError):
        value = float(value) if isinstance(value, str) else value
    return real(name, value, 0.0, 1e5)


def choice(name: str, value: object, known: "tuple[str, ...]") -> str:
    """Return one of the known words.

    Raises:
        InputError: It is none of them.
    """
    if not isinstance(value, str) or value not in known:
        raise InputError(
            UNKNOWN_CHOICE.format(name=name, known=", ".join(known), value=shown(value))
        )
    return value


def frame_count(value: object, allowed: range) -> int:
    """Return a number of frames that the model takes.

    Raises:
        InputError: It is none.
    """
    if not (_is_number(value) and value in allowed):
        words = clip_lengths_in_words(allowed)
        use = allowed[len(allowed) // 2]
        raise InputError(NEED_FRAMES.format(allowed=words, value=shown(value), use=use))
    return int(value)


def file(value: object, message: str) -> Path:
    """Return the path of an uploaded file.

    Raises:
        InputError: There is none; `message` says what to do.
    """
    if not isinstance(value, str) or not value or not Path(value).is_file():
        raise InputError(message)
    return Path(value)


def seed(value: object, *, locked: object) -> int:
    """Return the seed shown if it is locked, and a new one if it is not."""
    if locked is True:
        return whole("Seed", value, 0, MOST_SEED)
    return secrets.randbelow(MOST_SEED + 1)


def shown(value: object) -> str:
    """Return a short text of any value for a message."""
    words = "nothing" if value is None or value == "" else str(value)
    return words if len(words) <= 60 else words[:57] + "..."
