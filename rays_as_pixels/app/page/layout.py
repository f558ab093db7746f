"""The whole page: header, steps and view, and the events that concern all of it."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from rays_as_pixels.app import i18n
from rays_as_pixels.app.api import endpoints as api
from rays_as_pixels.app.examples import Example, find_examples
from rays_as_pixels.app.jobs.manager import JobManager
from rays_as_pixels.app.page import widgets
from rays_as_pixels.app.page.binding import QUIET, Updates, language_of, shown_errors
from rays_as_pixels.app.page.job_events import bind_job_events
from rays_as_pixels.app.page.library import Library
from rays_as_pixels.app.page.opening import initial_values, on_page_load, show_unsent
from rays_as_pixels.app.page.page import Header, Page
from rays_as_pixels.app.page.step_edit import bind_edit_step, build_edit_step
from rays_as_pixels.app.page.step_generate import bind_generate_step, build_generate_step
from rays_as_pixels.app.page.step_loop import bind_loop_step, build_loop_step
from rays_as_pixels.app.page.step_path import bind_path_step, build_path_step
from rays_as_pixels.app.page.step_video import bind_video_step, build_video_step
from rays_as_pixels.app.page.view import bind_view, build_view
from rays_as_pixels.app.server.model_holder import ModelHolder
from rays_as_pixels.app.server.session import LockedSession

TICK_SEC = 0.5
CACHE_SWEEP_SEC, CACHE_KEEP_SEC = 3600, 86400
STORAGE_KEY = "rays-as-pixels"
_OPEN = "() => { document.querySelector('.rap-main').dataset.open = 'yes'; }"


def build_app(
    manager: JobManager,
    model: ModelHolder,
    *,
    examples: Sequence[Example] | None = None,
    browser_secret: str | None = None,
) -> gr.Blocks:
    """Build the page and its endpoints; arguments as those of `build_page`."""
    clips = find_examples() if examples is None else examples
    return build_page(manager, model, examples=clips, browser_secret=browser_secret)[0]


def build_page(
    manager: JobManager,
    model: ModelHolder,
    *,
    examples: Sequence[Example],
    browser_secret: str | None = None,
) -> tuple[gr.Blocks, Page]:
    """Build the page and its endpoints.

    Args:
        manager: Runs the jobs; its folder must be among the launched app's allowed paths, and so
            must those of the examples.
        model: Gives the pipeline; the page opens without one and says what to do.
        examples: Clips to try.
        browser_secret: Key of what the browser keeps; the same after a restart, or running jobs
            are not found again.
    """
    with gr.Blocks(
        title=i18n.TITLE,
        analytics_enabled=False,
        delete_cache=(CACHE_SWEEP_SEC, CACHE_KEEP_SEC),
        fill_width=True,
    ) as app:
        page = _components(manager, model, list(examples), browser_secret)
        _bind_page(app, page)
        bind_video_step(page)
        bind_path_step(page)
        bind_edit_step(page)
        bind_generate_step(page)
        bind_loop_step(page)
        bind_view(page)
        bind_job_events(page)
        api.add_endpoints(manager, model)
    # Outside the layout: an update of a component is an instance that Gradio would add to it.
    page.video.film.props["strip"], page.view.plot.value = initial_values(page)
    app.config = app.get_config_file()
    return app, page


def _components(
    manager: JobManager, model: ModelHolder, examples: list[Example], secret: str | None
) -> Page:
    state = {
        "session": gr.State(LockedSession()),
        "browser": gr.BrowserState({}, storage_key=STORAGE_KEY, secret=secret),
        "timer": gr.Timer(TICK_SEC, active=False),
        "finished": gr.State(""),
        "refresh": gr.State(""),
    }
    header = _header(model, manager)
    facts = model.facts
    with gr.Row(elem_classes="rap-main", equal_height=False):
        with gr.Column(scale=6, min_width=340, elem_classes="rap-steps"):
            tabs = gr.Tabs(elem_classes="rap-tabs", elem_id="steps")
            with tabs:
                video = build_video_step(facts, examples)
                path = build_path_step(facts)
                edit = build_edit_step()
                generate = build_generate_step(facts)
                loop = build_loop_step(facts)
        with gr.Column(scale=5, min_width=340, elem_classes="rap-view"):
            view = build_view()
    return Page(
        manager=manager,
        model=model,
        library=Library(manager, examples),
        examples=examples,
        tabs=tabs,
        header=header,
        video=video,
        path=path,
        edit=edit,
        generate=generate,
        loop=loop,
        view=view,
        **state,
    )


def _header(model: ModelHolder, manager: JobManager) -> Header:
    with gr.Row(elem_classes="rap-top", equal_height=True):
        gr.HTML(widgets.header(), elem_classes="rap-flat rap-name", min_width=150, scale=0)
        status = gr.HTML(
            widgets.status_line(model, manager),
            elem_id="status",
            elem_classes="rap-flat",
            min_width=200,
            scale=1,
        )
    with gr.Row(elem_classes="rap-jobs", equal_height=True):
        job_bar = gr.HTML(
            widgets.job_bar(None, manager),
            elem_id="job-bar",
            elem_classes="rap-flat",
            min_width=200,
        )
        stop_button = gr.Button(
            i18n.label("stop"),
            variant="stop",
            size="sm",
            visible=False,
            scale=0,
            min_width=90,
            elem_id="stop",
        )
    return Header(status, job_bar, stop_button)


def _bind_page(app: gr.Blocks, page: Page) -> None:
    def load(values: dict[Any, Any], request: gr.Request) -> Updates:
        locked, kept = values[page.session], values[page.browser]
        with shown_errors():
            updates = on_page_load(page, locked, kept, language_of(request))
        return {page.session: locked} | updates

    def refresh(values: dict[Any, Any]) -> Updates:
        return show_unsent(page, values[page.session])

    outputs = list(dict.fromkeys([page.session, page.browser, *page.opening_outputs]))
    # Until then the page takes no clicks, see page.css: it would show what they led to, then this.
    loaded = app.load(load, {page.session, page.browser}, outputs, **QUIET)
    loaded.then(None, js=_OPEN, api_visibility="private")
    page.refresh.change(refresh, {page.session}, outputs, **QUIET)
