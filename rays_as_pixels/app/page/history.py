"""The visitor's results as a list: load one with its settings, or compare with it."""

import time
from typing import Any

import gradio as gr

from rays_as_pixels.app import i18n
from rays_as_pixels.app.library import Library, Result, poster
from rays_as_pixels.app.server.session import Session

_TEMPLATE = '<div class="hist"><p class="rap-hint"></p><ol></ol></div>'
ACTIONS = ("load", "compare", "delete")


def history(*, elem_id: str) -> gr.HTML:
    """Return the component; its event `select` has the data `id` and `action`."""
    return gr.HTML(
        html_template=_TEMPLATE,
        js_on_load=i18n.script("history.js", "hist_"),
        elem_id=elem_id,
        elem_classes="rap-flat",
    )


def history_value(session: Session, library: Library) -> list[dict[str, Any]]:
    """Return what the list shows."""
    return [_item(session, result) for result in library.history(session.visitor)]


def _item(session: Session, result: Result) -> dict[str, Any]:
    lang = session.lang
    clip = result.video or result.file(str(result.results.get("clip", "")))
    shown = result.reference in (session.estimate, session.result, session.loop)
    return {
        "id": result.reference,
        "title": i18n.say(f"job_{result.kind}", lang),
        "detail": detail(result, lang),
        "state": str(result.state),
        "poster": "" if clip is None else poster(clip),
        "shown": shown,
        "other": result.reference == session.other,
        "can_load": result.state == "done" or result.video is not None,
        "can_compare": result.kind in ("generate", "imagine")
        and not shown
        and result.video is not None
        and bool(session.result),
        "can_delete": True,
    }


def detail(result: Result, lang: str) -> str:
    """Say a result's settings and when it was made, in one line."""
    ask = result.settings
    words = []
    if result.state != "done":
        words.append(i18n.say(f"state_{result.state}", lang))
    if ask.get("path"):
        words.append(i18n.say(f"path_{ask['path']}", lang))
    if "steps" in ask:
        words.append(i18n.steps(ask["steps"], lang))
    if ask.get("guidance_scale", 1.0) != 1.0:
        words.append(i18n.say("some_guidance", lang, x=ask["guidance_scale"]))
    if ask.get("rounds", 1) > 1:
        words.append(i18n.say("some_rounds", lang, n=ask["rounds"]))
    if "seed" in ask:
        words.append(i18n.say("some_seed", lang, n=ask["seed"]))
    if result.duration_sec is not None:
        words.append(i18n.duration(result.duration_sec, lang))
    words.append(time.strftime("%H:%M", time.localtime(result.created_unix)))
    return ", ".join(words)
