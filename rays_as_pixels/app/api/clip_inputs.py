"""What an estimate that was run through the API gives to a video along another path."""

from rays_as_pixels.app.jobs import tasks
from rays_as_pixels.app.jobs.manager import JobManager
from rays_as_pixels.app.jobs.source_clip_files import source_clip_files
from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.depth import depth_for_extra, depth_of_path
from rays_as_pixels.trajectories.formats.native import native_text, read_native


def clip_inputs(
    manager: JobManager, job_id: object, wanted: Trajectory, *, owner: str
) -> dict[str, bytes]:
    """Return the files of a job that films an estimated clip along another path.

    Args:
        manager: Of the jobs.
        job_id: Of the estimate, as `/estimate` yields it.
        wanted: The path, in the world of the estimated one.
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
    text = native_text(wanted, extra=depth_for_extra(depth))
    image = tasks.first_frame_png(folder / tasks.FRAMES)
    files = {tasks.WANTED: text.encode(), "image0.png": image}
    if depth is not None:
        frames = tasks.load_frames(folder / tasks.FRAMES)
        files |= source_clip_files(
            frames, path, depth, inlier_ratio=record.results.get("inlier_ratio")
        )
    return files | tasks.source_path_file(path)
