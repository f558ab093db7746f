"""Checks of single values from the page. Hidden or not, every event can be called by anyone."""

import contextlib

from rays_as_pixels.app.validation import WholeNumber, number_between, quoted
from rays_as_pixels.errors import InputError
from rays_as_pixels.model.clip_lengths import clip_lengths_in_words


def whole(name: str, value: object, low: int, high: int) -> int:
    """Return a whole number in [low, high].

    Raises:
        InputError: It is none.
    """
    return number_between(WholeNumber, value, low, high, name=name)


def real(name: str, value: object, low: float, high: float) -> float:
    """Return a number in [low, high].

    Raises:
        InputError: It is none.
    """
    return number_between(float, value, low, high, name=name)


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
            f"{name} must be one of {', '.join(known)}; got {quoted(value)}. Pick one of these."
        )
    return value


def frame_count(value: object, allowed: range) -> int:
    """Return a number of frames that the model takes.

    Raises:
        InputError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or value not in allowed:
        words = clip_lengths_in_words(allowed)
        use = allowed[len(allowed) // 2]
        raise InputError(f"frames must be {words}; got {quoted(value)}. Use {use}.")
    return int(value)
