"""Fields that several steps have, each made in one way."""

import gradio as gr

from rays_as_pixels.app import i18n
from rays_as_pixels.app.server.model_holder import ModelFacts

SLIDER_MOST_STEPS = 50
DEFAULT_FRAMES = 9  # where nothing was chosen yet
label = i18n.label


def primary_button(key: str, elem_id: str) -> gr.Button:
    """Return a step's one primary button."""
    return gr.Button(label(key), variant="primary", elem_id=elem_id)


def time_words(elem_id: str) -> gr.HTML:
    """Return the line below a primary button that says how long a run takes."""
    return gr.HTML(elem_id=elem_id, elem_classes="rap-flat rap-time")


def plain_html(elem_id: str) -> gr.HTML:
    """Return a place for HTML that the server writes."""
    return gr.HTML(elem_id=elem_id, elem_classes="rap-flat")


def frames_field(facts: ModelFacts, elem_id: str, *, visible: bool = True) -> gr.Dropdown:
    """Return the choice of a clip length."""
    return gr.Dropdown(
        list(facts.clip_lengths),
        value=facts.num_frames,
        label=label("frames"),
        min_width=80,
        visible=visible,
        elem_id=elem_id,
    )


def rate_field(key: str, elem_id: str, *, minimum: float = 0.1, visible: bool = False) -> gr.Number:
    """Return the choice of a frame rate."""
    return gr.Number(
        10.0,
        label=label(key),
        minimum=minimum,
        maximum=240,
        min_width=80,
        visible=visible,
        elem_id=elem_id,
    )


def steps_field(value: int, key: str = "steps", *, visible: bool = True) -> gr.Slider:
    """Return the number of denoising steps."""
    return gr.Slider(
        1, SLIDER_MOST_STEPS, value, step=1, label=label(key), min_width=140, visible=visible
    )


def seed_fields(elem_id: str, *, visible: bool = True) -> tuple[gr.Number, gr.Checkbox]:
    """Return the seed and whether it is locked."""
    seed = gr.Number(
        0,
        label=label("seed"),
        info=label("seed_info"),
        precision=0,
        minimum=0,
        min_width=150,
        elem_id=elem_id,
        scale=3,
        visible=visible,
    )
    lock = gr.Checkbox(
        value=True,
        label=label("lock"),
        min_width=100,
        scale=1,
        elem_id=f"{elem_id}-lock",
        visible=visible,
    )
    return seed, lock


def choice_field(
    key: str, choices: list[tuple[str, str]], value: str, elem_id: str, *, scale: int | None = None
) -> gr.Radio:
    """Return a choice in one line."""
    return gr.Radio(
        choices,
        value=value,
        label=label(key),
        elem_id=elem_id,
        elem_classes="rap-inline",
        min_width=220,
        scale=scale,
    )


def named_choices(prefix: str, values: tuple[str, ...], lang: str = "en") -> list[tuple[str, str]]:
    """Return choices as pairs of words and value; `words.toml` has the words under the prefix."""
    return [(i18n.say(f"{prefix}{value}", lang), value) for value in values]
