"""Page values in, page values out: what every event does. Testable without a browser.

A handler takes the values of its inputs and returns a dict from names of components to their new
values; `layout` knows which component has which name. Long work is only submitted here; `tick`
watches it.
"""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import gradio as gr

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.jobs import tasks
from rays_as_pixels.jobs.manager import JobManager
from rays_as_pixels.jobs.records import JobRecord
from rays_as_pixels.trajectories.formats.native import native_text, read_native
from rays_as_pixels.trajectories.presets import PRESETS, make_preset
from rays_as_pixels.ui import checks, results, text, widgets
from rays_as_pixels.ui.examples import Example
from rays_as_pixels.ui.keyframe_table import rows_from_trajectory, trajectory_from_rows
from rays_as_pixels.ui.model_holder import ModelHolder
from rays_as_pixels.ui.results import Updates
from rays_as_pixels.ui.session import Session, session_from_browser

Form = Mapping[str, object]

START_BUTTONS = ("estimate_button", "generate_button", "loop_button", "imagine_button")
DEFAULT_SIZE = (480, 640)  # height, width of a path drawn before any video
MOST_STEPS = 200
MOST_RUNS = 16
DEFAULT_KEYS = 5


def refusing(handler: Callable) -> Callable:
    """Show an InputError's own words to the user; anything else is a fault and keeps its trace."""

    @functools.wraps(handler)
    def shown(*values: Any) -> Any:
        try:
            return handler(*values)
        except InputError as error:
            words = str(error)
            raise gr.Error(words[:1].upper() + words[1:], print_exception=False) from error

    shown.__signature__ = inspect.signature(handler)  # type: ignore[attr-defined]
    return shown


class Handlers:
    """The events of the page.

    Args:
        manager: Runs the jobs.
        model: Gives the pipeline to them.
        examples: Clips to try.
    """

    def __init__(self, manager: JobManager, model: ModelHolder, examples: list[Example]) -> None:
        self.manager = manager
        self.model = model
        self.examples = examples

    # --- The page as a whole

    def open_page(self, kept: object) -> Updates:
        """Find a returning visitor's results and running job again."""
        session = session_from_browser(kept)
        updates: Updates = {}
        for job_id in dict.fromkeys((session.estimate, session.job)):
            record = self._find(job_id, session.visitor)
            if record is not None:
                session, shown = self._results(session, record)
                updates |= shown
        if self._find(session.estimate, session.visitor) is None:
            session = replace(session, estimate="")
        if self._find(session.job, session.visitor) is None:
            session = replace(session, job="")
        kept_now = {"session": session, "browser": session.browser()}
        return updates | self._watched(session) | kept_now

    def tick(self, session: Session) -> Updates:
        """Look at the watched job; show its results, once, when it is finished."""
        updates = self._watched(session)
        record = self._find(session.job, session.visitor)
        if record is not None and record.state.is_final and session.shown != record.id:
            session, shown = self._results(session, record)
            updates |= shown | {"session": session, "browser": session.browser()}
        return updates

    def stop(self, session: Session) -> Updates:
        """Ask the watched job to stop."""
        if self._find(session.job, session.visitor) is not None:
            self.manager.cancel(session.job)
        return self._watched(session)

    def choose_overlay(self, session: Session, overlay: object) -> Updates:
        """Draw another path over the main one."""
        name = checks.choice(text.OVERLAY_LABEL, overlay or "", ("", *session.paths))
        return results.plot_updates(replace(session, overlay=name), self.manager)

    # --- Video and estimate

    def pick_example(self, session: Session, index: object) -> Updates:
        """Put an example into the video field and draw its true path."""
        if not isinstance(index, int) or not 0 <= index < len(self.examples):
            raise InputError(
                text.UNKNOWN_EXAMPLE.format(count=len(self.examples), index=checks.shown(index))
            )
        example = self.examples[index]
        session = session.without(*session.paths)
        updates: Updates = {"video": str(example.clip)}
        if example.truth is not None:
            session = session.with_path("truth", read_native(example.truth))
            session = replace(session, main="truth", overlay="")
        return updates | results.plot_updates(session, self.manager)

    def forget_truth(self, session: Session) -> Updates:
        """Drop an example's true path when the visitor brings a video of their own."""
        session = session.without("truth")
        if session.main == "truth":
            session = replace(session, main="")
        return results.plot_updates(session, self.manager)

    def estimate(self, session: Session, form: Form) -> Updates:
        """Submit the estimate of a video's path."""
        path = checks.file(form["video"], text.NEED_VIDEO)
        ask = tasks.EstimateAsk(
            num_frames=checks.frame_count(form["frames"], self.model.facts.max_frames),
            start_sec=checks.optional_seconds(text.START_LABEL, form["start"]),
            end_sec=checks.optional_seconds(text.END_LABEL, form["end"]),
            steps=checks.whole(text.STEPS_LABEL, form["steps"], 1, MOST_STEPS),
            num_seeds=checks.whole(text.RUNS_LABEL, form["runs"], 1, MOST_RUNS),
            shared_focal=form["shared_focal"] is True,
            seed=checks.seed(form["seed"], locked=form["locked"]),
        )
        name = f"input{path.suffix.lower()[:8]}"
        work = tasks.estimate_work(self.model.get, ask, video=name)
        return self._submit(session, "estimate", work, ask, {name: path}) | {"seed": ask.seed}

    # --- Editing

    def choose_preset(self, _session: Session, name: object) -> Updates:
        """Say what a preset does, and in which unit its amount counts."""
        preset = PRESETS[checks.choice(text.PRESET_LABEL, name, tuple(PRESETS))]
        low, high = preset.amount_range
        amount = gr.update(
            label=text.AMOUNT_LABEL.format(unit=preset.amount_unit),
            value=preset.amount_default,
            minimum=low,
            maximum=high,
        )
        pivot = gr.update(visible=preset.uses_pivot)
        return {"amount": amount, "pivot": pivot, "preset_words": preset.description}

    def use_preset(self, session: Session, form: Form) -> Updates:
        """Make the edited path a preset and fill the table with its keyframes."""
        known = checks.choice(text.PRESET_LABEL, form["name"], tuple(PRESETS))
        low, high = PRESETS[known].amount_range
        size, hfov_deg, fps, count = self._shape(session, form["frames"])
        path = make_preset(
            known,
            num_frames=count,
            fps=fps,
            height=size[0],
            width=size[1],
            hfov_deg=hfov_deg,
            amount=checks.real(text.AMOUNT_NAME, form["amount"], low, high),
            pivot_depth=checks.real(text.PIVOT_LABEL, form["pivot"], 1e-3, 1e6),
        )
        keys = checks.whole(text.KEYS_LABEL, form["num_keys"], 2, count)
        return self._edited(session, path) | {"table": rows_from_trajectory(path, num_keys=keys)}

    def start_from_estimate(self, session: Session, num_keys: object) -> Updates:
        """Fill the table with keyframes of the estimated path and draw the curve through them."""
        path = session.paths.get("estimated")
        if path is None:
            raise InputError(
                text.NEED_ESTIMATE.format(button=text.ESTIMATE_BUTTON, tab=text.TAB_VIDEO)
            )
        keys = checks.whole(text.KEYS_LABEL, num_keys, 2, len(path))
        rows = rows_from_trajectory(path, num_keys=keys)
        return self._edited(session, self._through(session, rows, len(path))) | {"table": rows}

    def apply_table(self, session: Session, rows: list[list[object]], frames: object) -> Updates:
        """Make the edited path the smooth curve through the table's keyframes."""
        count = self._shape(session, frames)[3]
        return self._edited(session, self._through(session, rows, count))

    # --- Generating

    def generate(self, session: Session, form: Form) -> Updates:
        """Submit the generation of a video along the edited or the estimated path."""
        choices = (text.PATH_EDITED, text.PATH_ESTIMATED)
        chosen = checks.choice(text.PATH_CHOICE_LABEL, form["path_choice"], choices)
        name = "edited" if chosen == text.PATH_EDITED else "estimated"
        path = session.paths.get(name)
        if path is None and name == "edited":
            raise InputError(text.NEED_EDITED.format(tab=text.TAB_EDIT))
        if path is None:
            raise InputError(
                text.NEED_ESTIMATE.format(button=text.ESTIMATE_BUTTON, tab=text.TAB_VIDEO)
            )
        ask = self._generate_ask(form)
        inputs: dict[str, Any] = {tasks.WANTED: native_text(path).encode()}
        if form["image"]:
            inputs["image0.png"] = checks.file(form["image"], text.NEED_IMAGE)
        else:
            inputs["image0.png"] = tasks.first_frame_png(self._frames_file(session))
        work = tasks.generate_work(self.model.get, ask, image_frames=(0,))
        submitted = self._submit(session, "generate", work, ask, inputs)
        return submitted | {"generate_seed": ask.seed}

    def run_loop(self, session: Session, form: Form) -> Updates:
        """Submit the loop check of the estimated video."""
        frames = self._frames_file(session)
        ask = tasks.GenerateAsk(
            steps=checks.whole(text.STEPS_LABEL, form["steps"], 1, MOST_STEPS),
            estimate_steps=checks.whole(text.STEPS_LABEL, form["estimate_steps"], 1, MOST_STEPS),
            seed=checks.seed(form["seed"], locked=form["locked"]),
        )
        wanted = self.manager.folder(session.estimate) / tasks.TRAJECTORY
        inputs = {tasks.INPUT_CLIP: frames, tasks.WANTED: wanted}
        work = tasks.loop_work(self.model.get, ask)
        return self._submit(session, "loop", work, ask, inputs) | {"loop_seed": ask.seed}

    def imagine(self, session: Session, form: Form) -> Updates:
        """Submit the imagining of a video from one image."""
        path = checks.file(form["image"], text.NEED_IMAGE)
        ask = replace(
            self._generate_ask(form),
            num_frames=checks.frame_count(form["frames"], self.model.facts.max_frames),
            fps=checks.real(text.IMAGINE_FPS_LABEL, form["fps"], 0.1, 120.0),
        )
        work = tasks.imagine_work(self.model.get, ask)
        submitted = self._submit(session, "imagine", work, ask, {"image0.png": path})
        return submitted | {"imagine_seed": ask.seed}

    # --- Shared

    def _generate_ask(self, form: Form) -> tasks.GenerateAsk:
        return tasks.GenerateAsk(
            steps=checks.whole(text.STEPS_LABEL, form["steps"], 1, MOST_STEPS),
            guidance_scale=checks.real(text.GUIDANCE_LABEL, form["guidance"], 1.0, 20.0),
            seed=checks.seed(form["seed"], locked=form["locked"]),
        )

    def _submit(
        self, session: Session, kind: str, work: tasks.Work, ask: Any, inputs: dict[str, Any]
    ) -> Updates:
        record = self.manager.submit(
            kind, work, owner=session.visitor, settings=asdict(ask), inputs=inputs
        )
        session = replace(session, job=record.id)
        return self._watched(session) | {"session": session, "browser": session.browser()}

    def _results(self, session: Session, record: JobRecord) -> tuple[Session, Updates]:
        updates = results.job_results(session, record, self.manager, num_keys=DEFAULT_KEYS)
        session = replace(updates.get("session", session), shown=record.id)
        return session, updates | {"session": session}

    def _find(self, job_id: str, visitor: str) -> JobRecord | None:
        """Return a job of this visitor; a job of another one does not exist for them."""
        if not job_id:
            return None
        try:
            record = self.manager.get(job_id)
        except InputError:  # cleaned up since
            return None
        return record if record.owner == visitor else None

    def _watched(self, session: Session) -> Updates:
        record = self._find(session.job, session.visitor)
        busy = record is not None and not record.state.is_final
        position = self.manager.queue_position(record.id) if record is not None and busy else 0
        loading = self.model.ready is None and not self.model.problem
        updates: Updates = {name: gr.update(interactive=not busy) for name in START_BUTTONS}
        return updates | {
            "status": widgets.status_line(self.model),
            "job_bar": widgets.job_bar(record, position=position),
            "stop_button": gr.update(visible=busy),
            "timer": gr.update(active=busy or loading),
        }

    def _frames_file(self, session: Session) -> Any:
        path = self.manager.folder(session.estimate) / tasks.FRAMES if session.estimate else None
        if path is None or not path.is_file():
            raise InputError(
                text.NEED_ESTIMATE.format(button=text.ESTIMATE_BUTTON, tab=text.TAB_VIDEO)
            )
        return path

    def _shape(self, session: Session, frames: object) -> tuple[tuple[int, int], float, float, int]:
        """Return size, hFOV in degrees, fps and frame count that an edited path should have."""
        like = session.paths.get("estimated")
        if like is None:
            return DEFAULT_SIZE, 60.0, 10.0, checks.frame_count(frames, self.model.facts.max_frames)
        hfov_deg = like.cameras.hfov_rad[0].rad2deg().item()
        return (like.cameras.height, like.cameras.width), hfov_deg, like.fps, len(like)

    def _through(
        self, session: Session, rows: Sequence[Sequence[object]], count: int
    ) -> Trajectory:
        (height, width), _, _, _ = self._shape(session, count)
        return trajectory_from_rows(rows, num_frames=count, height=height, width=width)

    def _edited(self, session: Session, path: Trajectory) -> Updates:
        session = session.with_path("edited", path)
        if session.main in ("", "truth", "edited") and "estimated" not in session.paths:
            session = replace(session, main="edited", overlay="")
        else:
            session = replace(session, overlay="edited")
        updates = results.plot_updates(session, self.manager)
        facts = f"{text.PATH_EDITED}: {results.path_facts(path)}"
        return updates | {"edit_facts": facts, "path_choice": text.PATH_EDITED}
