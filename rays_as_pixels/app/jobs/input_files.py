"""What a job that makes a video is given, as files in its folder.

`target_trajectory.json` is the path to film along, which may keep the depths of frame 0 (see
`trajectories.depth`); `image0.png`, `image1.png`... are its source images and
`source_trajectory.json` the path that they were filmed along, in the same world. `source_clip.npy`
and `source_clip.json` are an estimated clip to make the video from. `reference.npy` is what the
camera saw along the target trajectory, to compare with.
"""

import tempfile
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.app.jobs.frame_files import frames_bytes, load_frames
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.video import write_image
from rays_as_pixels.pipeline.source_clip import PosedClip
from rays_as_pixels.trajectories.depth import depth_for_extra, depth_map
from rays_as_pixels.trajectories.formats.native import native_text, read_native_with_extra

TARGET_TRAJECTORY, SOURCE_TRAJECTORY = "target_trajectory.json", "source_trajectory.json"
SOURCE_CLIP_FRAMES, SOURCE_CLIP = "source_clip.npy", "source_clip.json"
REFERENCE = "reference.npy"
MAX_SIDE_PX = 720  # videos are no larger


def image_name(index: int) -> str:
    """Return the name of a source image's file."""
    return f"image{index}.png"


def png_bytes(picture: Float[Tensor, "3 height width"]) -> bytes:
    """Return a picture as a PNG file's bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame.png"
        write_image(path, picture)
        return path.read_bytes()


def trajectory_bytes(
    trajectory: Trajectory, depth: Float[Tensor, "rows columns"] | None = None
) -> bytes:
    """Return a trajectory as a native file's bytes, which may keep the depths of frame 0."""
    return native_text(trajectory, extra=depth_for_extra(depth)).encode()


def source_clip_files(
    video: Float[Tensor, "frames 3 height width"],
    trajectory: Trajectory,
    depth: Float[Tensor, "rows columns"],
    *,
    inlier_ratio: float | None,
) -> dict[str, bytes]:
    """Return an estimated clip as files. Inverse of `read_source_clip`, but for large frames.

    Args:
        video: In [0, 1]; frames whose longer side is above 720 pixels are kept at 720.
        trajectory: Their cameras.
        depth: Of frame 0.
        inlier_ratio: As `EstimateOutput.inlier_ratio`.
    """
    height, width = video.shape[-2:]
    scale = min(1.0, MAX_SIDE_PX / max(height, width))
    if scale < 1:
        size = (round(height * scale), round(width * scale))
        video = torch.nn.functional.interpolate(video, size, mode="bilinear", antialias=True)
        trajectory = trajectory.resized(height=size[0], width=size[1])
    extra = {"inlier_ratio": inlier_ratio, **depth_for_extra(depth)}
    text = native_text(trajectory, extra=extra)
    return {SOURCE_CLIP_FRAMES: frames_bytes(video), SOURCE_CLIP: text.encode()}


def read_source_clip(folder: Path) -> PosedClip | None:
    """Read what `source_clip_files` wrote, None where it did not.

    Raises:
        InputError: A file is damaged.
    """
    if not (folder / SOURCE_CLIP).is_file():
        return None
    trajectory, extra = read_native_with_extra(folder / SOURCE_CLIP)
    inlier_ratio = extra.get("inlier_ratio")
    return PosedClip(
        load_frames(folder / SOURCE_CLIP_FRAMES),
        trajectory,
        depth_map(extra["depth"], SOURCE_CLIP),
        1.0 if inlier_ratio is None else float(inlier_ratio),
    )
