"""The page: components first, then which event calls which handler."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from rays_as_pixels.jobs.manager import JobManager
from rays_as_pixels.ui import tabs, text, widgets
from rays_as_pixels.ui.examples import Example, find_examples
from rays_as_pixels.ui.handlers import Handlers, refusing
from rays_as_pixels.ui.model_holder import ModelHolder
from rays_as_pixels.ui.path_plot import path_plot
from rays_as_pixels.ui.session import Session

TICK_SEC = 0.5
CLIP_ID = "clip-used"
CACHE_SWEEP_SEC, CACHE_KEEP_SEC = 3600, 86400
STORAGE_KEY = "rays-as-pixels"

Components = dict[str, Any]


def build_app(
    manager: JobManager,
    model: ModelHolder,
    *,
    examples: Sequence[Example] | None = None,
    browser_secret: str | None = None,
) -> gr.Blocks:
    """Build the page.

    Args:
        manager: Runs the jobs; its folder must be among the launched app's allowed paths.
        model: Gives the pipeline; the page opens without one and says what to do.
        examples: Clips to try; those of the project by default.
        browser_secret: Key of what the browser keeps; the same after a restart, or running jobs
            are not found again.
    """
    clips = list(find_examples() if examples is None else examples)
    handlers = Handlers(manager, model, clips)
    with gr.Blocks(
        title=text.TITLE,
        analytics_enabled=False,
        delete_cache=(CACHE_SWEEP_SEC, CACHE_KEEP_SEC),
        fill_width=True,
    ) as app:
        parts: Components = {
            "session": gr.State(Session()),
            "browser": gr.BrowserState({}, storage_key=STORAGE_KEY, secret=browser_secret),
            "timer": gr.Timer(TICK_SEC, active=False),
        }
        _header(parts, model)
        with gr.Row(elem_classes="rap-main", equal_height=False):
            with gr.Column(scale=5, min_width=340), gr.Tabs(elem_classes="rap-tabs"):
                tabs.video_tab(parts, clips, model.facts)
                tabs.edit_tab(parts)
                tabs.generate_tab(parts)
                tabs.loop_tab(parts)
                tabs.imagine_tab(parts, model.facts)
            with gr.Column(scale=6, min_width=340, elem_classes="rap-view"):
                _view(parts)
        _wire(app, parts, handlers)
    return app


def _header(parts: Components, model: ModelHolder) -> None:
    gr.HTML(
        f'<header class="rap-head"><h1>{text.TITLE}</h1><p>{text.TAGLINE}</p></header>',
        elem_classes="rap-flat",
    )
    parts["status"] = gr.HTML(widgets.status_line(model), elem_id="status", elem_classes="rap-flat")
    with gr.Row(elem_classes="rap-jobs", equal_height=True):
        parts["job_bar"] = gr.HTML(
            widgets.job_bar(None), elem_id="job-bar", elem_classes="rap-flat", min_width=200
        )
        parts["stop_button"] = gr.Button(
            text.STOP_BUTTON, variant="stop", size="sm", visible=False, scale=0, min_width=90,
            elem_id="stop",
        )  # fmt: skip


def _view(parts: Components) -> None:
    parts["plot"] = path_plot(video_id=CLIP_ID, elem_id="plot")
    parts["overlay"] = gr.Radio(
        [(text.OVERLAY_NONE, "")], value="", label=text.OVERLAY_LABEL, visible=False,
        elem_id="overlay", elem_classes="rap-inline",
    )  # fmt: skip
    with gr.Row(equal_height=False):
        parts["clip"] = gr.Video(
            label=text.CLIP_LABEL, visible=False, interactive=False, autoplay=False, loop=True,
            elem_id=CLIP_ID, scale=2, min_width=220, height=240,
        )  # fmt: skip
        parts["downloads"] = gr.File(
            label=text.DOWNLOADS_LABEL, file_count="multiple", interactive=False, visible=False,
            scale=3, min_width=220, elem_id="downloads",
        )  # fmt: skip
    parts["sheet"] = gr.Image(
        label=text.SHEET_LABEL, visible=False, interactive=False, elem_id="sheet", format="png",
        buttons=["download", "fullscreen"],
    )  # fmt: skip


# Component, its event, the handler called, and what it gets after the session: values of components
# one by one, or a form.
EVENTS: tuple[tuple[str, str, str, Sequence[str] | Mapping[str, str]], ...] = (
    ("timer", "tick", "tick", ()),
    ("stop_button", "click", "stop", ()),
    ("overlay", "input", "choose_overlay", ("overlay",)),
    ("video", "upload", "forget_truth", ()),
    ("video", "clear", "forget_truth", ()),
    ("preset", "change", "choose_preset", ("preset",)),
    ("preset_button", "click", "use_preset", tabs.PRESET_FORM),
    ("from_estimate_button", "click", "start_from_estimate", ("num_keys",)),
    ("table", "input", "apply_table", ("table", "frames")),
    ("apply_button", "click", "apply_table", ("table", "frames")),
    ("estimate_button", "click", "estimate", tabs.ESTIMATE_FORM),
    ("generate_button", "click", "generate", tabs.GENERATE_FORM),
    ("loop_button", "click", "run_loop", tabs.LOOP_FORM),
    ("imagine_button", "click", "imagine", tabs.IMAGINE_FORM),
)


def _wire(app: gr.Blocks, parts: Components, handlers: Handlers) -> None:
    outputs = list(parts.values())
    app.load(_by_name(handlers.open_page, parts), [parts["browser"]], outputs, **_QUIET)
    for component, event, name, inputs in EVENTS:
        trigger = getattr(parts[component], event)
        bind_event(trigger, getattr(handlers, name), parts, inputs=inputs)
    if "examples" in parts:
        _wire_examples(parts, handlers)


def _wire_examples(parts: Components, handlers: Handlers) -> None:
    def pick(session: Session, event: gr.SelectData) -> dict[str, Any]:
        return handlers.pick_example(session, event.index)

    parts["examples"].select(
        _by_name(pick, parts, event=True), [parts["session"]], list(parts.values()), **_QUIET
    )


# Nothing of the page is an API yet; every handler checks its input all the same.
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def bind_event(
    trigger: Any, handler: Any, parts: Components, *, inputs: Sequence[str] | Mapping[str, str]
) -> None:
    """Call `handler(session, ...)` on an event.

    Args:
        trigger: The component's event.
        handler: Returns a dict from names of components to new values.
        parts: The page's components by name.
        inputs: Names of components whose values the handler takes one by one; or, for a handler
            that takes a form, a mapping from the form's keys to names of components.
    """
    names = list(inputs.values() if isinstance(inputs, Mapping) else inputs)
    if isinstance(inputs, Mapping):
        handler = _with_form(handler, list(inputs))
    values = [parts["session"], *(parts[name] for name in names)]
    trigger(_by_name(handler, parts), values, list(parts.values()), **_QUIET)


def _with_form(handler: Any, keys: list[str]) -> Any:
    def formed(session: Session, *values: Any) -> dict[str, Any]:
        return handler(session, dict(zip(keys, values, strict=True)))

    return formed


def _by_name(handler: Any, parts: Components, *, event: bool = False) -> Any:
    """Turn a dict from names into one from components, which is what Gradio takes."""
    checked = refusing(handler)

    def named(*values: Any) -> dict[Any, Any]:
        return {parts[name]: value for name, value in checked(*values).items()}

    if not event:
        return named

    @functools.wraps(handler)
    def with_event(session: Session, event: gr.SelectData) -> dict[Any, Any]:
        return named(session, event)

    return with_event
