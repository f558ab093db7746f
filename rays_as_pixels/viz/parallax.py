"""A cheap look along a path before a long run: geometry alone, no model.

Each camera of the path looks at the first image, which stands at depth 1 (the median depth of frame
0, by the definition of the scene unit) or at depths that are given. Where it shows nothing, which
is grey, the model would have to invent.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import joined
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.solve.view_synthesis import render_views

HEIGHT = 192  # pixels
UNSEEN = 0.45  # grey
MAX_ASPECT_ERROR = 0.05


@dataclass(frozen=True)
class ParallaxPreview:
    """What the cameras of a path would see of the first image.

    Attributes:
        video: In [0, 1].
        seen_share: Share of each frame that the first image covers, in [0, 1].
    """

    video: Float[Tensor, "frames 3 height width"]
    seen_share: Float[Tensor, "frames"]


def parallax_preview(
    trajectory: Trajectory,
    image: Float[Tensor, "3 h w"] | None = None,
    *,
    depth: Float[Tensor, "rows columns"] | None = None,
    height: int = HEIGHT,
    image_path: Trajectory | None = None,
) -> ParallaxPreview:
    """Look along a path at the first image, without a model.

    Args:
        trajectory: The path; principal points are taken to be in the middle.
        image: The first image in [0, 1]; None for a chequered card in its place.
        depth: How far away what it shows is, along the camera's axis, in scene units, on any grid
            over it; None puts all of it at depth 1.
        height: Of the preview, in pixels; the width follows the path's aspect.
        image_path: Path whose first camera took the image, in the trajectory's world; None for the
            trajectory.

    Raises:
        InputError: The image has another aspect than the path.
    """
    path = trajectory.cameras
    width = 2 * max(1, round(height * path.width / path.height / 2))
    if image is None:
        row, column = torch.arange(height)[:, None], torch.arange(width)
        image = ((row // 24 + column // 24) % 2 * 0.5 + 0.4).expand(3, -1, -1)
    elif abs(image.shape[2] * path.height / (image.shape[1] * path.width) - 1) > MAX_ASPECT_ERROR:
        raise InputError(
            f"image must have the path's aspect, {path.width / path.height:.3f}; got "
            f"{image.shape[2]} x {image.shape[1]}. Crop it, or change the path's intrinsics."
        )
    picture, depths = (
        torch.nn.functional.interpolate(
            one[None].to(torch.float32), (height, width), mode="bilinear", antialias=True
        )
        for one in (image, torch.ones(1, height, width) if depth is None else depth[None])
    )
    source = (trajectory if image_path is None else image_path).cameras[:1]
    cameras = joined(path, source).to(dtype=torch.float64).resized(height=height, width=width)
    cameras = cameras.relative_to(len(trajectory))
    views = render_views(picture, depths[0].log(), cameras[-1:], cameras[:-1])
    video = views.composite_over(torch.full((len(trajectory), 3, height, width), UNSEEN))
    return ParallaxPreview(video, views.share.double().mean((1, 2, 3)))
