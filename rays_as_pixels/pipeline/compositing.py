"""What the given images show of a video is taken from them; the rest is the network's.

Not in the paper. The network draws 96 x 160 pixels; an image that shows what a camera sees has
more, and all of them right.
"""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rays_as_pixels.geometry.cameras import Cameras, joined
from rays_as_pixels.geometry.resize_crop import ResizeCrop
from rays_as_pixels.pipeline.base import PipelineBase
from rays_as_pixels.pipeline.source_clip import PosedClip
from rays_as_pixels.solve.view_synthesis import render_views


class ShowingComponents(PipelineBase):
    """The components, and what finishes videos with them."""

    def _with_shown(
        self,
        video: Float[Tensor, "frames 3 h w"],
        images: Float[Tensor, "n 3 height width"],
        latents: Float[Tensor, "1 c n hl wl"],
        resize_crop: ResizeCrop,
        *,
        taken: Cameras,
        frames: Int[Tensor, "n"],
        cameras: Cameras,
        log_depth: Float[Tensor, "n h w"] | None,
        max_upscale: int,
        source_clip: PosedClip | None = None,
        origin: Float[Tensor, "4 4"] | None = None,
    ) -> Float[Tensor, "frames 3 _ _"]:
        """Draw what images show over a video, at their own size or the largest asked for.

        Args:
            video: At the model's size, in [0, 1], on the CPU.
            images: At their own size; without any and no footage the video stays as it is.
            latents: Of the images.
            resize_crop: From their size to the model's.
            taken: (n,) cameras of the images, in the video's axes.
            frames: Of the video, that the images belong to in time.
            cameras: (F,) of the video.
            log_depth: Of the images, NaN where the network is to tell; None if everywhere.
            max_upscale: So many times the model's size at most.
            source_clip: More images, whose cameras need not be on the path.
            origin: Pose of its first camera; None for where the video's is.
        """
        view = self.transformer.view_prior
        if view is None or (not len(images) and source_clip is None):
            return video
        cameras = cameras.to(device="cpu", dtype=torch.float64)  # where pictures are put together
        size = (resize_crop.model_height, resize_crop.model_width)
        told = view.depths(latents[0].transpose(0, 1), size)[:, 0].log().cpu()
        if log_depth is not None:
            told = torch.where(log_depth.isnan(), told, log_depth.to(told))
        sharp = resize_crop.sharpest(max_upscale)
        pictures = sharp.images(images.cpu())
        taken = taken.to(device="cpu", dtype=torch.float64)
        times = frames / max(1, len(cameras.world_from_cam) - 1)
        if source_clip is not None:
            more, depths, others, at = source_clip.sources(
                (sharp.model_height, sharp.model_width), self.sizes
            )
            times = torch.cat([times, at])
            pictures, told = torch.cat([pictures, more]), torch.cat([told, depths])
            if origin is not None:
                others = replace(
                    others, world_from_cam=origin.to(taken.world_from_cam) @ others.world_from_cam
                )
            taken = joined(taken, others)
        every = torch.linspace(0, 1, len(cameras.world_from_cam))
        return render_views(pictures, told, taken, cameras, times=(times, every)).composite_over(
            video
        )
