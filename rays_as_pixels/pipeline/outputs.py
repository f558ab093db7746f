"""What the four tasks return."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from diffusers.utils import BaseOutput
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.rotations import rotation_angle_rad
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.solve.video.path import ScenePoints

if TYPE_CHECKING:
    from rays_as_pixels.solve.video.solver import VideoSolution


@dataclass
class PoseStd:
    """Standard deviation of several runs (samples, flips, windows), or of one path, per frame.

    Attributes:
        rotation_rad: (F,) root mean square angle to the mean camera, radians.
        position: (F,) root mean square distance to the mean camera, scene units.
        focal_ratio: (F,) standard deviation of log focal length.
    """

    rotation_rad: Float[Tensor, "frames"]
    position: Float[Tensor, "frames"]
    focal_ratio: Float[Tensor, "frames"]

    @classmethod
    def around(cls, mean: Cameras, each: Cameras) -> "PoseStd":
        """Measure how far the cameras of each run (N, F) lie from those of their mean (F,)."""
        turn = mean.world_from_cam[..., :3, :3].transpose(-1, -2) @ each.world_from_cam[..., :3, :3]
        offset = each.world_from_cam[..., :3, 3] - mean.world_from_cam[..., :3, 3]
        ratio = (each.focal_px / mean.focal_px).log().mean(-1)
        return cls(
            rotation_rad=(rotation_angle_rad(turn) ** 2).mean(0).sqrt(),
            position=(offset**2).sum(-1).mean(0).sqrt(),
            focal_ratio=torch.std(ratio, dim=0),
        )

    def to_dict(self) -> dict[str, list[float]]:
        """Return plain values for JSON."""
        return {
            "rotation_deg": self.rotation_rad.rad2deg().tolist(),
            "position": self.position.tolist(),
            "focal_ratio": self.focal_ratio.tolist(),
        }


@dataclass
class EstimateOutput(BaseOutput):
    """Result of `estimate`.

    Attributes:
        trajectory: One camera per frame, intrinsics in pixels of the video that was given.
        raxels: (F, 3, h, w) decoded raxel images of the clip as it is, mean over samples.
        residual: (F,) root mean square misfit of each camera to its raxels, scene units.
        pose_std: Over samples and flips, or None with one of each.
        expected_error_deg: (F,) rotation error that two of three frames stay below, in degrees;
            None where the model was not calibrated, or with other than 1 sample and 4 flips.
        inlier_ratio: Share of patches, over pairs of frames, that look alike where the path shows
            them; None where the path was not refined.
        depth: How far away what frame 0 shows is, along its camera's axis, in scene units, on a
            grid over the whole frame, for every pixel of a small one (`solve.plane_sweep`); None
            where the path was not refined or depth was not asked for. `generate` takes it as
            `image_depths`.
        frames_seen: How many frames were looked at where these were more than the path's, see
            `estimate_with_extra_frames`; None otherwise.
    """

    trajectory: Trajectory
    raxels: Float[Tensor, "frames 3 h w"]
    residual: Float[Tensor, "frames"]
    pose_std: PoseStd | None
    expected_error_deg: Float[Tensor, "frames"] | None = None
    inlier_ratio: float | None = None
    depth: Float[Tensor, "rows columns"] | None = None
    frames_seen: int | None = None


@dataclass
class LongEstimateOutput(BaseOutput):
    """Result of `estimate_long`.

    Attributes:
        trajectory: One camera per frame, intrinsics in pixels of the video that was given.
        pose_std: Over the windows that contain a frame.
        windows: How many there were.
        num_outlier_windows: How many of them disagreed with the others so much that they hardly
            count.
    """

    trajectory: Trajectory
    pose_std: PoseStd
    windows: int
    num_outlier_windows: int


@dataclass(frozen=True, eq=False)
class ShotEstimate:
    """The path of every frame of one shot of a video.

    Attributes:
        first_frame: Place of the shot's first frame in the video as it was read.
        trajectory: One camera per frame, in axes of the first, intrinsics in pixels of the input.
        interpolated: (F,) frames without a pose of their own.
        points: Scene points, in the same world; seen in pixels of the input.
        pose_std: Of the cameras (`solve.video.uncertainty`); None where the path
            is the network's.
        solution: How the path was found; None where it is the network's.
        network: The network's own path, of the frames that it looked at.
        depth: Of what frame 0 shows, see `EstimateOutput`; None where the path is the network's.
        notes: What is worth knowing, one sentence each.
    """

    first_frame: int
    trajectory: Trajectory
    interpolated: Bool[Tensor, "frames"]
    points: ScenePoints
    pose_std: PoseStd | None
    solution: "VideoSolution | None"
    network: Trajectory
    depth: Float[Tensor, "rows columns"] | None
    notes: tuple[str, ...]


@dataclass
class VideoEstimateOutput(BaseOutput):
    """Result of `estimate_video`.

    Attributes:
        shots: In order; one where the video has no cuts.
        notes: What was done to the frames, and where the cuts are, one sentence each.
        thumbnails: Small pictures of all frames, for a path view; None where they were not decoded.
        is_stopped: Whether it was asked to stop, and these are the frames that were solved by then.
    """

    shots: tuple[ShotEstimate, ...]
    notes: tuple[str, ...]
    thumbnails: UInt8[Tensor, "frames 3 h w"] | None
    is_stopped: bool = False

    @property
    def longest(self) -> ShotEstimate:
        """The shot with the most frames."""
        return max(self.shots, key=lambda shot: len(shot.trajectory))


@dataclass
class GenerateOutput(BaseOutput):
    """Result of `generate`.

    Attributes:
        video: (F, 3, H, W) in [0, 1], a whole number of times the model's size; of several
            samples the first.
        trajectory: Its cameras, in pixels of it.
        videos: (N, F, 3, H, W), one for each sample.
    """

    video: Float[Tensor, "frames 3 height width"]
    trajectory: Trajectory
    videos: Float[Tensor, "samples frames 3 height width"] | None = None


@dataclass
class ImagineOutput(BaseOutput):
    """Result of `imagine`.

    Attributes:
        video: (F, 3, H, W) in [0, 1], a whole number of times the model's size; of several
            samples the first.
        trajectory: The cameras made with it, in pixels of it.
        raxels: (F, 3, h, w) that trajectory's raxels.
        videos: (N, F, 3, H, W), one for each sample.
        trajectories: One for each sample.
    """

    video: Float[Tensor, "frames 3 height width"]
    trajectory: Trajectory
    raxels: Float[Tensor, "frames 3 h w"]
    videos: Float[Tensor, "samples frames 3 height width"] | None = None
    trajectories: tuple[Trajectory, ...] | None = None


@dataclass
class LoopReport:
    """How well the loop closes (paper, cycle consistency).

    Attributes:
        rotation_error_rad: Mean over frames of the angle between the two paths' cameras.
        translation_error: Mean distance after each path is divided by its furthest distance from
            frame 0 (no unit).
        translation_error_fixed_scale: Mean distance without that, scene units.
        psnr_db: Mean PSNR between the reference and the generated video over the frames after frame
            0, which was given; None without a reference.
        rotation_error_rad_by_frame: The same, per frame.
        translation_error_by_frame: The same, per frame.
        psnr_db_by_frame: PSNR of every frame, frame 0 included; None likewise.
    """

    rotation_error_rad: float
    translation_error: float
    translation_error_fixed_scale: float
    psnr_db: float | None
    rotation_error_rad_by_frame: list[float]
    translation_error_by_frame: list[float]
    psnr_db_by_frame: list[float] | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, with the paper's names for the two errors."""
        return {
            "R_err": self.rotation_error_rad,
            "R_err_unit": "rad",
            "T_err": self.translation_error,
            "T_err_unit": "distance after each path is divided by its furthest distance",
            **vars(self),
        }


@dataclass
class LoopRound(BaseOutput):
    """One round of a loop along a path: path to video, video to path again.

    Attributes:
        video: (F, 3, H, W) video generated along the round's path.
        reestimated: Path of that video, in its pixels, in axes of its first camera.
        depth: Of the video's frame 0, see `EstimateOutput`.
        report: How far the path, and the video from the reference, are from what the loop began
            with.
    """

    video: Float[Tensor, "frames 3 height width"]
    reestimated: Trajectory
    depth: Float[Tensor, "rows columns"] | None
    report: LoopReport


@dataclass
class LoopOutput(BaseOutput):
    """Result of `loop`: video to path, path to video, video to path again.

    Attributes:
        estimated: Path of the input video.
        video: (F, 3, H, W) video generated from the first image along that path.
        reestimated: Path of the generated video.
        report: How far the two paths and the two videos are apart.
    """

    estimated: Trajectory
    video: Float[Tensor, "frames 3 height width"]
    reestimated: Trajectory
    report: LoopReport
