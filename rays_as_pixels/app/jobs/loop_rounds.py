"""The loop along any path, once or several times: path -> video -> path -> video -> ...

Each round films along the path that the round before read off its own video. A model that agrees
with itself gets the same path every time; what it does not keep shows as drift.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from rays_as_pixels.app.jobs import tasks
from rays_as_pixels.app.jobs.context import JobContext
from rays_as_pixels.app.jobs.frame_files import even_sized, load_frames
from rays_as_pixels.app.jobs.input_files import REFERENCE, TARGET_TRAJECTORY, image_name
from rays_as_pixels.app.jobs.requests import LoopRequest
from rays_as_pixels.app.jobs.verbs import run_verb
from rays_as_pixels.errors import InputError
from rays_as_pixels.files import write_json
from rays_as_pixels.media.video import read_image, write_video
from rays_as_pixels.pipeline.options import EstimateOptions, GenerateOptions
from rays_as_pixels.trajectories.depth import depth_of_path
from rays_as_pixels.trajectories.formats.native import read_native, write_native

if TYPE_CHECKING:
    from rays_as_pixels.pipeline.loop import LoopStart
    from rays_as_pixels.pipeline.outputs import EstimateOutput, GenerateOutput
    from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline


def run_loop(load: tasks.LoadPipeline, job: JobContext, request: LoopRequest) -> dict[str, Any]:
    """Run the loop on the job's `input_files`; its first image is the first frame."""
    # It draws in diffusers, which the page must not wait for.
    from rays_as_pixels.pipeline.loop import LoopStart, loop_rounds  # noqa: PLC0415

    target = read_native(job.folder / TARGET_TRAJECTORY)
    anchored = target.reanchored()
    start = read_image(job.folder / image_name(0))
    reference = load_frames(job.folder / REFERENCE) if request.has_reference else None
    pipeline = tasks.load_for(job, load)
    settings = request.model_dump(mode="json")
    write_native(anchored, job.folder / tasks.TRAJECTORY, extra={"settings": settings})
    job.results.update(trajectory=tasks.TRAJECTORY, rounds=[], fps=target.fps)
    if reference is not None:
        write_video(job.folder / tasks.CLIP, even_sized(reference), fps=target.fps)
        job.results.update(clip=tasks.CLIP)
    height, width = start.shape[-2:]
    rounds = loop_rounds(
        LoopStart(
            start,
            tasks.path_for_image(target, height=height, width=width),
            depth_of_path(job.folder / TARGET_TRAJECTORY),
            tasks.source_trajectory(job.folder, height=height, width=width),
        ),
        partial(_generate, job, pipeline, request),
        partial(_estimate, job, pipeline, request),
        rounds=request.rounds,
        model_sizes=pipeline.sizes,
        reference=reference,
    )
    stopped = ""
    try:
        for number, done in enumerate(rounds):
            write_native(done.reestimated, job.folder / again_name(number))
            job.results["rounds"] = [*job.results["rounds"], vars(done.report)]
    except InputError as error:
        if not job.results["rounds"]:
            raise
        stopped = str(error)  # a path that drifted off cannot be generated; so far it counts
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


def _generate(
    job: JobContext,
    pipeline: "RaysAsPixelsPipeline",
    request: LoopRequest,
    start: "LoopStart",
    number: int,
) -> "GenerateOutput":
    """Generate the video of a round and keep it at once: reading its path takes a while."""
    made = run_verb(
        job,
        pipeline,
        "generate",
        seed=request.seed + number,
        progress=_numbered(job.progress, number, request.rounds),
        images=start.image,
        trajectory=start.trajectory,
        source_trajectory=start.source_trajectory,
        image_depths=tasks.depths_for(pipeline, [0], start.depth),
        options=GenerateOptions(
            num_inference_steps=request.steps, guidance_scale=request.guidance_scale
        ),
    )
    frames = even_sized(made.video)
    write_video(job.folder / video_name(number), frames, fps=made.trajectory.fps)
    if number == 0:
        job.results.update(video=tasks.VIDEO)
    return made


def _estimate(
    job: JobContext,
    pipeline: "RaysAsPixelsPipeline",
    request: LoopRequest,
    made: "GenerateOutput",
    number: int,
) -> "EstimateOutput":
    return run_verb(
        job,
        pipeline,
        "estimate",
        seed=request.seed + number,
        progress=_numbered(job.progress, number, request.rounds),
        video=made.video,
        fps=made.trajectory.fps,
        time_sec=made.trajectory.times_sec,
        source_frame=made.trajectory.source_frame,
        options=EstimateOptions(num_inference_steps=request.estimate_steps),
    )


def _numbered(
    progress: Callable[[str, int, int], None], number: int, rounds: int
) -> Callable[[str, int, int], None]:
    """Say which round a stage belongs to, where there are several."""
    if rounds == 1:
        return progress
    return lambda stage, done, total: progress(
        f"{stage} (round {number + 1} of {rounds})", done, total
    )
