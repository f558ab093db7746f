"""Step 3, the path editor: its components, and what its events do."""

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import gradio as gr

from rays_as_pixels.app import i18n
from rays_as_pixels.app.editor import PathEditor, trajectory_from_document, trajectory_hash
from rays_as_pixels.app.editor.document import MAX_FRAMES
from rays_as_pixels.app.page import numbers
from rays_as_pixels.app.page.binding import Updates, Values, bind
from rays_as_pixels.app.page.events import (
    depth_of_estimate,
    sampled_words,
    source_frames,
    source_path,
)
from rays_as_pixels.app.page.fields import plain_html, primary_button
from rays_as_pixels.app.page.results import path_facts, view_updates
from rays_as_pixels.app.server.downloads import download_root
from rays_as_pixels.app.server.session import Session
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.rotations import rotation_angle_rad
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.video import write_video
from rays_as_pixels.trajectories.training_range import TrainingRange, check_range
from rays_as_pixels.viz.parallax import parallax_preview

if TYPE_CHECKING:
    from rays_as_pixels.app.page.page import Page

EDITOR_HEIGHT = 400
PREVIEW_HEIGHT = 144
START_TOLERANCE = 1e-3  # scene units and radians within which a path starts at frame 0
label = i18n.label


@dataclass(frozen=True)
class EditStep:
    """The components of step 3.

    Attributes:
        editor: The path editor.
        warnings: Where the path leaves the training range.
        parallax: Preview of the motion.
        facts: The confirmed path in numbers.
        next_button: Leads on to step 4.
    """

    editor: PathEditor
    warnings: gr.HTML
    parallax: gr.Video
    facts: gr.HTML
    next_button: gr.Button


def build_edit_step() -> EditStep:
    """Add the step's tab to the page."""
    with gr.Tab(label("tab_edit"), id="edit", elem_id="step-edit"):
        # A path of more frames than the model makes is sampled: that is nothing to warn of there.
        training = replace(TrainingRange(), num_frames=(1, MAX_FRAMES))
        editor = PathEditor(
            training_range=asdict(training),
            view_height=EDITOR_HEIGHT,
            elem_id="editor",
            elem_classes="rap-flat",
        )
        warnings = plain_html("edit-warnings")
        with gr.Row(equal_height=False, elem_classes="rap-preview"):
            parallax = gr.Video(
                label=label("parallax"),
                visible=False,
                interactive=False,
                autoplay=True,
                loop=True,
                height=170,
                elem_id="parallax",
                min_width=200,
                buttons=[],
            )
            facts = plain_html("edit-facts")
        next_button = primary_button("edit_next", "use-path")
    return EditStep(editor, warnings, parallax, facts, next_button)


def bind_edit_step(page: "Page") -> None:
    """Connect the step's events."""
    step = page.edit
    commit = step.editor.path_commit
    bind(
        page,
        commit,
        commit_edit,
        inputs={step.editor},
        outputs=[*page.view_outputs, step.warnings, step.facts, page.generate.path_choice],
    )
    bind(page, commit, preview_edit, inputs={step.editor}, outputs=[step.parallax])
    bind(page, step.next_button.click, open_generate_step, outputs=[page.tabs])


def commit_edit(page: "Page", session: Session, values: Values) -> Updates:
    """Take the editor's confirmed document: draw its path, warn where it goes too far."""
    document = values[page.edit.editor]
    path = trajectory_from_document(document)
    session = replace(session.with_path("edited", path), edit=document)
    if "estimated" in session.paths and session.main in ("estimated", "truth", "looped"):
        session = replace(session, main="estimated", overlay="edited")
    else:
        session = replace(session, main="edited", overlay="")
    return view_updates(page, session) | {
        page.edit.warnings: path_warnings(
            page.model.facts.fitted(path), session.lang, sampled_words(page, session, ("edited",))
        ),
        page.edit.facts: _facts(path, session.lang),
        page.generate.path_choice: "edited",
    }


def preview_edit(page: "Page", session: Session, values: Values) -> Updates:
    """Show the first frame along the path, on a stand-in scene: a cheap look before a run."""
    path = page.model.facts.fitted(trajectory_from_document(values[page.edit.editor]))
    depth = None
    try:
        image = source_frames(page, session)[0]
        depth = depth_of_estimate(page, session)
    except InputError:  # nothing to look at yet: a chequered card shows the motion
        image = None
    name = f"parallax-{trajectory_hash(path)}{'' if image is None else session.estimate[-8:]}"
    file = download_root() / f"{name.replace('/', '-')}.mp4"
    if not file.is_file():
        preview = parallax_preview(
            path,
            image,
            depth=depth,
            height=PREVIEW_HEIGHT,
            image_path=source_path(session, path, own_image=False),
        )
        write_video(file, preview.video, fps=path.fps)
    return {page.edit.parallax: gr.update(value=str(file), visible=True)}


def open_generate_step(page: "Page", _session: Session, _values: Values) -> Updates:
    """Turn to step 4."""
    return {page.tabs: gr.Tabs(selected="generate")}


def path_warnings(path: Trajectory, lang: str, sampled: str = "") -> str:
    """Say how a path leaves what the model was trained on, and of which longer one it is part."""
    words = numbers.warnings(check_range(path), lang)
    world_from_cam = path.cameras.world_from_cam[0]
    moved = world_from_cam[:3, 3].norm() > START_TOLERANCE
    if moved or rotation_angle_rad(world_from_cam[:3, :3]) > START_TOLERANCE:
        words += f'<p class="rap-hint">{i18n.say("first_moved", lang)}</p>'
    if sampled:
        words += f'<p class="rap-hint">{sampled}</p>'
    return words


def _facts(path: Trajectory, lang: str) -> str:
    rows = [
        (i18n.say("path_edited", lang), path_facts(path, lang)),
        (i18n.say("fact_hash", lang), trajectory_hash(path)),
        (i18n.say("fact_preview", lang), i18n.say("fact_preview_is", lang)),
    ]
    return numbers.facts(rows)
