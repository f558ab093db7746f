"""What the page shows: the plot of a session, and the results of a finished job."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.rotations import rotation_angle_rad
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.jobs import tasks
from rays_as_pixels.jobs.manager import JobManager
from rays_as_pixels.jobs.records import JobRecord, JobState
from rays_as_pixels.trajectories.formats.native import read_native
from rays_as_pixels.ui import text, widgets
from rays_as_pixels.ui.keyframe_table import rows_from_trajectory
from rays_as_pixels.ui.session import Session
from rays_as_pixels.viz.figures import trajectory_figure

Updates = dict[str, Any]
FILES = {
    "estimate": (tasks.TRAJECTORY, tasks.PAGE, tasks.CLIP),
    "generate": (tasks.VIDEO, tasks.TRAJECTORY, tasks.PAGE),
    "imagine": (tasks.VIDEO, tasks.TRAJECTORY, tasks.PAGE),
    "loop": (tasks.VIDEO, tasks.TRAJECTORY, tasks.REESTIMATED, tasks.REPORT, tasks.PAGE),
}


def plot_of(session: Session, manager: JobManager) -> str | None:
    """Return the session's plot as Plotly JSON text, None if it has no path yet."""
    main = session.paths.get(session.main)
    if main is None:
        return None
    other = session.paths.get(session.overlay) if session.overlay != session.main else None
    labels = (text.PATH_NAMES[session.main], text.PATH_NAMES.get(session.overlay, ""))
    images = _frames_of(session, manager, len(main))
    return trajectory_figure(main, other=other, labels=labels, images=images).to_json()


def _frames_of(
    session: Session, manager: JobManager, count: int
) -> Float[Tensor, "frames 3 h w"] | None:
    if not session.frames_job or session.main not in ("estimated", "imagined"):
        return None
    path = manager.folder(session.frames_job) / tasks.FRAMES
    if not path.is_file():
        return None
    frames = tasks.load_frames(path)
    return frames if len(frames) == count else None


def plot_updates(session: Session, manager: JobManager) -> Updates:
    """Return the plot and the choice of what is drawn over it."""
    others = [name for name in session.paths if name != session.main]
    choices = [(text.OVERLAY_NONE, "")] + [(text.PATH_NAMES[name], name) for name in others]
    return {
        "session": session,
        "plot": plot_of(session, manager),
        "overlay": gr.update(choices=choices, value=session.overlay, visible=bool(others)),
    }


def path_facts(trajectory: Trajectory) -> str:
    """Describe a path in numbers."""
    position = trajectory.positions
    rotation = trajectory.cameras.world_from_cam[:, :3, :3]
    turns = rotation_angle_rad(rotation[:-1].transpose(-1, -2) @ rotation[1:])
    hfov_deg = torch.rad2deg(trajectory.cameras.hfov_rad)
    time = trajectory.times_sec
    return text.path_facts(
        len(trajectory),
        position.diff(dim=0).norm(dim=-1).sum().item(),
        torch.rad2deg(turns.sum()).item(),
        (hfov_deg.min().item(), hfov_deg.max().item()),
        (time[-1] - time[0]).item(),
    )


def job_results(
    session: Session, record: JobRecord, manager: JobManager, *, num_keys: int
) -> Updates:
    """Return all updates that show a finished job; {} if it did not finish well."""
    if record.state is not JobState.DONE:
        return {}
    show = {"estimate": _estimated, "generate": _generated, "imagine": _imagined, "loop": _looped}
    folder = manager.folder(record.id)
    updates = show[record.kind](session, record, folder, num_keys)
    files = [str(folder / name) for name in FILES[record.kind] if (folder / name).is_file()]
    updates["downloads"] = gr.update(value=files, visible=True)
    return plot_updates(updates.pop("session"), manager) | updates


def _estimated(session: Session, record: JobRecord, folder: Path, num_keys: int) -> Updates:
    path = read_native(folder / tasks.TRAJECTORY)
    session = replace(
        session.without("again", "edited", "imagined", "generated").with_path("estimated", path),
        estimate=record.id,
        frames_job=record.id,
        main="estimated",
        overlay="truth" if "truth" in session.paths else "",
    )
    result = record.results
    facts = text.clip_facts(result["source"], result["source_frame"], result["notes"])
    return {
        "session": session,
        "clip": gr.update(value=str(folder / tasks.CLIP), label=text.CLIP_LABEL, visible=True),
        "sheet": gr.update(value=str(folder / tasks.SHEET), visible=True),
        "clip_facts": f"{facts}\n\n{text.PATH_ESTIMATED}: {path_facts(path)}",
        "table": rows_from_trajectory(path, num_keys=num_keys),
        "path_choice": text.PATH_ESTIMATED,
    }


def _generated(session: Session, record: JobRecord, folder: Path, _num_keys: int) -> Updates:
    path = read_native(folder / tasks.TRAJECTORY)
    session = session.with_path("generated", path)
    if session.main not in session.paths:
        session = replace(session, main="generated", overlay="")
    return {
        "session": session,
        "generated": gr.update(value=str(folder / tasks.VIDEO), visible=True),
        "sheet": gr.update(value=str(folder / tasks.SHEET), visible=True),
    }


def _imagined(session: Session, record: JobRecord, folder: Path, _num_keys: int) -> Updates:
    path = read_native(folder / tasks.TRAJECTORY)
    session = replace(
        session.with_path("imagined", path), main="imagined", overlay="", frames_job=record.id
    )
    video = str(folder / tasks.VIDEO)
    return {
        "session": session,
        "imagined": gr.update(value=video, visible=True),
        "clip": gr.update(value=video, label=text.IMAGINED_LABEL, visible=True),
        "sheet": gr.update(value=str(folder / tasks.SHEET), visible=True),
    }


def _looped(session: Session, record: JobRecord, folder: Path, _num_keys: int) -> Updates:
    estimated = read_native(folder / tasks.TRAJECTORY)
    again = read_native(folder / tasks.REESTIMATED)
    session = replace(
        session.with_path("estimated", estimated).with_path("again", again),
        main="estimated",
        overlay="again",
        frames_job=session.estimate,
    )
    report = json.loads((folder / tasks.REPORT).read_text(encoding="utf-8"))
    return {
        "session": session,
        "sheet": gr.update(value=str(folder.parent / session.estimate / tasks.SHEET), visible=True),
        "loop_numbers": widgets.loop_numbers(report),
        "loop_video": gr.update(value=str(folder / tasks.VIDEO), visible=True),
    }
