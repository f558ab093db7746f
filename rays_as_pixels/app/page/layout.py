"""The page: components first, then which event calls which handler."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from rays_as_pixels.app import i18n
from rays_as_pixels.app.api import endpoints as api
from rays_as_pixels.app.examples import Example, find_examples
from rays_as_pixels.app.jobs.manager import JobManager
from rays_as_pixels.app.page import steps, steps_run, widgets
from rays_as_pixels.app.page.events import START_BUTTONS
from rays_as_pixels.app.page.handlers import Handlers, refusing
from rays_as_pixels.app.path_view import PathView
from rays_as_pixels.app.server.model_holder import ModelHolder
from rays_as_pixels.app.server.session import LockedSession, Session

TICK_SEC = 0.5
CLIP_ID = "clip-used"
VIEW_HEIGHT = 270
CACHE_SWEEP_SEC, CACHE_KEEP_SEC = 3600, 86400
STORAGE_KEY = "rays-as-pixels"

Components = dict[str, Any]
Inputs = Sequence[str] | Mapping[str, str]

# From what a handler calls a value to the component that holds it.
PLAN_FORM = {"start": "start", "end": "end", "by": "by", "frames": "frames", "rate": "rate"}
ESTIMATE_FORM = {
    "steps": "steps",
    "runs": "runs",
    "shared_focal": "shared_focal",
    "between": "between",
    "seed": "seed",
    "locked": "lock",
}
GENERATE_FORM = {
    "along": "path_choice",
    "images": "images_choice",
    "chosen": "image_frames",
    "own": "own_image",
    "frames": "imagine_frames",
    "fps": "imagine_fps",
    "steps": "generate_steps",
    "guidance": "generate_guidance",
    "seed": "generate_seed",
    "locked": "generate_lock",
}
LOOP_FORM = {
    "path": "loop_path",
    "rounds": "rounds",
    "steps": "loop_steps",
    "estimate_steps": "loop_estimate_steps",
    "seed": "loop_seed",
    "locked": "loop_lock",
}
DEMO_FORM = {key: name for key, name in LOOP_FORM.items() if key != "path"}
TIME_FORM = {
    name: name
    for name in (
        "steps",
        "runs",
        "generate_steps",
        "loop_steps",
        "loop_estimate_steps",
        "rounds",
    )
} | {"guidance": "generate_guidance"}
# A tick updates these alone; the buttons too, or the end of a job would leave them locked.
WATCHED = ("status", "job_bar", "stop_button", "timer", "finished", *START_BUTTONS)

# What draws the path editor anew, each time. No other event has it among its outputs: Gradio 6
# takes the properties of a gr.HTML not yet on screen away at every event that leaves it as it is.
EDITOR_EVENTS = ("finish", "take_files", "pick", "use")

# Component, its event, the handler called, and what it gets after the session: values of components
# one by one, or a form.
EVENTS: tuple[tuple[str, str, str, Inputs], ...] = (
    ("timer", "tick", "tick", ()),
    ("finished", "change", "finish", ("finished",)),
    ("stop_button", "click", "stop", ()),
    ("overlay", "input", "choose_overlay", ("overlay",)),
    ("dl_what", "input", "prepare_download", ("dl_what", "dl_format")),
    ("dl_format", "input", "prepare_download", ("dl_what", "dl_format")),
    ("file", "upload", "take_files", ("file",)),
    ("by", "input", "choose_by", ("by",)),
    ("by", "input", "plan", PLAN_FORM),
    ("frames", "input", "plan", PLAN_FORM),
    ("rate", "submit", "plan", PLAN_FORM),
    ("start", "submit", "plan", PLAN_FORM),
    ("end", "submit", "plan", PLAN_FORM),
    ("estimate_button", "click", "estimate", ESTIMATE_FORM),
    ("editor", "path_commit", "commit_edit", ("editor",)),
    ("editor", "path_commit", "preview_edit", ("editor",)),
    ("path_choice", "input", "choose_along", ("path_choice", "generate_steps")),
    ("images_choice", "input", "choose_images", ("images_choice",)),
    ("generate_button", "click", "generate", GENERATE_FORM),
    ("loop_button", "click", "run_loop", LOOP_FORM),
    ("demo_stabilise", "click", "demo_stabilise", DEMO_FORM),
    ("demo_reverse", "click", "demo_reverse", DEMO_FORM),
    ("demo_dolly_zoom", "click", "demo_dolly_zoom", DEMO_FORM),
    *((name, "change", "times", TIME_FORM) for name in TIME_FORM.values()),
    ("finished", "change", "times", TIME_FORM),
)
# Buttons that lead on to the next step.
LEADS = {"video_next": "path", "edit_next": "generate"}


def build_app(
    manager: JobManager,
    model: ModelHolder,
    *,
    examples: Sequence[Example] | None = None,
    browser_secret: str | None = None,
) -> gr.Blocks:
    """Build the page and its endpoints.

    Args:
        manager: Runs the jobs; its folder must be among the launched app's allowed paths, and so
            must those of the examples.
        model: Gives the pipeline; the page opens without one and says what to do.
        examples: Clips to try; those of the project by default.
        browser_secret: Key of what the browser keeps; the same after a restart, or running jobs
            are not found again.
    """
    clips = list(find_examples() if examples is None else examples)
    handlers = Handlers(manager, model, clips)
    opening = handlers.opening()
    with gr.Blocks(
        title=i18n.TITLE,
        analytics_enabled=False,
        delete_cache=(CACHE_SWEEP_SEC, CACHE_KEEP_SEC),
        fill_width=True,
    ) as app:
        parts: Components = {
            "session": gr.State(LockedSession()),
            "browser": gr.BrowserState({}, storage_key=STORAGE_KEY, secret=browser_secret),
            "timer": gr.Timer(TICK_SEC, active=False),
            "finished": gr.State(""),
        }
        _header(parts, model, manager)
        with gr.Row(elem_classes="rap-main", equal_height=False):
            with gr.Column(scale=6, min_width=340, elem_classes="rap-steps"):
                parts["tabs"] = gr.Tabs(elem_classes="rap-tabs", elem_id="steps")
                with parts["tabs"]:
                    steps.video_step(parts, clips, model.facts, opening.get("strip"))
                    steps.path_step(parts)
                    steps.edit_step(parts, model.facts)
                    steps_run.generate_step(parts, model.facts)
                    steps_run.loop_step(parts)
            with gr.Column(scale=5, min_width=340, elem_classes="rap-view"):
                _view(parts, opening.get("view"))
        handlers.library.editor_props = dict(parts["editor"].props)
        _wire(app, parts, handlers)
        api.add_endpoints(handlers)
    return app


def _header(parts: Components, model: ModelHolder, manager: JobManager) -> None:
    with gr.Row(elem_classes="rap-top", equal_height=True):
        gr.HTML(widgets.header(), elem_classes="rap-flat rap-name", min_width=150, scale=0)
        parts["status"] = gr.HTML(
            widgets.status_line(model, manager),
            elem_id="status",
            elem_classes="rap-flat",
            min_width=200,
            scale=1,
        )
    with gr.Row(elem_classes="rap-jobs", equal_height=True):
        parts["job_bar"] = gr.HTML(
            widgets.job_bar(None, manager),
            elem_id="job-bar",
            elem_classes="rap-flat",
            min_width=200,
        )
        parts["stop_button"] = gr.Button(
            i18n.label("stop"),
            variant="stop",
            size="sm",
            visible=False,
            scale=0,
            min_width=90,
            elem_id="stop",
        )


def _view(parts: Components, value: str | None) -> None:
    with gr.Row(equal_height=True, elem_classes="rap-beside"):
        parts["clip"] = gr.Video(
            label=i18n.label("clip"),
            visible=False,
            interactive=False,
            autoplay=False,
            loop=True,
            elem_id=CLIP_ID,
            scale=2,
            min_width=180,
            height=168,
            buttons=[],
        )
        with gr.Column(
            visible=False, scale=3, min_width=200, elem_id="downloads", elem_classes="rap-dl"
        ) as panel:
            parts["dl_panel"] = panel
            parts["overlay"] = gr.Dropdown(
                [("-", "")],
                value="",
                label=i18n.label("overlay"),
                visible=False,
                elem_id="overlay",
                min_width=110,
            )
            with gr.Row(elem_classes="rap-dl-row"):
                parts["dl_what"] = gr.Dropdown(
                    [], label=i18n.label("dl_what"), elem_id="dl-what", min_width=110
                )
                parts["dl_format"] = gr.Dropdown(
                    [("native", "native")],
                    value="native",
                    label=i18n.label("dl_format"),
                    elem_id="dl-format",
                    min_width=110,
                )
                parts["dl_button"] = gr.DownloadButton(
                    i18n.label("download"), size="sm", elem_id="download", min_width=80, scale=0
                )
            parts["dl_notes"] = gr.Markdown(elem_id="dl-notes", elem_classes="rap-hint")
    parts["view"] = PathView(
        value,
        video_id=[CLIP_ID, "compare-b", "loop-compare-b"],
        editor_id="editor",
        height=VIEW_HEIGHT,
        elem_id="plot",
        elem_classes="rap-flat",
    )


# The page's own events are no API; every handler checks its input all the same.
_QUIET: dict[str, Any] = {
    "show_progress": "hidden",
    "api_visibility": "private",
    "concurrency_limit": 8,  # pages beside each other; of one page, `LockedSession` lets one act
}

_OPEN = "() => { document.querySelector('.rap-main').dataset.open = 'yes'; }"


def _wire(app: gr.Blocks, parts: Components, handlers: Handlers) -> None:
    outputs = list(parts.values())

    def load(held: LockedSession, kept: object, request: gr.Request) -> dict[Any, Any]:
        updates = refusing(handlers.greet)(held, kept, _language(request))
        updates = handlers.with_editor(held, updates)
        return {parts["session"]: held} | {parts[key]: updates[key] for key in updates}

    # Until then the page takes no clicks, see page.css: it would show what they led to, then this.
    greeted = app.load(load, [parts["session"], parts["browser"]], outputs, **_QUIET)
    greeted.then(None, js=_OPEN, api_visibility="private")
    for component, event, name, inputs in EVENTS:
        trigger = getattr(parts[component], event)
        bind_event(trigger, getattr(handlers, name), parts, handlers, inputs=inputs)
    for component, step in LEADS.items():
        go = functools.partial(handlers.go, step=step)
        bind_event(parts[component].click, go, parts, handlers, inputs=())
    _wire_data(parts, handlers)


def _wire_data(parts: Components, handlers: Handlers) -> None:
    """Wire the events that bring data of their own."""

    def pick(session: Session, event: gr.SelectData) -> dict[str, Any]:
        return handlers.pick_example(session, event.index)

    def use(session: Session, event: gr.EventData) -> dict[str, Any]:
        return handlers.use_result(session, dict(event._data or {}))

    def trim(session: Session, form: Mapping[str, object], event: gr.EventData) -> dict[str, Any]:
        return handlers.trim(session, dict(event._data or {}), form)

    if "examples" in parts:
        bind_event(parts["examples"].select, pick, parts, handlers, inputs=(), data=gr.SelectData)
    bind_event(parts["history"].select, use, parts, handlers, inputs=(), data=gr.EventData)
    bind_event(parts["film"].release, trim, parts, handlers, inputs=PLAN_FORM, data=gr.EventData)


def bind_event(
    trigger: Any,
    handler: Any,
    parts: Components,
    handlers: Handlers,
    *,
    inputs: Inputs,
    data: type | None = None,
) -> None:
    """Call `handler(session, ...)` on an event.

    Args:
        trigger: The component's event.
        handler: Returns a dict from names of components to new values.
        parts: The page's components by name.
        handlers: Let one event of a page act after the other.
        inputs: Names of components whose values the handler takes one by one; or, for a handler
            that takes a form, a mapping from the form's keys to names of components.
        data: Type of the event's own data if the handler takes it last.
    """
    names = list(inputs.values() if isinstance(inputs, Mapping) else inputs)
    keys = list(inputs) if isinstance(inputs, Mapping) else None
    name = getattr(handler, "__name__", "")
    narrow = name == "tick"

    def called(request: gr.Request, event: Any, held: LockedSession, kept: object, *values: Any):
        given = list(values) if keys is None else [dict(zip(keys, values, strict=True))]
        given += [] if event is None else [event]
        lang = _language(request)
        if narrow:
            updates = refusing(handlers.look)(held, kept, lang)
            return {parts[key]: updates[key] for key in WATCHED if key in updates}
        act = functools.partial(refusing(handlers.act), held, kept, lang)
        updates = act(lambda session: handler(session, *given))
        if name in EDITOR_EVENTS:
            updates = handlers.with_editor(held, updates)
        return {parts["session"]: held} | {parts[key]: updates[key] for key in updates}

    def plain(request: gr.Request, held: LockedSession, kept: object, *values: Any) -> Any:
        return called(request, None, held, kept, *values)

    def with_data(
        request: gr.Request, event: gr.EventData, held: LockedSession, kept: object, *values: Any
    ) -> Any:
        return called(request, event, held, kept, *values)

    if data is not None:
        with_data.__annotations__["event"] = data
    values = [parts["session"], parts["browser"], *(parts[name] for name in names)]
    changed = WATCHED if narrow else [key for key in parts if key != "editor"]
    if name in EDITOR_EVENTS:
        changed = list(parts)
    outputs = [parts[key] for key in changed]
    trigger(plain if data is None else with_data, values, outputs, **_QUIET)


def _language(request: gr.Request | None) -> str:
    headers = getattr(request, "headers", None)
    return i18n.language(None if headers is None else headers.get("accept-language"))
