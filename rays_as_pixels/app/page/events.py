"""What all events of the page share: submitting jobs, watching them, checking what came in."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from jaxtyping import Float
from pydantic import BaseModel
from torch import Tensor

from rays_as_pixels.app import i18n
from rays_as_pixels.app.examples import Example
from rays_as_pixels.app.jobs import tasks
from rays_as_pixels.app.jobs.manager import JobManager
from rays_as_pixels.app.library import Library, Result, frames_of
from rays_as_pixels.app.page import results, widgets
from rays_as_pixels.app.page.results import Updates
from rays_as_pixels.app.server.model_holder import ModelHolder
from rays_as_pixels.app.server.session import Session
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.video import read_image
from rays_as_pixels.trajectories.depth import depth_of_path
from rays_as_pixels.trajectories.formats.native import native_text

Form = Mapping[str, object]
START_BUTTONS = (
    "estimate_button",
    "generate_button",
    "loop_button",
    "demo_stabilise",
    "demo_reverse",
    "demo_dolly_zoom",
)


class Events:
    """The ground that the events of all steps stand on.

    Args:
        manager: Runs the jobs.
        model: Gives the pipeline to them.
        examples: Clips to try, with what is shipped of them.
    """

    def __init__(
        self, manager: JobManager, model: ModelHolder, examples: Sequence[Example]
    ) -> None:
        self.manager = manager
        self.model = model
        self.examples = list(examples)
        self.library = Library(manager, examples)

    def submit(
        self,
        session: Session,
        kind: str,
        request: BaseModel,
        inputs: "dict[str, Path | bytes]",
        *,
        cost: float,
        **notes: Any,
    ) -> Updates:
        """Queue a job for the visitor and watch it."""
        record = self.manager.submit(
            kind, request, owner=session.visitor, inputs=inputs, cost=cost, notes=notes
        )
        session = replace(session, job=record.id)
        return self.watched(session) | {"session": session, "browser": session.browser()}

    def watched(self, session: Session) -> Updates:
        """Return the job bar and what depends on whether a job runs."""
        record = self.manager.find(session.job, owner=session.visitor) if session.job else None
        busy = record is not None and not record.state.is_final
        loading = self.model.ready is None and not self.model.problem
        updates: Updates = {name: gr.update(interactive=not busy) for name in START_BUTTONS}
        updates |= {
            "status": widgets.status_line(self.model, self.manager, session.lang),
            "job_bar": widgets.job_bar(record, self.manager, session.lang),
            "stop_button": gr.update(visible=busy),
            "timer": gr.update(active=busy or loading),
        }
        if record is not None and record.state.is_final and session.shown != record.id:
            updates["finished"] = record.id
        return updates

    def estimate_of(self, session: Session) -> Result:
        """Return the estimate on show.

        Raises:
            InputError: There is none.
        """
        found = self.library.find(session.estimate, session.visitor)
        if found is None:
            raise InputError(i18n.say("need_estimate", session.lang))
        return found

    def path_of(self, session: Session, name: str) -> Trajectory:
        """Return a path of the session.

        Raises:
            InputError: It has none of this name.
        """
        path = session.paths.get(name)
        if path is None:
            key = "need_estimate" if name == "estimated" else "need_edited"
            raise InputError(i18n.say(key, session.lang))
        return path

    def frames_for(self, session: Session) -> Float[Tensor, "frames 3 height width"]:
        """Return the frames that a video is made from: those of the estimate, or the one image.

        Raises:
            InputError: There are none.
        """
        if session.still and session.source:
            return read_image(session.source)[None]
        return frames_of(self.estimate_of(session))

    def depth_of(self, session: Session) -> Float[Tensor, "rows columns"] | None:
        """Return the depths of the estimate's first frame, where it keeps any."""
        path = None if session.still else self.estimate_of(session).file(tasks.TRAJECTORY)
        return None if path is None else depth_of_path(path)

    def took(self, kind: str, cost: float, lang: str) -> str:
        """Say how long a run will take here, from measured ones."""
        seconds = self.manager.expected_sec(kind, cost=cost)
        if seconds is None:
            return i18n.say("time_unknown", lang)
        return i18n.say("time_about", lang, time=i18n.duration(seconds, lang))

    def put_on_show(self, session: Session, *found: Result | None) -> Updates:
        """Show results; those that are gone, or that hold nothing to see, are passed over."""
        return results.show(session, [item for item in found if item is not None], self.library)


def run_cost(steps: int, frames: int, *, runs: int = 1, guidance: float = 1.0) -> float:
    """Return how much work a run is: passes through the network, times frames."""
    return float(steps * frames * runs * (2 if guidance > 1 else 1))


def taken_along(session: Session, path: Trajectory, *, own: bool) -> Trajectory:
    """Return the path that the images were taken along, in the world of the session's paths.

    Args:
        session: Where a clip was estimated, its frames were taken along that path.
        path: Whose lens images of one's own have, which were taken where that world begins.
        own: Whether it is such images.
    """
    estimated = None if own or session.still else session.paths.get("estimated")
    if estimated is not None:
        return estimated
    first = path.cameras[:1]
    at = torch.eye(4).to(first.world_from_cam).expand_as(first.world_from_cam)
    return Trajectory(replace(first, world_from_cam=at), path.fps)


def taken_file(path: Trajectory) -> dict[str, bytes]:
    """Return what `taken_along` says as a job's file."""
    return {tasks.TAKEN: native_text(path).encode()}
