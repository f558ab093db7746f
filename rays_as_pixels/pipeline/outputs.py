"""What the pipeline's verbs return."""

from dataclasses import dataclass

from diffusers.utils import BaseOutput
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.trajectory import Trajectory


@dataclass
class PoseSpread:
    """How far several runs (noise seeds, views, windows) disagree, per frame.

    Attributes:
        rotation_rad: (F,) root mean square angle to the mean camera, radians.
        position: (F,) root mean square distance to the mean camera, scene units.
        focal_ratio: (F,) standard deviation of log focal length.
    """

    rotation_rad: Float[Tensor, "frames"]
    position: Float[Tensor, "frames"]
    focal_ratio: Float[Tensor, "frames"]


@dataclass
class EstimateOutput(BaseOutput):
    """Result of `estimate`.

    Attributes:
        trajectory: One camera per frame, intrinsics in pixels of the video that was given.
        raxels: (F, 3, h, w) decoded raxel images of the clip as it is, mean over seeds.
        residual: (F,) root mean square misfit of each camera to its raxels, scene units.
        spread: Disagreement between seeds and views, or None with one of each.
        expected_error_deg: (F,) rotation error that two of three frames stay below, in degrees;
            None where the model was not calibrated, or with other than 1 seed and 4 views.
        inlier_ratio: Share of patches, over pairs of frames, that look alike where the path shows
            them; None without photometric adjustment.
        depth: How far away what frame 0 shows is, along its camera's axis, in scene units, on a
            grid over the whole frame, for every pixel of a small one (`model.dense_depth`); None
            without photometric adjustment, or where it was not wanted. `generate` takes it as
            `image_depths`.
        frames_seen: How many frames were looked at where these were more than the path's, see
            `estimate_with_extra_frames`; None otherwise.
    """

    trajectory: Trajectory
    raxels: Float[Tensor, "frames 3 h w"]
    residual: Float[Tensor, "frames"]
    spread: PoseSpread | None
    expected_error_deg: Float[Tensor, "frames"] | None = None
    inlier_ratio: float | None = None
    depth: Float[Tensor, "rows columns"] | None = None
    frames_seen: int | None = None


@dataclass
class LongEstimateOutput(BaseOutput):
    """Result of `estimate_long`.

    Attributes:
        trajectory: One camera per frame, intrinsics in pixels of the video that was given.
        spread: Disagreement between the windows that hold a frame.
        windows: How many there were.
        num_outlier_windows: How many of them disagreed with the others so much that they hardly
            count.
    """

    trajectory: Trajectory
    spread: PoseSpread
    windows: int
    num_outlier_windows: int


@dataclass
class GenerateOutput(BaseOutput):
    """Result of `generate`.

    Attributes:
        video: (F, 3, H, W) in [0, 1], a whole number of times the model's size; of several seeds
            the first.
        trajectory: Its cameras, in pixels of it.
        videos: (N, F, 3, H, W), one for each seed.
    """

    video: Float[Tensor, "frames 3 height width"]
    trajectory: Trajectory
    videos: Float[Tensor, "seeds frames 3 height width"] | None = None


@dataclass
class ImagineOutput(BaseOutput):
    """Result of `imagine`.

    Attributes:
        video: (F, 3, H, W) in [0, 1], a whole number of times the model's size; of several seeds
            the first.
        trajectory: The cameras made with it, in pixels of it.
        raxels: (F, 3, h, w) that trajectory's raxels.
        videos: (N, F, 3, H, W), one for each seed.
        trajectories: One for each seed.
    """

    video: Float[Tensor, "frames 3 height width"]
    trajectory: Trajectory
    raxels: Float[Tensor, "frames 3 h w"]
    videos: Float[Tensor, "seeds frames 3 height width"] | None = None
    trajectories: tuple[Trajectory, ...] | None = None


@dataclass
class LoopReport:
    """How well the loop closes (paper, cycle consistency).

    Attributes:
        rotation_error_rad: Mean over frames of the angle between the two paths' cameras.
        translation_error: Mean distance after each path is divided by its furthest distance from
            frame 0 (no unit).
        translation_error_fixed_scale: Mean distance without that, scene units.
        psnr_db: Mean PSNR between the input and the generated video over the frames after frame 0,
            which was given.
        rotation_error_rad_by_frame: The same, per frame.
        translation_error_by_frame: The same, per frame.
        psnr_db_by_frame: PSNR of every frame, frame 0 included.
    """

    rotation_error_rad: float
    translation_error: float
    translation_error_fixed_scale: float
    psnr_db: float
    rotation_error_rad_by_frame: list[float]
    translation_error_by_frame: list[float]
    psnr_db_by_frame: list[float]

    def to_dict(self) -> dict[str, float | list[float]]:
        """Return plain values for JSON, with the paper's names for the two errors."""
        return {
            "R_err": self.rotation_error_rad,
            "R_err_unit": "rad",
            "T_err": self.translation_error,
            "T_err_unit": "distance after each path is divided by its furthest distance",
            **vars(self),
        }  # type: ignore[dict-item]


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
