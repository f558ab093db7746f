"""The first three steps of the page: video, camera path, edit. Each adds its components by name."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from rays_as_pixels.app import i18n
from rays_as_pixels.app.editor import PathEditor
from rays_as_pixels.app.examples import Example
from rays_as_pixels.app.page.filmstrip import filmstrip
from rays_as_pixels.app.server.model_holder import ModelFacts
from rays_as_pixels.media.images import IMAGE_SUFFIXES
from rays_as_pixels.pipeline.defaults import ESTIMATE_STEPS

Components = dict[str, Any]
VIDEO_SUFFIXES = (".mp4", ".mov", ".webm", ".mkv", ".avi", ".m4v", ".gif")
EDITOR_HEIGHT = 400
label = i18n.label


def video_step(
    parts: Components,
    examples: Sequence[Example],
    facts: ModelFacts,
    strip: dict[str, Any] | None = None,
) -> None:
    """Video in, trimmed, with the frames that will be used: at first those of `strip`."""
    with gr.Tab(label("tab_video"), id="video", elem_id="step-video"):
        with gr.Row(equal_height=True, elem_classes="rap-source"):
            parts["file"] = gr.File(
                label=label("file"),
                file_count="multiple",
                height=132,
                min_width=200,
                file_types=[*VIDEO_SUFFIXES, *sorted(IMAGE_SUFFIXES)],
                elem_id="video-file",
            )
            if examples:
                parts["examples"] = gr.Gallery(
                    [(str(example.poster), example.title["en"]) for example in examples],
                    label=label("examples"),
                    columns=len(examples),
                    height=132,
                    allow_preview=False,
                    interactive=False,
                    buttons=[],
                    elem_id="examples",
                    min_width=240,
                    object_fit="cover",
                )
        parts["film"] = filmstrip(strip, elem_id="film")
        with gr.Row(elem_classes="rap-fields"):
            parts["start"] = _seconds("start")
            parts["end"] = _seconds("end")
            parts["by"] = gr.Dropdown(
                [("N", "count"), ("fps", "rate")],
                value="count",
                label=label("by"),
                min_width=110,
                elem_id="by",
            )
            parts["frames"] = frames_field(facts, "frames")
            parts["rate"] = gr.Number(
                10.0,
                label=label("rate"),
                minimum=0.01,
                maximum=240,
                min_width=80,
                visible=False,
                elem_id="rate",
            )
        parts["facts"] = gr.HTML(elem_id="clip-facts", elem_classes="rap-flat")
        parts["video_next"] = primary("video_next", "use-frames")


def path_step(parts: Components) -> None:
    """The camera path of the video."""
    with gr.Tab(label("tab_path"), id="path", elem_id="step-path"):
        gr.Markdown(label("path_intro"), elem_classes="rap-hint")
        parts["estimate_button"] = primary("estimate", "estimate")
        parts["estimate_time"] = gr.HTML(elem_id="estimate-time", elem_classes="rap-flat rap-time")
        with gr.Row(elem_classes="rap-fields"):
            parts["seed"], parts["lock"] = seed_fields("seed")
        with gr.Accordion(label("advanced"), open=False):
            with gr.Row():
                parts["steps"] = steps_field(ESTIMATE_STEPS)
                parts["runs"] = gr.Slider(
                    1, 8, 1, step=1, label=label("runs"), info=label("runs_info"), min_width=140
                )
            parts["shared_focal"] = gr.Checkbox(label=label("shared_focal"))
            parts["between"] = gr.Checkbox(
                value=True, label=label("between"), info=label("between_info"), elem_id="between"
            )
        parts["path_facts"] = gr.HTML(elem_id="path-facts", elem_classes="rap-flat")


def edit_step(parts: Components, facts: ModelFacts) -> None:
    """The editor, what the model will think of the path, and a cheap look at it."""
    with gr.Tab(label("tab_edit"), id="edit", elem_id="step-edit"):
        parts["editor"] = PathEditor(
            frame_counts=frame_counts(facts),
            view_height=EDITOR_HEIGHT,
            elem_id="editor",
            elem_classes="rap-flat",
        )
        parts["edit_warnings"] = gr.HTML(elem_id="edit-warnings", elem_classes="rap-flat")
        with gr.Row(equal_height=False, elem_classes="rap-preview"):
            parts["parallax"] = gr.Video(
                label=label("parallax"),
                visible=False,
                interactive=False,
                autoplay=True,
                loop=True,
                height=170,
                elem_id="parallax",
                min_width=200,
                buttons=[],
            )
            parts["edit_facts"] = gr.HTML(elem_id="edit-facts", elem_classes="rap-flat")
        parts["edit_next"] = primary("edit_next", "use-path")


def primary(key: str, elem_id: str) -> gr.Button:
    """Return a step's one primary button."""
    return gr.Button(label(key), variant="primary", elem_id=elem_id)


def frame_counts(facts: ModelFacts) -> list[int]:
    """Return the clip lengths that the model takes."""
    return list(facts.clip_lengths)


def frames_field(facts: ModelFacts, elem_id: str, *, visible: bool = True) -> gr.Dropdown:
    """Return the choice of a clip length."""
    return gr.Dropdown(
        frame_counts(facts),
        value=facts.num_frames,
        label=label("frames"),
        min_width=80,
        visible=visible,
        elem_id=elem_id,
    )


def steps_field(value: int, key: str = "steps") -> gr.Slider:
    """Return the number of denoising steps."""
    return gr.Slider(1, 50, value, step=1, label=label(key), min_width=140)


def guidance_field() -> gr.Slider:
    """Return the guidance scale."""
    return gr.Slider(
        1.0,
        10.0,
        1.0,
        step=0.1,
        label=label("guidance"),
        info=label("guidance_info"),
        min_width=140,
    )


def seed_fields(elem_id: str) -> tuple[gr.Number, gr.Checkbox]:
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
    )
    lock = gr.Checkbox(
        value=True, label=label("lock"), min_width=100, scale=1, elem_id=f"{elem_id}-lock"
    )
    return seed, lock


def _seconds(key: str) -> gr.Textbox:
    return gr.Textbox(
        label=label(key), placeholder=label(f"{key}_info"), max_lines=1, min_width=80, elem_id=key
    )
