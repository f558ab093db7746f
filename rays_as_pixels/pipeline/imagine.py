"""Images to video and camera path together, p(video, rays given images)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.resize_crop import ResizeCrop
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.model.camera_readout import read_cameras
from rays_as_pixels.pipeline.base import PipelineBase
from rays_as_pixels.pipeline.compositing import (
    composite_rendered_pixels,
    log_depth_of_images,
    views_of_images,
)
from rays_as_pixels.pipeline.conditioning import (
    RefineCameras,
    condition_on_images,
    with_predicted_cameras,
    with_rays,
)
from rays_as_pixels.pipeline.options import (
    FrameTimes,
    ImagineOptions,
    RunOptions,
    check_num_samples,
    check_upscale,
)
from rays_as_pixels.pipeline.outputs import ImagineOutput
from rays_as_pixels.pipeline.prompts import PromptEmbeddings
from rays_as_pixels.pipeline.sampler import Conditioning
from rays_as_pixels.pipeline.stages import (
    embed_prompts,
    encode_images,
    refine_cameras_of_images,
    trajectory_of_input,
)
from rays_as_pixels.pipeline.validation import (
    check_clip_length,
    check_image_frames,
    stack_images,
)


@torch.no_grad()
def imagine(
    pipe: PipelineBase,
    images: "Float[Tensor, '3 height width'] | Sequence[Float[Tensor, '3 height width']]",
    *,
    num_frames: int,
    fps: float,
    image_frames: Sequence[int],
    options: ImagineOptions,
    run: RunOptions,
) -> ImagineOutput:
    """Imagine a video and its path; see `RaysAsPixelsPipeline.imagine`."""
    stack, resize_crop = stack_images(images, pipe.sizes)
    stride = pipe.codec.temporal_stride
    check_clip_length(num_frames, max_frames=pipe.max_frames, temporal_stride=stride)
    check_image_frames(image_frames, len(stack), num_frames)
    check_num_samples(options.num_samples, run)
    check_upscale(options.max_upscale)
    prompts = embed_prompts(
        pipe, run, num_samples=options.num_samples, guidance_scale=options.guidance_scale
    )

    run.report("encode images", 0, 1)
    image_latents = encode_images(pipe, resize_crop.images(stack))
    refine = refine_cameras_of_images(pipe, list(stack), resize_crop, run)
    conditioning = _condition(pipe, image_latents, image_frames, num_frames, refine)
    latents, rays = _denoise(
        pipe, conditioning, image_frames=image_frames, prompts=prompts, options=options, run=run
    )
    run.report("decode video", 0, 1)
    videos = pipe.codec.decode_video(latents).cpu()
    fit, raxels = read_cameras(pipe.codec, rays)
    run.report("composite images", 0, options.num_samples)
    if pipe.takes_depths:
        known = conditioning.reference_log_depth
        log_depth = log_depth_of_images(pipe, image_latents, resize_crop, known)
        size = resize_crop.upscaled(options.max_upscale)
        videos = _composite(
            videos,
            fit.cameras,
            images=stack,
            log_depth=log_depth,
            image_frames=image_frames,
            size=size,
        )
    paths = _paths(fit.cameras, resize_crop, fps, size=videos.shape[-2:])
    run.report("composite images", options.num_samples, options.num_samples)
    pipe.maybe_free_model_hooks()
    return ImagineOutput(
        video=videos[0], trajectory=paths[0], raxels=raxels[0], videos=videos, trajectories=paths
    )


def _condition(
    pipe: PipelineBase,
    image_latents: Float[Tensor, "1 c n h w"],
    image_frames: Sequence[int],
    num_frames: int,
    refine: RefineCameras,
) -> Conditioning:
    """Condition on the images, and on their cameras where there is a camera prior to predict."""
    conditioning = condition_on_images(
        image_latents,
        image_frames,
        frames=num_frames,
        rays=None,
        temporal_stride=pipe.codec.temporal_stride,
    )
    prior = pipe.transformer.camera_prior
    return with_predicted_cameras(conditioning, image_frames, prior, refine)


def _denoise(
    pipe: PipelineBase,
    conditioning: Conditioning,
    *,
    image_frames: Sequence[int],
    prompts: PromptEmbeddings,
    options: ImagineOptions,
    run: RunOptions,
) -> tuple[Float[Tensor, "samples c t h w"], Float[Tensor, "samples c frames hr wr"]]:
    """Denoise video and rays together, then the video once more along these rays."""
    several = conditioning.repeated(options.num_samples)
    denoised = pipe.denoise(
        several,
        run,
        steps=options.num_inference_steps,
        stage="imagine",
        prompts=prompts,
        guidance_scale=options.guidance_scale,
    )
    if options.video_steps:
        along_path = pipe.denoise(
            with_rays(several, denoised.rays, image_frames),
            run,
            steps=options.video_steps,
            stage="generate video",
            prompts=prompts,
            guidance_scale=options.guidance_scale,
            shift=pipe.config["video_shift"],
        )
        return along_path.video, denoised.rays
    return denoised.video, denoised.rays


def _composite(
    videos: Float[Tensor, "samples frames 3 h w"],
    cameras: Cameras,
    *,
    images: Float[Tensor, "n 3 height width"],
    log_depth: Float[Tensor, "n hm wm"],
    image_frames: Sequence[int],
    size: ResizeCrop,
) -> Float[Tensor, "samples frames 3 _ _"]:
    """Render the images' own pixels over each video along its path; cameras are (samples, F)."""
    index = torch.tensor(list(image_frames))
    times = index / max(1, videos.shape[1] - 1)
    return torch.stack(
        [
            composite_rendered_pixels(
                video, path, views_of_images(images, log_depth, path[index], times, size)
            )
            for video, path in zip(videos, (cameras[k] for k in range(len(videos))), strict=True)
        ]
    )


def _paths(
    cameras: Cameras, resize_crop: ResizeCrop, fps: float, *, size: Sequence[int]
) -> tuple[Trajectory, ...]:
    """Return the path of each sample, in pixels of its video of `size` (height, width)."""
    at_model = resize_crop.of_model()
    height, width = size
    return tuple(
        trajectory_of_input(cameras[k], at_model, FrameTimes(fps)).resized(
            height=height, width=width
        )
        for k in range(len(cameras.focal_px))
    )
