"""The tabs on the left: one function each, which adds its components by name."""

from collections.abc import Sequence
from typing import Any, cast

import gradio as gr

from rays_as_pixels.trajectories.presets import PRESETS
from rays_as_pixels.ui import text
from rays_as_pixels.ui.examples import Example
from rays_as_pixels.ui.model_holder import ModelFacts

Components = dict[str, Any]
TABLE_COLUMN_PX = 66
FIRST_PRESET = "arc-right"

# From what a handler calls a value to the component that holds it.
ESTIMATE_FORM = {
    "video": "video",
    "frames": "frames",
    "start": "start",
    "end": "end",
    "steps": "steps",
    "runs": "runs",
    "shared_focal": "shared_focal",
    "seed": "seed",
    "locked": "lock",
}
PRESET_FORM = {
    "name": "preset",
    "amount": "amount",
    "pivot": "pivot",
    "num_keys": "num_keys",
    "frames": "frames",
}
GENERATE_FORM = {
    "path_choice": "path_choice",
    "image": "generate_image",
    "steps": "generate_steps",
    "guidance": "generate_guidance",
    "seed": "generate_seed",
    "locked": "generate_lock",
}
LOOP_FORM = {
    "steps": "loop_steps",
    "estimate_steps": "loop_estimate_steps",
    "seed": "loop_seed",
    "locked": "loop_lock",
}
IMAGINE_FORM = {
    "image": "imagine_image",
    "frames": "imagine_frames",
    "fps": "imagine_fps",
    "steps": "imagine_steps",
    "guidance": "imagine_guidance",
    "seed": "imagine_seed",
    "locked": "imagine_lock",
}


def video_tab(parts: Components, examples: Sequence[Example], facts: ModelFacts) -> None:
    """Video in, estimate out."""
    with gr.Tab(text.TAB_VIDEO, id="video"):
        gr.Markdown(text.VIDEO_INTRO)
        parts["video"] = gr.Video(
            label=text.VIDEO_LABEL, sources=["upload"], height=260, elem_id="video"
        )
        if examples:
            parts["examples"] = gr.Gallery(
                [(str(example.poster), example.title) for example in examples],
                label=text.EXAMPLES_LABEL,
                columns=3,
                height="auto",
                allow_preview=False,
                interactive=False,
                buttons=[],
                elem_id="examples",
            )
        with gr.Row():
            parts["frames"] = _frames_field(facts)
            parts["start"] = gr.Textbox(
                label=text.START_LABEL, placeholder=text.START_INFO, max_lines=1, min_width=90
            )
            parts["end"] = gr.Textbox(
                label=text.END_LABEL, placeholder=text.END_INFO, max_lines=1, min_width=90
            )
        parts["estimate_button"] = _primary(text.ESTIMATE_BUTTON, "estimate")
        with gr.Accordion(text.ADVANCED, open=False):
            with gr.Row():
                parts["steps"] = _steps(2)
                parts["runs"] = gr.Slider(
                    1, 8, 1, step=1, label=text.RUNS_LABEL, info=text.RUNS_INFO, min_width=140
                )
            parts["shared_focal"] = gr.Checkbox(label=text.SHARED_FOCAL_LABEL)
            parts["seed"], parts["lock"] = _seed("seed")
        parts["clip_facts"] = gr.Markdown(elem_id="clip-facts", elem_classes="rap-facts")


def edit_tab(parts: Components) -> None:
    """Presets and the keyframe table."""
    preset = PRESETS[FIRST_PRESET]
    with gr.Tab(text.TAB_EDIT, id="edit"):
        gr.Markdown(text.EDIT_INTRO)
        with gr.Row(equal_height=False):
            parts["preset"] = gr.Dropdown(
                [(item.label, name) for name, item in PRESETS.items()],
                value=FIRST_PRESET,
                label=text.PRESET_LABEL,
                min_width=160,
                elem_id="preset",
            )
            low, high = preset.amount_range
            parts["amount"] = gr.Number(
                preset.amount_default,
                label=text.AMOUNT_LABEL.format(unit=preset.amount_unit),
                minimum=low,
                maximum=high,
                min_width=110,
                elem_id="amount",
            )
            parts["num_keys"] = gr.Number(
                5, label=text.KEYS_LABEL, precision=0, minimum=2, maximum=49, min_width=90
            )
        parts["preset_words"] = gr.Markdown(preset.description, elem_classes="rap-hint")
        parts["pivot"] = gr.Number(
            1.0, label=text.PIVOT_LABEL, info=text.PIVOT_INFO, minimum=0.001,
            visible=preset.uses_pivot,
        )  # fmt: skip
        with gr.Row():
            parts["preset_button"] = _primary(text.PRESET_BUTTON, "use-preset")
            parts["from_estimate_button"] = gr.Button(
                text.FROM_ESTIMATE_BUTTON, elem_id="from-estimate"
            )
        parts["table"] = gr.Dataframe(
            headers=list(text.TABLE_HEADERS),
            datatype="number",
            type="array",
            interactive=True,
            # The pair fixes the columns; `column_limits`, which is annotated, does nothing yet.
            column_count=cast(Any, (len(text.TABLE_HEADERS), "fixed")),
            label=text.TABLE_LABEL,
            show_label=True,
            max_height=360,
            column_widths=[TABLE_COLUMN_PX for _ in text.TABLE_HEADERS],
            wrap=True,
            elem_id="table",
        )
        gr.Markdown(text.TABLE_HINT, elem_classes="rap-hint")
        parts["apply_button"] = gr.Button(text.APPLY_BUTTON, elem_id="apply-table")
        parts["edit_facts"] = gr.Markdown(elem_id="edit-facts", elem_classes="rap-facts")


def generate_tab(parts: Components) -> None:
    """A video along a path."""
    with gr.Tab(text.TAB_GENERATE, id="generate"):
        gr.Markdown(text.GENERATE_INTRO)
        parts["path_choice"] = gr.Radio(
            [text.PATH_EDITED, text.PATH_ESTIMATED],
            value=text.PATH_EDITED,
            label=text.PATH_CHOICE_LABEL,
            elem_id="path-choice",
        )
        parts["generate_button"] = _primary(text.GENERATE_BUTTON, "generate")
        with gr.Accordion(text.ADVANCED, open=False):
            with gr.Row():
                parts["generate_steps"] = _steps(20)
                parts["generate_guidance"] = _guidance()
            parts["generate_seed"], parts["generate_lock"] = _seed("generate-seed")
            parts["generate_image"] = gr.Image(
                label=text.IMAGE_LABEL, type="filepath", format="png", sources=["upload"],
                height=200,
            )  # fmt: skip
        parts["generated"] = _result_video(text.GENERATED_LABEL, "generated")


def loop_tab(parts: Components) -> None:
    """The loop check."""
    with gr.Tab(text.TAB_LOOP, id="loop"):
        gr.Markdown(text.LOOP_INTRO)
        parts["loop_button"] = _primary(text.LOOP_BUTTON, "run-loop")
        with gr.Accordion(text.ADVANCED, open=False):
            with gr.Row():
                parts["loop_steps"] = _steps(20)
                parts["loop_estimate_steps"] = _steps(2, label=text.ESTIMATE_STEPS_LABEL)
            parts["loop_seed"], parts["loop_lock"] = _seed("loop-seed")
        parts["loop_numbers"] = gr.HTML(
            f'<p class="rap-hint">{text.LOOP_EMPTY}</p>',
            elem_id="loop-numbers",
            elem_classes="rap-flat",
        )
        parts["loop_video"] = _result_video(text.LOOP_VIDEO_LABEL, "loop-video")


def imagine_tab(parts: Components, facts: ModelFacts) -> None:
    """A video and its path from one image."""
    with gr.Tab(text.TAB_IMAGINE, id="imagine"):
        gr.Markdown(text.IMAGINE_INTRO)
        parts["imagine_image"] = gr.Image(
            label=text.IMAGINE_IMAGE_LABEL, type="filepath", format="png", sources=["upload"],
            height=260, elem_id="imagine-image",
        )  # fmt: skip
        with gr.Row():
            parts["imagine_frames"] = _frames_field(facts)
            parts["imagine_fps"] = gr.Number(
                10.0, label=text.IMAGINE_FPS_LABEL, minimum=0.1, min_width=110
            )
        parts["imagine_button"] = _primary(text.IMAGINE_BUTTON, "imagine")
        with gr.Accordion(text.ADVANCED, open=False):
            with gr.Row():
                parts["imagine_steps"] = _steps(20)
                parts["imagine_guidance"] = _guidance()
            parts["imagine_seed"], parts["imagine_lock"] = _seed("imagine-seed")
        parts["imagined"] = _result_video(text.IMAGINED_LABEL, "imagined")


def _primary(label: str, elem_id: str) -> gr.Button:
    return gr.Button(label, variant="primary", elem_id=elem_id)


def _frames_field(facts: ModelFacts) -> gr.Dropdown:
    return gr.Dropdown(
        list(range(5, facts.max_frames + 1, 4)),
        value=facts.num_frames,
        label=text.FRAMES_LABEL,
        min_width=110,
    )


def _steps(value: int, label: str = text.STEPS_LABEL) -> gr.Slider:
    return gr.Slider(1, 50, value, step=1, label=label, min_width=140)


def _guidance() -> gr.Slider:
    return gr.Slider(
        1.0, 10.0, 1.0, step=0.1, label=text.GUIDANCE_LABEL, info=text.GUIDANCE_INFO, min_width=140
    )


def _seed(elem_id: str) -> tuple[gr.Number, gr.Checkbox]:
    with gr.Row(equal_height=True):
        seed = gr.Number(
            0, label=text.SEED_LABEL, info=text.SEED_INFO, precision=0, minimum=0, min_width=160,
            elem_id=elem_id,
        )  # fmt: skip
        lock = gr.Checkbox(value=True, label=text.LOCK_LABEL, min_width=110, scale=0)
    return seed, lock


def _result_video(label: str, elem_id: str) -> gr.Video:
    return gr.Video(
        label=label, visible=False, interactive=False, autoplay=True, loop=True, height=280,
        elem_id=elem_id,
    )  # fmt: skip
