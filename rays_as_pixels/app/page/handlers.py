"""Page values in, page values out: what every event does. Testable without a browser.

A handler takes the session and the values of its inputs and returns a dict from names of components
to their new values; `layout` knows which component has which name. Long work is only submitted
here; `tick` watches it.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gradio as gr

from rays_as_pixels.app import checks, i18n
from rays_as_pixels.app.page import downloads, steps_run
from rays_as_pixels.app.page.events import Form, run_cost
from rays_as_pixels.app.page.events_edit import EditEvents
from rays_as_pixels.app.page.events_run import RunEvents
from rays_as_pixels.app.page.events_video import VideoEvents
from rays_as_pixels.app.page.results import Updates, editor_updates, history_updates, view_updates
from rays_as_pixels.app.server.session import LockedSession, Session, session_from_browser
from rays_as_pixels.errors import InputError

LOOK_SEC = 0.2  # that a look at the job waits for other events


def refusing(handler: Callable) -> Callable:
    """Show an InputError's own words to the user; anything else is a fault and keeps its trace."""

    @functools.wraps(handler)
    def shown(*values: Any) -> Any:
        try:
            return handler(*values)
        except InputError as error:
            words = str(error)
            raise gr.Error(words[:1].upper() + words[1:], print_exception=False) from error

    shown.__signature__ = inspect.signature(handler)  # type: ignore[attr-defined]
    return shown


class Handlers(VideoEvents, EditEvents, RunEvents):
    """The events of the page."""

    def opening(self) -> dict[str, Any]:
        """Return what the page itself holds, before any event: the first example's strip and view.

        They have no words of one language; `open_page` sends those, with the same strip and view.
        """
        if not self.examples:
            return {}
        try:
            shown = self.show_example(Session(), 0)
        except InputError:  # a damaged example: `open_page` says so on the page
            return {}
        return {"strip": shown["film"].props["strip"], "view": shown["view"]}

    def open_page(self, kept: object, lang: str = "en") -> Updates:
        """Find a returning visitor's results and running job; greet a new one with an example."""
        session = session_from_browser(kept, lang=lang)
        found = [
            self.library.find(getattr(session, name), session.visitor)
            for name in ("loop", "result", "estimate")
        ]
        if self.manager.find(session.job, owner=session.visitor) is None:
            session = replace(session, job="")
        gone = [
            name
            for name, result in zip(("loop", "result", "estimate"), found, strict=True)
            if result is None
        ]
        session = replace(session, **dict.fromkeys(gone, ""))
        updates: Updates = {"session": session, "browser": session.browser()}
        updates |= {"film": gr.HTML(strip=None), "view": None}  # not the opening ones
        if session.estimate or session.result or session.job:
            updates |= self.put_on_show(session, *found)
        elif self.examples:
            updates |= self.show_example(session, 0)
        session = updates["session"]
        updates |= self._choices(session) | self.watched(session)
        return updates | history_updates(session, self.library)

    def _choices(self, session: Session) -> Updates:
        """Put the words of choices into the visitor's language; Gradio does so for labels only."""
        lang = session.lang
        named = steps_run.named
        examples = [
            (str(item.poster), item.title.get(lang, item.title["en"])) for item in self.examples
        ]
        choices = {
            "path_choice": named("along_", steps_run.PATHS, lang),
            "images_choice": named("images_", steps_run.IMAGES, lang),
            "loop_path": named("path_", steps_run.LOOP_PATHS, lang),
            "by": named("by_", ("count", "rate"), lang),
            "dl_format": [(title, name) for name, title in downloads.formats().items()],
        }
        updates: Updates = {name: gr.update(choices=pairs) for name, pairs in choices.items()}
        if examples:
            updates["examples"] = examples
        return updates

    def greet(self, held: LockedSession, kept: object, lang: str) -> Updates:
        """Open the page, unless an event of it came first and did so."""
        with held.turn():
            session = held.session
            if session.visitor:
                shown = self._choices(session) | self.watched(session)
                return shown | history_updates(session, self.library)
            updates = self.open_page(kept, lang)
            held.session = updates.pop("session")
        return updates

    def act(
        self, held: LockedSession, kept: object, lang: str, handler: Callable[[Session], Updates]
    ) -> Updates:
        """Let a handler act on the page's session, after all events before it.

        Where there is no session yet, or the server forgot it, the page is opened first.
        """
        with held.turn():
            session, opened = held.session, {}
            if not session.visitor:
                opened = self.open_page(kept, lang)
                session = opened["session"]
                opened.pop("editor", None)  # not among every event's outputs; `greet` sends it
            updates = opened | handler(session)
            held.session = updates.pop("session", session)
        return updates

    def with_editor(self, held: LockedSession, updates: Updates) -> Updates:
        """Return updates that draw the editor anew, too."""
        if "editor" in updates:
            return updates
        return editor_updates(held.session, self.library) | updates

    def look(self, held: LockedSession, kept: object, lang: str) -> Updates:
        """Look at the watched job; not while an event takes long, for which this would wait."""
        if not held.session.visitor:
            return self.act(held, kept, lang, self.tick)
        with held.turn(patience_sec=LOOK_SEC) as came:
            return self.tick(held.session) if came else {}

    def tick(self, session: Session) -> Updates:
        """Look at the watched job."""
        return self.watched(session)

    def finish(self, session: Session, finished: object) -> Updates:
        """Show the results of the watched job, once."""
        if not finished or finished != session.job or session.shown == finished:
            return {}
        session = replace(session, shown=session.job)
        result = self.library.find(session.job, session.visitor)
        updates = {"session": session} | self.put_on_show(session, result)
        return updates | history_updates(updates["session"], self.library)

    def stop(self, session: Session) -> Updates:
        """Ask the watched job to stop."""
        if self.manager.find(session.job, owner=session.visitor) is not None:
            self.manager.cancel(session.job)
        return self.watched(session)

    def choose_overlay(self, session: Session, overlay: object) -> Updates:
        """Draw another path over the main one."""
        words = i18n.say("overlay", session.lang)
        name = checks.choice(words, overlay or "", ("", *session.paths))
        return view_updates(replace(session, overlay=name), self.library)

    def prepare_download(self, session: Session, what: object, kind: object) -> Updates:
        """Write what was chosen to be downloaded."""
        return dict(downloads.prepare(session, self.library, what, kind))

    def go(self, _session: Session, step: str) -> Updates:
        """Turn to a step."""
        return {"tabs": gr.Tabs(selected=step)}

    def times(self, session: Session, form: Form) -> Updates:
        """Say how long each run will take with the settings as they are."""
        lang = session.lang
        count = (
            len(session.paths["estimated"]) if "estimated" in session.paths else 0
        ) or session.plan.get("num_frames", 9)

        def number(name: str) -> int:
            value = form[name]
            return int(value) if isinstance(value, int | float) and 0 < value <= 1000 else 1

        guided = form["guidance"]
        guidance = float(guided) if isinstance(guided, int | float) else 1.0
        costs = {
            "estimate": run_cost(number("steps"), count, runs=number("runs")),
            "generate": run_cost(number("generate_steps"), count, guidance=guidance),
            "loop": run_cost(
                number("loop_steps") + number("loop_estimate_steps"), count, runs=number("rounds")
            ),
        }
        return {f"{kind}_time": self.took(kind, cost, lang) for kind, cost in costs.items()}
