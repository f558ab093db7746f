"""Events of the third step: what the editor confirms is what the model gets."""

from dataclasses import replace

import gradio as gr
import torch

from rays_as_pixels.app import i18n
from rays_as_pixels.app.editor import trajectory_from_document, trajectory_hash
from rays_as_pixels.app.page import numbers
from rays_as_pixels.app.page.downloads import download_root
from rays_as_pixels.app.page.events import Events, taken_along
from rays_as_pixels.app.page.results import Updates, path_facts, view_updates
from rays_as_pixels.app.server.session import Session
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.rotations import rotation_angle_rad
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.video import write_video
from rays_as_pixels.trajectories.training_range import check_range
from rays_as_pixels.viz.parallax import parallax_preview

AWAY = 1e-3  # scene units and radians that count as another place than frame 0's
PREVIEW_HEIGHT = 144


class EditEvents(Events):
    """The path editor."""

    def commit_edit(self, session: Session, document: object) -> Updates:
        """Take the editor's confirmed document: draw its path, warn where it goes too far."""
        path = trajectory_from_document(document)
        assert isinstance(document, dict)
        session = replace(session.with_path("edited", path), edit=document)
        if "estimated" in session.paths and session.main in ("estimated", "truth", "looped"):
            session = replace(session, main="estimated", overlay="edited")
        else:
            session = replace(session, main="edited", overlay="")
        lang = session.lang
        return view_updates(session, self.library) | {
            "edit_warnings": self.warnings_of(path, lang),
            "edit_facts": self._facts(path, lang),
            "path_choice": "edited",
        }

    def preview_edit(self, session: Session, document: object) -> Updates:
        """Show the first frame along the path, on a stand-in scene: a cheap look before a run."""
        path = trajectory_from_document(document)
        depth = None
        try:
            image = self.frames_for(session)[0]
            depth = self.depth_of(session)
        except InputError:  # nothing to look at yet: a pattern shows the motion
            image = None
        if image is not None and depth is not None:
            depth = torch.nn.functional.interpolate(depth[None, None], image.shape[-2:])[0, 0]
        name = f"parallax-{trajectory_hash(path)}{'' if image is None else session.estimate[-8:]}"
        place = download_root() / f"{name.replace('/', '-')}.mp4"
        if not place.is_file():
            preview = parallax_preview(
                path,
                image,
                depth=depth,
                height=PREVIEW_HEIGHT,
                image_path=taken_along(session, path, own=False),
            )
            write_video(place, preview.video, fps=path.fps)
        return {"parallax": gr.update(value=str(place), visible=True)}

    def warnings_of(self, path: Trajectory, lang: str) -> str:
        """Say how a path leaves what the model was trained on."""
        words = numbers.warnings(check_range(path), lang)
        pose = path.cameras.world_from_cam[0]
        if pose[:3, 3].norm() > AWAY or rotation_angle_rad(pose[:3, :3]) > AWAY:
            words += f'<p class="rap-hint">{i18n.say("first_moved", lang)}</p>'
        return words

    def _facts(self, path: Trajectory, lang: str) -> str:
        rows = [
            (i18n.say("path_edited", lang), path_facts(path, lang)),
            (i18n.say("fact_hash", lang), trajectory_hash(path)),
            (i18n.say("fact_preview", lang), i18n.say("fact_preview_is", lang)),
        ]
        return numbers.facts(rows)
