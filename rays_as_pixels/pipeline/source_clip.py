"""A clip whose cameras are known, as a source of pixels for another path. Beyond the paper."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.resize_crop import ResizeCrop
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.solve.plane_sweep import dense_log_depth

if TYPE_CHECKING:
    from rays_as_pixels.pipeline.outputs import EstimateOutput

MAX_SOURCE_FRAMES = 9  # frames that are rendered from, evenly over the clip


@dataclass(frozen=True, eq=False)
class PosedClip:
    """A clip with its cameras and how far away what frame 0 shows is.

    Attributes:
        video: (F, 3, H, W) in [0, 1].
        trajectory: (F,) cameras in pixels of it.
        depth: (rows, columns) of frame 0, along its camera's axis, in the trajectory's unit.
        inlier_ratio: As `EstimateOutput.inlier_ratio`.

    Raises:
        InputError: There are not as many cameras as frames, or two frames at least.
    """

    video: Float[Tensor, "frames 3 height width"]
    trajectory: Trajectory
    depth: Float[Tensor, "rows columns"]
    inlier_ratio: float = 1.0

    def __post_init__(self) -> None:
        """Check the rule in the class docstring."""
        if len(self.video) != len(self.trajectory) or len(self.video) < 2:
            raise InputError(
                f"a source clip must have 2 frames or more and a camera for each; got "
                f"{len(self.video)} frames and {len(self.trajectory)} cameras. Give the path that "
                "was estimated for these frames."
            )

    @classmethod
    def from_estimate(
        cls, video: Float[Tensor, "frames 3 height width"], estimate: "EstimateOutput"
    ) -> "PosedClip":
        """Put a clip together with its estimate.

        Raises:
            InputError: The estimate has no depths.
        """
        if estimate.depth is None:
            raise InputError(
                "a source clip must have depths; got an estimate without. Estimate with refine and "
                "estimate_depth."
            )
        return cls(video, estimate.trajectory, estimate.depth, estimate.inlier_ratio or 1.0)

    def sources(
        self, size: tuple[int, int], sizes: list[tuple[int, int]]
    ) -> "tuple[Float[Tensor, 'n 3 h w'], Float[Tensor, 'n hm wm'], Cameras, Float[Tensor, 'n']]":
        """Return some of the frames at a size, logarithms of their depths, cameras, and times.

        All on the CPU; cameras in frame 0's axes and in pixels of the model's size, times from 0
        to 1 over the clip.

        Args:
            size: (height, width) in pixels, a whole number of times one of `sizes`.
            sizes: The model's.

        Raises:
            InputError: The frames would be cropped to another shape than that.
        """
        resize_crop = ResizeCrop.nearest(self.video.shape[-2], self.video.shape[-1], sizes)
        at_size = ResizeCrop(resize_crop.height, resize_crop.width, *size)
        if size[0] * resize_crop.model_width != size[1] * resize_crop.model_height:
            raise InputError(
                f"a source clip must have the images' aspect; got frames of {resize_crop.height} x "
                f"{resize_crop.width} for a video of {size[0]} x {size[1]}. "
                "Use an image of the clip."
            )
        cameras = resize_crop.cameras(self.trajectory.cameras)
        cameras = cameras.to(device="cpu", dtype=torch.float64).relative_to(0)
        fine = resize_crop.finer().images(self.video.to("cpu", torch.float32))
        log_depth = resize_crop.map(self.depth.cpu().float().log())
        count = min(MAX_SOURCE_FRAMES, len(self.video))
        chosen = torch.linspace(0, len(self.video) - 1, count).round().long()
        depths = [log_depth]
        depths += [
            dense_log_depth(
                fine, cameras, log_depth, inlier_ratio=self.inlier_ratio, reference_frame=k
            )
            for k in chosen[1:].tolist()
        ]
        depths = [
            torch.nn.functional.interpolate(one[None, None], log_depth.shape, mode="bilinear")[0, 0]
            for one in depths
        ]
        pictures = at_size.images(self.video[chosen].to("cpu", torch.float32))
        return pictures, torch.stack(depths), cameras[chosen], chosen / (len(self.video) - 1)
