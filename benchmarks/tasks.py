"""Seconds and bytes of whole tasks: estimate and generate."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers import AutoencoderKLWan

from benchmarks.shapes import Network
from benchmarks.step import filled
from benchmarks.timing import peak_bytes, reset_peak, timed
from rays_as_pixels.model.checkpoints import DEFAULT_MODEL
from rays_as_pixels.pipeline.options import (
    EstimateOptions,
    GenerateOptions,
    RunOptions,
)
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
from rays_as_pixels.pipeline.schedule import new_scheduler
from rays_as_pixels.trajectories.presets import make_preset

ESTIMATE_STEPS, GENERATE_STEPS = 2, 50
_SHORT = 3  # steps that are run where the rest is the same again


@dataclass(frozen=True)
class TaskResult:
    """What one task costs.

    Attributes:
        network: mini, 1.3B or 14B.
        task: The verb and its steps.
        clip: Frames x height x width.
        seconds: Of the whole call, the autoencoder included unless `how` says otherwise.
        peak_bytes: Highest memory use, of the GPU or of the process; None if not measured.
        how: `measured`, or how the seconds were worked out.
    """

    network: str
    task: str
    clip: str
    seconds: float
    peak_bytes: int | None
    how: str


def mini_pipeline(device: torch.device) -> RaysAsPixelsPipeline:
    """Load the pipeline that comes with the project."""
    pipeline = RaysAsPixelsPipeline.from_pretrained(DEFAULT_MODEL).to(device)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def random_pipeline(network: Network, device: torch.device) -> RaysAsPixelsPipeline:
    """Build a full-size pipeline on a GPU: Wan 2.1's autoencoder, random weights, bfloat16."""
    with torch.device("meta"):
        transformer = network.ours()
    filled(transformer, device, torch.bfloat16)
    torch.manual_seed(0)
    vae = AutoencoderKLWan().to(device, torch.bfloat16).eval().requires_grad_(False)
    clip = network.clip
    pipeline = RaysAsPixelsPipeline(
        vae,
        transformer,
        new_scheduler(),
        new_scheduler(),
        raxel_latents_mean=[0.0] * network.channels,
        raxel_latents_std=[1.0] * network.channels,
        num_frames=clip.frames,
        max_frames=clip.frames,
        sizes=[[clip.height, clip.width]],
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def measured_tasks(
    network: Network, pipeline: RaysAsPixelsPipeline, device: torch.device, *, every_step: bool
) -> list[TaskResult]:
    """Run the verbs once to warm up and once for the clock.

    Args:
        network: Says the clip's size.
        pipeline: What runs.
        device: Where it is.
        every_step: False runs a few of `generate`'s steps and multiplies, since all are alike.
    """
    clip = network.clip
    generator = torch.Generator().manual_seed(0)
    video = torch.rand(clip.frames, 3, clip.height, clip.width, generator=generator)
    path = make_preset(
        "arc-left", num_frames=clip.frames, fps=10.0, height=clip.height, width=clip.width
    )
    run = RunOptions()
    if network.text is not None:
        words = torch.randn(1, network.text_tokens, network.text, generator=generator)
        run = RunOptions(prompt_embeds=words)

    def estimate(steps: int) -> Callable[[], object]:
        return lambda: pipeline.estimate(
            video, run=run, options=EstimateOptions(num_inference_steps=steps)
        )

    def generate(steps: int) -> Callable[[], object]:
        return lambda: pipeline.generate(
            video[0], path, run=run, options=GenerateOptions(num_inference_steps=steps)
        )

    results = []
    for verb, make, steps in (
        ("estimate", estimate, ESTIMATE_STEPS),
        ("generate", generate, GENERATE_STEPS),
    ):
        seconds, peak, how = _timed_task(make, steps, device, every_step=every_step)
        results.append(
            TaskResult(network.name, f"{verb}, {steps} steps", str(clip), seconds, peak, how)
        )
    return results


def _timed_task(
    make: Callable[[int], Callable[[], object]],
    steps: int,
    device: torch.device,
    *,
    every_step: bool,
) -> tuple[float, int | None, str]:
    timed(make(1), device)
    reset_peak(device)
    if every_step or steps <= _SHORT:
        seconds = timed(make(steps), device)
        return seconds, peak_bytes(device), "measured"
    one, few = timed(make(1), device), timed(make(1 + _SHORT), device)
    per_step = (few - one) / _SHORT
    how = f"{1 + _SHORT} steps measured, {per_step:.2f} s each, extrapolated"
    return one + per_step * (steps - 1), peak_bytes(device), how
