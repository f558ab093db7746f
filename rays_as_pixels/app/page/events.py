"""What events of several steps share: submitting jobs, the watched job, where images come from."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import gradio as gr
import torch
from jaxtyping import Float
from pydantic import BaseModel
from torch import Tensor

from rays_as_pixels.app import i18n
from rays_as_pixels.app.jobs import tasks
from rays_as_pixels.app.jobs.requests import MAX_SEED
from rays_as_pixels.app.page import widgets
from rays_as_pixels.app.page.binding import Updates
from rays_as_pixels.app.page.library import Result, frames_of
from rays_as_pixels.app.server.session import Session
from rays_as_pixels.app.validation import validated
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.video import read_image
from rays_as_pixels.trajectories.depth import depth_of_path

if TYPE_CHECKING:
    from rays_as_pixels.app.page.page import Page

Model = TypeVar("Model", bound=BaseModel)


def submit_job(
    page: "Page",
    session: Session,
    kind: str,
    request: BaseModel,
    *,
    inputs: dict[str, Path | bytes],
    cost: float,
    **notes: Any,
) -> Updates:
    """Queue a job for the visitor and watch it; `notes` are kept with its settings."""
    record = page.manager.submit(
        kind, request, owner=session.visitor, inputs=inputs, cost=cost, notes=notes
    )
    session = replace(session, job=record.id)
    return job_updates(page, session) | {page.session: session, page.browser: session.browser()}


def request_from_form(
    request_class: type[Model], labels: Mapping[str, str] | None = None, /, **values: Any
) -> Model:
    """Return a job's request from values that a step's form sent.

    Args:
        request_class: Of the request.
        labels: Keys of the labels that the form's fields have, where not the request's own names.
        values: Fields of the request.

    Raises:
        InputError: A rule of the request is broken; the message has the field's label.
    """
    keys = {name: name for name in values if name in i18n.table()} | dict(labels or {})
    return validated(
        request_class, values, labels={name: i18n.say(key) for name, key in keys.items()}
    )


def seed_of_form(value: object, *, locked: object) -> object:
    """Return the seed shown if it is locked, a new one if it is not."""
    return value if locked is True else secrets.randbelow(MAX_SEED + 1)


def job_updates(page: "Page", session: Session) -> Updates:
    """Return the job bar and what depends on whether a job runs."""
    record = page.manager.find(session.job, owner=session.visitor) if session.job else None
    busy = record is not None and not record.state.is_final
    loading = page.model.ready is None and not page.model.problem
    updates: Updates = {button: gr.update(interactive=not busy) for button in page.start_buttons}
    updates |= {
        page.header.status: widgets.status_line(page.model, page.manager, session.lang),
        page.header.job_bar: widgets.job_bar(record, page.manager, session.lang),
        page.header.stop_button: gr.update(visible=busy),
        page.timer: gr.update(active=busy or loading),
    }
    if record is not None and record.state.is_final and session.shown != record.id:
        updates[page.finished] = record.id
    return updates


def displayed_estimate(page: "Page", session: Session) -> Result:
    """Return the estimate on show.

    Raises:
        InputError: There is none.
    """
    found = page.library.find(session.estimate, session.visitor)
    if found is None:
        raise InputError(i18n.say("need_estimate", session.lang))
    return found


def path_of_session(session: Session, name: str) -> Trajectory:
    """Return a path of the session.

    Raises:
        InputError: It has none of this name.
    """
    path = session.paths.get(name)
    if path is None:
        key = "need_estimate" if name == "estimated" else "need_edited"
        raise InputError(i18n.say(key, session.lang))
    return path


def source_frames(page: "Page", session: Session) -> Float[Tensor, "frames 3 height width"]:
    """Return the frames that a video is made from: those of the estimate, or the one image.

    Of an estimate of every frame these are some, the ones of `path_for_model`.

    Raises:
        InputError: There are none.
    """
    if session.still and session.source:
        return read_image(session.source)[None]
    return frames_of(displayed_estimate(page, session))


def path_for_model(page: "Page", session: Session, name: str) -> Trajectory:
    """Return a path of the session with as many frames as the model can make.

    A longer one is sampled evenly in time; the estimated one at the frames whose pictures are kept.

    Raises:
        InputError: There is none of this name.
    """
    path = path_of_session(session, name)
    if name == "estimated" and session.sampled:
        return path.picked(session.sampled)
    return page.model.facts.fitted(path)


def sampled_words(page: "Page", session: Session, paths: tuple[str, ...]) -> str:
    """Say which of these paths has more frames than a video can have; "" if none has."""
    for name in paths:
        path = session.paths.get(name)
        if path is not None:
            count = len(path_for_model(page, session, name))
            if count < len(path):
                words = i18n.say(f"path_{name}", session.lang)
                return i18n.say(
                    "video_is_sampled", session.lang, path=words, frames=len(path), count=count
                )
    return ""


def depth_of_estimate(page: "Page", session: Session) -> Float[Tensor, "rows columns"] | None:
    """Return the depths of the estimate's first frame, where it keeps any."""
    if session.still:
        return None
    path = displayed_estimate(page, session).file(tasks.TRAJECTORY)
    return None if path is None else depth_of_path(path)


def expected_time_words(page: "Page", kind: str, cost: float, lang: str) -> str:
    """Say how long a run will take here, from measured ones."""
    seconds = page.manager.expected_sec(kind, cost=cost)
    if seconds is None:
        return i18n.say("time_unknown", lang)
    return i18n.say("time_about", lang, time=i18n.duration(seconds, lang))


def source_path(session: Session, path: Trajectory, *, own_image: bool) -> Trajectory:
    """Return the path that the images were filmed along, in the world of the session's paths.

    Args:
        session: Where a clip was estimated, its frames were filmed along that path.
        path: Whose lens an image of the visitor's own has, filmed where that world begins.
        own_image: Whether it is such an image.
    """
    estimated = None if own_image or session.still else session.paths.get("estimated")
    if estimated is not None:
        return estimated.picked(session.sampled) if session.sampled else estimated
    first = path.cameras[:1]
    at = torch.eye(4).to(first.world_from_cam).expand_as(first.world_from_cam)
    return Trajectory(replace(first, world_from_cam=at), path.fps)
