"""The path editor as a Gradio component: one canvas of our own, inlined, without any network."""

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components.base import server
from gradio.processing_utils import move_files_to_cache

from rays_as_pixels.app.editor import answers
from rays_as_pixels.app.editor.document import Document, trajectory_from_document
from rays_as_pixels.app.editor.fitting import document_from_preset
from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.presets import PRESETS
from rays_as_pixels.trajectories.training_range import TrainingRange
from rays_as_pixels.viz.words import LANGUAGES, Words, by_language, read_words

# In the order in which they need each other; together they are one script in one scope.
MODULES = (
    "math",
    "spline",
    "model",
    "operations",
    "state",
    "palette",
    "dom",
    "views",
    "cloud",
    "gizmo",
    "scene",
    "pen",
    "pointer",
    "stage",
    "timeline",
    "table",
    "commands",
    "toolbar",
    "panels",
    "keyboard",
    "main",
)
EVENTS = ("path_commit",)


def editor_words() -> Words:
    """Return the texts of the editor by key, each by language.

    The English of presets and warnings is empty: the library says it.
    """
    return read_words("rays_as_pixels.app.editor")


@cache
def editor_script(modules: tuple[str, ...] = MODULES) -> str:
    """Return the editor's script: its modules one after the other."""
    folder = files("rays_as_pixels.app.editor")
    return "\n".join(folder.joinpath(f"{name}.js").read_text(encoding="utf-8") for name in modules)


@cache
def _template() -> str:
    style = files("rays_as_pixels.app.editor").joinpath("editor.css").read_text(encoding="utf-8")
    return (
        f"<style>{style}</style>"
        f'<div class="rap-ed" role="region" aria-label="{editor_words()["region"]["en"]}"></div>'
    )


class PathEditor(gr.HTML):
    """Edit a camera path by its keyframes: four views, a timeline with speeds, a table.

    The value is an edit document (see `document.py`), and always one that this server has
    confirmed: `trajectory_from_document(value)` is exactly the path that is drawn. The event
    `path_commit` follows every finished edit, with the path's `hash` and `num_frames`.

    Args:
        value: The document to open with; None for none.
        sources: Paths to start from: dicts of name, label and document.
        overlays: Paths drawn behind: dicts of label and positions ([x, y, z] each).
        cloud: `cloud_file` of a file written by `write_cloud`; None for none.
        training_range: `dataclasses.asdict` of a TrainingRange; None for the default model's.
        frame_counts: Numbers of frames to choose from; None lets one type any.
        language: "auto" for the browser's, or one of `words.LANGUAGES`.
        kwargs: As gr.HTML; and `view_height`, the height of the views in pixels (else 470).
    """

    def __init__(
        self,
        value: Document | None = None,
        *,
        sources: list[dict[str, Any]] | None = None,
        overlays: list[dict[str, Any]] | None = None,
        cloud: dict[str, Any] | None = None,
        training_range: dict[str, Any] | None = None,
        frame_counts: list[int] | None = None,
        language: str = "auto",
        **kwargs: Any,
    ) -> None:
        """Inline the script; Gradio calls this again, with other arguments, for every update."""
        if language not in ("auto", *LANGUAGES):
            raise InputError(
                f"language must be one of auto, {', '.join(LANGUAGES)}; got {language!r}. Use auto."
            )
        self._training = TrainingRange(**(training_range or {}))
        own = {
            "html_template": _template(),
            "js_on_load": _script(),
            "apply_default_css": False,
            "strings": by_language(editor_words()),
            "presets": _presets(),
        }
        super().__init__(
            value,
            sources=sources or [],
            overlays=overlays or [],
            cloud=cloud,
            training_range=training_range,
            frame_counts=frame_counts or [],
            language=language,
            **{**own, **kwargs},
        )
        # Gradio itself does so for values, and for updates: those are no components of a page.
        if cloud and "proxy_url" in vars(self) and Path(cloud["path"]).exists():
            self.props["cloud"] = move_files_to_cache(
                cloud, self, postprocess=True, keep_in_cache=True
            )

    def __getattr__(self, name: str) -> Any:
        """Make a listener of the one event; gr.HTML makes one of every word in the script."""
        if name in EVENTS:
            return super().__getattr__(name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def preprocess(self, payload: Any) -> Document | None:
        """Return the document; who uses it reads it with `trajectory_from_document`."""
        return payload if isinstance(payload, dict) else None

    def postprocess(self, value: Document | None) -> Document | None:
        """Check a document on its way into the page.

        Raises:
            InputError: As `trajectory_from_document`.
        """
        if value is not None:
            trajectory_from_document(value)
        return value

    def api_info(self) -> dict[str, Any]:
        """Describe the value for clients."""
        return {"type": "object", "description": "edit document, see app/editor/document.py"}

    def example_payload(self) -> Document:
        """Return a document for the API page."""
        return document_from_preset("dolly-in", num_frames=9, fps=10.0, height=256, width=384)

    def example_value(self) -> Document:
        """Return a document for the API page."""
        return self.example_payload()

    @server
    def confirm(self, document: object) -> dict[str, Any]:
        """Return the path a document stands for, frame by frame, or why it stands for none."""
        return answers.confirm(document, training=self._training)

    @server
    def preset(self, request: object) -> dict[str, Any]:
        """Return the document of a preset."""
        return answers.preset(request)

    @server
    def smooth(self, request: object) -> dict[str, Any]:
        """Return the document with the wobbles taken out of its path."""
        return answers.smooth_keys(request)


@cache
def _script() -> str:
    call = "mountEditor({ element, trigger, props, server, watch });"
    return f'(() => {{\n"use strict";\n{editor_script()}\n{call}\n}})();'


def cloud_file(path: Path | str) -> dict[str, Any]:
    """Return the prop that lets the editor fetch a file written by `write_cloud`."""
    return gr.FileData(path=str(path)).model_dump()


def _presets() -> list[dict[str, Any]]:
    return [
        {
            "name": preset.name,
            "label": preset.label,
            "description": preset.description,
            "amount": preset.amount_default,
            "unit": preset.amount_unit,
        }
        for preset in PRESETS.values()
    ]
