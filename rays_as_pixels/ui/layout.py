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
                tabs.video_tab(parts, clips)
                tabs.edit_tab(parts)
                tabs.generate_tab(parts)
                tabs.loop_tab(parts)
                tabs.imagine_tab(parts)
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


def _wire(app: gr.Blocks, parts: Components, handlers: Handlers) -> None:
    def bind(trigger: Any, handler: Any, inputs: Sequence[str] | Mapping[str, str] = ()) -> None:
        bind_event(trigger, handler, parts, inputs=inputs)

    app.load(
        _by_name(handlers.open_page, parts), [parts["browser"]], list(parts.values()), **_QUIET
    )
    bind(parts["timer"].tick, handlers.tick)
    bind(parts["stop_button"].click, handlers.stop)
    bind(parts["overlay"].input, handlers.choose_overlay, ["overlay"])
    bind(parts["video"].upload, handlers.forget_truth)
    bind(parts["video"].clear, handlers.forget_truth)
    bind(parts["preset"].change, _without_session(handlers.choose_preset), ["preset"])
    bind(parts["preset_button"].click, handlers.use_preset, tabs.PRESET_FORM)
    bind(parts["from_estimate_button"].click, handlers.start_from_estimate, ["num_keys"])
    bind(parts["table"].input, handlers.apply_table, ["table", "frames"])
    bind(parts["apply_button"].click, handlers.apply_table, ["table", "frames"])
    bind(parts["estimate_button"].click, handlers.estimate, tabs.ESTIMATE_FORM)
    bind(parts["generate_button"].click, handlers.generate, tabs.GENERATE_FORM)
    bind(parts["loop_button"].click, handlers.run_loop, tabs.LOOP_FORM)
    bind(parts["imagine_button"].click, handlers.imagine, tabs.IMAGINE_FORM)
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


def _without_session(handler: Any) -> Any:
    def called(_session: Session, *values: Any) -> dict[str, Any]:
        return handler(*values)

    return called


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
