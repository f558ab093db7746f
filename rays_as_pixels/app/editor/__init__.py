"""The path editor: keyframes in four views, a timeline and a table, in one Gradio component."""

from rays_as_pixels.app.editor.cloud import MOST_POINTS, write_cloud
from rays_as_pixels.app.editor.component import PathEditor, cloud_file, editor_script
from rays_as_pixels.app.editor.document import trajectory_from_document, trajectory_hash
from rays_as_pixels.app.editor.fitting import document_from_preset, document_from_trajectory

__all__ = [
    "MOST_POINTS",
    "PathEditor",
    "cloud_file",
    "document_from_preset",
    "document_from_trajectory",
    "editor_script",
    "trajectory_from_document",
    "trajectory_hash",
    "write_cloud",
]
