"""What an estimate that was run through the API gives to a video along another path."""

from rays_as_pixels.app.jobs import tasks
from rays_as_pixels.app.jobs.frame_files import load_frames
from rays_as_pixels.app.jobs.input_files import (
    SOURCE_TRAJECTORY,
    TARGET_TRAJECTORY,
    image_name,
    png_bytes,
    source_clip_files,
    trajectory_bytes,
)
from rays_as_pixels.app.jobs.manager import JobManager
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.depth import depth_of_path
from rays_as_pixels.trajectories.formats.native import read_native


def clip_inputs(
    manager: JobManager, job_id: object, target: Trajectory, *, owner: str
) -> dict[str, bytes]:
    """Return the files of a job that films an estimated clip along another path.

    Args:
        manager: Of the jobs.
        job_id: Of the estimate, as `/estimate` yields it.
        target: The path, in the world of the estimated one.
        owner: Who asks.

    Raises:
        InputError: It is no finished estimate of theirs.
    """
    record = manager.find(job_id, owner=owner)
    if record is None or record.kind != "estimate" or record.state != "done":
        raise InputError(
            f"estimate must be the id of a finished job of /estimate in this session; got "
            f"{job_id!r}. Take `job` of what it yields, and use the same client."
        )
    folder = manager.folder(record.id)
    path, depth = read_native(folder / tasks.TRAJECTORY), depth_of_path(folder / tasks.TRAJECTORY)
    if "sampled" in record.results:
        path = path.picked(record.results["sampled"])
    frames = load_frames(folder / tasks.FRAMES)
    files = {
        TARGET_TRAJECTORY: trajectory_bytes(target, depth),
        SOURCE_TRAJECTORY: trajectory_bytes(path),
        image_name(0): png_bytes(frames[0]),
    }
    if depth is not None:
        height, width = frames.shape[-2:]
        trusted = record.results.get("inlier_ratio", record.results.get("held_out_score"))
        path = path.resized(height=height, width=width)
        files |= source_clip_files(frames, path, depth, inlier_ratio=trusted)
    return files
