"""Images and a camera path to video, p(video given rays, images)."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.cameras import joined
from rays_as_pixels.geometry.raxels import raxels_from_cameras
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.pipeline.base import PipelineBase
from rays_as_pixels.pipeline.compositing import (
    composite_rendered_pixels,
    log_depth_of_images,
    views_of_clip,
    views_of_images,
)
from rays_as_pixels.pipeline.conditioning import condition_on_images
from rays_as_pixels.pipeline.options import (
    GenerateOptions,
    RunOptions,
    check_num_samples,
    check_upscale,
)
from rays_as_pixels.pipeline.outputs import GenerateOutput
from rays_as_pixels.pipeline.sampler import Conditioning
from rays_as_pixels.pipeline.source_clip import PosedClip
from rays_as_pixels.pipeline.source_images import PosedImages
from rays_as_pixels.pipeline.stages import check_takes_depths, embed_prompts, encode_images


@torch.no_grad()
def generate(
    pipe: PipelineBase,
    posed: PosedImages,
    trajectory: Trajectory,
    *,
    source_clip: PosedClip | None,
    options: GenerateOptions,
    run: RunOptions,
) -> GenerateOutput:
    """Generate along `trajectory`, which `posed` states for the model; see the pipeline's."""
    check_num_samples(options.num_samples, run)
    check_upscale(options.max_upscale)
    if posed.log_depth is not None or source_clip is not None:
        check_takes_depths(pipe)
    prompts = embed_prompts(
        pipe, run, num_samples=options.num_samples, guidance_scale=options.guidance_scale
    )

    run.report("encode images", 0, 1)
    image_latents = encode_images(pipe, posed.resize_crop.images(posed.images))
    conditioning = _condition(pipe, posed, image_latents)
    denoised = pipe.denoise(
        conditioning.repeated(options.num_samples),
        run,
        steps=options.num_inference_steps,
        stage="generate video",
        prompts=prompts,
        guidance_scale=options.guidance_scale,
        shift=pipe.config["video_shift"],
    )
    run.report("decode video", 0, 1)
    videos = pipe.codec.decode_video(denoised.video).cpu()

    run.report("composite images", 0, 1)
    if pipe.takes_depths:
        videos = _composite(
            pipe,
            videos,
            posed,
            image_latents=image_latents,
            source_clip=source_clip,
            options=options,
        )
    run.report("composite images", 1, 1)
    pipe.maybe_free_model_hooks()

    cameras = posed.in_world_of(trajectory) if posed.has_own_path else posed.cameras
    height, width = videos.shape[-2:]
    path = replace(trajectory, cameras=cameras).resized(height=height, width=width)
    return GenerateOutput(video=videos[0], trajectory=path, videos=videos)


def _condition(
    pipe: PipelineBase, posed: PosedImages, image_latents: Float[Tensor, "1 c n h w"]
) -> Conditioning:
    """Encode the rays of the path and of the images; all are known."""
    path, source_cameras, log_depth = posed.within_reach()
    cameras = joined(path, source_cameras) if posed.has_own_path else path
    raxels = raxels_from_cameras(cameras)[None]
    rays = pipe.codec.encode_raxels(raxels.to(pipe.execution_device, torch.float32))
    frames = len(posed.cameras.world_from_cam)
    return condition_on_images(
        image_latents,
        posed.frames,
        frames=frames,
        rays=rays[:, :, :frames],
        temporal_stride=pipe.codec.temporal_stride,
        log_depth=log_depth,
        reference_rays=rays[:, :, frames:] if posed.has_own_path else None,
        is_frame=posed.is_frame,
    )


def _composite(
    pipe: PipelineBase,
    videos: Float[Tensor, "samples frames 3 h w"],
    posed: PosedImages,
    *,
    image_latents: Float[Tensor, "1 c n h w"],
    source_clip: PosedClip | None,
    options: GenerateOptions,
) -> Float[Tensor, "samples frames 3 _ _"]:
    """Render the images' own pixels, and the clip's, over the videos."""
    size = posed.resize_crop.upscaled(options.max_upscale)
    log_depth = log_depth_of_images(pipe, image_latents, posed.resize_crop, posed.log_depth)
    times = torch.tensor(posed.frames) / max(1, videos.shape[1] - 1)
    sources = views_of_images(posed.images, log_depth, posed.source_cameras, times, size)
    if source_clip is not None:
        of_clip = views_of_clip(source_clip, posed.world_from_source, size, pipe.sizes)
        sources = sources.followed_by(of_clip)
    return composite_rendered_pixels(videos, posed.cameras, sources)
