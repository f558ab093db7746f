"""Stages that several of the four tasks share: prompts, encoding, depths of frame 0, the path."""

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.raxels import raxels_from_cameras
from rays_as_pixels.geometry.resize_crop import ResizeCrop
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.model.autoencoder import RAXEL_LIMIT
from rays_as_pixels.model.camera_readout import read_cameras
from rays_as_pixels.pipeline.base import PipelineBase
from rays_as_pixels.pipeline.conditioning import PredictedCameras, RefineCameras
from rays_as_pixels.pipeline.options import FrameTimes, RunOptions
from rays_as_pixels.pipeline.prompts import PromptEmbeddings, Prompter
from rays_as_pixels.solve.photometric_refinement import refine_photometrically
from rays_as_pixels.solve.plane_sweep import dense_log_depth


def embed_prompts(
    pipe: PipelineBase, run: RunOptions, *, num_samples: int, guidance_scale: float
) -> PromptEmbeddings:
    """Return what the network reads of the run's prompts."""
    prompter = Prompter(
        pipe.transformer,
        tokenizer=pipe.tokenizer,
        text_encoder=pipe.text_encoder,
        device=pipe.execution_device,
    )
    return prompter.embeddings(run, samples=num_samples, guided=guidance_scale != 1.0)


def encode_video(
    pipe: PipelineBase, frames: Float[Tensor, "frames 3 h w"]
) -> Float[Tensor, "1 c t h w"]:
    """Return the latents of a clip at the model's size."""
    return pipe.codec.encode_video(frames[None].to(pipe.execution_device, torch.float32))


def encode_images(
    pipe: PipelineBase, images: Float[Tensor, "n 3 h w"]
) -> Float[Tensor, "1 c n h w"]:
    """Return the latents of single images at the model's size, each encoded alone."""
    return torch.cat([encode_video(pipe, image[None]) for image in images], dim=2)


def first_frame_log_depth(
    pipe: PipelineBase, latents: Float[Tensor, "1 c t h w"]
) -> Float[Tensor, "h w"] | None:
    """Return log depths of frame 0's cells; None without a camera prior, or of one frame."""
    prior = pipe.transformer.camera_prior
    if prior is None:
        return None
    _, log_depth = prior.params_and_log_depth(latents.to(prior.std.device))
    return None if log_depth is None else log_depth[0]


def check_takes_depths(pipe: PipelineBase) -> None:
    """Refuse depths and source clips for a network without a view prior.

    Raises:
        InputError: It has none.
    """
    if not pipe.takes_depths:
        raise InputError(
            "this model takes no depths of images and no source clip: its network has no view "
            "prior. Leave them out, or use a model like the default one."
        )


def refine_cameras_of_images(
    pipe: PipelineBase, images: Sequence[Tensor], resize_crop: ResizeCrop, run: RunOptions
) -> RefineCameras:
    """Return a function that refines the cameras the network gives several images.

    Args:
        pipe: The pipeline.
        images: 3 H W each, at their own size.
        resize_crop: From that size to the model's.
        run: Is told of each round.
    """

    def refine(predicted: PredictedCameras) -> PredictedCameras:
        start = read_cameras(pipe.codec, predicted.rays, iterations=0)[0].cameras[0]
        in_order = torch.stack([images[k] for k in predicted.order]).to("cpu", torch.float32)
        fine = resize_crop.finer().images(in_order)
        fit = refine_photometrically(
            fine,
            start,
            predicted.cell_log_depth,
            max_rounds=pipe.config["refine_rounds"],
            before_round=partial(run.report, "fit path to frames", 0, 1),
        )
        raxels = raxels_from_cameras(fit.cameras)[None].to(predicted.rays.device, torch.float32)
        if float(raxels.abs().max()) > RAXEL_LIMIT:  # so far away no camera can be encoded
            return predicted
        depth = dense_log_depth(fine, fit.cameras, fit.log_depth, inlier_ratio=fit.inlier_ratio)
        return predicted.refined(
            pipe.codec.encode_raxels(raxels), resize_crop.of_model().map(depth)
        )

    return refine


def trajectory_of_input(cameras: Cameras, resize_crop: ResizeCrop, times: FrameTimes) -> Trajectory:
    """State cameras of the model's images in pixels of the input, with the frames' times."""
    restored = resize_crop.restored(cameras.to(dtype=torch.float64))
    return Trajectory(restored, times.fps, times.time_sec, times.source_frame)
