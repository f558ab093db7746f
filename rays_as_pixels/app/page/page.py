"""The whole page as one value: what its events work with, and its components, step by step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from rays_as_pixels.app.examples import Example
from rays_as_pixels.app.jobs.manager import JobManager
from rays_as_pixels.app.page.binding import Updates
from rays_as_pixels.app.page.library import Library
from rays_as_pixels.app.page.opening import open_page
from rays_as_pixels.app.page.step_edit import EditStep
from rays_as_pixels.app.page.step_generate import GenerateStep
from rays_as_pixels.app.page.step_loop import LoopStep
from rays_as_pixels.app.page.step_path import PathStep
from rays_as_pixels.app.page.step_video import VideoStep
from rays_as_pixels.app.page.view import ViewPanel
from rays_as_pixels.app.server.model_holder import ModelHolder


@dataclass(frozen=True)
class Header:
    """What stands above the steps.

    Attributes:
        status: Line about the model and its device.
        job_bar: The watched job.
        stop_button: Stops it.
    """

    status: gr.HTML
    job_bar: gr.HTML
    stop_button: gr.Button


@dataclass(frozen=True)
class Page:
    """The page: what its events work with, and its components.

    Attributes:
        manager: Runs the jobs.
        model: Gives the pipeline to them.
        library: Finds results.
        examples: Clips to try, with what is shipped of them.
        session: Holds the visitor's `LockedSession`; in a handler's updates, the next `Session`.
        browser: What the browser keeps across reloads.
        timer: Ticks while a job is watched.
        finished: Id of a job that ended and is not displayed yet.
        refresh: A new value asks for all updates that an event could not send, see `run_event`.
        tabs: The steps.
        header: What stands above them.
        video: Step 1.
        path: Step 2.
        edit: Step 3.
        generate: Step 4.
        loop: Step 5.
        view: What stands beside the steps.
    """

    manager: JobManager
    model: ModelHolder
    library: Library
    examples: Sequence[Example]
    session: gr.State
    browser: gr.BrowserState
    timer: gr.Timer
    finished: gr.State
    refresh: gr.State
    tabs: gr.Tabs
    header: Header
    video: VideoStep
    path: PathStep
    edit: EditStep
    generate: GenerateStep
    loop: LoopStep
    view: ViewPanel

    @property
    def editor_props(self) -> dict[str, Any]:
        """What every update of the path editor repeats."""
        return dict(self.edit.editor.props)

    def open(self, kept: object, lang: str = "en") -> Updates:
        """Return all updates of a page that opens; see `opening.open_page`."""
        return open_page(self, kept, lang)

    @property
    def start_buttons(self) -> tuple[gr.Button, ...]:
        """The buttons that start a job: only one runs at a time for a visitor."""
        loop = self.loop
        demonstrations = (loop.stabilise, loop.reverse, loop.dolly_zoom)
        return self.path.button, self.generate.button, loop.button, *demonstrations

    @property
    def job_outputs(self) -> tuple[Any, ...]:
        """What depends on the watched job (`job_updates`)."""
        header = self.header
        return (
            header.status,
            header.job_bar,
            header.stop_button,
            self.timer,
            self.finished,
            *self.start_buttons,
        )

    @property
    def view_outputs(self) -> tuple[Any, ...]:
        """What `view_updates` writes."""
        view = self.view
        return (
            self.browser,
            view.plot,
            view.overlay,
            view.download_what,
            view.download_panel,
            view.download_button,
            view.download_notes,
        )

    @property
    def plan_outputs(self) -> tuple[Any, ...]:
        """What depends on which frames of a video are used."""
        video = self.video
        return video.film, video.facts, video.frames, video.start, video.end, self.view.clip

    @property
    def result_outputs(self) -> tuple[Any, ...]:
        """What displaying results writes, other than the editor (`display_results`)."""
        return (
            *self.view_outputs,
            self.view.clip,
            self.path.facts,
            self.edit.facts,
            self.edit.warnings,
            self.edit.parallax,
            self.generate.compare,
            self.generate.facts,
            self.generate.history,
            self.loop.numbers,
            self.loop.compare,
        )

    @property
    def setting_outputs(self) -> tuple[Any, ...]:
        """The settings that loading a result brings back."""
        path, generate, loop = self.path, self.generate, self.loop
        return (
            *(path.frames, path.for_chosen),
            *(path.steps, path.runs, path.flips, path.seed, path.lock),
            *(path.shared_focal, path.extra_frames),
            *(generate.steps, generate.guidance, generate.seed, generate.lock),
            generate.path_choice,
            *(loop.steps, loop.estimate_steps, loop.rounds, loop.seed, loop.lock),
        )

    @property
    def opening_outputs(self) -> tuple[Any, ...]:
        """What opening the page writes (`open_page`)."""
        return (
            *self.plan_outputs,
            *self.result_outputs,
            *self.choice_outputs,
            *self.job_outputs,
            self.edit.editor,
        )

    @property
    def choice_outputs(self) -> tuple[Any, ...]:
        """What has words of the visitor's language among its choices."""
        examples = () if self.video.examples is None else (self.video.examples,)
        return (
            self.generate.path_choice,
            self.generate.images_choice,
            self.path.frames,
            self.loop.path,
            self.video.by,
            self.view.download_format,
            *examples,
        )
