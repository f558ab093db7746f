"""Events of the last two steps: regenerate along a path, compare, and check the loop."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.app import checks, i18n
from rays_as_pixels.app.editor import document_from_trajectory
from rays_as_pixels.app.jobs import loop_rounds, tasks
from rays_as_pixels.app.jobs.requests import (
    MAX_ROUNDS,
    MAX_STEPS,
    GenerateRequest,
    ImagineRequest,
    LoopRequest,
)
from rays_as_pixels.app.jobs.source_clip_files import source_clip_files
from rays_as_pixels.app.library import Result
from rays_as_pixels.app.page import steps_run
from rays_as_pixels.app.page.events import (
    Events,
    Form,
    run_cost,
    taken_along,
    taken_file,
)
from rays_as_pixels.app.page.history import ACTIONS
from rays_as_pixels.app.page.results import (
    EDIT_KEYS,
    Updates,
    comparison_updates,
    editor_updates,
    history_updates,
)
from rays_as_pixels.app.server import uploads
from rays_as_pixels.app.server.session import Session
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.video import write_image
from rays_as_pixels.pipeline.defaults import GENERATE_STEPS, IMAGINE_STEPS
from rays_as_pixels.trajectories.depth import depth_for_extra
from rays_as_pixels.trajectories.formats.native import native_text, read_native
from rays_as_pixels.trajectories.operations import reverse
from rays_as_pixels.trajectories.presets import PRESETS, make_preset
from rays_as_pixels.trajectories.smoothing import smooth

STABILISE = 0.6  # of `smooth`


@dataclass(frozen=True)
class Still:
    """An image that the model is shown, and its frame."""

    picture: "Path | bytes"
    frame: int


class RunEvents(Events):
    """Videos along paths, the list of them, and the loop."""

    def choose_along(self, session: Session, along: object, steps: object) -> Updates:
        """Show the fields that an imagined video needs; steps left at their default follow."""
        imagined = checks.choice(i18n.say("along"), along, steps_run.PATHS) == "imagine"
        updates: Updates = {
            name: gr.update(visible=imagined) for name in ("imagine_frames", "imagine_fps")
        }
        before, after = (GENERATE_STEPS, IMAGINE_STEPS)[:: 1 if imagined else -1]
        if imagined != session.imagining and steps == before:
            updates["generate_steps"] = after
        return updates | {"session": replace(session, imagining=imagined)}

    def choose_images(self, session: Session, images: object) -> Updates:
        """Show the choice of frames, or the place for an image of one's own."""
        known = checks.choice(i18n.say("images"), images, steps_run.IMAGES)
        path = session.paths.get("estimated")
        count = 1 if path is None else len(path)
        return {
            "image_frames": gr.update(
                visible=known == "chosen", choices=list(range(count)), value=[0]
            ),
            "own_image": gr.update(visible=known == "own"),
        }

    def generate(self, session: Session, form: Form) -> Updates:
        """Submit a video along the edited or the estimated path, or an imagined one."""
        along = checks.choice(i18n.say("along"), form["along"], steps_run.PATHS)
        sampling: dict[str, Any] = {
            "steps": checks.whole(i18n.say("steps"), form["steps"], 1, MAX_STEPS),
            "guidance_scale": checks.real(i18n.say("guidance"), form["guidance"], 1.0, 20.0),
            "seed": checks.seed(form["seed"], locked=form["locked"]),
        }
        if along == "imagine":
            return self._imagine(session, form, sampling) | {"generate_seed": sampling["seed"]}
        path = self.path_of(session, along)
        stills = self._stills(session, form, path)
        depth = None if form["images"] == "own" else self.depth_of(session)
        taken = taken_along(session, path, own=form["images"] == "own")
        inputs: dict[str, Any] = {tasks.WANTED: path_file(path, depth), **taken_file(taken)}
        inputs |= {f"image{k}.png": still.picture for k, still in enumerate(stills)}
        source_clip: dict[str, bytes] = {}
        if form["images"] == "clip" and depth is not None:
            source_clip = self._footage(session, depth)
        frames = tuple(still.frame for still in stills)
        request = GenerateRequest(image_frames=frames, **sampling)
        updates = self.submit(
            session,
            "generate",
            request,
            inputs | source_clip,
            cost=run_cost(request.steps, len(path), guidance=request.guidance_scale),
            path=along,
            whole_clip=bool(source_clip),
            estimate=session.estimate,
        )
        return updates | {"generate_seed": request.seed}

    def _footage(self, session: Session, depth: Float[Tensor, "rows columns"]) -> dict[str, bytes]:
        """Return the estimated clip as files: its other frames show what the first does not."""
        result = self.estimate_of(session)
        path = session.paths.get("estimated")
        video = self.frames_for(session)
        if path is None or len(path) != len(video):
            return {}
        return source_clip_files(
            video, path, depth, inlier_ratio=result.results.get("inlier_ratio")
        )

    def _imagine(self, session: Session, form: Form, sampling: dict[str, Any]) -> Updates:
        request = ImagineRequest(
            num_frames=checks.frame_count(form["frames"], self.model.facts.clip_lengths),
            fps=checks.real(i18n.say("fps"), form["fps"], 0.1, 240.0),
            **sampling,
        )
        if form["images"] == "own":
            picture: Path | bytes = uploads.image_file(
                form["own"], i18n.say("need_image", session.lang)
            )
        else:
            picture = png_bytes(self.frames_for(session)[0])
        cost = run_cost(request.steps, request.num_frames, guidance=request.guidance_scale)
        return self.submit(session, "imagine", request, {"image0.png": picture}, cost=cost)

    def _stills(self, session: Session, form: Form, path: Trajectory) -> list[Still]:
        """Return the images to show the model, and which frames of their path they are."""
        choice = checks.choice(i18n.say("images"), form["images"], steps_run.IMAGES)
        if choice == "own":
            return [Still(uploads.image_file(form["own"], i18n.say("need_image", session.lang)), 0)]
        video = self.frames_for(session)
        wanted = {"clip": [0], "first": [0], "ends": [0, len(video) - 1]}.get(choice)
        if wanted is None:
            wanted = chosen_frames(form["chosen"], len(video))
        if wanted != [0] and len(video) != len(path):
            raise InputError(
                i18n.say("need_same_length", session.lang).format(video=len(video), path=len(path))
            )
        return [Still(png_bytes(video[k]), k) for k in dict.fromkeys(wanted)]

    # --- The loop

    def run_loop(self, session: Session, form: Form) -> Updates:
        """Submit the loop check along the estimated or the edited path."""
        name = checks.choice(i18n.say("loop_path"), form["path"], steps_run.LOOP_PATHS)
        path = self.path_of(session, name)
        video = self.frames_for(session)
        reference = video if name == "estimated" else None
        start = video[0], self.depth_of(session)
        return self._loop(session, form, name, path, start, reference)

    def demo_stabilise(self, session: Session, form: Form) -> Updates:
        """Submit the loop along the estimated path without its wobbles."""
        path = smooth(self.path_of(session, "estimated"), STABILISE)
        start = self.frames_for(session)[0], self.depth_of(session)
        return self._loop(session, form, "stabilise", path, start, None)

    def demo_reverse(self, session: Session, form: Form) -> Updates:
        """Submit the loop backwards: from the last frame, whose true video is known."""
        path = reverse(self.path_of(session, "estimated")).reanchored()
        video = self.frames_for(session).flip(0)
        return self._loop(session, form, "reverse", path, (video[0], None), video)

    def demo_dolly_zoom(self, session: Session, form: Form) -> Updates:
        """Submit the loop along a dolly-zoom from the first frame."""
        like = self.path_of(session, "estimated")
        path = make_preset(
            "dolly-zoom",
            num_frames=len(like),
            fps=like.fps,
            height=like.cameras.height,
            width=like.cameras.width,
            hfov_deg=like.cameras.hfov_rad[0].rad2deg().item(),
            amount=0.5 * PRESETS["dolly-zoom"].amount_default,
        )
        start = self.frames_for(session)[0], self.depth_of(session)
        return self._loop(session, form, "dolly_zoom", path, start, None)

    def _loop(  # noqa: PLR0917 - what, how, along what, from what, against what
        self,
        session: Session,
        form: Form,
        name: str,
        path: Trajectory,
        start: tuple[Float[Tensor, "3 height width"], Float[Tensor, "rows columns"] | None],
        reference: Float[Tensor, "frames 3 height width"] | None,
    ) -> Updates:
        request = LoopRequest(
            path=name,
            rounds=checks.whole(i18n.say("rounds"), form["rounds"], 1, MAX_ROUNDS),
            steps=checks.whole(i18n.say("steps"), form["steps"], 1, MAX_STEPS),
            estimate_steps=checks.whole(
                i18n.say("estimate_steps"), form["estimate_steps"], 1, MAX_STEPS
            ),
            seed=checks.seed(form["seed"], locked=form["locked"]),
            has_reference=reference is not None,
        )
        first, depth = start
        inputs: dict[str, Path | bytes] = {
            tasks.WANTED: path_file(path, depth),
            loop_rounds.START: png_bytes(first),
        }
        if name != "reverse":  # which begins with another frame
            inputs |= taken_file(taken_along(session, path, own=False))
        if reference is not None:
            inputs[tasks.INPUT_CLIP] = npy_bytes(reference)
        cost = run_cost(request.steps + request.estimate_steps, len(path), runs=request.rounds)
        updates = self.submit(
            session, "loop", request, inputs, cost=cost, estimate=session.estimate
        )
        return updates | {"loop_seed": request.seed}

    # --- Results so far

    def use_result(self, session: Session, choice: object) -> Updates:
        """Load a result with its settings, compare with it, or delete it."""
        values = choice if isinstance(choice, dict) else {}
        action = checks.choice("action", values.get("action"), ACTIONS)
        result = self.library.find(str(values.get("id", "")), session.visitor)
        if result is None:
            raise InputError(i18n.say("need_result", session.lang))
        if action == "compare":
            other = "" if session.other == result.reference else result.reference
            session = replace(session, other=other)
            updates = comparison_updates(session, self.library)
            return {"session": session} | updates | history_updates(session, self.library)
        if action == "delete":
            return self._delete(session, result)
        return self._load(session, result)

    def _delete(self, session: Session, result: Result) -> Updates:
        self.manager.delete(result.reference)
        gone = {
            name: ""
            for name in ("result", "other", "loop", "estimate", "job", "shown")
            if getattr(session, name) == result.reference
        }
        session = replace(session, **gone)
        updates: Updates = {"session": session, "browser": session.browser()}
        if "result" in gone or "other" in gone:
            updates |= comparison_updates(session, self.library)
        if "loop" in gone:
            updates |= {"loop_numbers": "", "loop_compare": None}
        return updates | history_updates(session, self.library)

    def _load(self, session: Session, result: Result) -> Updates:
        ask = result.settings
        settings: Updates = {}
        if result.kind == "estimate":
            settings = {
                "steps": ask["steps"],
                "runs": ask["num_samples"],
                "seed": ask["seed"],
                "shared_focal": ask["shared_focal"],
                "lock": True,
                "between": ask.get("extra_frames", True),
            }
        elif result.kind == "loop":
            settings = {
                "loop_steps": ask["steps"],
                "loop_seed": ask["seed"],
                "loop_lock": True,
                "rounds": ask["rounds"],
                "loop_estimate_steps": ask["estimate_steps"],
            }
        else:
            settings = {
                "generate_steps": ask["steps"],
                "generate_seed": ask["seed"],
                "generate_guidance": ask["guidance_scale"],
                "generate_lock": True,
            }
        estimate = self.library.find(str(ask.get("estimate", "")), session.visitor)
        again = estimate if estimate and estimate.reference != session.estimate else None
        shown = self.put_on_show(session, again, result)
        wanted = result.file(tasks.WANTED)
        if result.kind == "generate" and wanted is not None:
            path = read_native(wanted)
            document = document_from_trajectory(path, num_keyframes=min(EDIT_KEYS, len(path)))
            after = replace(shown["session"].with_path("edited", path), edit=document)
            shown |= {
                "session": after,
                "path_choice": "edited",
                **editor_updates(after, self.library),
            }
        return shown | settings


def chosen_frames(value: object, count: int) -> list[int]:
    """Return checked numbers of frames, in order.

    Raises:
        InputError: None, or one that the video does not have.
    """
    values = value if isinstance(value, Sequence) and not isinstance(value, str) else []
    if not values:
        raise InputError("image frames must name one frame or more; got none. Choose frame 0.")
    return sorted({checks.whole(i18n.say("image_frames"), item, 0, count - 1) for item in values})


def png_bytes(picture: Float[Tensor, "3 height width"]) -> bytes:
    """Return a picture as a PNG file's bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame.png"
        write_image(path, picture)
        return path.read_bytes()


def path_file(path: Trajectory, depth: Float[Tensor, "rows columns"] | None) -> bytes:
    """Return a path as a file that keeps the depths of frame 0, see `trajectories.depth`."""
    return native_text(path, extra=depth_for_extra(depth)).encode()


def npy_bytes(video: Float[Tensor, "frames 3 height width"]) -> bytes:
    """Return frames as `tasks.load_frames` reads them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.npy"
        tasks.save_frames(path, torch.as_tensor(video))
        return path.read_bytes()
