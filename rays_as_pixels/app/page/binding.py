"""Events of the page: one at a time for each page, with errors in the visitor's sight."""

import functools
import secrets
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr

from rays_as_pixels.app import i18n
from rays_as_pixels.app.server.session import LockedSession, Session
from rays_as_pixels.errors import InputError

if TYPE_CHECKING:
    from rays_as_pixels.app.page.page import Page

Values = Mapping[Any, Any]  # component: the value it sends
Updates = dict[Any, Any]  # component: its new value or update
EventFunction = Callable[["Page", Session, Values], Updates]
DataFunction = Callable[["Page", Session, Values, Mapping[str, Any]], Updates]

# The page's own events are no API; every handler checks its input all the same.
QUIET: dict[str, Any] = {
    "show_progress": "hidden",
    "api_visibility": "private",
    "concurrency_limit": 8,  # pages beside each other; of one page, `LockedSession` lets one act
}


def bind(
    page: "Page",
    trigger: Any,
    handler: EventFunction,
    *,
    inputs: Collection[Any] = (),
    outputs: Collection[Any],
) -> None:
    """Call `handler(page, session, values)` on an event.

    Args:
        page: The page.
        trigger: A component's event, or a list of such events.
        handler: Returns new values of components, all among `outputs`, and, as that of
            `page.session`, the next session if it changes.
        inputs: Components whose values the handler gets.
        outputs: Components that the handler may change. Only those that draw the path editor anew
            each time have the editor here: Gradio 6 takes the properties of a gr.HTML that is not
            yet on screen away at every event that leaves it as it is.
    """

    def called(values: dict[Any, Any], request: gr.Request) -> Updates:
        return _run(page, values, request, lambda session: handler(page, session, values), outputs)

    _listen(page, trigger, called, inputs, outputs)


def bind_with_data(
    page: "Page",
    trigger: Any,
    handler: DataFunction,
    *,
    inputs: Collection[Any] = (),
    outputs: Collection[Any],
) -> None:
    """As `bind`, for an event with data of its own, which the handler takes last."""

    def called(values: dict[Any, Any], request: gr.Request, event: gr.EventData) -> Updates:
        data = dict(event._data) if isinstance(event._data, Mapping) else {}

        def run(session: Session) -> Updates:
            return handler(page, session, values, data)

        return _run(page, values, request, run, outputs)

    _listen(page, trigger, called, inputs, outputs)


def _listen(
    page: "Page",
    trigger: Any,
    called: Callable[..., Updates],
    inputs: Collection[Any],
    outputs: Collection[Any],
) -> None:
    sent = [page.session, page.browser, page.refresh]
    changed = [*sent, *(one for one in dict.fromkeys(outputs) if one not in sent)]
    listen = functools.partial(gr.on, trigger) if isinstance(trigger, list) else trigger
    listen(called, {page.session, page.browser, *inputs}, changed, **QUIET)


def _run(
    page: "Page",
    values: Values,
    request: gr.Request,
    handler: Callable[[Session], Updates],
    outputs: Collection[Any],
) -> Updates:
    locked = values[page.session]
    with shown_errors():
        kept, lang = values[page.browser], language_of(request)
        updates = run_event(page, locked, handler, kept=kept, lang=lang, outputs=outputs)
    return {page.session: locked} | updates


def run_event(
    page: "Page",
    locked: LockedSession,
    handler: Callable[[Session], Updates],
    *,
    kept: object = None,
    lang: str = "en",
    outputs: Collection[Any],
) -> Updates:
    """Let a handler act on the page's session, after all events before it.

    Where there is no session yet, or the server forgot it, the page is opened first. What opening
    changes beyond `outputs` is kept in the session, and `page.refresh` asks for it.
    """
    from_opening: Updates = {}
    with locked.acquire():
        session = locked.session
        if not session.visitor:
            from_opening = page.open(kept, lang)
            session = from_opening.pop(page.session)
        updates = handler(session)
        locked.session = updates.pop(page.session, session)
        may_change = {page.browser, *outputs}
        extra = set(updates) - may_change
        assert not extra, f"{handler} changes components that are not among its outputs: {extra}"
        unsent = {key: value for key, value in from_opening.items() if key not in updates}
        locked.unsent = {k: v for k, v in locked.unsent.items() if k not in updates} | unsent
        sent = updates | {k: locked.unsent.pop(k) for k in may_change & locked.unsent.keys()}
        if locked.unsent:
            sent[page.refresh] = secrets.token_hex(8)
    return sent


class shown_errors:  # noqa: N801 - used like a function, in a with statement
    """Show an InputError's own words to the visitor; anything else keeps its trace in the log."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Raise a `gr.Error` in place of an InputError."""
        if isinstance(error, InputError):
            words = str(error)
            raise gr.Error(words[:1].upper() + words[1:], print_exception=False) from error


def language_of(request: gr.Request | None) -> str:
    """Return the language that a browser asks for."""
    headers = getattr(request, "headers", None)
    return i18n.language(None if headers is None else headers.get("accept-language"))
