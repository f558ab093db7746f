"""A pipeline of real classes, untrained and tiny: every stage runs, nothing it says is good."""

import torch

from rays_as_pixels.model.autoencoder import new_autoencoder
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
from rays_as_pixels.pipeline.schedule import new_scheduler

SIZE = (32, 48)


def tiny_pipeline():
    torch.manual_seed(0)
    pipe = RaysAsPixelsPipeline(
        vae=new_autoencoder(base_dim=8, z_dim=4, num_res_blocks=1).eval(),
        transformer=RaysAsPixelsTransformer3DModel(
            video_config={"channels": 4},
            block_config={"num_layers": 1, "num_heads": 1, "ffn_dim": 32},
            conditioning_config={"freq_dim": 32},
        ).eval(),
        scheduler=new_scheduler(),
        ray_scheduler=new_scheduler(),
        raxel_latents_mean=[0.0] * 4,
        raxel_latents_std=[1.0] * 4,
        num_frames=5,
        max_frames=9,
        sizes=[SIZE],
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe
