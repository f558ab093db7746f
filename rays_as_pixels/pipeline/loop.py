"""What the verbs say about themselves: loop errors and the spread over noise seeds."""

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.camera_metrics import frame_errors
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.rotations import rotation_angle_rad
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.video_metrics import psnr_db
from rays_as_pixels.pipeline.outputs import LoopReport, PoseSpread


def loop_report(
    estimated: Trajectory,
    reestimated: Trajectory,
    video: Float[Tensor, "frames 3 h w"],
    generated: Float[Tensor, "frames 3 h w"],
) -> LoopReport:
    """Compare the two paths and the two videos of a loop (see `metrics.frame_errors`)."""
    errors = frame_errors(reestimated.cameras, estimated.cameras)
    psnr = psnr_db(generated, video)
    return LoopReport(
        rotation_error_rad=errors.r_err_rad,
        translation_error=errors.t_err,
        translation_error_fixed_scale=errors.t_err_fixed_scale,
        psnr_db=float(psnr[1:].mean()),
        rotation_error_rad_by_frame=[0.0, *errors.rotation_rad.tolist()],
        translation_error_by_frame=[0.0, *errors.translation.tolist()],
        psnr_db_by_frame=psnr.tolist(),
    )


def pose_spread(each: Cameras, mean: Cameras) -> PoseSpread:
    """Measure how far the cameras of each seed (S, F) lie from those of their mean (F,)."""
    turn = mean.world_from_cam[..., :3, :3].transpose(-1, -2) @ each.world_from_cam[..., :3, :3]
    offset = each.world_from_cam[..., :3, 3] - mean.world_from_cam[..., :3, 3]
    ratio = (each.focal_px / mean.focal_px).log().mean(-1)
    return PoseSpread(
        rotation_rad=(rotation_angle_rad(turn) ** 2).mean(0).sqrt(),
        position=(offset**2).sum(-1).mean(0).sqrt(),
        focal_ratio=torch.std(ratio, dim=0),
    )
