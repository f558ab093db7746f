"""Step 2, the camera path of the video: its components, and what its events do."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from rays_as_pixels.app import checks, i18n
from rays_as_pixels.app.jobs.requests import FLIPS, EstimateRequest
from rays_as_pixels.app.jobs.timing import run_cost
from rays_as_pixels.app.page.binding import Updates, Values, bind
from rays_as_pixels.app.page.events import request_from_form, seed_of_form, submit_job
from rays_as_pixels.app.page.fields import (
    DEFAULT_FRAMES,
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
from rays_as_pixels.errors import InputError
from rays_as_pixels.media.video import probe_video
from rays_as_pixels.pipeline.defaults import ESTIMATE_STEPS

if TYPE_CHECKING:
    from rays_as_pixels.app.page.page import Page

FRAMES = ("every", "chosen")
label = i18n.label


@dataclass(frozen=True)
class PathStep:
    """The components of step 2.

    Attributes:
        frames: Whether every frame gets a camera or the chosen ones, one of FRAMES.
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
        for_chosen: What holds the settings that count for chosen frames alone.
        facts: What is known of the estimate.
    """

    frames: gr.Radio
    button: gr.Button
    time: gr.HTML
    seed: gr.Number
    lock: gr.Checkbox
    steps: gr.Slider
    runs: gr.Slider
    flips: gr.Radio
    shared_focal: gr.Checkbox
    extra_frames: gr.Checkbox
    for_chosen: gr.Column
    facts: gr.HTML


def build_path_step(model: ModelFacts) -> PathStep:
    """Add the step's tab to the page."""
    sampled = not model.camera_prior
    with gr.Tab(label("tab_path"), id="path", elem_id="step-path"):
        gr.Markdown(label("path_intro"), elem_classes="rap-hint")
        frames = choice_field("frames_of_path", frame_choices(), "every", "frames-of-path")
        button = primary_button("estimate", "estimate")
        time = time_words("estimate-time")
        with gr.Column(visible=False, elem_id="for-chosen") as for_chosen:
            with gr.Row(elem_classes="rap-fields", visible=sampled):
                seed, lock = seed_fields("seed", visible=sampled)
            with gr.Accordion(label("advanced"), open=False):
                steps, runs = _sampling_fields(visible=sampled)
                flips, shared_focal, extra_frames = _look_fields()
        facts = plain_html("path-facts")
    return PathStep(
        frames=frames,
        button=button,
        time=time,
        seed=seed,
        lock=lock,
        steps=steps,
        runs=runs,
        flips=flips,
        shared_focal=shared_focal,
        extra_frames=extra_frames,
        for_chosen=for_chosen,
        facts=facts,
    )


def _sampling_fields(*, visible: bool) -> tuple[gr.Slider, gr.Slider]:
    with gr.Row(visible=visible):
        steps = steps_field(ESTIMATE_STEPS, visible=visible)
        runs = gr.Slider(
            *(1, 8, 1),
            step=1,
            label=label("runs"),
            info=label("runs_info"),
            min_width=140,
            visible=visible,
        )
    return steps, runs


def _look_fields() -> tuple[gr.Radio, gr.Checkbox, gr.Checkbox]:
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
    return flips, shared_focal, extra_frames


def frame_choices(lang: str = "en") -> list[tuple[str, str]]:
    """Return which frames can get a camera, in the visitor's language."""
    return named_choices("frames_", FRAMES, lang)


def bind_path_step(page: "Page") -> None:
    """Connect the step's events."""
    step = page.path
    bind(page, step.frames.input, choose_frames, inputs={step.frames}, outputs=[step.for_chosen])
    bind(
        page,
        step.button.click,
        estimate,
        inputs={
            step.frames,
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


def choose_frames(page: "Page", _session: Session, values: Values) -> Updates:
    """Show the settings that count for chosen frames alone, or hide them."""
    return {page.path.for_chosen: gr.update(visible=_chosen_alone(page, values))}


def _chosen_alone(page: "Page", values: Values) -> bool:
    words = i18n.say("frames_of_path")
    return checks.choice(words, values[page.path.frames], FRAMES) == "chosen"


def estimate(page: "Page", session: Session, values: Values) -> Updates:
    """Submit the estimate of every frame's path, or of the chosen frames'."""
    if session.still:
        raise InputError(i18n.say("need_frames", session.lang))
    path, plan = _video(page, session)
    name = f"input{path.suffix.lower()[:8]}"
    if _chosen_alone(page, values):
        request = _request_of_chosen(page, values, plan, name)
        runs = request.num_samples * request.num_flips
        cost = run_cost(request.steps, plan["num_frames"], runs=runs)
    else:
        end_sec = plan.get("trim_end_sec", plan["end_sec"])
        request = EstimateRequest(video=name, start_sec=plan["start_sec"], end_sec=end_sec)
        cost = cost_of_every_frame(path, plan)
    updates = submit_job(
        page,
        session,
        "estimate",
        request,
        inputs={name: path},
        cost=cost,
        example=session.example,
    )
    return updates | {page.path.seed: request.seed}


def _request_of_chosen(
    page: "Page", values: Values, plan: dict[str, Any], name: str
) -> EstimateRequest:
    step = page.path
    return request_from_form(
        EstimateRequest,
        {"num_samples": "runs", "num_flips": "flips"},
        video=name,
        num_frames=plan["num_frames"] or DEFAULT_FRAMES,
        start_sec=plan["start_sec"],
        end_sec=plan["end_sec"],
        steps=values[step.steps],
        num_samples=values[step.runs],
        num_flips=values[step.flips],
        shared_focal=values[step.shared_focal],
        extra_frames=values[step.extra_frames],
        seed=seed_of_form(values[step.seed], locked=values[step.lock]),
    )


def cost_of_every_frame(path: Path, plan: dict[str, Any]) -> float:
    """Return how much work the estimate of every frame of a part is: its frames."""
    info = probe_video(path)
    end_sec = plan.get("trim_end_sec", plan["end_sec"]) or info.duration_sec
    share = (end_sec - (plan["start_sec"] or 0.0)) / max(info.duration_sec, 1e-6)
    return max(1.0, share * info.num_frames)


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
