"""Step 2, the camera path of the video: its components, and what its events do."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from rays_as_pixels.app import i18n
from rays_as_pixels.app.jobs.requests import FLIPS, EstimateRequest
from rays_as_pixels.app.jobs.timing import run_cost
from rays_as_pixels.app.page.binding import Updates, Values, bind
from rays_as_pixels.app.page.events import request_from_form, seed_of_form, submit_job
from rays_as_pixels.app.page.fields import (
    plain_html,
    primary_button,
    seed_fields,
    steps_field,
    time_words,
)
from rays_as_pixels.app.server.model_holder import ModelFacts
from rays_as_pixels.app.server.session import Session
from rays_as_pixels.errors import InputError
from rays_as_pixels.pipeline.defaults import ESTIMATE_STEPS

if TYPE_CHECKING:
    from rays_as_pixels.app.page.page import Page

label = i18n.label


@dataclass(frozen=True)
class PathStep:
    """The components of step 2.

    Attributes:
        button: Starts the estimate.
        time: How long it takes.
        seed: Of the noise. This and the next three are hidden where a camera prior answers
            estimates: it has no noise and takes no steps.
        lock: Whether the seed stays.
        steps: Denoising steps.
        runs: Runs from different noise.
        flips: Mirrored and reversed copies of the clip to estimate as well.
        shared_focal: Whether the lens does not zoom.
        extra_frames: Whether more frames may be used.
        facts: What is known of the estimate.
    """

    button: gr.Button
    time: gr.HTML
    seed: gr.Number
    lock: gr.Checkbox
    steps: gr.Slider
    runs: gr.Slider
    flips: gr.Radio
    shared_focal: gr.Checkbox
    extra_frames: gr.Checkbox
    facts: gr.HTML


def build_path_step(model: ModelFacts) -> PathStep:
    """Add the step's tab to the page."""
    sampled = not model.camera_prior
    with gr.Tab(label("tab_path"), id="path", elem_id="step-path"):
        gr.Markdown(label("path_intro"), elem_classes="rap-hint")
        button = primary_button("estimate", "estimate")
        time = time_words("estimate-time")
        with gr.Row(elem_classes="rap-fields", visible=sampled):
            seed, lock = seed_fields("seed", visible=sampled)
        with gr.Accordion(label("advanced"), open=False):
            with gr.Row(visible=sampled):
                steps = steps_field(ESTIMATE_STEPS, visible=sampled)
                runs = gr.Slider(
                    *(1, 8, 1),
                    step=1,
                    label=label("runs"),
                    info=label("runs_info"),
                    min_width=140,
                    visible=sampled,
                )
            flips = gr.Radio(
                [(str(count), count) for count in FLIPS],
                value=1,
                label=label("flips"),
                info=label("flips_info"),
                elem_id="flips",
                elem_classes="rap-inline",
            )
            shared_focal = gr.Checkbox(label=label("shared_focal"))
            extra_frames = gr.Checkbox(
                value=True,
                label=label("extra_frames"),
                info=label("extra_frames_info"),
                elem_id="extra-frames",
            )
        facts = plain_html("path-facts")
    return PathStep(
        button=button,
        time=time,
        seed=seed,
        lock=lock,
        steps=steps,
        runs=runs,
        flips=flips,
        shared_focal=shared_focal,
        extra_frames=extra_frames,
        facts=facts,
    )


def bind_path_step(page: "Page") -> None:
    """Connect the step's events."""
    step = page.path
    bind(
        page,
        step.button.click,
        estimate,
        inputs={
            step.steps,
            step.runs,
            step.flips,
            step.shared_focal,
            step.extra_frames,
            step.seed,
            step.lock,
        },
        outputs=[*page.job_outputs, step.seed],
    )


def estimate(page: "Page", session: Session, values: Values) -> Updates:
    """Submit the estimate of the chosen frames' path."""
    if session.still:
        raise InputError(i18n.say("need_frames", session.lang))
    step = page.path
    path, plan = _video(page, session)
    name = f"input{path.suffix.lower()[:8]}"
    request = request_from_form(
        EstimateRequest,
        {"num_samples": "runs", "num_flips": "flips"},
        video=name,
        num_frames=plan["num_frames"],
        start_sec=plan["start_sec"],
        end_sec=plan["end_sec"],
        steps=values[step.steps],
        num_samples=values[step.runs],
        num_flips=values[step.flips],
        shared_focal=values[step.shared_focal],
        extra_frames=values[step.extra_frames],
        seed=seed_of_form(values[step.seed], locked=values[step.lock]),
    )
    runs = request.num_samples * request.num_flips
    updates = submit_job(
        page,
        session,
        "estimate",
        request,
        inputs={name: path},
        cost=run_cost(request.steps, request.num_frames, runs=runs),
        example=session.example,
    )
    return updates | {step.seed: request.seed}


def _video(page: "Page", session: Session) -> tuple[Path, dict[str, Any]]:
    """Return the video on show and which part of it; after a reload, that of the estimate."""
    if session.source and session.plan and Path(session.source).is_file():
        return Path(session.source), session.plan
    result = page.library.find(session.estimate, session.visitor)
    if result is not None and result.example is not None:
        return result.example.clip, result.settings
    kept = [] if result is None else sorted(result.folder.glob("input.*"))
    if result is None or not kept:
        raise InputError(i18n.say("need_video", session.lang))
    return kept[0], result.settings
