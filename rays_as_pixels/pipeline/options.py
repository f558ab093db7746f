"""What the four tasks can be asked for: one frozen object of options each, and one of the run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import Cancelled, InputError
from rays_as_pixels.pipeline.defaults import (
    ESTIMATE_STEPS,
    GENERATE_STEPS,
    IMAGINE_STEPS,
    MAX_UPSCALE,
)

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class RunOptions:
    """What all tasks share.

    Attributes:
        generator: Source of noise; None takes torch's global one. With num_samples above 1 also a
            list with one for each, which gives what each would give alone.
        prompt: What the video shows, for models with a text branch; one, or a list with one per
            sample. None is the empty prompt.
        negative_prompt: What guidance leads away from; None is the empty prompt.
        prompt_embeds: (samples, tokens, width) embeddings instead of `prompt`.
        negative_prompt_embeds: The same, instead of `negative_prompt`.
        callback_on_step_end: diffusers' callback (pipe, step, timestep, tensors by name); it may
            return replacements.
        callback_on_step_end_tensor_inputs: Names of the tensors that it gets.
        progress: Called with (stage, done, total).
        cancel: Set it to stop within one step; the task raises `Cancelled`.
        on_path: Called by `estimate_video` with the camera centres (frames, 3) of a shot so far, in
            the solver's world and unit, and the number of frames in all, whenever another part of
            a long shot is solved.
    """

    generator: "torch.Generator | Sequence[torch.Generator] | None" = None
    prompt: str | list[str] | None = None
    negative_prompt: str | list[str] | None = None
    prompt_embeds: Float[Tensor, "samples tokens width"] | None = None
    negative_prompt_embeds: Float[Tensor, "samples tokens width"] | None = None
    callback_on_step_end: Callable[..., dict[str, Any]] | None = None
    callback_on_step_end_tensor_inputs: Sequence[str] = ("latents", "ray_latents")
    progress: Progress | None = None
    cancel: Event | None = None
    on_path: Callable[[Float[np.ndarray, "frames 3"], int], None] | None = None

    @property
    def is_cancelled(self) -> bool:
        """Tell whether `cancel` is set."""
        return self.cancel is not None and self.cancel.is_set()

    def check(self) -> None:
        """Stop where that is asked for.

        Raises:
            Cancelled: `cancel` is set.
        """
        if self.is_cancelled:
            raise Cancelled("cancelled")

    def report(self, stage: str, done: int, total: int) -> None:
        """Check for cancellation, then report.

        Raises:
            Cancelled: `cancel` is set.
        """
        self.check()
        if self.progress is not None:
            self.progress(stage, done, total)


@dataclass(frozen=True)
class EstimateOptions:
    """How to estimate a path.

    With the shipped weights the camera prior answers in one pass: steps and samples change nothing.

    Attributes:
        num_inference_steps: Denoising steps of the rays.
        num_samples: Samples from different noise to average; more than one also give a spread.
        num_flips: 1, 2 (also mirrored) or 4 (both also backwards) looks at the clip, averaged; more
            than one also give a spread. Beyond the paper; see `flip_augmentation`.
        shared_focal: One focal length for the whole clip, for a lens that does not zoom.
        refine: Move the cameras until patches of some frames fit the others, by bundle adjustment
            on pixels (`solve.photometric_refinement`), beyond the paper; False for the cameras
            that the network gives.
        estimate_depth: Also find the depth of frame 0's pixels (`solve.plane_sweep`) where the path
            is refined; without it is half a second faster.
    """

    num_inference_steps: int = ESTIMATE_STEPS
    num_samples: int = 1
    num_flips: int = 1
    shared_focal: bool = False
    refine: bool = True
    estimate_depth: bool = True


@dataclass(frozen=True)
class GenerateOptions:
    """How to generate a video.

    Attributes:
        num_inference_steps: Denoising steps.
        guidance_scale: 1 for none; above 1 follows the path and the prompt more strongly, at twice
            the time.
        num_samples: Videos to make at once, from different noise.
        max_upscale: How many times the model's size the video may be along each side, as far as the
            images have the pixels; the rest is enlarged.
    """

    num_inference_steps: int = GENERATE_STEPS
    guidance_scale: float = 1.0
    num_samples: int = 1
    max_upscale: int = MAX_UPSCALE


@dataclass(frozen=True)
class ImagineOptions:
    """How to imagine a video and its path.

    Attributes:
        num_inference_steps: Denoising steps of the path and the video together.
        video_steps: Denoising steps of the video once more, along that path; 0 for none, as in the
            paper.
        guidance_scale: As for `GenerateOptions`.
        num_samples: As for `GenerateOptions`.
        max_upscale: As for `GenerateOptions`.
    """

    num_inference_steps: int = IMAGINE_STEPS
    video_steps: int = GENERATE_STEPS
    guidance_scale: float = 1.0
    num_samples: int = 1
    max_upscale: int = MAX_UPSCALE


@dataclass(frozen=True, eq=False)
class FrameTimes:
    """When the frames of a clip were taken, for its trajectory.

    Attributes:
        fps: Frames per second.
        time_sec: (F,) times of the frames, where they are not evenly spaced.
        source_frame: Indices of the frames in the file that they came from.
    """

    fps: float = 10.0
    time_sec: Float[Tensor, "frames"] | None = None
    source_frame: tuple[int, ...] | None = None


def check_num_samples(num_samples: int, run: RunOptions) -> None:
    """Refuse fewer than one sample, or generators that are neither one nor one per sample.

    Raises:
        InputError: One of these.
    """
    if num_samples < 1:
        raise InputError(
            f"num_samples must be 1 or more; got {num_samples}. Use 1 for a quick look."
        )
    if isinstance(run.generator, Sequence) and len(run.generator) != num_samples:
        raise InputError(
            f"generator must be one, or a list of num_samples = {num_samples}; got a list of "
            f"{len(run.generator)}. Make one for each sample."
        )


def check_upscale(max_upscale: int) -> None:
    """Refuse a video that is to be smaller than the model's.

    Raises:
        InputError: `max_upscale` is below 1.
    """
    if max_upscale < 1:
        raise InputError(
            f"max_upscale must be 1 or more; got {max_upscale}. Use 1 for a video of the model's "
            "size."
        )
