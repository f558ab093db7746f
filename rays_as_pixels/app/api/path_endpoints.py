"""Endpoints about videos and paths that need no model: all answer at once."""

import functools
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr

from rays_as_pixels.app import checks
from rays_as_pixels.app.jobs.frame_files import even_sized
from rays_as_pixels.app.server import downloads, uploads
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.video import read_clip, read_image, write_video
from rays_as_pixels.trajectories import operations
from rays_as_pixels.trajectories.formats import FORMATS, load_info
from rays_as_pixels.trajectories.formats.native import native_text, parse_native
from rays_as_pixels.trajectories.presets import PRESETS, make_preset
from rays_as_pixels.trajectories.smoothing import smooth
from rays_as_pixels.trajectories.training_range import check_range
from rays_as_pixels.viz.parallax import parallax_preview

NEED_FILE = "file must be uploaded; got none. Pass gradio_client.handle_file(path)."
OPERATIONS: dict[str, Callable[[Trajectory, float], Trajectory]] = {
    "reverse": lambda path, _amount: operations.reverse(path).reanchored(),
    "mirror": lambda path, _amount: operations.mirror(path),
    "close_loop": lambda path, _amount: operations.close_loop(path),
    "smooth": smooth,
    "scale": operations.scale,
    "resample": lambda path, amount: operations.resample(path, num_frames=int(amount)),
    "retime": lambda path, amount: operations.retime(path, duration_sec=amount),
}


def plan_video(
    video: dict[str, Any],
    num_frames: int = 9,
    start_sec: float | None = None,
    end_sec: float | None = None,
) -> dict[str, Any]:
    """Say which frames of a video would be used, and why.

    Args:
        video: The video file.
        num_frames: Frames to use, evenly spaced: 5, 9, 13, ...
        start_sec: First moment to use, in seconds.
        end_sec: First moment to leave out, in seconds.
    """
    clip = read_clip(
        uploads.video_file(path_in(video), NEED_FILE),
        start_sec=checks.optional_seconds("start_sec", start_sec),
        end_sec=checks.optional_seconds("end_sec", end_sec),
        num_frames=checks.whole("num_frames", num_frames, 1, 1001),
        downscale=True,
    )
    return {
        "source": asdict(clip.source),
        "source_frame": list(clip.source_frame),
        "time_sec": (clip.time_sec + clip.start_sec).tolist(),
        "notes": list(clip.notes),
    }


def list_presets() -> list[dict[str, Any]]:
    """List the camera moves that `make_path` knows, with the unit and range of their amount."""
    fields = ("name", "label", "description", "amount_default", "amount_unit", "amount_range")
    return [
        {name: getattr(preset, name) for name in fields} | {"uses_pivot": preset.uses_pivot}
        for preset in PRESETS.values()
    ]


def make_path(  # noqa: PLR0917 - callers see these names
    preset: str,
    num_frames: int = 9,
    fps: float = 10.0,
    width: int = 640,
    height: int = 480,
    hfov_deg: float = 60.0,
    amount: float | None = None,
) -> dict[str, Any]:
    """Make a camera path from a preset, in the native format.

    Args:
        preset: A name from `list_presets`.
        num_frames: Number of cameras.
        fps: Frames per second.
        width: Image width in pixels.
        height: Image height in pixels.
        hfov_deg: Horizontal field of view in degrees.
        amount: How far to go, in the preset's own unit; none for its default.
    """
    path = make_preset(
        checks.choice("preset", preset, tuple(PRESETS)),
        num_frames=checks.whole("num_frames", num_frames, 2, 1000),
        fps=checks.real("fps", fps, 0.1, 240.0),
        height=checks.whole("height", height, 16, 8192),
        width=checks.whole("width", width, 16, 8192),
        hfov_deg=checks.real("hfov_deg", hfov_deg, 1.0, 170.0),
        amount=amount,
    )
    return _native(path)


def edit_path(trajectory: dict[str, Any], operation: str, amount: float = 0.5) -> dict[str, Any]:
    """Change a whole camera path.

    Args:
        trajectory: A path in the native format.
        operation: reverse, mirror, close_loop, smooth (amount 0 to 1), scale (a factor), resample
            (a number of frames) or retime (a duration in seconds).
        amount: See operation.
    """
    change = OPERATIONS[checks.choice("operation", operation, tuple(OPERATIONS))]
    return _native(change(trajectory_from(trajectory), checks.real("amount", amount, 0.0, 1e6)))


def check_path(trajectory: dict[str, Any]) -> list[dict[str, Any]]:
    """List how a path leaves what the model was trained on; an empty list means that it does not.

    Args:
        trajectory: A path in the native format.
    """
    return [asdict(item) for item in check_range(trajectory_from(trajectory))]


def preview_path(image: dict[str, Any], trajectory: dict[str, Any]) -> dict[str, Any]:
    """Show an image along a path on a stand-in scene: a cheap look before a long run.

    Args:
        image: What the path's first camera sees.
        trajectory: A path in the native format.
    """
    path = trajectory_from(trajectory).reanchored()
    preview = parallax_preview(path, read_image(uploads.image_file(path_in(image), NEED_FILE)))
    place = _place("preview.mp4")
    write_video(place, even_sized(preview.video), fps=path.fps)
    seen = [round(share, 4) for share in preview.seen_share.tolist()]
    return {"video": file_data(place), "seen_share": seen}


def list_formats() -> list[dict[str, Any]]:
    """List the file formats of camera paths, with their conventions."""
    return [
        {
            "name": name,
            "title": spec.title,
            "convention": spec.convention,
            "writable": spec.writable,
        }
        for name, spec in FORMATS.items()
    ]


def read_path(file: dict[str, Any], format: str | None = None) -> dict[str, Any]:
    """Read a camera path file of any known format into the native one.

    Args:
        file: The file; a folder of files as a ZIP that `write_path` made.
        format: A name from `list_formats`; detected if none.
    """
    path = uploads.path_file(path_in(file), NEED_FILE)
    known = None if format is None else checks.choice("format", format, tuple(FORMATS))
    loaded = load_info(path, format=known)
    return {
        "trajectory": _native(loaded.trajectory),
        "format": loaded.format,
        "convention": loaded.convention,
        "notes": list(loaded.notes),
    }


def write_path(trajectory: dict[str, Any], format: str = "bundle") -> dict[str, Any]:
    """Write a camera path as a file of any format that can be written.

    Args:
        trajectory: A path in the native format.
        format: A name from `list_formats`; "bundle" is a ZIP of all of them.
    """
    known = checks.choice("format", format, tuple(downloads.writable_formats()))
    place, notes = downloads.write_path(trajectory_from(trajectory), known)
    return {"file": file_data(place), "notes": list(notes)}


ENDPOINTS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        plan_video,
        list_presets,
        make_path,
        edit_path,
        check_path,
        preview_path,
        list_formats,
        read_path,
        write_path,
    )
}


def refused(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let an InputError reach the caller in its own words."""

    @functools.wraps(function)
    def checked(*values: Any, **named: Any) -> Any:
        try:
            return function(*values, **named)
        except InputError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return checked


def file_data(path: Path) -> dict[str, Any]:
    """Return a file as Gradio's clients take it."""
    return gr.FileData(path=str(path), orig_name=path.name).model_dump()


def _native(path: Trajectory) -> dict[str, Any]:
    return json.loads(native_text(path))


def trajectory_from(value: object) -> Trajectory:
    """Return the camera path of a native file's content.

    Raises:
        InputError: It breaks a rule of the format.
    """
    if not isinstance(value, dict):
        raise InputError("trajectory must be a JSON object; got none. Pass what make_path returns.")
    return parse_native(json.dumps(value), "trajectory")[0]


def path_in(value: object) -> str:
    """Return where an uploaded file lies, "" if the value is none."""
    return str(value.get("path") or "") if isinstance(value, dict) else ""


def _place(name: str) -> Path:
    return Path(tempfile.mkdtemp(prefix="api-", dir=downloads.download_root())) / name
