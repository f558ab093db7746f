"""Texts of the user interface: every one in every language, and every file of them is installed."""

import re
import tomllib
from pathlib import Path

import pytest

from rays_as_pixels.viz.words import LANGUAGES, by_language, read_words

ROOT = Path(__file__).parents[2]
PACKAGES = [
    ".".join(path.parent.relative_to(ROOT).parts)
    for path in sorted((ROOT / "rays_as_pixels").rglob("words.toml"))
]
FROM_LIBRARY = ("preset_", "about_", "warning_")  # their English is said by the library


@pytest.mark.parametrize("package", PACKAGES)
def test_every_text_is_there_in_every_language_with_the_same_placeholders(package):
    for key, texts in read_words(package).items():
        assert tuple(texts) == LANGUAGES
        own = dict(texts)
        if package.endswith("editor") and key.startswith(FROM_LIBRARY):
            assert own.pop("en") == ""
        assert all(own.values()), key
        placeholders = {frozenset(re.findall(r"{(\w+)", text)) for text in own.values()}
        assert len(placeholders) == 1, key


def test_scripts_get_the_texts_by_language_without_empty_ones():
    words = {"a": {"en": "A", "zh": "甲"}, "b": {"en": "", "zh": "乙"}}
    assert by_language(words) == {"en": {"a": "A"}, "zh": {"a": "甲", "b": "乙"}}


def test_all_files_beside_the_modules_are_installed_with_their_package():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    installed = {
        path
        for package, patterns in settings["tool"]["setuptools"]["package-data"].items()
        for pattern in patterns
        for path in ROOT.joinpath(*package.split(".")).glob(pattern)
    }
    present = (ROOT / "rays_as_pixels").rglob("*.*")
    others = {path for path in present if path.suffix in (".css", ".html", ".js", ".toml")}
    assert others == installed
