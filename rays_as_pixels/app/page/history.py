"""The visitor's results: load one with its settings, compare with it, or delete it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gradio as gr

from rays_as_pixels.app import checks, i18n
from rays_as_pixels.app.editor import document_from_trajectory
from rays_as_pixels.app.jobs.input_files import TARGET_TRAJECTORY
from rays_as_pixels.app.page.binding import Updates, Values
from rays_as_pixels.app.page.library import Result
from rays_as_pixels.app.page.results import (
    EDIT_KEYS,
    comparison_updates,
    display_results,
    editor_updates,
    history_updates,
)
from rays_as_pixels.app.server.session import Session
from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.formats.native import read_native

if TYPE_CHECKING:
    from rays_as_pixels.app.page.page import Page

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


def use_result(page: "Page", session: Session, _values: Values, data: Mapping[str, Any]) -> Updates:
    """Load a result with its settings, compare with it, or delete it."""
    action = checks.choice("action", data.get("action"), ACTIONS)
    result = page.library.find(str(data.get("id", "")), session.visitor)
    if result is None:
        raise InputError(i18n.say("need_result", session.lang))
    if action == "compare":
        other = "" if session.other == result.reference else result.reference
        session = replace(session, other=other)
        updates = comparison_updates(page, session) | history_updates(page, session)
    elif action == "delete":
        session, updates = _delete(page, session, result)
    else:
        session, updates = _load(page, session, result)
    return editor_updates(page, session) | updates | {page.session: session}


def _delete(page: "Page", session: Session, result: Result) -> tuple[Session, Updates]:
    page.manager.delete(result.reference)
    gone = {
        name: ""
        for name in ("result", "other", "loop", "estimate", "job", "shown")
        if getattr(session, name) == result.reference
    }
    session = replace(session, **gone)
    updates: Updates = {page.browser: session.browser()}
    if "result" in gone or "other" in gone:
        updates |= comparison_updates(page, session)
    if "loop" in gone:
        updates |= {page.loop.numbers: "", page.loop.compare: None}
    return session, updates | history_updates(page, session)


def _load(page: "Page", session: Session, result: Result) -> tuple[Session, Updates]:
    reference = str(result.settings.get("estimate", ""))
    estimate = page.library.find(reference, session.visitor)
    again = estimate if estimate and estimate.reference != session.estimate else None
    updates = display_results(page, session, again, result)
    session = updates.get(page.session, session)
    target = result.file(TARGET_TRAJECTORY)
    if result.kind == "generate" and target is not None:
        path = read_native(target)
        document = document_from_trajectory(path, num_keyframes=min(EDIT_KEYS, len(path)))
        session = replace(session.with_path("edited", path), edit=document)
        updates |= {page.generate.path_choice: "edited", **editor_updates(page, session)}
    return session, updates | _settings(page, result)


def _settings(page: "Page", result: Result) -> Updates:
    """Return the form as it was when a result was asked for."""
    asked = result.settings
    if result.kind == "estimate":
        step = page.path
        every = asked.get("num_frames") is None
        return {
            step.frames: "every" if every else "chosen",
            step.for_chosen: gr.update(visible=not every),
            step.steps: asked["steps"],
            step.runs: asked["num_samples"],
            step.flips: asked.get("num_flips", 1),
            step.seed: asked["seed"],
            step.lock: True,
            step.shared_focal: asked["shared_focal"],
            step.extra_frames: asked.get("extra_frames", True),
        }
    if result.kind == "loop":
        loop = page.loop
        return {
            loop.steps: asked["steps"],
            loop.estimate_steps: asked["estimate_steps"],
            loop.rounds: asked["rounds"],
            loop.seed: asked["seed"],
            loop.lock: True,
        }
    made = page.generate
    return {
        made.steps: asked["steps"],
        made.guidance: asked["guidance_scale"],
        made.seed: asked["seed"],
        made.lock: True,
    }
