"""Events of the first two steps: bring a video, trim it, estimate its camera path."""

import math
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from rays_as_pixels.app import checks, i18n
from rays_as_pixels.app.jobs import tasks
from rays_as_pixels.app.jobs.requests import MAX_RUNS, MAX_STEPS, EstimateRequest
from rays_as_pixels.app.library import Result
from rays_as_pixels.app.page import filmstrip, numbers
from rays_as_pixels.app.page.events import Events, Form, run_cost
from rays_as_pixels.app.page.results import Updates, view_updates
from rays_as_pixels.app.server import uploads
from rays_as_pixels.app.server.session import Session
from rays_as_pixels.errors import InputError
from rays_as_pixels.media.clip import Clip
from rays_as_pixels.media.images import is_image_file
from rays_as_pixels.media.video import probe_video, read_clip, write_video
from rays_as_pixels.model.clip_lengths import largest_clip_length
from rays_as_pixels.trajectories.formats.native import read_native


class VideoEvents(Events):
    """Video in, camera path out."""

    def pick_example(self, session: Session, index: object) -> Updates:
        """Put an example and all that is shipped of it on show; nothing is computed."""
        if not isinstance(index, int) or not 0 <= index < len(self.examples):
            raise InputError(
                i18n.say("unknown_example", session.lang).format(
                    count=len(self.examples), index=checks.shown(index)
                )
            )
        return self.show_example(session.emptied(), index)

    def show_example(self, session: Session, index: int) -> Updates:
        """Return everything the page shows of an example."""
        example = self.examples[index]
        session = replace(session, example=example.name, source=str(example.clip))
        found: list[Result | None] = []
        for kind in ("loop", "generate", "estimate"):
            reference = f"example:{example.name}/{kind}"
            result = self.library.find(reference, session.visitor)
            found.append(result)
            if result is not None:
                field = {"generate": "result"}.get(kind, kind)
                session = replace(session, **{field: reference})
        updates = self._planned(session, {"by": "count", "frames": None}, fresh=True)
        session = updates["session"]
        if example.truth is not None:
            session = session.with_path("truth", read_native(example.truth))
            session = replace(session, main="truth")
        shown = self.put_on_show(session, *found)
        if found[-1] is None:  # nothing shipped: the true path at least
            shown = shown | view_updates(session, self.library)
        return updates | shown

    def take_files(self, session: Session, files: object) -> Updates:
        """Take what was uploaded: a video, an image, or several images as one video."""
        source, still = self._source(files, session.lang)
        session = replace(session.emptied(), source=str(source), still=still)
        updates = self._planned(session, {"by": "count", "frames": None}, fresh=True)
        cleared: Updates = {
            "path_facts": "",
            "compare": None,
            "result_facts": "",
            "loop_numbers": "",
            "loop_compare": None,
            "edit_facts": "",
            "edit_warnings": "",
            "parallax": gr.update(value=None, visible=False),
        }
        return cleared | view_updates(updates["session"], self.library) | updates

    def plan(self, session: Session, form: Form) -> Updates:
        """Choose the frames anew after a change of the trim or of how many are wanted."""
        if not session.source:
            return {}
        return self._planned(session, form, fresh=False)

    def trim(self, session: Session, part: object, form: Form) -> Updates:
        """Take the part that the filmstrip's handles enclose."""
        values = part if isinstance(part, dict) else {}
        start = checks.optional_seconds(i18n.say("start"), values.get("start_sec"))
        end = checks.optional_seconds(i18n.say("end"), values.get("end_sec"))
        return self.plan(session, {**form, "start": start, "end": end})

    def choose_by(self, _session: Session, by: object) -> Updates:
        """Ask for a number of frames or for a rate."""
        known = checks.choice(i18n.say("by"), by, ("count", "rate"))
        return {
            "frames": gr.update(visible=known == "count"),
            "rate": gr.update(visible=known == "rate"),
        }

    def estimate(self, session: Session, form: Form) -> Updates:
        """Submit the estimate of the chosen frames' path."""
        if session.still:
            raise InputError(i18n.say("need_frames", session.lang))
        path, plan = self._video(session)
        name = f"input{path.suffix.lower()[:8]}"
        request = EstimateRequest(
            video=name,
            num_frames=plan["num_frames"],
            start_sec=plan["start_sec"],
            end_sec=plan["end_sec"],
            steps=checks.whole(i18n.say("steps"), form["steps"], 1, MAX_STEPS),
            num_samples=checks.whole(i18n.say("runs"), form["runs"], 1, MAX_RUNS),
            shared_focal=form["shared_focal"] is True,
            extra_frames=form["between"] is True,
            seed=checks.seed(form["seed"], locked=form["locked"]),
        )
        cost = run_cost(request.steps, request.num_frames, runs=request.num_samples)
        updates = self.submit(
            session, "estimate", request, {name: path}, cost=cost, example=session.example
        )
        return updates | {"seed": request.seed}

    def _video(self, session: Session) -> tuple[Path, dict[str, Any]]:
        """Return the video on show and which part of it; after a reload, that of the estimate."""
        if session.source and session.plan and Path(session.source).is_file():
            return Path(session.source), session.plan
        result = self.library.find(session.estimate, session.visitor)
        if result is not None and result.example is not None:
            return result.example.clip, result.settings
        kept = [] if result is None else sorted(result.folder.glob("input.*"))
        if result is None or not kept:
            raise InputError(i18n.say("need_video", session.lang))
        return kept[0], result.settings

    def _source(self, files: object, lang: str) -> tuple[Path, bool]:
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
        write_video(video, tasks.even_sized(clip.video), fps=clip.fps)
        return video, False

    def _planned(self, session: Session, form: Form, *, fresh: bool) -> Updates:
        """Read the frames that will be used and show them, with what was kept and why."""
        source, lang = Path(session.source), session.lang
        if session.still:
            clip = read_clip(source, downscale=True)
            session = replace(session, plan={})
            strip = filmstrip.strip_of(clip, None, start_sec=0, end_sec=0)
            rows = numbers.clip_facts(clip, lang)
            note = f'<p class="rap-hint">{i18n.say("still_note", lang)}</p>'
            return {
                "session": session,
                "film": gr.HTML(strip=strip),
                "facts": rows + note,
                "clip": gr.update(value=None, visible=False),
            }
        ask = self._plan_of(source, form, fresh=fresh, lang=lang)
        clip = read_clip(
            source,
            start_sec=ask["start_sec"],
            end_sec=ask["end_sec"],
            num_frames=ask["num_frames"],
            downscale=True,
        )
        strip = filmstrip.strip_of(
            clip,
            self._overview(source, clip),
            start_sec=ask["start_sec"] or 0.0,
            end_sec=ask["end_sec"] or clip.source.duration_sec,
        )
        session = replace(session, plan=ask)
        updates: Updates = {
            "session": session,
            "film": gr.HTML(strip=strip),
            "facts": numbers.clip_facts(clip, lang),
            "frames": gr.update(value=ask["num_frames"]),
            "start": "" if ask["start_sec"] is None else f"{ask['start_sec']:g}",
            "end": "" if ask["end_sec"] is None else f"{ask['end_sec']:g}",
        }
        if not session.example:
            updates["clip"] = gr.update(value=self._watchable(clip), visible=True)
        return updates

    def _plan_of(self, source: Path, form: Form, *, fresh: bool, lang: str) -> dict[str, Any]:
        start = checks.optional_seconds(i18n.say("start"), form.get("start"))
        end = checks.optional_seconds(i18n.say("end"), form.get("end"))
        info = probe_video(source)
        if end is not None and end >= info.duration_sec - 1e-3:
            end = None
        start = start or None
        facts = self.model.facts
        least = facts.clip_lengths[0]
        plan = {"start_sec": start, "end_sec": end}
        if fresh:
            most = min(facts.num_frames, max(1, info.num_frames))
            count = largest_clip_length(most, facts.temporal_stride)
            if count < least:
                raise InputError(
                    i18n.say("need_more_frames", lang).format(least=least, got=info.num_frames)
                )
            return plan | {"num_frames": count}
        if checks.choice(i18n.say("by"), form["by"], ("count", "rate")) == "count":
            return plan | {"num_frames": checks.frame_count(form["frames"], facts.clip_lengths)}
        rate = checks.real(i18n.say("rate"), form["rate"], 0.01, 240.0)
        first, last = start or 0.0, info.duration_sec if end is None else end
        step = max(1 / rate, 1 / info.fps)
        fits = math.floor((last - first) / step - 0.5) + 1
        most = min(facts.max_frames, max(1, fits))
        count = largest_clip_length(most, facts.temporal_stride)
        if count < least:
            raise InputError(i18n.say("need_more_frames", lang).format(least=least, got=fits))
        stop = first + (count - 1) * step + 0.5 / info.fps
        return plan | {"num_frames": count, "end_sec": min(last, round(stop, 4))}

    def _overview(self, source: Path, clip: Clip) -> Any:
        count = min(filmstrip.OVERVIEW_COUNT, clip.source.num_frames)
        return read_clip(source, num_frames=count, downscale=True).video

    def _watchable(self, clip: Clip) -> str:
        """Write the chosen frames as a video that every browser plays."""
        place = Path(tempfile.mkdtemp(prefix="clip-", dir=get_upload_folder())) / "clip.mp4"
        write_video(place, tasks.even_sized(clip.video), fps=clip.fps)
        return str(place)
