"""Step 1, video in and trimmed: its components, and what its events do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import gradio as gr

from rays_as_pixels.app import checks, i18n
from rays_as_pixels.app.examples import Example
from rays_as_pixels.app.page.binding import Updates, Values, bind, bind_with_data
from rays_as_pixels.app.page.fields import (
    frames_field,
    named_choices,
    plain_html,
    primary_button,
    rate_field,
)
from rays_as_pixels.app.page.filmstrip import filmstrip
from rays_as_pixels.app.page.results import display_results, editor_updates, view_updates
from rays_as_pixels.app.page.source import FrameChoice, planned_updates, uploaded_source
from rays_as_pixels.app.server.model_holder import ModelFacts
from rays_as_pixels.app.server.session import Session
from rays_as_pixels.app.validation import quoted
from rays_as_pixels.errors import InputError
from rays_as_pixels.media.images import IMAGE_SUFFIXES
from rays_as_pixels.trajectories.formats.native import read_native

if TYPE_CHECKING:
    from rays_as_pixels.app.page.library import Result
    from rays_as_pixels.app.page.page import Page

VIDEO_SUFFIXES = (".mp4", ".mov", ".webm", ".mkv", ".avi", ".m4v", ".gif")
CHOOSE_BY = ("count", "rate")
label = i18n.label


@dataclass(frozen=True)
class VideoStep:
    """The components of step 1.

    Attributes:
        file: Upload of a video, an image or several images.
        examples: Clips to try, None if there are none.
        film: The filmstrip with its handles.
        start: Start of the part to use, in seconds.
        end: Its end.
        by: Whether frames are chosen by number or by rate.
        frames: How many.
        rate: How many per second.
        facts: Which frames are used and why.
        next_button: Leads on to step 2.
    """

    file: gr.File
    examples: gr.Gallery | None
    film: gr.HTML
    start: gr.Textbox
    end: gr.Textbox
    by: gr.Dropdown
    frames: gr.Dropdown
    rate: gr.Number
    facts: gr.HTML
    next_button: gr.Button


def build_video_step(model: ModelFacts, examples: Sequence[Example]) -> VideoStep:
    """Add the step's tab to the page."""
    with gr.Tab(label("tab_video"), id="video", elem_id="step-video"):
        with gr.Row(equal_height=True, elem_classes="rap-source"):
            file = gr.File(
                label=label("file"),
                file_count="multiple",
                height=132,
                min_width=200,
                file_types=[*VIDEO_SUFFIXES, *sorted(IMAGE_SUFFIXES)],
                elem_id="video-file",
            )
            gallery = _gallery(examples) if examples else None
        film = filmstrip(elem_id="film")
        with gr.Row(elem_classes="rap-fields"):
            start, end = _seconds_field("start"), _seconds_field("end")
            by = gr.Dropdown(
                [("N", "count"), ("fps", "rate")],
                value="count",
                label=label("by"),
                min_width=110,
                elem_id="by",
            )
            frames = frames_field(model, "frames")
            rate = rate_field("rate", "rate", minimum=0.01)
        facts = plain_html("clip-facts")
        next_button = primary_button("video_next", "use-frames")
    return VideoStep(file, gallery, film, start, end, by, frames, rate, facts, next_button)


def _gallery(examples: Sequence[Example]) -> gr.Gallery:
    return gr.Gallery(
        [(str(example.poster), example.title["en"]) for example in examples],
        label=label("examples"),
        columns=len(examples),
        height=132,
        allow_preview=False,
        interactive=False,
        buttons=[],
        elem_id="examples",
        min_width=240,
        object_fit="cover",
    )


def _seconds_field(key: str) -> gr.Textbox:
    return gr.Textbox(
        label=label(key), placeholder=label(f"{key}_info"), max_lines=1, min_width=80, elem_id=key
    )


def bind_video_step(page: "Page") -> None:
    """Connect the step's events."""
    step = page.video
    form = {step.start, step.end, step.by, step.frames, step.rate}
    new_video = [*page.plan_outputs, *page.result_outputs, page.edit.editor]
    bind(page, step.file.upload, take_files, inputs={step.file}, outputs=new_video)
    if step.examples is not None:
        bind_with_data(page, step.examples.select, pick_example, outputs=new_video)
    bind(page, step.by.input, choose_by, inputs={step.by}, outputs=[step.frames, step.rate])
    changes = [
        step.by.input,
        step.frames.input,
        step.rate.submit,
        step.start.submit,
        step.end.submit,
    ]
    bind(page, changes, choose_frames, inputs=form, outputs=page.plan_outputs)
    bind_with_data(page, step.film.release, trim, inputs=form, outputs=page.plan_outputs)
    bind(page, step.next_button.click, open_path_step, outputs=[page.tabs])


def take_files(page: "Page", session: Session, values: Values) -> Updates:
    """Take what was uploaded: a video, an image, or several images as one video."""
    source, still = uploaded_source(values[page.video.file], session.lang)
    session = replace(session.emptied(), source=str(source), still=still)
    updates = planned_updates(page, session, None)
    session = updates[page.session]
    cleared: Updates = {
        page.path.facts: "",
        page.generate.compare: None,
        page.generate.facts: "",
        page.loop.numbers: "",
        page.loop.compare: None,
        page.edit.facts: "",
        page.edit.warnings: "",
        page.edit.parallax: gr.update(value=None, visible=False),
        **editor_updates(page, session),
    }
    return cleared | view_updates(page, session) | updates


def pick_example(
    page: "Page", session: Session, _values: Values, data: Mapping[str, Any]
) -> Updates:
    """Display an example and all that is shipped of it; nothing is computed."""
    index = data.get("index")
    if not isinstance(index, int) or not 0 <= index < len(page.examples):
        raise InputError(
            i18n.say("unknown_example", session.lang).format(
                count=len(page.examples), index=quoted(index)
            )
        )
    return show_example(page, session.emptied(), index)


def show_example(page: "Page", session: Session, index: int) -> Updates:
    """Return everything the page shows of an example."""
    example = page.examples[index]
    session = replace(session, example=example.name, source=str(example.clip))
    found: "dict[str, Result | None]" = {}
    for kind in ("loop", "generate", "estimate"):
        reference = f"example:{example.name}/{kind}"
        found[kind] = page.library.find(reference, session.visitor)
        if found[kind] is not None:
            field = "result" if kind == "generate" else kind
            session = replace(session, **{field: reference})
    updates = planned_updates(page, session, None)
    session = updates[page.session]
    if example.truth is not None:
        session = session.with_path("truth", read_native(example.truth))
        session = replace(session, main="truth")
    displayed = editor_updates(page, session) | display_results(page, session, *found.values())
    if found["estimate"] is None:  # nothing shipped: the true path at least
        displayed |= view_updates(page, session)
    return updates | displayed


def choose_frames(page: "Page", session: Session, values: Values) -> Updates:
    """Choose the frames anew after a change of the trim or of how many are wanted."""
    if not session.source:
        return {}
    return planned_updates(page, session, _frame_choice(page.video, values))


def trim(page: "Page", session: Session, values: Values, data: Mapping[str, Any]) -> Updates:
    """Take the part that the filmstrip's handles enclose."""
    if not session.source:
        return {}
    choice = replace(
        _frame_choice(page.video, values),
        start=checks.optional_seconds(i18n.say("start"), data.get("start_sec")),
        end=checks.optional_seconds(i18n.say("end"), data.get("end_sec")),
    )
    return planned_updates(page, session, choice)


def _frame_choice(step: VideoStep, values: Values) -> FrameChoice:
    return FrameChoice(
        start=values[step.start],
        end=values[step.end],
        by=values[step.by],
        frames=values[step.frames],
        rate=values[step.rate],
    )


def choose_by(page: "Page", _session: Session, values: Values) -> Updates:
    """Ask for a number of frames or for a rate."""
    by = checks.choice(i18n.say("by"), values[page.video.by], CHOOSE_BY)
    return {
        page.video.frames: gr.update(visible=by == "count"),
        page.video.rate: gr.update(visible=by == "rate"),
    }


def open_path_step(page: "Page", _session: Session, _values: Values) -> Updates:
    """Turn to step 2."""
    return {page.tabs: gr.Tabs(selected="path")}


def by_choices(lang: str) -> list[tuple[str, str]]:
    """Return the ways to choose frames, in the visitor's language."""
    return named_choices("by_", CHOOSE_BY, lang)
