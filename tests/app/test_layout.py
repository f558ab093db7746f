"""The page builds, and what its events send is what the handlers take; words and endpoints."""

import json
import re
from pathlib import Path

import gradio as gr
import pytest

from rays_as_pixels.app import i18n
from rays_as_pixels.app.examples import EXAMPLES_DIR, KINDS, find_examples
from rays_as_pixels.app.jobs.manager import JobManager
from rays_as_pixels.app.page.binding import shown_errors
from rays_as_pixels.app.page.launch import theme
from rays_as_pixels.app.page.layout import build_page
from rays_as_pixels.app.page.library import Library, frames_of
from rays_as_pixels.app.server.model_holder import ModelFacts, ModelHolder
from rays_as_pixels.errors import InputError

ENDPOINTS = {
    "estimate",
    "generate",
    "imagine",
    "loop",
    "status",
    "plan_video",
    "list_presets",
    "make_path",
    "edit_path",
    "check_path",
    "preview_path",
    "list_formats",
    "read_path",
    "write_path",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory, pipeline, example_folder):
    """The page as Gradio builds it, and its components."""
    manager = JobManager(tmp_path_factory.mktemp("jobs"), {})
    model = ModelHolder(lambda: pipeline, ModelFacts("tiny", "cpu"))
    built = build_page(manager, model, examples=find_examples(example_folder))
    manager.close()
    return built


def test_the_page_builds_with_every_step_and_endpoint(built):
    app, _ = built
    named = {fn.api_name for fn in app.fns.values() if fn.api_visibility == "public"}
    assert named == ENDPOINTS
    assert isinstance(theme(), gr.themes.Base)
    parts = {part["props"].get("elem_id"): part["props"] for part in app.config["components"]}
    assert parts["film"]["props"]["strip"]["used"] and json.loads(parts["plot"]["value"])["paths"]
    kinds = [part["props"].get("elem_id") for part in app.config["components"]]
    assert kinds.count("editor") == 1, "an update of the editor is no editor of its own"


def test_an_event_sends_only_what_it_can_change(built):
    app, page = built
    own = [fn for fn in app.fns.values() if fn.api_visibility == "private" and fn.fn is not None]
    sizes = {(fn.targets[0][0], fn.targets[0][1]): len(fn.outputs) for fn in own}
    assert len(own) > 25
    assert sizes[page.video.next_button._id, "click"] == 4  # the tabs; session, browser, refresh
    assert sizes[page.path.button._id, "click"] < 20
    with_editor = [fn for fn in own if page.edit.editor in fn.outputs]
    assert len(with_editor) == 6  # load, refresh, finished, upload, example, result


@pytest.mark.parametrize("camera_prior", [False, True])
def test_controls_that_do_nothing_with_the_model_are_not_shown(manager, pipeline, camera_prior):
    facts = ModelFacts("tiny", "cpu", camera_prior=camera_prior)
    page = build_page(manager, ModelHolder(lambda: pipeline, facts), examples=[])[1]
    step, loop = page.path, page.loop
    for control in (step.seed, step.lock, step.steps, step.runs, loop.estimate_steps):
        assert control.visible is not camera_prior
    assert step.flips.visible and loop.seed.visible and page.generate.seed.visible


def test_an_input_error_reaches_the_user_in_its_own_words_with_a_capital():
    def refuse():
        raise InputError("size must be even; got 3. Crop it.")

    with pytest.raises(gr.Error) as caught, shown_errors():
        refuse()
    assert caught.value.message == "Size must be even; got 3. Crop it."


def test_every_word_that_is_used_is_there():
    folder = Path(i18n.__file__).parent
    source = "\n".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
    used = set(re.findall(r'(?:\bsay|\blabel|\bboth|\bprimary)\(\s*"([a-z_0-9]+)"', source))
    assert len(used) > 80 and used <= set(i18n.table())


def test_no_label_is_in_title_case():
    """Sentence case: after the first word, capitals only where a name or symbol needs them."""
    names = {"PSNR", "Camera", "Edit", "Regenerate", "Loop", "Video"}
    for key, texts in i18n.table().items():
        words = texts["en"]
        if len(words.split()) < 7 and not re.match(r"\d ", words):
            later = [word.strip("(){}.,'") for word in words.split()[1:]]
            wrong = [w for w in later if w[:1].isupper() and w not in names and not w.isupper()]
            assert not wrong, f"{key}: {words}"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-US,zh;q=0.5", "en"),
        ("de, zh;q=0.2", "zh"),
        (None, "en"),
        ("", "en"),
        ("fr", "en"),
    ],
)
def test_the_browser_chooses_the_language(header, expected):
    assert i18n.language(header) == expected


def test_every_shipped_example_is_solved_and_says_by_what(manager):
    examples = find_examples(EXAMPLES_DIR)
    library = Library(manager, examples)
    assert len(examples) == 3
    for example in examples:
        for kind in KINDS:
            result = library.find(f"example:{example.name}/{kind}", "")
            assert result is not None and "weights" in result.made_with
        estimate = library.find(f"example:{example.name}/estimate", "")
        assert len(frames_of(estimate)) == estimate.settings["num_frames"]
    assert library.find("example:../x/estimate", "") is None
