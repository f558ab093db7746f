"""The component without a browser: its script, its words and its value."""

import re
from importlib.resources import files

import gradio as gr
import pytest

from rays_as_pixels.app.editor import PathEditor, document_from_preset, editor_script
from rays_as_pixels.app.editor.component import EVENTS, MODULES, editor_words
from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.easing import EASINGS
from rays_as_pixels.trajectories.keyframes import POSITIONS, ROTATIONS
from rays_as_pixels.trajectories.presets import PRESETS

FOLDER = files("rays_as_pixels.app.editor")
SIZE = {"num_frames": 9, "fps": 10.0, "height": 48, "width": 64}


def test_the_script_holds_every_module_once_and_asks_for_nothing_elsewhere():
    names = {one.name.removesuffix(".js") for one in FOLDER.iterdir() if one.name.endswith(".js")}
    assert names == set(MODULES)
    script = editor_script() + FOLDER.joinpath("editor.css").read_text(encoding="utf-8")
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|\bimport\b\s*[({'\"]|eval\(", script)


def test_the_files_are_short_enough_to_read():
    for name in MODULES:
        assert len(FOLDER.joinpath(f"{name}.js").read_text().splitlines()) <= 400, name


def test_every_word_the_script_asks_for_is_in_the_text():
    script = editor_script()
    asked = set(
        re.findall(r'\b(?:text|say|note|section\(controls,|EditError)\(?\s*"([a-z_]+)"', script)
    )
    asked |= set(re.findall(r'"((?:said|error|status|tab|keys|key)_[a-z_]+)"', script))
    asked |= {f"easing_{name}" for name in ("smooth", *EASINGS)}
    asked |= {f"preset_{name}" for name in PRESETS} | {f"about_{name}" for name in PRESETS}
    asked |= {f"spline_{name}" for name in POSITIONS} | {f"turning_{name}" for name in ROTATIONS}
    missing = asked - set(editor_words()) - {"key_shares"}
    assert not missing


def test_an_editor_has_one_event_of_its_own_and_a_checked_value():
    document = document_from_preset("orbit", **SIZE)
    with gr.Blocks():
        editor = PathEditor(document, frame_counts=[5, 9], overlays=[])
        editor.path_commit(lambda value: None, editor, None)
    assert EVENTS == ("path_commit",)
    assert not hasattr(editor, "sources"), "words of the script must not turn into events"
    assert editor.preprocess(document) == document
    assert editor.preprocess("text") is None
    assert editor.postprocess(None) is None
    with pytest.raises(InputError, match="format must be 'rays"):
        editor.postprocess({"format": "other"})
    with pytest.raises(InputError, match="language must be one of"):
        PathEditor(language="fr")


def test_the_editor_answers_from_its_own_training_range():
    document = document_from_preset("dolly-in", **SIZE)
    narrow = PathEditor(training_range={"baseline": 0.1})
    rules = [warning["rule"] for warning in narrow.confirm(document)["warnings"]]
    assert rules == ["baseline"]
    assert PathEditor().confirm(document)["warnings"] == []
    assert narrow.preset(None)["ok"] is False
