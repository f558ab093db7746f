"""The page builds, and what its events send is what the handlers take."""

import inspect
import re
from collections.abc import Mapping

import gradio as gr
import pytest

from rays_as_pixels.errors import InputError
from rays_as_pixels.jobs.manager import JobManager
from rays_as_pixels.ui import layout, text
from rays_as_pixels.ui.examples import find_examples
from rays_as_pixels.ui.handlers import Handlers, refusing
from rays_as_pixels.ui.launch import theme
from rays_as_pixels.ui.model_holder import ModelFacts, ModelHolder


@pytest.fixture
def page(manager, model, examples):
    return layout.build_app(manager, model, examples=examples)


@pytest.fixture(scope="module")
def parts(tmp_path_factory, pipeline, example_folder) -> dict:
    """The page's components by name."""
    seen = {}
    manager = JobManager(tmp_path_factory.mktemp("jobs"))
    model = ModelHolder(lambda: pipeline, ModelFacts("tiny", "cpu"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "_wire", lambda app, parts, handlers: seen.update(parts))
        layout.build_app(manager, model, examples=find_examples(example_folder))
    manager.close()
    return seen


def test_the_page_builds_with_every_event_wired(page):
    triggers = [target for fn in page.fns.values() for target in fn.targets]
    assert len(triggers) == len(layout.EVENTS) + 2  # opening the page, and picking an example
    assert isinstance(theme(), gr.themes.Base)


@pytest.mark.parametrize("event", layout.EVENTS, ids=lambda event: f"{event[0]}.{event[1]}")
def test_what_an_event_sends_is_what_its_handler_takes(event, parts):
    component, trigger, name, inputs = event
    handler = getattr(Handlers, name)
    assert hasattr(parts[component], trigger)
    names = list(inputs.values() if isinstance(inputs, Mapping) else inputs)
    assert set(names) <= set(parts)
    parameters = list(inspect.signature(handler).parameters)[2:]  # after self and the session
    if isinstance(inputs, Mapping):
        assert parameters == ["form"]
        used = set(re.findall(r'form\["(\w+)"\]', inspect.getsource(handler)))
        if "self._generate_ask(form)" in inspect.getsource(handler):
            shared = inspect.getsource(Handlers._generate_ask)
            used |= set(re.findall(r'form\["(\w+)"\]', shared))
        assert used == set(inputs)
    else:
        assert len(parameters) == len(names)


def test_the_page_builds_without_examples(manager, model):
    layout.build_app(manager, model, examples=[])


def test_an_input_error_reaches_the_user_in_its_own_words_with_a_capital():
    def refuse():
        raise InputError("size must be even; got 3. Crop it.")

    with pytest.raises(gr.Error) as caught:
        refusing(refuse)()
    assert caught.value.message == "Size must be even; got 3. Crop it."


def test_no_label_is_in_title_case():
    """Sentence case: after the first word, capitals only where a name or symbol needs them."""
    names = {"Z", "X", "Y", "R", "T", "PSNR", "Rays", "Pixels", "I"}
    for key, value in vars(text).items():
        if key.isupper() and key != "TITLE" and isinstance(value, str) and len(value.split()) < 7:
            later = [word.strip("(){}.,'") for word in value.split()[1:]]
            wrong = [w for w in later if w[:1].isupper() and w not in names and not w.isupper()]
            assert not wrong or re.match(r"\d ", value), f"{key}: {value}"
