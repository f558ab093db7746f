"""How the page opens: for a returning visitor with their results, for a new one with an example."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gradio as gr

from rays_as_pixels.app.page.binding import Updates
from rays_as_pixels.app.page.events import job_updates
from rays_as_pixels.app.page.results import display_results, editor_updates, history_updates
from rays_as_pixels.app.page.step_generate import image_choices, path_choices
from rays_as_pixels.app.page.step_loop import loop_choices
from rays_as_pixels.app.page.step_path import frame_choices
from rays_as_pixels.app.page.step_video import by_choices, show_example
from rays_as_pixels.app.server.downloads import writable_formats
from rays_as_pixels.app.server.session import LockedSession, Session, session_from_browser
from rays_as_pixels.errors import InputError

if TYPE_CHECKING:
    from rays_as_pixels.app.page.page import Page


def initial_values(page: "Page") -> tuple[dict[str, Any] | None, str | None]:
    """Return what the page itself holds before any event: the first example's strip and view.

    They have no words of one language; `open_page` sends those, with the same strip and view.
    """
    if not page.examples:
        return None, None
    try:
        shown = show_example(page, Session(), 0)
    except InputError:  # a damaged example: `open_page` says so on the page
        return None, None
    return shown[page.video.film].props["strip"], shown[page.view.plot]


def open_page(page: "Page", kept: object, lang: str = "en") -> Updates:
    """Find a returning visitor's results and running job; show a new one an example."""
    session = session_from_browser(kept, lang=lang)
    found = {
        name: page.library.find(getattr(session, name), session.visitor)
        for name in ("loop", "result", "estimate")
    }
    if page.manager.find(session.job, owner=session.visitor) is None:
        session = replace(session, job="")
    session = replace(session, **{name: "" for name, result in found.items() if result is None})
    updates: Updates = {page.session: session, page.browser: session.browser()}
    updates |= {page.video.film: gr.HTML(strip=None), page.view.plot: None}  # not the opening ones
    updates |= editor_updates(page, session)
    if session.estimate or session.result or session.job:
        updates |= display_results(page, session, *found.values())
    elif page.examples:
        updates |= show_example(page, session, 0)
    session = updates[page.session]
    updates |= choice_updates(page, session.lang) | job_updates(page, session)
    return updates | history_updates(page, session)


def choice_updates(page: "Page", lang: str) -> Updates:
    """Put the words of choices into the visitor's language; Gradio does so for labels only."""
    formats: Sequence[tuple[str, str]] = [
        (title, name) for name, title in writable_formats().items()
    ]
    updates: Updates = {
        page.generate.path_choice: gr.update(choices=path_choices(lang)),
        page.generate.images_choice: gr.update(choices=image_choices(lang)),
        page.path.frames: gr.update(choices=frame_choices(lang)),
        page.loop.path: gr.update(choices=loop_choices(lang)),
        page.video.by: gr.update(choices=by_choices(lang)),
        page.view.download_format: gr.update(choices=formats),
    }
    if page.video.examples is not None:
        updates[page.video.examples] = [
            (str(item.poster), item.title.get(lang, item.title["en"])) for item in page.examples
        ]
    return updates


def on_page_load(page: "Page", locked: LockedSession, kept: object, lang: str) -> Updates:
    """Open the page, unless an event of it came first and did so; send what that one could not."""
    with locked.acquire():
        session = locked.session
        if session.visitor:
            updates = locked.unsent | choice_updates(page, session.lang)
            updates |= job_updates(page, session) | history_updates(page, session)
            updates |= editor_updates(page, session)
        else:
            updates = open_page(page, kept, lang)
            locked.session = updates.pop(page.session)
        locked.unsent = {}
    return updates


def show_unsent(page: "Page", locked: LockedSession) -> Updates:
    """Return what opening the page changed beyond the outputs of the event that opened it."""
    with locked.acquire():
        updates = locked.unsent | editor_updates(page, locked.session)
        locked.unsent = {}
    return updates
