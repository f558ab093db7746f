"""Pixels that the source images have are rendered into a video; the network's fill the rest.

Not in the paper. The network makes 96 x 160 pixels; an image that shows what a camera sees has
more of them, and the right ones.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.cameras import Cameras, joined
from rays_as_pixels.geometry.resize_crop import ResizeCrop
from rays_as_pixels.pipeline.base import PipelineBase
from rays_as_pixels.pipeline.source_clip import PosedClip
from rays_as_pixels.solve.view_synthesis import render_views


@dataclass(frozen=True, eq=False)
class SourceViews:
    """Images to render from; all on the CPU.

    Attributes:
        images: (n, 3, h, w) in [0, 1], at the size of the video to be made.
        log_depth: (n, hm, wm) logarithms of depths along each camera's axis, scene units.
        cameras: (n,) in float64 and the video's axes, for the model's size.
        times: (n,) from 0 to 1 over the video.
    """

    images: Float[Tensor, "n 3 h w"]
    log_depth: Float[Tensor, "n hm wm"]
    cameras: Cameras
    times: Float[Tensor, "n"]

    def followed_by(self, other: "SourceViews") -> "SourceViews":
        """Return these views and then others."""
        return SourceViews(
            torch.cat([self.images, other.images]),
            torch.cat([self.log_depth, other.log_depth]),
            joined(self.cameras, other.cameras),
            torch.cat([self.times, other.times]),
        )


def composite_rendered_pixels(
    video: Float[Tensor, "*samples frames 3 h w"], cameras: Cameras, sources: SourceViews
) -> Float[Tensor, "*samples frames 3 _ _"]:
    """Render what the sources show along a path over a video.

    Args:
        video: One or several along the path, at the model's size, in [0, 1], on the CPU.
        cameras: (F,) of the video.
        sources: What to render from.

    Returns:
        The video at the sources' size, which is a whole number of times the model's.
    """
    at_cpu = cameras.to(device="cpu", dtype=torch.float64)
    times = torch.linspace(0, 1, video.shape[-4])
    rendered = render_views(
        sources.images, sources.log_depth, sources.cameras, at_cpu, times=(sources.times, times)
    )
    return rendered.composite_over(video)


def views_of_images(
    images: Float[Tensor, "n 3 height width"],
    log_depth: Float[Tensor, "n hm wm"],
    cameras: Cameras,
    times: Float[Tensor, "n"],
    size: ResizeCrop,
) -> SourceViews:
    """Return images as sources; `size` takes them from their own size to the result's."""
    at_cpu = cameras.to(device="cpu", dtype=torch.float64)
    return SourceViews(size.images(images.cpu()), log_depth, at_cpu, times)


def views_of_clip(
    source_clip: PosedClip,
    world_from_clip: Float[Tensor, "4 4"],
    size: ResizeCrop,
    model_sizes: list[tuple[int, int]],
) -> SourceViews:
    """Return frames of a posed clip as sources.

    Args:
        source_clip: The clip.
        world_from_clip: Pose of its first camera in the video's axes.
        size: Its model size is that of the result.
        model_sizes: Sizes (height, width) of the model.

    Raises:
        InputError: The clip's frames have another aspect ratio than the result.
    """
    images, log_depth, cameras, times = source_clip.sources(
        (size.model_height, size.model_width), model_sizes
    )
    pose = world_from_clip.to(cameras.world_from_cam) @ cameras.world_from_cam
    return SourceViews(images, log_depth, replace(cameras, world_from_cam=pose), times)


def log_depth_of_images(
    pipe: PipelineBase,
    latents: Float[Tensor, "1 c n h w"],
    resize_crop: ResizeCrop,
    known: Float[Tensor, "n hm wm"] | None,
) -> Float[Tensor, "n hm wm"]:
    """Return logarithms of the depths of images: those known, elsewhere the view prior's.

    Args:
        pipe: With a view prior.
        latents: Of the images.
        resize_crop: From the images' size to the model's.
        known: NaN where not known; None if nowhere.
    """
    view_prior = pipe.transformer.view_prior
    assert view_prior is not None, "callers ask `takes_depths` first"
    size = (resize_crop.model_height, resize_crop.model_width)
    predicted = view_prior.depths(latents[0].transpose(0, 1), size)[:, 0].log().cpu()
    if known is None:
        return predicted
    return torch.where(known.isnan(), predicted, known.to(predicted))
