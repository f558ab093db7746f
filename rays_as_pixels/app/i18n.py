"""The texts of the page in every language, from `words.toml` (see `viz.words`).

Labels of Gradio's components are looked up in the browser, by its language (`label`); HTML that the
server writes is looked up here, by the language the browser asked for (`say`).
"""

import functools
import json
import re
from importlib.resources import files
from typing import Any

import gradio as gr
from gradio.i18n import I18nData

from rays_as_pixels.viz.words import LANGUAGES, Words, by_language, read_words

TITLE = "Rays as Pixels"
_PREFIX = "rap_"  # Gradio has keys of its own


def table() -> Words:
    """Return all texts of the page by key, each by language."""
    return read_words("rays_as_pixels.app")


def label(key: str) -> Any:
    """Return words that the browser shows in its own language, for labels of components.

    Raises:
        KeyError: No such words: a slip of ours.
    """
    assert key in table(), f"{key!r} is missing in words.toml"
    return I18nData(_PREFIX + key)


def say(key: str, lang: str = "en", /, **values: Any) -> str:
    """Return words in a language, with their places filled.

    Args:
        key: In words.toml.
        lang: One of LANGUAGES; any other counts as English.
        values: For the places in braces.
    """
    texts = table()[key]
    text = texts.get(lang, texts["en"])
    return text.format(**values) if values else text


def translated(text: str, prefix: str, lang: str) -> str:
    """Return an English sentence of the program in a language, its numbers and names kept.

    Args:
        text: The sentence.
        prefix: Of the keys among whose English texts, with their places filled, it may be.
        lang: One of LANGUAGES.

    Returns:
        The sentence as it is, if it is none of these.
    """
    for key in table() if lang != LANGUAGES[0] else ():
        match = key.startswith(prefix) and _pattern(key).fullmatch(text)
        if match:
            return say(key, lang, **match.groupdict())
    return text


@functools.cache
def _pattern(key: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", table()[key][LANGUAGES[0]])
    named = zip(parts[1::2], parts[2::2], strict=True)
    return re.compile(re.escape(parts[0]) + "".join(f"(?P<{a}>.+){re.escape(b)}" for a, b in named))


def steps(count: int, lang: str = "en") -> str:
    """Say a number of denoising steps."""
    return say("one_step", lang) if count == 1 else say("some_steps", lang, n=count)


def script(name: str, prefix: str) -> str:
    """Return a component's script with its words before it, by language, as `table`.

    As a property they would be lost: Gradio takes a component's properties away at every event that
    does not draw it, until its tab is first opened.

    Args:
        name: Of the file in this folder.
        prefix: Of the keys of its texts, which the script knows without it.
    """
    source = files("rays_as_pixels.app.page").joinpath(name).read_text(encoding="utf-8")
    own = {key: texts for key, texts in table().items() if key.startswith(prefix)}
    by_name = by_language({key.removeprefix(prefix): texts for key, texts in own.items()})
    return f"const table = {json.dumps(by_name)};\n{source}"


def i18n() -> gr.I18n:
    """Return the table that Gradio's pages take."""
    return gr.I18n(**by_language({_PREFIX + key: texts for key, texts in table().items()}))


def language(accepted: str | None) -> str:
    """Return the one of LANGUAGES that an Accept-Language header asks for first."""
    for part in (accepted or "").split(","):
        name = part.split(";")[0].strip().lower().partition("-")[0]
        if name in LANGUAGES:
            return name
    return LANGUAGES[0]


def duration(seconds: float, lang: str = "en") -> str:
    """Say a duration the way one reads a clock: '8 s', '2 min 5 s', '1 h 3 min'."""
    whole = max(0, round(seconds))
    if whole < 60:
        return say("time_s", lang, s=whole if seconds >= 1 or whole == 0 else 1)
    if whole < 3600:
        return say("time_min", lang, m=whole // 60, s=whole % 60)
    return say("time_h", lang, h=whole // 3600, m=whole % 3600 // 60)


def size(num_bytes: float) -> str:
    """Say an amount of memory: '312 MB', '1.5 GB'."""
    return f"{num_bytes / 2**20:.0f} MB" if num_bytes < 2**30 else f"{num_bytes / 2**30:.1f} GB"


def both(key: str, /, **values: Any) -> dict[str, str]:
    """Return words in every language, for components that choose by themselves."""
    return {lang: say(key, lang, **values) for lang in LANGUAGES}
