"""Step 5, the loop (cycle consistency): its components, and what its events do."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.app import checks, i18n
from rays_as_pixels.app.jobs.frame_files import frames_bytes
from rays_as_pixels.app.jobs.input_files import (
    REFERENCE,
    SOURCE_TRAJECTORY,
    TARGET_TRAJECTORY,
    image_name,
    png_bytes,
    trajectory_bytes,
)
from rays_as_pixels.app.jobs.requests import MAX_ROUNDS, LoopRequest
from rays_as_pixels.app.jobs.timing import run_cost
from rays_as_pixels.app.page.binding import Updates, Values, bind
from rays_as_pixels.app.page.compare import comparison
from rays_as_pixels.app.page.events import (
    depth_of_estimate,
    path_for_model,
    request_from_form,
    seed_of_form,
    source_frames,
    source_path,
    submit_job,
)
from rays_as_pixels.app.page.fields import (
    choice_field,
    named_choices,
    plain_html,
    primary_button,
    seed_fields,
    steps_field,
    time_words,
)
from rays_as_pixels.app.server.model_holder import ModelFacts
from rays_as_pixels.app.server.session import Session
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.pipeline.defaults import ESTIMATE_STEPS, GENERATE_STEPS
from rays_as_pixels.trajectories.operations import reverse
from rays_as_pixels.trajectories.presets import PRESETS, make_preset
from rays_as_pixels.trajectories.smoothing import smooth

if TYPE_CHECKING:
    from rays_as_pixels.app.page.page import Page

LOOP_PATHS = ("estimated", "edited")
STABILISE_STRENGTH = 0.6  # of `smooth`
label = i18n.label


@dataclass(frozen=True)
class LoopStep:
    """The components of step 5.

    Attributes:
        path: Which path to check, one of LOOP_PATHS.
        rounds: How often to go round.
        button: Starts.
        time: How long it takes.
        stabilise: Starts along the stabilised path.
        reverse: Starts backwards.
        dolly_zoom: Starts along a dolly zoom.
        steps: Denoising steps of the videos.
        estimate_steps: Denoising steps of the estimates; hidden where a camera prior answers them.
        seed: Of the noise.
        lock: Whether the seed stays.
        numbers: What the loop found.
        compare: The new video beside the filmed one.
    """

    path: gr.Radio
    rounds: gr.Dropdown
    button: gr.Button
    time: gr.HTML
    stabilise: gr.Button
    reverse: gr.Button
    dolly_zoom: gr.Button
    steps: gr.Slider
    estimate_steps: gr.Slider
    seed: gr.Number
    lock: gr.Checkbox
    numbers: gr.HTML
    compare: gr.HTML


@dataclass(frozen=True)
class LoopStart:
    """Where a loop starts.

    Attributes:
        name: Of the path, as the report and the page name it.
        path: To film along.
        image: What its first camera sees.
        depth: Of that image, None where it is not known.
        reference: The video that was filmed along the path, None if none was.
    """

    name: str
    path: Trajectory
    image: Float[Tensor, "3 height width"]
    depth: Float[Tensor, "rows columns"] | None = None
    reference: Float[Tensor, "frames 3 height width"] | None = None


def build_loop_step(model: ModelFacts) -> LoopStep:
    """Add the step's tab to the page."""
    with gr.Tab(label("tab_loop"), id="loop", elem_id="step-loop", render_children=True):
        gr.Markdown(label("loop_intro"), elem_classes="rap-hint")
        with gr.Row(elem_classes="rap-fields"):
            path = choice_field("loop_path", loop_choices(), "estimated", "loop-path", scale=2)
            rounds = gr.Dropdown(
                list(range(1, MAX_ROUNDS + 1)),
                value=1,
                label=label("rounds"),
                min_width=90,
                elem_id="rounds",
            )
        button = primary_button("loop", "run-loop")
        time = time_words("loop-time")
        with gr.Row(elem_classes="rap-demos"):
            stabilise = _small_button("demo_stabilise", "demo-stabilise")
            backwards = _small_button("demo_reverse", "demo-reverse")
            dolly_zoom = _small_button("demo_dolly_zoom", "demo-dolly-zoom")
        with gr.Accordion(label("advanced"), open=False):
            with gr.Row():
                steps = steps_field(GENERATE_STEPS)
                estimate_steps = steps_field(
                    ESTIMATE_STEPS, "estimate_steps", visible=not model.camera_prior
                )
            with gr.Row(elem_classes="rap-fields"):
                seed, lock = seed_fields("loop-seed")
        numbers = plain_html("loop-numbers")
        compare = comparison(elem_id="loop-compare")
    return LoopStep(
        path=path,
        rounds=rounds,
        button=button,
        time=time,
        stabilise=stabilise,
        reverse=backwards,
        dolly_zoom=dolly_zoom,
        steps=steps,
        estimate_steps=estimate_steps,
        seed=seed,
        lock=lock,
        numbers=numbers,
        compare=compare,
    )


def _small_button(key: str, elem_id: str) -> gr.Button:
    return gr.Button(label(key), size="sm", min_width=110, elem_id=elem_id)


def bind_loop_step(page: "Page") -> None:
    """Connect the step's events."""
    step = page.loop
    form = {step.rounds, step.steps, step.estimate_steps, step.seed, step.lock}
    outputs = [*page.job_outputs, step.seed]
    bind(page, step.button.click, run_loop, inputs={step.path, *form}, outputs=outputs)
    bind(page, step.stabilise.click, run_stabilised, inputs=form, outputs=outputs)
    bind(page, step.reverse.click, run_reversed, inputs=form, outputs=outputs)
    bind(page, step.dolly_zoom.click, run_dolly_zoom, inputs=form, outputs=outputs)


def loop_choices(lang: str = "en") -> list[tuple[str, str]]:
    """Return the paths to check, in the visitor's language."""
    return named_choices("path_", LOOP_PATHS, lang)


def run_loop(page: "Page", session: Session, values: Values) -> Updates:
    """Submit the loop along the estimated or the edited path."""
    name = checks.choice(i18n.say("loop_path"), values[page.loop.path], LOOP_PATHS)
    path = path_for_model(page, session, name)
    video = source_frames(page, session)
    reference = video if name == "estimated" else None
    depth = depth_of_estimate(page, session)
    return _submit(page, session, values, LoopStart(name, path, video[0], depth, reference))


def run_stabilised(page: "Page", session: Session, values: Values) -> Updates:
    """Submit the loop along the estimated path without its wobbles."""
    path = smooth(path_for_model(page, session, "estimated"), STABILISE_STRENGTH)
    image, depth = source_frames(page, session)[0], depth_of_estimate(page, session)
    return _submit(page, session, values, LoopStart("stabilise", path, image, depth))


def run_reversed(page: "Page", session: Session, values: Values) -> Updates:
    """Submit the loop backwards: from the last frame, whose true video is known."""
    path = reverse(path_for_model(page, session, "estimated")).reanchored()
    video = source_frames(page, session).flip(0)
    return _submit(page, session, values, LoopStart("reverse", path, video[0], reference=video))


def run_dolly_zoom(page: "Page", session: Session, values: Values) -> Updates:
    """Submit the loop along a dolly zoom from the first frame."""
    like = path_for_model(page, session, "estimated")
    path = make_preset(
        "dolly-zoom",
        num_frames=len(like),
        fps=like.fps,
        height=like.cameras.height,
        width=like.cameras.width,
        hfov_deg=like.cameras.hfov_rad[0].rad2deg().item(),
        amount=0.5 * PRESETS["dolly-zoom"].amount_default,
    )
    image, depth = source_frames(page, session)[0], depth_of_estimate(page, session)
    return _submit(page, session, values, LoopStart("dolly_zoom", path, image, depth))


def _submit(page: "Page", session: Session, values: Values, start: LoopStart) -> Updates:
    step = page.loop
    request = request_from_form(
        LoopRequest,
        path=start.name,
        rounds=values[step.rounds],
        steps=values[step.steps],
        estimate_steps=values[step.estimate_steps],
        seed=seed_of_form(values[step.seed], locked=values[step.lock]),
        has_reference=start.reference is not None,
    )
    inputs: dict[str, Path | bytes] = {
        TARGET_TRAJECTORY: trajectory_bytes(start.path, start.depth),
        image_name(0): png_bytes(start.image),
    }
    if start.name != "reverse":  # which begins with another frame
        filmed_along = source_path(session, start.path, own_image=False)
        inputs[SOURCE_TRAJECTORY] = trajectory_bytes(filmed_along)
    if start.reference is not None:
        inputs[REFERENCE] = frames_bytes(start.reference)
    steps = request.steps + request.estimate_steps
    updates = submit_job(
        page,
        session,
        "loop",
        request,
        inputs=inputs,
        cost=run_cost(steps, len(start.path), runs=request.rounds),
        estimate=session.estimate,
    )
    return updates | {step.seed: request.seed}
