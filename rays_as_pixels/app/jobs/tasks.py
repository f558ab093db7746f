"""The work of each kind of job: from the files in its folder, through the pipeline, to files.

Files that several kinds write: `frames.npy` (the frames used, uint8 F 3 H W), `clip.mp4` (the same,
to watch), `video.mp4` (what was generated), `trajectory.json`, `path.html`, `sheet.png` (frames
above raxels), `raxels.npy` (decoded raxels, float16 F 3 h w).
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.app.jobs.context import JobContext
from rays_as_pixels.app.jobs.frame_files import even_sized, save_frames
from rays_as_pixels.app.jobs.input_files import (
    SOURCE_TRAJECTORY,
    TARGET_TRAJECTORY,
    image_name,
    read_source_clip,
)
from rays_as_pixels.app.jobs.requests import EstimateRequest, GenerateRequest, ImagineRequest
from rays_as_pixels.app.jobs.verbs import run_verb
from rays_as_pixels.files import atomic_write
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.raxels import raxels_from_cameras
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.clip import Clip
from rays_as_pixels.media.extra_frames import frames_between
from rays_as_pixels.media.video import read_clip, read_image, write_image, write_video
from rays_as_pixels.pipeline.options import EstimateOptions, GenerateOptions, ImagineOptions
from rays_as_pixels.trajectories.depth import depth_for_extra, depth_of_path
from rays_as_pixels.trajectories.formats.native import read_native, write_native
from rays_as_pixels.viz.images import contact_sheet, images_from_raxels
from rays_as_pixels.viz.path_view.page import view_words, write_path_page
from rays_as_pixels.viz.path_view.value import path_view_value

if TYPE_CHECKING:
    from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline

LoadPipeline = Callable[[], "RaysAsPixelsPipeline"]

FRAMES, CLIP, VIDEO, SHEET = "frames.npy", "clip.mp4", "video.mp4", "sheet.png"
TRAJECTORY, PAGE, REPORT = "trajectory.json", "path.html", "report.json"
REESTIMATED, RAXELS = "reestimated.json", "raxels.npy"

READING, LOADING, WRITING = "Reading the video", "Loading the model", "Writing the results"


def run_estimate(load: LoadPipeline, job: JobContext, request: EstimateRequest) -> dict[str, Any]:
    """Estimate the path of as many frames of the job's video as are asked for."""
    clip = _read_frames(job, request)
    pipeline = load_for(job, load)
    arguments: dict[str, Any] = {
        "video": clip.video,
        "fps": clip.fps,
        "time_sec": clip.time_sec,
        "source_frame": clip.source_frame,
        "options": EstimateOptions(
            num_inference_steps=request.steps,
            num_samples=request.num_samples,
            num_flips=request.num_flips,
            shared_focal=request.shared_focal,
        ),
    }
    verb = "estimate"
    if request.extra_frames:
        verb = "estimate_with_extra_frames"
        arguments["read_extra_frames"] = partial(
            frames_between, job.folder / request.video, clip, end_sec=request.end_sec
        )
    result = run_verb(job, pipeline, verb, seed=request.seed, **arguments)
    job.progress(WRITING, 0, 1)
    settings = request.model_dump(mode="json")
    write_path(job, result.trajectory, images=clip.video, settings=settings, depth=result.depth)
    write_sheet(job, clip.video, result.raxels)
    save_raxels(job, result.raxels)
    return {
        "residual": result.residual.tolist(),
        "spread": spread_numbers(result.pose_std),
        "inlier_ratio": result.inlier_ratio,
        "frames_seen": result.frames_seen,
        "denoised": pipeline.transformer.camera_prior is None,
    }


def _read_frames(job: JobContext, request: EstimateRequest) -> Clip:
    """Read the frames to use and keep them with the job."""
    job.progress(READING, 0, 1)
    clip = read_clip(
        job.folder / request.video,
        start_sec=request.start_sec,
        end_sec=request.end_sec,
        num_frames=request.num_frames,
        downscale=True,
    )
    save_frames(job.folder / FRAMES, clip.video)
    write_video(job.folder / CLIP, even_sized(clip.video), fps=clip.fps)
    job.results.update(
        clip=CLIP,
        frames=FRAMES,
        fps=clip.fps,
        source=asdict(clip.source),
        source_frame=list(clip.source_frame),
        notes=list(clip.notes),
    )
    return clip


def run_generate(load: LoadPipeline, job: JobContext, request: GenerateRequest) -> dict[str, Any]:
    """Generate a video along a path from the job's `input_files`."""
    target = read_native(job.folder / TARGET_TRAJECTORY)
    frames = request.image_frames
    images = [read_image(job.folder / image_name(k)) for k in range(len(frames))]
    job.results.update(fps=target.fps)
    pipeline = load_for(job, load)
    height, width = images[0].shape[-2:]
    result = run_verb(
        job,
        pipeline,
        "generate",
        seed=request.seed,
        images=images,
        trajectory=path_for_image(target, height=height, width=width),
        image_frames=frames,
        source_trajectory=source_trajectory(job.folder, height=height, width=width),
        image_depths=depths_for(pipeline, frames, depth_of_path(job.folder / TARGET_TRAJECTORY)),
        source_clip=read_source_clip(job.folder) if pipeline.takes_depths else None,
        options=GenerateOptions(
            num_inference_steps=request.steps, guidance_scale=request.guidance_scale
        ),
    )
    job.progress(WRITING, 0, 1)
    write_video(job.folder / VIDEO, even_sized(result.video), fps=target.fps)
    job.results.update(video=VIDEO)
    settings = request.model_dump(mode="json")
    write_path(job, result.trajectory, images=result.video, settings=settings)
    write_sheet(job, result.video, raxels_from_cameras(_even(result.trajectory).cameras))
    return {"num_frames": len(result.trajectory)}


def run_imagine(load: LoadPipeline, job: JobContext, request: ImagineRequest) -> dict[str, Any]:
    """Imagine a video and its path from the job's first source image."""
    image = read_image(job.folder / image_name(0))
    job.results.update(fps=request.fps)
    pipeline = load_for(job, load)
    result = run_verb(
        job,
        pipeline,
        "imagine",
        seed=request.seed,
        images=image,
        num_frames=request.num_frames,
        fps=request.fps,
        options=ImagineOptions(
            num_inference_steps=request.steps, guidance_scale=request.guidance_scale
        ),
    )
    job.progress(WRITING, 0, 1)
    write_video(job.folder / VIDEO, even_sized(result.video), fps=request.fps)
    save_frames(job.folder / FRAMES, result.video)
    job.results.update(video=VIDEO, frames=FRAMES)
    settings = request.model_dump(mode="json")
    write_path(job, result.trajectory, images=result.video, settings=settings)
    write_sheet(job, result.video, result.raxels)
    return {}


def depths_for(
    pipeline: "RaysAsPixelsPipeline",
    image_frames: Sequence[int],
    depth: Float[Tensor, "rows columns"] | None,
) -> list[Tensor | None] | None:
    """Return the depths of a verb's images, where known and where the model takes any.

    Args:
        pipeline: The pipeline.
        image_frames: Frame of each image.
        depth: Of frame 0.
    """
    if depth is None or not pipeline.takes_depths:
        return None
    return [depth if frame == 0 else None for frame in image_frames]


def write_path(
    job: JobContext,
    trajectory: Trajectory,
    *,
    images: Float[Tensor, "frames 3 h w"],
    settings: dict[str, Any],
    depth: Float[Tensor, "rows columns"] | None = None,
) -> None:
    """Write a path as trajectory.json and as path.html and name both in the job's results."""
    extra = {"settings": settings, **depth_for_extra(depth)}
    write_native(trajectory, job.folder / TRAJECTORY, extra=extra)
    value = path_view_value(trajectory, label=view_words()["path_shown"], images=images.cpu())
    clips = [job.folder / name for name in (CLIP, VIDEO) if (job.folder / name).is_file()]
    write_path_page(value, job.folder / PAGE, video=clips[0].read_bytes() if clips else None)
    job.results.update(trajectory=TRAJECTORY, page=PAGE)


def write_sheet(
    job: JobContext,
    video: Float[Tensor, "frames 3 h w"],
    raxels: Float[Tensor, "frames 3 _ _"],
) -> None:
    """Write the frames above their raxels as sheet.png and name it in the job's results."""
    pictures = images_from_raxels(raxels.detach().float().cpu())
    sheet = contact_sheet([video, pictures], cell_height=112, columns=9)
    write_image(job.folder / SHEET, sheet)
    job.results.update(sheet=SHEET)


def save_raxels(job: JobContext, raxels: Float[Tensor, "frames 3 h w"]) -> None:
    """Keep decoded raxels as raxels.npy, in half precision, to be looked at beside the frames."""
    half = raxels.detach().to(torch.float16).cpu().numpy()
    with atomic_write(job.folder / RAXELS) as part, part.open("wb") as file:
        np.save(file, half, allow_pickle=False)
    job.results.update(raxels=RAXELS)


def spread_numbers(spread: Any) -> dict[str, list[float]] | None:
    """Return the disagreement between runs as plain lists, None where there was one run."""
    if spread is None:
        return None
    return {name: values.tolist() for name, values in vars(spread).items()}


def path_for_image(path: Trajectory, *, height: int, width: int) -> Trajectory:
    """State a path's intrinsics for an image of another shape: the horizontal field stays.

    A path made for a video is so used with a photo of another aspect; pixels stay square and the
    principal point is the photo's middle. Images of the path's own shape only change the size.
    """
    cameras = path.cameras
    if abs(cameras.width * height - cameras.height * width) <= 0.02 * cameras.height * width:
        return path.resized(height=height, width=width)
    focal = (cameras.focal_px[:, :1] * width / cameras.width).expand(-1, 2)
    center = focal.new_tensor([width / 2, height / 2]).expand(len(path), 2)
    return replace(path, cameras=Cameras(cameras.world_from_cam, focal, center, height, width))


def source_trajectory(folder: Path, *, height: int, width: int) -> Trajectory | None:
    """Return the path that a job's images were filmed along; None for the target trajectory."""
    path = folder / SOURCE_TRAJECTORY
    if not path.is_file():
        return None
    return path_for_image(read_native(path), height=height, width=width)


def _even(trajectory: Trajectory) -> Trajectory:
    """State intrinsics for an even size of about a hundred pixels, to draw raxels of it."""
    size = (trajectory.cameras.height, trajectory.cameras.width)
    height, width = (2 * max(1, round(48 * side / min(size))) for side in size)
    return trajectory.resized(height=height, width=width)


def load_for(job: JobContext, load: LoadPipeline) -> "RaysAsPixelsPipeline":
    """Load the pipeline, as a stage of a job."""
    job.check()
    job.progress(LOADING, 0, 1)
    pipeline = load()
    job.progress(LOADING, 1, 1)
    job.check()
    return pipeline
