"""Drives the page's event functions as a browser would, without one."""

from collections.abc import Mapping
from typing import Any

from rays_as_pixels.app.jobs.records import JobState
from rays_as_pixels.app.page import (
    downloads,
    events,
    history,
    job_events,
    step_edit,
    step_generate,
    step_loop,
    step_path,
    step_video,
    view,
)
from rays_as_pixels.app.page.page import Page
from rays_as_pixels.app.server.session import Session

SOON = 60.0  # seconds within which a job of these sizes must end


class PageDriver:
    """Sends what the page's forms send as they stand, at sizes a test can afford.

    Every method takes the session before, and changes of the form by the names of the step's
    components; it returns the updates by component.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.manager = page.manager
        self.library = page.library

    def choose_frames(self, session: Session, **changes: Any) -> dict:
        return step_video.choose_frames(self.page, session, self._frames(changes))

    def trim(self, session: Session, data: Mapping[str, Any]) -> dict:
        return step_video.trim(self.page, session, self._frames({}), data)

    def take_files(self, session: Session, files: object) -> dict:
        return step_video.take_files(self.page, session, {self.page.video.file: files})

    def pick_example(self, session: Session, index: object) -> dict:
        return step_video.pick_example(self.page, session, {}, {"index": index})

    def estimate(self, session: Session, **changes: Any) -> dict:
        return step_path.estimate(self.page, session, self.estimate_form(**changes))

    def estimate_form(self, **changes: Any) -> dict:
        defaults = {"steps": 1, "runs": 1, "flips": 1, "shared_focal": False}
        defaults |= {"seed": 7, "lock": True, "extra_frames": False, "frames": "chosen"}
        return form_of(self.page.path, defaults | changes)

    def commit_edit(self, session: Session, document: object) -> dict:
        return step_edit.commit_edit(self.page, session, {self.page.edit.editor: document})

    def preview_edit(self, session: Session, document: object) -> dict:
        return step_edit.preview_edit(self.page, session, {self.page.edit.editor: document})

    def choose_path(self, session: Session, path: object, steps: object) -> dict:
        form = form_of(self.page.generate, {"path_choice": path, "steps": steps})
        return step_generate.choose_path(self.page, session, form)

    def generate(self, session: Session, **changes: Any) -> dict:
        defaults = {"path_choice": "edited", "images_choice": "first", "image_frames": []}
        defaults |= {"own_image": None, "imagine_frames": 5, "imagine_fps": 10.0}
        defaults |= {"steps": 2, "guidance": 1.0, "seed": 7, "lock": True}
        form = form_of(self.page.generate, defaults | changes)
        return step_generate.generate(self.page, session, form)

    def loop(self, session: Session, run: Any = step_loop.run_loop, **changes: Any) -> dict:
        defaults = {"path": "estimated", "rounds": 1, "steps": 2, "estimate_steps": 1}
        form = form_of(self.page.loop, defaults | {"seed": 7, "lock": True} | changes)
        return run(self.page, session, form)

    def choose_overlay(self, session: Session, name: object) -> dict:
        return view.choose_overlay(self.page, session, {self.page.view.overlay: name})

    def prepare_download(self, session: Session, what: object, kind: object) -> dict:
        form = form_of(self.page.view, {"download_what": what, "download_format": kind})
        return downloads.prepare_download(self.page, session, form)

    def use_result(self, session: Session, reference: str, action: str) -> dict:
        return history.use_result(self.page, session, {}, {"id": reference, "action": action})

    def poll(self, session: Session) -> dict:
        return events.job_updates(self.page, session)

    def stop(self, session: Session) -> dict:
        return job_events.stop_job(self.page, session, {})

    def show_finished(self, session: Session, job: object) -> dict:
        return job_events.show_finished(self.page, session, {self.page.finished: job})

    def finished(self, updates: dict) -> tuple[Session, dict]:
        """Wait for the submitted job; return session and updates that display its results."""
        session = updates[self.page.session]
        record = self.manager.wait(session.job, timeout_sec=SOON)
        assert record.state is JobState.DONE, record.message
        assert self.poll(session)[self.page.finished] == record.id
        shown = self.show_finished(session, record.id)
        return shown[self.page.session], shown

    def _frames(self, changes: Mapping[str, Any]) -> dict:
        defaults = {"start": "", "end": "", "by": "count", "frames": 5, "rate": 10.0}
        return form_of(self.page.video, {**defaults, **changes})


def form_of(step: Any, values: Mapping[str, Any]) -> dict:
    """Return values by component, from values by the names of a step's fields."""
    return {getattr(step, name): value for name, value in values.items()}
