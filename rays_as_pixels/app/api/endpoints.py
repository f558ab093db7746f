"""The app as an API: every step a named, typed endpoint for gradio_client and, with --mcp, a tool.

Long runs are generators: they yield where the job stands and, last, its results; whoever stops
listening stops the job. `docs/app.md` lists the endpoints with examples.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio.to_thread
import gradio as gr
from gradio.context import LocalContext

from rays_as_pixels.app import checks
from rays_as_pixels.app.api import path_endpoints
from rays_as_pixels.app.api.clip_inputs import clip_inputs
from rays_as_pixels.app.jobs import tasks
from rays_as_pixels.app.jobs.input_files import TARGET_TRAJECTORY, image_name, trajectory_bytes
from rays_as_pixels.app.jobs.manager import JobManager
from rays_as_pixels.app.jobs.records import JobRecord
from rays_as_pixels.app.jobs.requests import (
    EstimateRequest,
    GenerateRequest,
    ImagineRequest,
    LoopRequest,
)
from rays_as_pixels.app.jobs.timing import run_cost
from rays_as_pixels.app.server import uploads
from rays_as_pixels.app.server.model_holder import ModelHolder
from rays_as_pixels.app.validation import StrictModel, validated
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.video import probe_video
from rays_as_pixels.pipeline.defaults import ESTIMATE_STEPS, GENERATE_STEPS, IMAGINE_STEPS
from rays_as_pixels.trajectories.depth import depth_map

POLL_SEC = 0.25
MAX_WATCHERS = 64
File = dict[str, Any]  # a file as Gradio's clients send and take it


def add_endpoints(manager: JobManager, model: ModelHolder) -> None:
    """Add all endpoints to the page that is being built."""
    runs = Runs(manager, model)
    for run in (runs.estimate, runs.generate, runs.imagine, runs.loop):
        gr.api(run, api_name=run.__name__, concurrency_limit=MAX_WATCHERS, concurrency_id="runs")
    gr.api(runs.status, api_name="status")
    for name, function in path_endpoints.ENDPOINTS.items():
        gr.api(path_endpoints.refused(function), api_name=name)


class Runs:
    """The endpoints that run the model.

    Args:
        manager: Runs the jobs.
        model: Gives the pipeline to them.
    """

    def __init__(self, manager: JobManager, model: ModelHolder) -> None:
        self.manager = manager
        self.model = model

    async def status(self) -> dict[str, Any]:
        """Describe the model, its device, the clip lengths it takes, and the queue."""
        facts = self.model.facts
        waiting = [record for record in self.manager.records() if not record.state.is_final]
        return {
            "model": facts.name,
            "trained_on": facts.trained_on,
            "device": facts.device,
            "ready": self.model.ready is not None,
            "problem": self.model.problem,
            "num_frames": facts.num_frames,
            "frame_counts": list(facts.clip_lengths),
            "jobs_waiting": len(waiting),
            "expected_sec": {kind: self.manager.expected_sec(kind) for kind in KINDS},
        }

    async def estimate(  # noqa: PLR0917 - callers may give them in this order
        self,
        video: File,
        num_frames: int | None = None,
        start_sec: float | None = None,
        end_sec: float | None = None,
        steps: int = ESTIMATE_STEPS,
        shared_focal: bool = False,
        extra_frames: bool = True,
        flips: int = 1,
    ) -> AsyncIterator[dict[str, Any]]:
        """Estimate the camera path of a video: a camera for every frame, or for some.

        Args:
            video: The video file.
            num_frames: None for every frame, and what stands below end_sec counts for nothing; else
                frames to use, evenly spaced: `frame_counts` of the status lists how many.
            start_sec: First moment to use, in seconds; none for the beginning.
            end_sec: First moment to leave out, in seconds; none for the end.
            steps: Denoising steps of a model without a camera prior; the shipped one takes none.
            shared_focal: Whether the focal length is the same in all frames.
            extra_frames: Whether to use the frames in between where tracking is weak.
            flips: Copies of the clip to estimate and average: 1 is the clip alone, 2 adds its
                mirror image, 4 both played backwards. How much they differ is the uncertainty.
        """

        def submit() -> JobRecord:
            path = uploads.video_file(path_endpoints.path_in(video), path_endpoints.NEED_FILE)
            name = f"input{path.suffix.lower()[:8]}"
            if num_frames is not None:
                checks.frame_count(num_frames, self.model.facts.clip_lengths)
            asked = validated(
                EstimateRequest,
                {
                    "video": name,
                    "num_frames": num_frames,
                    "start_sec": start_sec,
                    "end_sec": end_sec,
                    "steps": steps,
                    "shared_focal": shared_focal,
                    "extra_frames": extra_frames,
                    "num_flips": flips,
                },
                labels={"num_flips": "flips"},
            )
            return self._submit("estimate", asked, {name: path}, _estimate_cost(asked, path))

        async for update in self._watch(submit):
            yield update

    async def generate(  # noqa: PLR0917 - callers may give them in this order
        self,
        image: File | None,
        trajectory: dict[str, Any],
        steps: int = GENERATE_STEPS,
        guidance_scale: float = 1.0,
        seed: int = 0,
        depth: list[list[float]] | None = None,
        estimate: str | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """Make the video that a camera sees along a path, from an image or a whole clip.

        Args:
            image: What the path's first camera sees; none with `estimate`.
            trajectory: A camera path in the native format, as `estimate` and `make_path` return it.
            steps: Denoising steps.
            guidance_scale: 1 for none; more follows image and path harder.
            seed: Seed of the noise.
            depth: How far away what the image shows is, in scene units, as rows of numbers over
                it: `extra.depth` of the trajectory that `estimate` found, for its first frame.
            estimate: `job` of what `/estimate` yielded to the same client: its whole clip is
                filmed, the path being in the world of the estimated one.
        """

        def submit() -> JobRecord:
            asked_path = path_endpoints.trajectory_from(trajectory)
            path = self.model.facts.fitted(asked_path)
            values = {"steps": steps, "guidance_scale": guidance_scale, "seed": seed}
            asked = validated(GenerateRequest, values)
            inputs: dict[str, Any] = {}
            if estimate is None:
                inputs |= {TARGET_TRAJECTORY: _target_file(path.reanchored(), depth)}
                inputs |= {image_name(0): _image_file(image)}
            else:
                _check_only_the_clip(image, depth)
                inputs |= clip_inputs(self.manager, estimate, path, owner=_owner())
            cost = run_cost(asked.steps, len(path), guidance=asked.guidance_scale)
            count = len(asked_path)
            return self._submit("generate", asked, inputs, cost, path_frames=count)

        async for update in self._watch(submit):
            yield update

    async def imagine(  # noqa: PLR0917 - callers may give them in this order
        self,
        image: File,
        num_frames: int = 9,
        fps: float = 10.0,
        steps: int = IMAGINE_STEPS,
        guidance_scale: float = 1.0,
        seed: int = 0,
    ) -> AsyncIterator[dict[str, Any]]:
        """Imagine a video and the camera path that filmed it, from one image.

        Args:
            image: The first frame.
            num_frames: Length; `frame_counts` of the status lists the lengths.
            fps: Frames per second.
            steps: Denoising steps.
            guidance_scale: 1 for none.
            seed: Seed of the noise.
        """

        def submit() -> JobRecord:
            picture = _image_file(image)
            asked = validated(
                ImagineRequest,
                {
                    "num_frames": checks.frame_count(num_frames, self.model.facts.clip_lengths),
                    "fps": fps,
                    "steps": steps,
                    "guidance_scale": guidance_scale,
                    "seed": seed,
                },
            )
            cost = run_cost(asked.steps, asked.num_frames, guidance=asked.guidance_scale)
            return self._submit("imagine", asked, {image_name(0): picture}, cost)

        async for update in self._watch(submit):
            yield update

    async def loop(  # noqa: PLR0917 - callers may give them in this order
        self,
        image: File,
        trajectory: dict[str, Any],
        rounds: int = 1,
        steps: int = GENERATE_STEPS,
        estimate_steps: int = ESTIMATE_STEPS,
        seed: int = 0,
        depth: list[list[float]] | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """Check the loop path -> video -> path along any path, once or several times.

        Args:
            image: What the path's first camera sees.
            trajectory: A camera path in the native format.
            rounds: How often to go round; the drift shows from the second on.
            steps: Denoising steps of each video.
            estimate_steps: Denoising steps of each estimate.
            seed: Seed of the noise.
            depth: Of the image, as `generate` takes it.
        """

        def submit() -> JobRecord:
            asked_path = path_endpoints.trajectory_from(trajectory).reanchored()
            path = self.model.facts.fitted(asked_path)
            asked = validated(
                LoopRequest,
                {
                    "path": "edited",
                    "rounds": rounds,
                    "steps": steps,
                    "estimate_steps": estimate_steps,
                    "seed": seed,
                    "has_reference": False,
                },
            )
            inputs = {
                TARGET_TRAJECTORY: _target_file(path, depth),
                image_name(0): _image_file(image),
            }
            cost = run_cost(asked.steps + asked.estimate_steps, len(path), runs=asked.rounds)
            count = len(asked_path)
            return self._submit("loop", asked, inputs, cost, path_frames=count)

        async for update in self._watch(submit):
            yield update

    def _submit(
        self,
        kind: str,
        asked: StrictModel,
        inputs: dict[str, Any],
        cost: float,
        **notes: Any,
    ) -> JobRecord:
        owner = _owner()
        return self.manager.submit(kind, asked, owner=owner, inputs=inputs, cost=cost, notes=notes)

    async def _watch(self, submit: Callable[[], JobRecord]) -> AsyncIterator[dict[str, Any]]:
        """Submit a job, say where it stands, then what came out; stop it when nobody listens."""
        try:
            record = await anyio.to_thread.run_sync(submit)
        except InputError as error:
            raise gr.Error(str(error), print_exception=False) from error
        before: dict[str, Any] = {}
        try:
            while not record.state.is_final:
                now = self._progress(record)
                if now != before:
                    before = now
                    yield now | {"at_unix": time.time()}
                await asyncio.sleep(POLL_SEC)
                record = self.manager.get(record.id)
        finally:
            self.manager.cancel(record.id)
        if record.state != "done":
            raise gr.Error(record.message or str(record.state), print_exception=False)
        yield self._progress(record) | {"at_unix": time.time()} | self._outcome(record)

    def _progress(self, record: JobRecord) -> dict[str, Any]:
        left = self.manager.remaining_sec(record.id)
        return {
            "job": record.id,
            "state": str(record.state),
            "stage": record.stage,
            "step": record.done,
            "steps": record.total,
            "jobs_ahead": self.manager.queue_position(record.id).ahead,
            "remaining_sec": None if left is None else round(left, 1),
        }

    def _outcome(self, record: JobRecord) -> dict[str, Any]:
        folder = self.manager.folder(record.id)
        names = ("trajectory", "video", "clip", "reestimated", "report", "page")
        files = {
            name: path_endpoints.file_data(folder / str(record.results[name]))
            for name in names
            if name in record.results
        }
        outcome: dict[str, Any] = {"files": files, "settings": record.settings}
        trajectory = folder / tasks.TRAJECTORY
        if trajectory.is_file():
            outcome["trajectory"] = json.loads(trajectory.read_text(encoding="utf-8"))
        for name in RESULTS:
            if name in record.results:
                outcome[name] = record.results[name]
        asked = record.settings.get("path_frames")
        if asked is not None and asked != len(outcome["trajectory"]["frames"]):
            kept = len(outcome["trajectory"]["frames"])
            outcome["notes"] = [SAMPLED_PATH.format(kept=kept, asked=asked)]
        return outcome


KINDS = ("estimate", "generate", "imagine", "loop")
RESULTS = ("rounds", "residual", "spread", "notes", "source_frame")
RESULTS += ("interpolated", "held_out_score", "shots")  # of every frame's path
SAMPLED_PATH = (
    "The path has {asked} frames, more than the model makes at once: {kept} of them are used, "
    "evenly spaced in time."
)


def _estimate_cost(asked: EstimateRequest, video: Path) -> float:
    if asked.num_frames is None:
        return float(probe_video(video).num_frames)
    return run_cost(asked.steps, asked.num_frames, runs=asked.num_flips)


def _target_file(path: Trajectory, depth: object) -> bytes:
    return trajectory_bytes(path, None if depth is None else depth_map(depth, "depth"))


def _check_only_the_clip(image: object, depth: object) -> None:
    for name, value in (("image", image), ("depth", depth)):
        if value is not None:
            raise InputError(
                f"{name} must be none where estimate is given, whose clip has it; got one. "
                "Leave it out."
            )


def _image_file(image: object) -> Path:
    return uploads.image_file(path_endpoints.path_in(image), path_endpoints.NEED_FILE)


def _owner() -> str:
    """Return an id of the session of the call that is answered; it tells nothing about it."""
    session = getattr(LocalContext.request.get(None), "session_hash", None) or "anonymous"
    return hashlib.sha256(f"api {session}".encode()).hexdigest()[:32]
