"""Events around the watched job: look at it, stop it, display what came of it, tell how long."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from rays_as_pixels.app.jobs.records import EVERY_FRAME
from rays_as_pixels.app.jobs.timing import run_cost
from rays_as_pixels.app.page.binding import (
    QUIET,
    Updates,
    Values,
    bind,
    language_of,
    run_event,
    shown_errors,
)
from rays_as_pixels.app.page.events import expected_time_words, job_updates, sampled_words
from rays_as_pixels.app.page.fields import DEFAULT_FRAMES
from rays_as_pixels.app.page.results import display_results, editor_updates, history_updates
from rays_as_pixels.app.page.step_path import cost_of_every_frame
from rays_as_pixels.app.server.session import LockedSession, Session

if TYPE_CHECKING:
    from rays_as_pixels.app.page.page import Page

POLL_TIMEOUT_SEC = 0.2  # that a look at the job waits for other events


def bind_job_events(page: "Page") -> None:
    """Connect the timer, the stop button, the end of a job, and the settings that take time."""

    def poll(values: dict[Any, Any], request: gr.Request) -> Updates:
        with shown_errors():
            kept = values[page.browser]
            return poll_job(page, values[page.session], kept=kept, lang=language_of(request))

    polled = [*page.job_outputs, page.browser, page.refresh]
    page.timer.tick(poll, {page.session, page.browser}, polled, **QUIET)
    bind(page, page.header.stop_button.click, stop_job, outputs=page.job_outputs)
    bind(
        page,
        page.finished.change,
        show_finished,
        inputs={page.finished},
        outputs=[*page.result_outputs, page.edit.editor],
    )
    settings = {
        page.path.frames,
        page.path.steps,
        page.path.runs,
        page.path.flips,
        page.generate.steps,
        page.generate.guidance,
        page.loop.steps,
        page.loop.estimate_steps,
        page.loop.rounds,
    }
    changes = [page.finished.change, *(setting.change for setting in settings)]
    for trigger in (changes, page.edit.editor.path_commit):
        bind(
            page,
            trigger,
            tell_times,
            inputs=settings,
            outputs=[page.path.time, page.generate.time, page.loop.time],
        )


def poll_job(
    page: "Page", locked: LockedSession, *, kept: object = None, lang: str = "en"
) -> Updates:
    """Look at the watched job; not while another event takes long, for which this would wait."""
    if not locked.session.visitor:
        return run_event(
            page,
            locked,
            lambda session: job_updates(page, session),
            kept=kept,
            lang=lang,
            outputs=page.job_outputs,
        )
    with locked.acquire(timeout_sec=POLL_TIMEOUT_SEC) as acquired:
        return job_updates(page, locked.session) if acquired else {}


def stop_job(page: "Page", session: Session, _values: Values) -> Updates:
    """Ask the watched job to stop."""
    if page.manager.find(session.job, owner=session.visitor) is not None:
        page.manager.cancel(session.job)
    return job_updates(page, session)


def show_finished(page: "Page", session: Session, values: Values) -> Updates:
    """Display the results of the watched job, once."""
    finished = values[page.finished]
    if not finished or finished != session.job or session.shown == finished:
        return editor_updates(page, session)
    session = replace(session, shown=session.job)
    result = page.library.find(session.job, session.visitor)
    updates: Updates = {page.session: session} | display_results(page, session, result)
    session = updates[page.session]
    return editor_updates(page, session) | updates | history_updates(page, session)


def tell_times(page: "Page", session: Session, values: Values) -> Updates:
    """Say how long each run will take with the settings as they are."""
    estimated = session.sampled or session.paths.get("estimated", ())
    frames = len(estimated) or session.plan.get("num_frames", DEFAULT_FRAMES)

    def number(component: Any) -> float:
        value = values[component]
        return float(value) if isinstance(value, int | float) and 0 < value <= 1000 else 1.0

    path, made, loop = page.path, page.generate, page.loop
    runs = int(number(path.runs) * number(path.flips))
    loop_steps = int(number(loop.steps) + number(loop.estimate_steps))
    estimate, cost = "estimate", run_cost(int(number(path.steps)), frames, runs=runs)
    if values[path.frames] == "every":
        estimate, cost = EVERY_FRAME, _frames_of_part(session)
    costs = (
        (path.time, estimate, cost),
        (
            made.time,
            "generate",
            run_cost(int(number(made.steps)), frames, guidance=number(made.guidance)),
        ),
        (loop.time, "loop", run_cost(loop_steps, frames, runs=int(number(loop.rounds)))),
    )
    lang = session.lang
    words = {place: expected_time_words(page, kind, cost, lang) for place, kind, cost in costs}
    for place in (made.time, loop.time):
        words[place] += " " + sampled_words(page, session, ("edited", "estimated"))
    return words


def _frames_of_part(session: Session) -> float:
    """Return how many frames the part to use has; 0 if there is no video to ask."""
    source = Path(session.source)
    if not session.plan or not source.is_file():
        return 0.0
    return cost_of_every_frame(source, session.plan)
