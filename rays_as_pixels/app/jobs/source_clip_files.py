"""An estimated clip as two files of a job that makes a video from it along another path."""

import io
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.app.jobs.frame_files import load_frames
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.pipeline.source_clip import PosedClip
from rays_as_pixels.trajectories.depth import depth_for_extra, depth_map
from rays_as_pixels.trajectories.formats.native import native_text, read_native_with_extra

FRAMES, PATH = "footage.npy", "footage.json"
LARGEST_SIDE_PX = 720  # videos are no larger


def source_clip_files(
    video: Float[Tensor, "frames 3 height width"],
    trajectory: Trajectory,
    depth: Float[Tensor, "rows columns"],
    *,
    inlier_ratio: float | None,
) -> dict[str, bytes]:
    """Return the files' bytes by name. Inverse of `read_footage`, but for large frames.

    Args:
        video: In [0, 1]; frames whose longer side is above 720 pixels are kept at 720.
        trajectory: Their cameras.
        depth: Of frame 0.
        inlier_ratio: As `EstimateOutput.inlier_ratio`.
    """
    height, width = video.shape[-2:]
    scale = min(1.0, LARGEST_SIDE_PX / max(height, width))
    if scale < 1:
        size = (round(height * scale), round(width * scale))
        video = torch.nn.functional.interpolate(video, size, mode="bilinear", antialias=True)
        trajectory = trajectory.resized(height=size[0], width=size[1])
    kept = io.BytesIO()
    np.save(kept, video.mul(255).round().to(torch.uint8).cpu().numpy(), allow_pickle=False)
    extra = {"inlier_ratio": inlier_ratio, **depth_for_extra(depth)}
    return {FRAMES: kept.getvalue(), PATH: native_text(trajectory, extra=extra).encode()}


def read_footage(folder: Path) -> PosedClip | None:
    """Read what `source_clip_files` wrote, None where it did not.

    Raises:
        InputError: A file is damaged.
    """
    if not (folder / PATH).is_file():
        return None
    trajectory, extra = read_native_with_extra(folder / PATH)
    inlier_ratio = extra.get("inlier_ratio")
    return PosedClip(
        load_frames(folder / FRAMES),
        trajectory,
        depth_map(extra["depth"], PATH),
        1.0 if inlier_ratio is None else float(inlier_ratio),
    )
