"""The texts of a user interface in every language, from the words.toml of the package it is in.

Each entry is `key = ["English", "Chinese"]`: one text per language, in the order of LANGUAGES. A
language is added by its code here and its text in every entry of every words.toml.
"""

import functools
import tomllib
from importlib.resources import files

LANGUAGES = ("en", "zh")
Words = dict[str, dict[str, str]]  # key: language: text


@functools.cache
def read_words(package: str) -> Words:
    """Return the texts of a package by key, each by language.

    Args:
        package: Dotted name of the package that holds words.toml.

    Raises:
        ValueError: An entry has not one text per language.
    """
    source = files(package).joinpath("words.toml").read_text(encoding="utf-8")
    entries = tomllib.loads(source).items()
    return {key: dict(zip(LANGUAGES, texts, strict=True)) for key, texts in entries}


def by_language(words: Words) -> dict[str, dict[str, str]]:
    """Return the texts by language, each by key, as scripts take them; empty ones are left out."""
    return {
        language: {key: texts[language] for key, texts in words.items() if texts[language]}
        for language in LANGUAGES
    }
