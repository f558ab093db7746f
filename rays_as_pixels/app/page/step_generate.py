"""Step 4, a video along a path: its components, and what its events do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.app import checks, i18n
from rays_as_pixels.app.jobs.input_files import (
    SOURCE_TRAJECTORY,
    TARGET_TRAJECTORY,
    image_name,
    png_bytes,
    source_clip_files,
    trajectory_bytes,
)
from rays_as_pixels.app.jobs.requests import GenerateRequest, ImagineRequest
from rays_as_pixels.app.jobs.timing import run_cost
from rays_as_pixels.app.page.binding import Updates, Values, bind, bind_with_data
from rays_as_pixels.app.page.compare import comparison
from rays_as_pixels.app.page.events import (
    depth_of_estimate,
    displayed_estimate,
    path_for_model,
    path_of_session,
    request_from_form,
    seed_of_form,
    source_frames,
    source_path,
    submit_job,
)
from rays_as_pixels.app.page.fields import (
    choice_field,
    frames_field,
    named_choices,
    plain_html,
    primary_button,
    rate_field,
    seed_fields,
    steps_field,
    time_words,
)
from rays_as_pixels.app.page.history import history, use_result
from rays_as_pixels.app.server import uploads
from rays_as_pixels.app.server.model_holder import ModelFacts
from rays_as_pixels.app.server.session import Session
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.pipeline.defaults import GENERATE_STEPS, IMAGINE_STEPS

if TYPE_CHECKING:
    from rays_as_pixels.app.page.page import Page

PATHS = ("edited", "estimated", "imagine")
SAMPLING_LABELS = {"guidance_scale": "guidance"}
IMAGES = ("clip", "first", "ends", "chosen", "own")
label = i18n.label


@dataclass(frozen=True)
class GenerateStep:
    """The components of step 4.

    Attributes:
        path_choice: Which camera path, one of PATHS.
        images_choice: Which source images, one of IMAGES.
        image_frames: The frames, where they are chosen.
        own_image: An image of the visitor's own.
        imagine_frames: Frames of an imagined video.
        imagine_fps: Its frames per second.
        seed: Of the noise.
        lock: Whether the seed stays.
        button: Starts.
        time: How long it takes.
        steps: Denoising steps.
        guidance: Guidance scale.
        compare: The result beside its input.
        facts: How it came about.
        history: The visitor's results.
    """

    path_choice: gr.Radio
    images_choice: gr.Radio
    image_frames: gr.Dropdown
    own_image: gr.Image
    imagine_frames: gr.Dropdown
    imagine_fps: gr.Number
    seed: gr.Number
    lock: gr.Checkbox
    button: gr.Button
    time: gr.HTML
    steps: gr.Slider
    guidance: gr.Slider
    compare: gr.HTML
    facts: gr.HTML
    history: gr.HTML


@dataclass(frozen=True)
class SourceImage:
    """An image that the model is given, and its frame."""

    picture: Path | bytes
    frame: int


def build_generate_step(model: ModelFacts) -> GenerateStep:
    """Add the step's tab to the page."""
    # Rendered while hidden: an update that finds no component on screen is lost.
    with gr.Tab(
        label("tab_generate"), id="generate", elem_id="step-generate", render_children=True
    ):
        path_choice = choice_field("along", path_choices(), "edited", "path-choice")
        images_choice = choice_field("images", image_choices(), "clip", "images-choice")
        image_frames, own_image = _image_fields()
        with gr.Row(elem_classes="rap-fields"):
            imagine_frames = frames_field(model, "imagine-frames", visible=False)
            imagine_fps = rate_field("fps", "imagine-fps")
            seed, lock = seed_fields("generate-seed")
        button = primary_button("generate", "generate")
        time = time_words("generate-time")
        with gr.Accordion(label("advanced"), open=False), gr.Row():
            steps, guidance = steps_field(GENERATE_STEPS), _guidance_field()
        compare = comparison(elem_id="compare")
        facts = plain_html("result-facts")
        with gr.Accordion(label("history"), open=False, elem_id="history-panel"):
            results = history(elem_id="history")
    return GenerateStep(
        path_choice=path_choice,
        images_choice=images_choice,
        image_frames=image_frames,
        own_image=own_image,
        imagine_frames=imagine_frames,
        imagine_fps=imagine_fps,
        seed=seed,
        lock=lock,
        button=button,
        time=time,
        steps=steps,
        guidance=guidance,
        compare=compare,
        facts=facts,
        history=results,
    )


def _image_fields() -> tuple[gr.Dropdown, gr.Image]:
    frames = gr.Dropdown(
        [],
        value=[],
        multiselect=True,
        label=label("image_frames"),
        visible=False,
        elem_id="image-frames",
    )
    own = gr.Image(
        label=label("own_image"),
        type="filepath",
        format="png",
        sources=["upload"],
        height=150,
        visible=False,
        elem_id="own-image",
    )
    return frames, own


def _guidance_field() -> gr.Slider:
    return gr.Slider(
        1.0,
        10.0,
        1.0,
        step=0.1,
        label=label("guidance"),
        info=label("guidance_info"),
        min_width=140,
    )


def bind_generate_step(page: "Page") -> None:
    """Connect the step's events."""
    step = page.generate
    bind(
        page,
        step.path_choice.input,
        choose_path,
        inputs={step.path_choice, step.steps},
        outputs=[step.imagine_frames, step.imagine_fps, step.steps],
    )
    bind(
        page,
        step.images_choice.input,
        choose_images,
        inputs={step.images_choice},
        outputs=[step.image_frames, step.own_image],
    )
    bind(
        page,
        step.button.click,
        generate,
        inputs={
            step.path_choice,
            step.images_choice,
            step.image_frames,
            step.own_image,
            step.imagine_frames,
            step.imagine_fps,
            step.steps,
            step.guidance,
            step.seed,
            step.lock,
        },
        outputs=[*page.job_outputs, step.seed],
    )
    bind_with_data(
        page,
        step.history.select,
        use_result,
        outputs=[*page.result_outputs, *page.setting_outputs, page.edit.editor],
    )


def choose_path(page: "Page", session: Session, values: Values) -> Updates:
    """Show the fields that an imagined video needs; steps left at their default follow."""
    step = page.generate
    imagined = checks.choice(i18n.say("along"), values[step.path_choice], PATHS) == "imagine"
    updates: Updates = {
        step.imagine_frames: gr.update(visible=imagined),
        step.imagine_fps: gr.update(visible=imagined),
        page.session: replace(session, imagining=imagined),
    }
    before, after = (GENERATE_STEPS, IMAGINE_STEPS)[:: 1 if imagined else -1]
    if imagined != session.imagining and values[step.steps] == before:
        updates[step.steps] = after
    return updates


def choose_images(page: "Page", session: Session, values: Values) -> Updates:
    """Show the choice of frames, or the place for an image of one's own."""
    step = page.generate
    images = checks.choice(i18n.say("images"), values[step.images_choice], IMAGES)
    path = session.paths.get("estimated")
    frames = session.sampled or range(1 if path is None else len(path))
    choices = [(str(frame), number) for number, frame in enumerate(frames)]
    return {
        step.image_frames: gr.update(visible=images == "chosen", choices=choices, value=[0]),
        step.own_image: gr.update(visible=images == "own"),
    }


def generate(page: "Page", session: Session, values: Values) -> Updates:
    """Submit a video along the edited or the estimated path, or an imagined one."""
    step = page.generate
    name = checks.choice(i18n.say("along"), values[step.path_choice], PATHS)
    sampling = {
        "steps": values[step.steps],
        "guidance_scale": values[step.guidance],
        "seed": seed_of_form(values[step.seed], locked=values[step.lock]),
    }
    if name == "imagine":
        updates = _imagine(page, session, values, sampling)
    else:
        updates = _generate_along(page, session, values, sampling, path_name=name)
    return updates | {step.seed: sampling["seed"]}


def _generate_along(
    page: "Page",
    session: Session,
    values: Values,
    sampling: dict[str, Any],
    *,
    path_name: str,
) -> Updates:
    path = path_for_model(page, session, path_name)
    images = _source_images(page, session, values, path)
    choice = values[page.generate.images_choice]
    depth = None if choice == "own" else depth_of_estimate(page, session)
    filmed_along = source_path(session, path, own_image=choice == "own")
    inputs: dict[str, Path | bytes] = {
        TARGET_TRAJECTORY: trajectory_bytes(path, depth),
        SOURCE_TRAJECTORY: trajectory_bytes(filmed_along),
    }
    inputs |= {image_name(k): image.picture for k, image in enumerate(images)}
    clip: dict[str, bytes] = {}
    if choice == "clip" and depth is not None:
        clip = _source_clip(page, session, depth)
    frames = tuple(image.frame for image in images)
    request = request_from_form(GenerateRequest, SAMPLING_LABELS, image_frames=frames, **sampling)
    return submit_job(
        page,
        session,
        "generate",
        request,
        inputs=inputs | clip,
        cost=run_cost(request.steps, len(path), guidance=request.guidance_scale),
        path=path_name,
        whole_clip=bool(clip),
        path_frames=len(path_of_session(session, path_name)),
        estimate=session.estimate,
    )


def _source_clip(
    page: "Page", session: Session, depth: Float[Tensor, "rows columns"]
) -> dict[str, bytes]:
    """Return the estimated clip as files: its other frames show what the first does not."""
    result = displayed_estimate(page, session)
    video = source_frames(page, session)
    if "estimated" not in session.paths:
        return {}
    path = path_for_model(page, session, "estimated")
    if len(path) != len(video):
        return {}
    height, width = video.shape[-2:]
    trusted = result.results.get("inlier_ratio", result.results.get("held_out_score"))
    path = path.resized(height=height, width=width)
    return source_clip_files(video, path, depth, inlier_ratio=trusted)


def _imagine(page: "Page", session: Session, values: Values, sampling: dict[str, Any]) -> Updates:
    step = page.generate
    request = request_from_form(
        ImagineRequest,
        SAMPLING_LABELS,
        num_frames=checks.frame_count(values[step.imagine_frames], page.model.facts.clip_lengths),
        fps=values[step.imagine_fps],
        **sampling,
    )
    if values[step.images_choice] == "own":
        picture: Path | bytes = _own_image(page, session, values)
    else:
        picture = png_bytes(source_frames(page, session)[0])
    return submit_job(
        page,
        session,
        "imagine",
        request,
        inputs={image_name(0): picture},
        cost=run_cost(request.steps, request.num_frames, guidance=request.guidance_scale),
    )


def _own_image(page: "Page", session: Session, values: Values) -> Path:
    need = i18n.say("need_image", session.lang)
    return uploads.image_file(values[page.generate.own_image], need)


def _source_images(
    page: "Page", session: Session, values: Values, path: Trajectory
) -> list[SourceImage]:
    """Return the images to give the model, and which frames of their path they are."""
    step = page.generate
    choice = checks.choice(i18n.say("images"), values[step.images_choice], IMAGES)
    if choice == "own":
        return [SourceImage(_own_image(page, session, values), 0)]
    video = source_frames(page, session)
    frames = {"clip": [0], "first": [0], "ends": [0, len(video) - 1]}.get(choice)
    if frames is None:
        frames = chosen_frames(values[step.image_frames], len(video))
    if frames != [0] and len(video) != len(path):
        raise InputError(
            i18n.say("need_same_length", session.lang).format(video=len(video), path=len(path))
        )
    return [SourceImage(png_bytes(video[k]), k) for k in dict.fromkeys(frames)]


def path_choices(lang: str = "en") -> list[tuple[str, str]]:
    """Return the camera paths to choose from, in the visitor's language."""
    return named_choices("along_", PATHS, lang)


def image_choices(lang: str = "en") -> list[tuple[str, str]]:
    """Return the source images to choose from, in the visitor's language."""
    return named_choices("images_", IMAGES, lang)


def chosen_frames(value: object, count: int) -> list[int]:
    """Return checked numbers of frames, in order.

    Raises:
        InputError: None, or one that the video does not have.
    """
    values = value if isinstance(value, Sequence) and not isinstance(value, str) else []
    if not values:
        raise InputError("image frames must name one frame or more; got none. Choose frame 0.")
    return sorted({checks.whole(i18n.say("image_frames"), item, 0, count - 1) for item in values})
