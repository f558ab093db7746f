"""What the frames come from: an uploaded video or image, and which of its frames are used."""

import math
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.utils import get_upload_folder

from rays_as_pixels.app import checks, i18n
from rays_as_pixels.app.jobs.frame_files import even_sized
from rays_as_pixels.app.page import filmstrip, numbers
from rays_as_pixels.app.page.binding import Updates
from rays_as_pixels.app.server import uploads
from rays_as_pixels.app.server.model_holder import ModelFacts
from rays_as_pixels.app.server.session import Session
from rays_as_pixels.errors import InputError
from rays_as_pixels.media.clip import Clip
from rays_as_pixels.media.images import is_image_file
from rays_as_pixels.media.video import probe_video, read_clip, write_video
from rays_as_pixels.model.clip_lengths import largest_clip_length

if TYPE_CHECKING:
    from rays_as_pixels.app.page.page import Page


@dataclass(frozen=True)
class FrameChoice:
    """Which frames of a video the visitor wants, as the form sends it, not checked yet.

    Attributes:
        start: Start of the part to use, seconds; empty for the beginning.
        end: Its end; empty for the end.
        by: "count" or "rate".
        frames: How many.
        rate: How many per second.
    """

    start: object
    end: object
    by: object
    frames: object
    rate: object


def uploaded_source(files: object, lang: str) -> tuple[Path, bool]:
    """Return the uploaded video or image, and whether it is a single image.

    Several images are written as one video.

    Raises:
        InputError: Nothing was uploaded here, or it cannot be read.
    """
    names = files if isinstance(files, list) else [files]
    need = i18n.say("need_video", lang)
    if len(names) == 1 and not (isinstance(names[0], str) and is_image_file(Path(names[0]))):
        return uploads.video_file(names[0], need), False
    paths = [uploads.image_file(name, need) for name in names]
    if not paths:
        raise InputError(need)
    if len(paths) == 1:
        return paths[0], True
    folder = Path(tempfile.mkdtemp(prefix="images-", dir=get_upload_folder()))
    for path in paths:
        shutil.copyfile(path, folder / path.name)
    clip = read_clip(folder, downscale=True)
    video = folder / "images.mp4"
    write_video(video, even_sized(clip.video), fps=clip.fps)
    return video, False


def planned_updates(page: "Page", session: Session, choice: FrameChoice | None) -> Updates:
    """Read the frames that will be used and show them, with what was kept and why.

    Args:
        page: The page.
        session: Its source is read.
        choice: None for a new video, all of it.
    """
    source = Path(session.source)
    if session.still:
        return _still_updates(page, session)
    plan = _plan(source, choice, page.model.facts, session.lang)
    clip = read_clip(
        source,
        start_sec=plan["start_sec"],
        end_sec=plan["end_sec"],
        num_frames=plan["num_frames"],
        downscale=True,
    )
    overview = min(filmstrip.OVERVIEW_COUNT, clip.source.num_frames)
    strip = filmstrip.strip_of(
        clip,
        read_clip(source, num_frames=overview, downscale=True).video,
        start_sec=plan["start_sec"] or 0.0,
        end_sec=plan["end_sec"] or clip.source.duration_sec,
    )
    updates: Updates = {
        page.session: replace(session, plan=plan),
        page.video.film: gr.HTML(strip=strip),
        page.video.facts: numbers.clip_facts(clip, session.lang),
        page.video.frames: gr.update(value=plan["num_frames"]),
        page.video.start: "" if plan["start_sec"] is None else f"{plan['start_sec']:g}",
        page.video.end: "" if plan["end_sec"] is None else f"{plan['end_sec']:g}",
    }
    if not session.example:
        updates[page.view.clip] = gr.update(value=_watchable(clip), visible=True)
    return updates


def _still_updates(page: "Page", session: Session) -> Updates:
    clip = read_clip(Path(session.source), downscale=True)
    strip = filmstrip.strip_of(clip, None, start_sec=0, end_sec=0)
    note = f'<p class="rap-hint">{i18n.say("still_note", session.lang)}</p>'
    return {
        page.session: replace(session, plan={}),
        page.video.film: gr.HTML(strip=strip),
        page.video.facts: numbers.clip_facts(clip, session.lang) + note,
        page.view.clip: gr.update(value=None, visible=False),
    }


def _plan(source: Path, choice: FrameChoice | None, model: ModelFacts, lang: str) -> dict[str, Any]:
    """Return start_sec, end_sec and num_frames of the frames to use.

    Also trim_end_sec, where the part was cut further for a rate than the visitor cut it.
    """
    info = probe_video(source)
    if choice is None:
        most = min(model.num_frames, max(1, info.num_frames))
        count = _clip_length(most, model, lang, got=info.num_frames)
        return {"start_sec": None, "end_sec": None, "num_frames": count}
    start = checks.optional_seconds(i18n.say("start"), choice.start) or None
    end = checks.optional_seconds(i18n.say("end"), choice.end)
    if end is not None and end >= info.duration_sec - 1e-3:
        end = None
    plan = {"start_sec": start, "end_sec": end}
    if checks.choice(i18n.say("by"), choice.by, ("count", "rate")) == "count":
        return plan | {"num_frames": checks.frame_count(choice.frames, model.clip_lengths)}
    rate = checks.real(i18n.say("rate"), choice.rate, 0.01, 240.0)
    first, last = start or 0.0, info.duration_sec if end is None else end
    step = max(1 / rate, 1 / info.fps)
    fits = math.floor((last - first) / step - 0.5) + 1
    count = _clip_length(min(model.max_frames, max(1, fits)), model, lang, got=fits)
    stop = first + (count - 1) * step + 0.5 / info.fps
    used = {"num_frames": count, "end_sec": min(last, round(stop, 4))}
    return plan | used | {"trim_end_sec": end}


def _clip_length(most: int, model: ModelFacts, lang: str, *, got: int) -> int:
    count = largest_clip_length(most, model.temporal_stride)
    least = model.clip_lengths[0]
    if count < least:
        raise InputError(i18n.say("need_more_frames", lang).format(least=least, got=got))
    return count


def _watchable(clip: Clip) -> str:
    """Write the chosen frames as a video that every browser plays."""
    file = Path(tempfile.mkdtemp(prefix="clip-", dir=get_upload_folder())) / "clip.mp4"
    write_video(file, even_sized(clip.video), fps=clip.fps)
    return str(file)
