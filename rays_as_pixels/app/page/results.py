"""What the page shows of a session: its paths in the view, and the results that are on show."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import gradio as gr
import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.app import i18n
from rays_as_pixels.app.editor import PathEditor, cloud_file, document_from_trajectory
from rays_as_pixels.app.editor.document import MAX_FRAMES
from rays_as_pixels.app.jobs import loop_rounds, tasks
from rays_as_pixels.app.jobs.estimate_every_frame import SAMPLED
from rays_as_pixels.app.page import compare, downloads, numbers
from rays_as_pixels.app.page.binding import Updates
from rays_as_pixels.app.page.history_list import history_value
from rays_as_pixels.app.page.library import Result, pictures_of, raxels_of
from rays_as_pixels.app.page.points import editor_cloud, points_of
from rays_as_pixels.app.server.session import Session
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.rotations import rotation_angle_rad
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.video import probe_video
from rays_as_pixels.trajectories.formats.native import (
    parse_native,
    read_native,
    read_native_with_extra,
)
from rays_as_pixels.viz.path_view.value import OtherPath, path_view_value

if TYPE_CHECKING:
    from rays_as_pixels.app.page.library import Library
    from rays_as_pixels.app.page.page import Page

UNFINISHED = ("generate", "imagine")  # kinds whose partial result is worth a look
EDIT_KEYS = 5  # keyframes that an estimate starts with in the editor; long ones with more
MOST_EDIT_KEYS, FRAMES_PER_KEY = 12, 15


@dataclass(frozen=True)
class KeptSpread:
    """The numbers of an `outputs.PoseStd` that are kept with a result.

    Attributes:
        rotation_rad: Disagreement of the orientations.
        position: Disagreement of the centres, scene units.
    """

    rotation_rad: Float[Tensor, "frames"]
    position: Float[Tensor, "frames"]


def view_updates(page: "Page", session: Session) -> Updates:
    """Return the 3D view, what may be drawn over its path, and what can be downloaded."""
    names = [name for name in session.paths if name != session.main]
    choices = [(i18n.say("overlay_none", session.lang), "")]
    choices += [(i18n.say(f"path_{name}", session.lang), name) for name in names]
    return {
        page.session: session,
        page.browser: session.browser(),
        page.view.plot: view_value(session, page.library),
        page.view.overlay: gr.update(choices=choices, value=session.overlay, visible=bool(names)),
        **downloads.download_updates(page, session),
    }


def view_value(session: Session, library: "Library") -> str | None:
    """Return what the 3D view draws, None if the session has no path yet."""
    main = session.paths.get(session.main)
    if main is None:
        return None
    other = session.paths.get(session.overlay) if session.overlay != session.main else None
    images, raxels, spread = _pictures(session, library, len(main))
    return path_view_value(
        main,
        label=i18n.both(f"path_{session.main}"),
        others=() if other is None else (_overlay(session, other),),
        images=images,
        raxels=raxels,
        spread=spread,
        points=points_of(session, library),
    )


def _overlay(session: Session, path: Trajectory) -> OtherPath:
    has_truth = "truth" in (session.main, session.overlay)
    return OtherPath(i18n.both(f"path_{session.overlay}"), path, is_error=has_truth)


def _pictures(
    session: Session, library: "Library", count: int
) -> tuple[Tensor | None, Tensor | None, KeptSpread | None]:
    """Return frames, raxels and spread that belong to the main path."""
    reference = session.estimate if session.main == "estimated" else ""
    if session.main in ("imagined", "generated"):
        reference = session.result
    result = library.find(reference, session.visitor)
    if result is None:
        return None, None, None
    try:
        images: Float[Tensor, "frames 3 h w"] | None = pictures_of(result)
    except InputError:
        images = None
    raxels = raxels_of(result)
    images = images if images is not None and len(images) == count else None
    raxels = raxels if raxels is not None and len(raxels) == count else None
    return images, raxels, _spread(result, count)


def _spread(result: Result, count: int) -> KeptSpread | None:
    kept = result.results.get("spread")
    if not isinstance(kept, dict) or len(kept["rotation_rad"]) != count:
        return None
    return KeptSpread(torch.tensor(kept["rotation_rad"]), torch.tensor(kept["position"]))


def path_facts(path: Trajectory, lang: str) -> str:
    """Describe a path in numbers."""
    position = path.positions
    rotation = path.cameras.world_from_cam[:, :3, :3]
    turns = rotation_angle_rad(rotation[:-1].transpose(-1, -2) @ rotation[1:])
    hfov_deg = torch.rad2deg(path.cameras.hfov_rad)
    low, high = hfov_deg.min().item(), hfov_deg.max().item()
    time = path.times_sec
    return i18n.say(
        "path_facts",
        lang,
        frames=len(path),
        seconds=(time[-1] - time[0]).item(),
        length=position.diff(dim=0).norm(dim=-1).sum().item(),
        turn=torch.rad2deg(turns.sum()).item(),
        lens=f"{low:.1f}" if high - low < 0.05 else f"{low:.1f}–{high:.1f}",
    )


def display_results(page: "Page", session: Session, *found: Result | None) -> Updates:
    """Return all updates that display results, the last one uppermost.

    Those that are gone, or that hold nothing to see, are passed over; {} if that leaves none.
    """
    display = {"estimate": _estimated, "generate": _made, "imagine": _made, "loop": _looped}
    updates: Updates = {}
    for result in found:
        if result is None:
            continue
        if result.state == "done" or (result.kind in UNFINISHED and result.video is not None):
            session, more = display[result.kind](page, session, result)
            updates |= more
    if not updates:
        return {}
    return view_updates(page, session) | updates | history_updates(page, session)


def history_updates(page: "Page", session: Session) -> Updates:
    """Return the list of the visitor's results."""
    return {page.generate.history: history_value(session, page.library)}


def _estimated(page: "Page", session: Session, result: Result) -> tuple[Session, Updates]:
    path = read_native(result.folder / tasks.TRAJECTORY)
    truth = session.paths.get("truth")
    same = session.estimate == result.reference
    if result.example is not None and result.example.truth is not None:
        truth = read_native(result.example.truth)
    if not same:
        session = replace(session.without(*session.paths), edit=None, result="", other="", loop="")
    session = replace(session.with_path("estimated", path), sampled=result.sampled)
    network = _network_path(result)
    if network is not None:
        session = session.with_path("network", network)
    if truth is not None:
        session = session.with_path("truth", _at_times(truth, path))
    session = replace(
        session,
        estimate=result.reference,
        main="estimated",
        overlay="truth" if truth is not None else "network" if network is not None else "",
    )
    lang = session.lang
    updates: Updates = {
        page.view.clip: gr.update(value=str(result.folder / tasks.CLIP), visible=True),
        page.path.facts: numbers.estimate_facts(result, path, path_facts(path, lang), lang),
        **editor_updates(page, session),
    }
    if not same:
        updates |= {
            page.generate.compare: None,
            page.generate.facts: "",
            page.loop.compare: None,
            page.loop.numbers: "",
            page.edit.facts: "",
            page.edit.parallax: gr.update(value=None, visible=False),
        }
    return session, updates


def _network_path(result: Result) -> Trajectory | None:
    """Return the network's own path, where an estimate of every frame keeps it beside its own."""
    extra = read_native_with_extra(result.folder / tasks.TRAJECTORY)[1]
    kept = extra.get("network_path")
    return None if kept is None else parse_native(json.dumps(kept), tasks.TRAJECTORY)[0]


def _at_times(truth: Trajectory, path: Trajectory) -> Trajectory:
    """Return the cameras of a true path that belong to the frames that were used."""
    if path.source_frame is None or max(path.source_frame) >= len(truth):
        return truth
    picked = truth.cameras[torch.tensor(path.source_frame)]
    return replace(truth, cameras=picked, time_sec=path.times_sec, source_frame=path.source_frame)


def _keyframes(path: Trajectory) -> int:
    """Return how many keyframes a path starts with in the editor."""
    return min(len(path), max(EDIT_KEYS, min(MOST_EDIT_KEYS, len(path) // FRAMES_PER_KEY)))


def editor_updates(page: "Page", session: Session) -> Updates:
    """Offer the session's paths in the editor; load the edit, or none if there is none."""
    named, paths = [], {}
    for name in ("estimated", "imagined"):
        if name in session.paths:
            path, label = session.paths[name], i18n.say(f"path_{name}", session.lang)
            if len(path) > MAX_FRAMES:
                label += i18n.say("some_of_frames", session.lang, n=MAX_FRAMES, total=len(path))
                path = path.resampled(MAX_FRAMES)
            document = document_from_trajectory(path, num_keyframes=_keyframes(path))
            named.append({"name": name, "label": label, "document": document})
            paths[name] = path
    ghosts = [
        {"label": item["label"], "positions": paths[item["name"]].positions.tolist()}
        for item in named
    ]
    # An update of a component that is not on screen yet replaces its properties: give them all.
    points = editor_cloud(points_of(session, page.library))
    cloud = None if points is None else cloud_file(points)
    props = page.editor_props | {"sources": named, "overlays": ghosts, "cloud": cloud}
    props["value"] = session.edit  # None takes the edit of an earlier video away
    return {page.edit.editor: PathEditor(**cast(dict[str, Any], props))}


def _made(page: "Page", session: Session, result: Result) -> tuple[Session, Updates]:
    session = replace(session, result=result.reference)
    if session.other == result.reference:
        session = replace(session, other="")
    path_file = result.file(tasks.TRAJECTORY)
    if path_file is not None:
        name = "imagined" if result.kind == "imagine" else "generated"
        session = session.with_path(name, read_native(path_file))
        if name == "imagined":
            session = replace(session, main="imagined", overlay="")
        elif session.main == "estimated":
            session = replace(session, overlay="generated")
        elif session.main not in session.paths:
            session = replace(session, main="generated", overlay="")
    updates = comparison_updates(page, session)
    if result.kind == "imagine" and result.video is not None:
        updates[page.view.clip] = gr.update(value=str(result.video), visible=True)
    return session, updates


def comparison_updates(page: "Page", session: Session) -> Updates:
    """Return the comparison of the result on show with the input or another result."""
    result = page.library.find(session.result, session.visitor)
    if result is None or result.video is None:
        return {page.generate.compare: None, page.generate.facts: ""}
    other = page.library.find(session.other, session.visitor)
    before, words = None, i18n.say("cmp_input", session.lang)
    made = i18n.say("cmp_made", session.lang)
    if other is not None and other.video is not None:
        before, words = other.video, i18n.say("cmp_other", session.lang)
    elif result.kind != "imagine":
        before = _input_clip(session, result, page.library)
    return {
        page.generate.compare: _pair(result.video, made, before, words),
        page.generate.facts: numbers.result_facts(result, session.lang),
    }


def _input_clip(session: Session, result: Result, library: "Library") -> Path | None:
    """Return the clip that a video was made from."""
    reference = str(result.settings.get("estimate", "")) or session.estimate
    estimate = library.find(reference, session.visitor)
    return None if estimate is None else estimate.file(SAMPLED) or estimate.file(tasks.CLIP)


def _pair(made: Path, made_label: str, before: Path | None, before_label: str) -> dict[str, Any]:
    info = probe_video(made)
    return compare.pair_of(
        made,
        made_label,
        before=before,
        before_label=before_label,
        frames=info.num_frames,
        fps=info.fps,
        aspect=info.width / info.height,
    )


def _looped(page: "Page", session: Session, result: Result) -> tuple[Session, Updates]:
    walked = read_native(result.folder / tasks.TRAJECTORY)
    again = read_native(result.folder / tasks.REESTIMATED)
    session = replace(
        session.with_path("looped", walked).with_path("again", again),
        loop=result.reference,
        main="looped",
        overlay="again",
    )
    report = json.loads((result.folder / tasks.REPORT).read_text(encoding="utf-8"))
    video = result.folder / loop_rounds.video_name(0)
    before = result.file(tasks.CLIP)
    updates: Updates = {
        page.loop.numbers: numbers.loop_numbers(report, result, session.lang),
        page.loop.compare: _pair(
            video,
            i18n.say("cmp_made", session.lang),
            before,
            i18n.say("cmp_reference", session.lang),
        ),
    }
    return session, updates
