"""The estimate of every frame of a video: the work of an estimate job without a number of frames.

Nothing that is written grows beyond a view's needs with the video's length: `clip.mp4` is small and
written as a stream, `thumbnails.npy` has all frames tiny, and `frames.npy` and `sampled.mp4` only
those, evenly spaced in time, that a video of the model can have.
"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import UInt8

from rays_as_pixels.app import i18n
from rays_as_pixels.app.jobs import tasks
from rays_as_pixels.app.jobs.context import JobContext
from rays_as_pixels.app.jobs.frame_files import even_sized, save_frames
from rays_as_pixels.app.jobs.requests import EstimateRequest
from rays_as_pixels.app.jobs.verbs import run_verb
from rays_as_pixels.files import atomic_write
from rays_as_pixels.media.sampling import pick_count
from rays_as_pixels.media.video import (
    FrameStream,
    Request,
    with_frames,
    write_video,
    write_video_stream,
)
from rays_as_pixels.model.clip_lengths import largest_clip_length
from rays_as_pixels.pipeline.shot_extra import extra_of
from rays_as_pixels.trajectories.formats.native import write_native
from rays_as_pixels.viz.cloud import PointCloud
from rays_as_pixels.viz.path_view.page import view_words, write_path_page
from rays_as_pixels.viz.path_view.value import OtherPath, ScenePoints, path_view_value

if TYPE_CHECKING:
    from rays_as_pixels.pipeline.outputs import ShotEstimate, VideoEstimateOutput
    from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline

SAMPLED, THUMBNAILS = "sampled.mp4", "thumbnails.npy"
POINTS = "points.npz"  # xyz (N, 3) in the world of the path, rgb uint8; an example's has them too
CLIP_SIDE_PX, SAMPLED_SIDE_PX = 640, 1280  # longer sides
MOST_PAGE_BYTES = 16 * 2**20  # of the clip inside path.html; longer ones are left out
CLIP_STAGE = "Writing the clip"
SHOT = "trajectory-shot-{n}.json"


def run_estimate(
    load: tasks.LoadPipeline, job: JobContext, request: EstimateRequest
) -> dict[str, Any]:
    """Estimate the path of the job's video: of every frame, or of as many as are asked for."""
    if request.num_frames is not None:
        return tasks.run_estimate(load, job, request)
    pipeline = tasks.load_for(job, load)

    def solve(stream: FrameStream) -> dict[str, Any]:
        estimated = run_verb(job, pipeline, "estimate_video", seed=0, video=stream)
        if estimated.is_stopped:  # that is done; what was solved by then is kept
            job.cancel.clear()
        job.check()
        return _write(job, request, pipeline, stream, estimated)

    part = Request(request.start_sec, request.end_sec)
    return with_frames(job.folder / request.video, part, solve)


def _write(
    job: JobContext,
    request: EstimateRequest,
    pipeline: "RaysAsPixelsPipeline",
    stream: FrameStream,
    estimated: "VideoEstimateOutput",
) -> dict[str, Any]:
    """Write the longest shot's files, and the paths of the others; return what is known of them."""
    shot = estimated.longest
    settings = request.model_dump(mode="json")
    places = _write_videos(job, pipeline, stream, shot)
    write_native(
        shot.trajectory,
        job.folder / tasks.TRAJECTORY,
        extra={"settings": settings} | extra_of(shot),
    )
    _write_points(job, shot)
    thumbnails = _write_thumbnails(job, shot, estimated)
    shots = []
    for number, each in enumerate(estimated.shots, 1):
        file = ""
        if len(estimated.shots) > 1:
            file = SHOT.format(n=number)
            write_native(each.trajectory, job.folder / file, extra=extra_of(each))
        first = stream.source_frame[each.first_frame]
        shots.append({"first_frame": first, "num_frames": len(each.trajectory), "file": file})
    _write_page(job, shot, thumbnails)
    results: dict[str, Any] = {
        "trajectory": tasks.TRAJECTORY,
        "page": tasks.PAGE,
        "fps": shot.trajectory.fps,
        "source": asdict(stream.info),
        "source_frame": list(shot.trajectory.source_frame or ()),
        "notes": [*estimated.notes, *shot.notes],
        "interpolated": shot.interpolated.nonzero().flatten().tolist(),
        "sampled": places,
        "shots": shots,
        "shot": estimated.shots.index(shot) + 1,
        "num_points": len(shot.points),
        "spread": tasks.spread_numbers(shot.pose_std),
    }
    if shot.solution is not None:
        results["held_out_score"] = shot.solution.score
        results["chosen"] = shot.solution.chosen
        results["num_candidates"] = len(shot.solution.candidates)
    return results


def _write_videos(
    job: JobContext, pipeline: "RaysAsPixelsPipeline", stream: FrameStream, shot: "ShotEstimate"
) -> list[int]:
    """Write clip.mp4 of all frames of a shot, frames.npy and sampled.mp4 of some; return these."""
    count, fps = len(shot.trajectory), shot.trajectory.fps
    frames = _reduced(stream, CLIP_SIDE_PX).at(range(shot.first_frame, shot.first_frame + count))
    write_video_stream(job.folder / tasks.CLIP, _reported(job, map(_even, frames), count), fps=fps)
    sampled = largest_clip_length(min(pipeline.max_frames, count), pipeline.codec.temporal_stride)
    places = pick_count(shot.trajectory.times_sec.tolist(), max(2, sampled))
    clip = _reduced(stream, SAMPLED_SIDE_PX).clip([shot.first_frame + place for place in places])
    save_frames(job.folder / tasks.FRAMES, clip.video)
    write_video(job.folder / SAMPLED, even_sized(clip.video), fps=clip.fps)
    job.results.update(clip=tasks.CLIP, frames=tasks.FRAMES)
    return places


def _reported(
    job: JobContext, frames: Iterator[UInt8[np.ndarray, "height width 3"]], count: int
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    for number, frame in enumerate(frames):
        job.check()
        job.progress(CLIP_STAGE, number + 1, count)
        yield frame
    job.progress(tasks.WRITING, 0, 1)


def _reduced(stream: FrameStream, longer_px: int) -> FrameStream:
    scale = min(1.0, longer_px / max(stream.height, stream.width))
    height, width = (max(2, round(side * scale)) for side in (stream.height, stream.width))
    return stream.resized(height=height, width=width)


def _even(frame: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """Repeat the last row or column of odd sizes, as `even_sized` does."""
    odd = [(0, side % 2) for side in frame.shape[:2]]
    return np.pad(frame, (*odd, (0, 0)), mode="edge")


def _write_points(job: JobContext, shot: "ShotEstimate") -> None:
    if len(shot.points):
        with atomic_write(job.folder / POINTS) as part, part.open("wb") as file:
            xyz = shot.points.xyz.astype(np.float32)
            np.savez_compressed(file, xyz=xyz, rgb=shot.points.rgb)


def _write_thumbnails(
    job: JobContext, shot: "ShotEstimate", estimated: "VideoEstimateOutput"
) -> torch.Tensor | None:
    if estimated.thumbnails is None:
        return None
    last = shot.first_frame + len(shot.trajectory)
    small = estimated.thumbnails[shot.first_frame : last]
    with atomic_write(job.folder / THUMBNAILS) as part, part.open("wb") as file:
        np.save(file, small.numpy(), allow_pickle=False)
    return small.float() / 255


def _write_page(job: JobContext, shot: "ShotEstimate", thumbnails: torch.Tensor | None) -> None:
    points = None
    if len(shot.points):
        colors = torch.from_numpy(shot.points.rgb).float() / 255
        points = ScenePoints(PointCloud(torch.from_numpy(shot.points.xyz).float(), colors))
    value = path_view_value(
        shot.trajectory,
        label=view_words()["path_shown"],
        others=[OtherPath(i18n.both("path_network"), shot.network)],
        images=thumbnails,
        points=points,
        spread=shot.pose_std,
    )
    clip = job.folder / tasks.CLIP
    video = clip.read_bytes() if clip.stat().st_size <= MOST_PAGE_BYTES else None
    write_path_page(value, job.folder / tasks.PAGE, video=video)
