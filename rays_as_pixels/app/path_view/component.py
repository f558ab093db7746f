"""The path view as a Gradio component.

Gradio's own plot component mounts anew with every figure, which throws the reader's view away,
drops animation frames, and brings another version of Plotly. This one draws with the script of the
installed Plotly package, served by the app itself, and keeps it apart from any other.
"""

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import gradio as gr

from rays_as_pixels.app.path_view.mesh import path_view_mesh
from rays_as_pixels.errors import InputError
from rays_as_pixels.viz.path_view.page import (
    page_template,
    plotly_script,
    view_settings,
    view_source,
)
from rays_as_pixels.viz.words import LANGUAGES

TEMPLATE = '<div class="rpv-mount"></div>'


class PathView(gr.HTML):
    """A camera path in 3D: value is the text that `path_view_value` makes, or None.

    Listen to `frame_select` to hear which frame the user chose (`frame`, `time_sec` of the event).
    """

    def __init__(
        self,
        value: str | None = None,
        *,
        video_id: str | Sequence[str] = (),
        editor_id: str | None = None,
        height: int = 380,
        language: str = "auto",
        **kwargs: Any,
    ) -> None:
        """Make the component.

        Args:
            value: What to show.
            video_id: Element ids of the videos to keep in step.
            editor_id: Element id of a path editor to keep in step.
            height: Height of the 3D scene, in CSS pixels.
            language: "auto" for the browser's, or one of `LANGUAGES`.
            kwargs: What every Gradio component takes: elem_id, visible, scale...

        Raises:
            InputError: Another language, or a height of no use.
        """
        if language not in ("auto", *LANGUAGES):
            raise InputError(
                f"language must be auto, {' or '.join(LANGUAGES)}; got {language!r}. Use auto."
            )
        if not 160 <= height <= 2000:
            raise InputError(f"height must be 160 to 2000 pixels; got {height}. Use 380.")
        script = plotly_script().resolve()
        gr.set_static_paths([script])
        # Written into the script: Gradio forgets properties of a component that was hidden.
        place = {
            "videoIds": [video_id] if isinstance(video_id, str) else list(video_id),
            "editorId": editor_id,
            "height": height,
            "language": language,
            "plotlyFile": script.as_posix(),
            "key": kwargs.get("elem_id") or "path-view",
        }
        own = {
            "html_template": TEMPLATE,
            "js_on_load": _script(place),
            "apply_default_css": False,
            "server_functions": [path_view_mesh],
        }
        super().__init__(value, **(kwargs | own))

    def api_info(self) -> dict[str, Any]:
        """Return the type of the value: the text that `path_view_value` makes."""
        return {"type": "string", "description": "JSON text of a path view"}


def _script(place: dict[str, Any]) -> str:
    """Return the script of the component: the view's own as text, which downloads need, and start.

    Gradio runs it as the body of a function of (element, trigger, props, server, watch).

    Args:
        place: Where it stands: its key, the elements that it keeps in step, its height.
    """
    start = files("rays_as_pixels.app.path_view").joinpath("mount.js").read_text(encoding="utf-8")
    constants = {
        "SOURCE": view_source(),
        "SETTINGS": view_settings(),
        "TEMPLATE": page_template(),
        "PLACE": place,
    }
    lines = [
        f"const {name} = {json.dumps(value, ensure_ascii=False)};"
        for name, value in constants.items()
    ]
    return "\n".join([*lines, start])
