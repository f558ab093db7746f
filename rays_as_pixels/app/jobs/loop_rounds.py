"""The loop along any path, once or several times: path -> video -> path -> video -> ...

Each round films along the path that the round before read off its own video. A model that agrees
with itself gets the same path every time; what it does not keep shows as drift.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.app.jobs import tasks
from rays_as_pixels.app.jobs.context import JobContext
from rays_as_pixels.app.jobs.requests import LoopRequest
from rays_as_pixels.app.jobs.verbs import run_verb
from rays_as_pixels.errors import InputError
from rays_as_pixels.files import write_json
from rays_as_pixels.geometry.camera_metrics import frame_errors
from rays_as_pixels.geometry.resize_crop import ResizeCrop
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.video import read_image, write_video
from rays_as_pixels.media.video_metrics import psnr_db
from rays_as_pixels.trajectories.depth import depth_of_path
from rays_as_pixels.trajectories.formats.native import read_native, write_native

if TYPE_CHECKING:
    from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline

START = "start.png"


def run_loop(load: tasks.LoadPipeline, job: JobContext, request: LoopRequest) -> dict[str, Any]:
    """Run the loop on the job's files wanted.json and start.png.

    wanted.json is the path, which may keep the first frame's depths; start.png that frame, taken
    by the path's first camera or by that of taken.json, in the same world; input.npy, where
    `request.has_reference`, the frames that a perfect model would make.
    """
    placed = read_native(job.folder / tasks.WANTED)
    wanted = placed.reanchored()
    start = read_image(job.folder / START), depth_of_path(job.folder / tasks.WANTED)
    reference = tasks.load_frames(job.folder / tasks.INPUT_CLIP) if request.has_reference else None
    pipeline = tasks.load_for(job, load)
    settings = request.model_dump(mode="json")
    write_native(wanted, job.folder / tasks.TRAJECTORY, extra={"settings": settings})
    job.results.update(trajectory=tasks.TRAJECTORY, rounds=[], fps=wanted.fps)
    if reference is not None:
        write_video(job.folder / tasks.CLIP, tasks.even_sized(reference), fps=wanted.fps)
        job.results.update(clip=tasks.CLIP)
    path = placed
    stopped = ""
    for number in range(request.rounds):
        try:
            path, start = _round(
                job, pipeline, request, number, path, start, wanted=wanted, reference=reference
            )
        except InputError as error:
            if number == 0:
                raise
            stopped = str(error)  # a path that drifted off cannot be filmed; so far it counts
            break
    report = {"path": request.path, "rounds": job.results["rounds"], "stopped": stopped}
    write_json(job.folder / tasks.REPORT, report)
    job.results.update(report=tasks.REPORT, numbers=job.results["rounds"][0])
    return {}


def video_name(number: int) -> str:
    """Return the file name of a round's video; rounds count from 0."""
    return tasks.VIDEO if number == 0 else f"video-{number + 1}.mp4"


def again_name(number: int) -> str:
    """Return the file name of the path read off a round's video; rounds count from 0."""
    return tasks.REESTIMATED if number == 0 else f"reestimated-{number + 1}.json"


def _round(  # noqa: PLR0917 - a step of the loop above, whose values these are
    job: JobContext,
    pipeline: "RaysAsPixelsPipeline",
    request: LoopRequest,
    number: int,
    path: Trajectory,
    start: tuple[Float[Tensor, "3 height width"], Float[Tensor, "rows columns"] | None],
    *,
    wanted: Trajectory,
    reference: Float[Tensor, "frames 3 h w"] | None,
) -> tuple[Trajectory, tuple[Float[Tensor, "3 h w"], Float[Tensor, "rows columns"] | None]]:
    progress = _numbered(job.progress, number, request.rounds)
    image, depth = start
    height, width = image.shape[-2:]
    taken = tasks.taken_path(job.folder, height=height, width=width) if number == 0 else None
    made = run_verb(
        job,
        pipeline,
        "generate",
        seed=request.seed + number,
        progress=progress,
        images=image,
        trajectory=tasks.path_for_image(path, height=height, width=width),
        source_trajectory=taken,
        image_depths=tasks.depths_for(pipeline, [0], depth),
        num_inference_steps=request.steps,
        guidance_scale=request.guidance_scale,
    ).video
    write_video(job.folder / video_name(number), tasks.even_sized(made), fps=wanted.fps)
    if number == 0:
        job.results.update(video=tasks.VIDEO)
    found = run_verb(
        job,
        pipeline,
        "estimate",
        seed=request.seed + number,
        progress=progress,
        video=made,
        fps=wanted.fps,
        time_sec=wanted.times_sec,
        source_frame=wanted.source_frame,
        num_inference_steps=request.estimate_steps,
    )
    again = found.trajectory.reanchored()
    write_native(again, job.folder / again_name(number))
    at_size = ResizeCrop.nearest(made.shape[-2], made.shape[-1], pipeline.sizes).images(made)
    job.results["rounds"] = [*job.results["rounds"], _numbers(again, wanted, at_size, reference)]
    return again, (made[0], found.depth)


def _numbers(
    again: Trajectory,
    wanted: Trajectory,
    made: Float[Tensor, "frames 3 h w"],
    reference: Float[Tensor, "frames 3 height width"] | None,
) -> dict[str, Any]:
    """Compare a round with the path and the frames that the loop began with.

    Args:
        again: The path read off the round's video.
        wanted: The path that the loop began with.
        made: The round's video at the model's size.
        reference: The frames that the loop began with, at their own.
    """
    errors = frame_errors(again.cameras, wanted.cameras)
    numbers: dict[str, Any] = {
        "rotation_error_rad": errors.r_err_rad,
        "translation_error": errors.t_err,
        "rotation_error_rad_by_frame": [0.0, *errors.rotation_rad.tolist()],
        "translation_error_by_frame": [0.0, *errors.translation.tolist()],
        "psnr_db": None,
        "psnr_db_by_frame": None,
    }
    if reference is not None:
        height, width = reference.shape[-2:]
        resize_crop = ResizeCrop(height, width, made.shape[-2], made.shape[-1])
        by_frame = psnr_db(made, resize_crop.images(reference))
        # Frame 0 is given to the model and would only flatter.
        numbers |= {"psnr_db": float(by_frame[1:].mean()), "psnr_db_by_frame": by_frame.tolist()}
    return numbers


def _numbered(
    progress: Callable[[str, int, int], None], number: int, rounds: int
) -> Callable[[str, int, int], None]:
    """Say which round a stage belongs to, where there are several."""
    if rounds == 1:
        return progress
    return lambda stage, done, total: progress(
        f"{stage} (round {number + 1} of {rounds})", done, total
    )
