"""The last two steps of the page: regenerate and loop check."""

import gradio as gr

from rays_as_pixels.app import i18n
from rays_as_pixels.app.jobs.requests import MAX_ROUNDS
from rays_as_pixels.app.page.compare import comparison
from rays_as_pixels.app.page.history import history
from rays_as_pixels.app.page.steps import (
    Components,
    frames_field,
    guidance_field,
    primary,
    seed_fields,
    steps_field,
)
from rays_as_pixels.app.server.model_holder import ModelFacts
from rays_as_pixels.pipeline.defaults import ESTIMATE_STEPS, GENERATE_STEPS

label = i18n.label
PATHS = ("edited", "estimated", "imagine")
IMAGES = ("clip", "first", "ends", "chosen", "own")
LOOP_PATHS = ("estimated", "edited")
DEMOS = ("stabilise", "reverse", "dolly_zoom")


def named(prefix: str, values: tuple[str, ...], lang: str = "en") -> list[tuple[str, str]]:
    """Return choices as pairs of words and value; `words.toml` has the words under the prefix."""
    return [(i18n.say(f"{prefix}{value}", lang), value) for value in values]


def generate_step(parts: Components, facts: ModelFacts) -> None:
    """A video along a path, beside its input, and all results so far."""
    # Rendered while hidden: an update that finds no component on screen is lost.
    with gr.Tab(
        label("tab_generate"), id="generate", elem_id="step-generate", render_children=True
    ):
        parts["path_choice"] = gr.Radio(
            named("along_", PATHS),
            value="edited",
            label=label("along"),
            elem_id="path-choice",
            elem_classes="rap-inline",
        )
        parts["images_choice"] = gr.Radio(
            named("images_", IMAGES),
            value="clip",
            label=label("images"),
            elem_id="images-choice",
            elem_classes="rap-inline",
        )
        parts["image_frames"] = gr.Dropdown(
            [],
            value=[],
            multiselect=True,
            label=label("image_frames"),
            visible=False,
            elem_id="image-frames",
        )
        parts["own_image"] = gr.Image(
            label=label("own_image"),
            type="filepath",
            format="png",
            sources=["upload"],
            height=150,
            visible=False,
            elem_id="own-image",
        )
        with gr.Row(elem_classes="rap-fields"):
            parts["imagine_frames"] = frames_field(facts, "imagine-frames", visible=False)
            parts["imagine_fps"] = gr.Number(
                10.0,
                label=label("fps"),
                minimum=0.1,
                maximum=240,
                min_width=80,
                visible=False,
                elem_id="imagine-fps",
            )
            parts["generate_seed"], parts["generate_lock"] = seed_fields("generate-seed")
        parts["generate_button"] = primary("generate", "generate")
        parts["generate_time"] = gr.HTML(elem_id="generate-time", elem_classes="rap-flat rap-time")
        with gr.Accordion(label("advanced"), open=False), gr.Row():
            parts["generate_steps"] = steps_field(GENERATE_STEPS)
            parts["generate_guidance"] = guidance_field()
        parts["compare"] = comparison(elem_id="compare")
        parts["result_facts"] = gr.HTML(elem_id="result-facts", elem_classes="rap-flat")
        with gr.Accordion(label("history"), open=False, elem_id="history-panel"):
            parts["history"] = history(elem_id="history")


def loop_step(parts: Components) -> None:
    """The loop check and its demonstrations."""
    with gr.Tab(label("tab_loop"), id="loop", elem_id="step-loop", render_children=True):
        gr.Markdown(label("loop_intro"), elem_classes="rap-hint")
        with gr.Row(elem_classes="rap-fields"):
            parts["loop_path"] = gr.Radio(
                named("path_", LOOP_PATHS),
                value="estimated",
                label=label("loop_path"),
                elem_id="loop-path",
                elem_classes="rap-inline",
                min_width=220,
                scale=2,
            )
            parts["rounds"] = gr.Dropdown(
                list(range(1, MAX_ROUNDS + 1)),
                value=1,
                label=label("rounds"),
                min_width=90,
                elem_id="rounds",
            )
        parts["loop_button"] = primary("loop", "run-loop")
        parts["loop_time"] = gr.HTML(elem_id="loop-time", elem_classes="rap-flat rap-time")
        with gr.Row(elem_classes="rap-demos"):
            for name in DEMOS:
                parts[f"demo_{name}"] = gr.Button(
                    label(f"demo_{name}"),
                    size="sm",
                    min_width=110,
                    elem_id=f"demo-{name.replace('_', '-')}",
                )
        with gr.Accordion(label("advanced"), open=False):
            with gr.Row():
                parts["loop_steps"] = steps_field(GENERATE_STEPS)
                parts["loop_estimate_steps"] = steps_field(ESTIMATE_STEPS, "estimate_steps")
            with gr.Row(elem_classes="rap-fields"):
                parts["loop_seed"], parts["loop_lock"] = seed_fields("loop-seed")
        parts["loop_numbers"] = gr.HTML(elem_id="loop-numbers", elem_classes="rap-flat")
        parts["loop_compare"] = comparison(elem_id="loop-compare")
