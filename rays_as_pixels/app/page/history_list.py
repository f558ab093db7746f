"""What the list of the visitor's results shows of each."""

import time
from typing import Any

from rays_as_pixels.app import i18n
from rays_as_pixels.app.page.library import Library, Result, poster
from rays_as_pixels.app.server.session import Session


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
    if result.of_every_frame:
        words.append(i18n.say("frames_every", lang))
    elif "steps" in ask and result.is_denoised:
        words.append(i18n.steps(ask["steps"], lang))
    if ask.get("guidance_scale", 1.0) != 1.0:
        words.append(i18n.say("some_guidance", lang, x=ask["guidance_scale"]))
    if ask.get("rounds", 1) > 1:
        words.append(i18n.say("some_rounds", lang, n=ask["rounds"]))
    if "seed" in ask and result.is_denoised:
        words.append(i18n.say("some_seed", lang, n=ask["seed"]))
    if result.duration_sec is not None:
        words.append(i18n.duration(result.duration_sec, lang))
    words.append(time.strftime("%H:%M", time.localtime(result.created_unix)))
    return ", ".join(words)
