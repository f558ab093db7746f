"""The quick look at held-out clips that a running training prints every few minutes."""

import torch

from rays_as_pixels.geometry.camera_metrics import pair_errors
from rays_as_pixels.pipeline.options import EstimateOptions, RunOptions
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
from rays_as_pixels.training.config import TrainingConfig
from rays_as_pixels.worlds import WorldClips, render_clips

CHECK_CLIPS = 24


def check_clips(config: TrainingConfig, *, device: str = "cpu") -> WorldClips:
    """Render the held-out clips of the check; they are not those of the evaluation."""
    height, width = config.sizes[0]
    seeds = list(range(900_000, 900_000 + CHECK_CLIPS))
    return render_clips(
        seeds,
        split="heldout",
        num_frames=config.num_frames,
        height=height,
        width=width,
        device=device,
    )


def check_line(pipeline: RaysAsPixelsPipeline, clips: WorldClips) -> str:
    """Return median pair rotation errors of identity and of 1 and 2 steps, in degrees."""
    medians = {}
    for steps in (0, 1, 2):
        errors = []
        for index in range(len(clips.video)):
            truth = clips.cameras[index].to(device="cpu", dtype=torch.float64)
            estimated = truth[:1]
            if steps:
                generator = torch.Generator().manual_seed(index)
                estimated = pipeline.estimate(
                    clips.video[index],
                    options=EstimateOptions(num_inference_steps=steps),
                    run=RunOptions(generator=generator),
                ).trajectory.cameras
            else:
                estimated = truth[torch.zeros(len(truth.focal_px), dtype=torch.long)]
            errors.append(pair_errors(estimated, truth).rotation_deg)
        medians[steps] = float(torch.cat(errors).median())
    return (
        f"median e_R deg: identity {medians[0]:.3f}, 1 step {medians[1]:.3f}, "
        f"2 steps {medians[2]:.3f}"
    )
