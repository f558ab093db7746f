"""What each kind of job is asked to do, as JSON that outlives the program."""

from typing import Annotated, Literal

from pydantic import Field

from rays_as_pixels.app.validation import StrictModel, WholeNumber
from rays_as_pixels.pipeline.defaults import ESTIMATE_STEPS, GENERATE_STEPS, IMAGINE_STEPS

MAX_STEPS, MAX_RUNS, MAX_ROUNDS = 200, 16, 5
MAX_SEED = 2**31 - 1
FLIPS = (1, 2, 4)  # copies of a clip: itself, also mirrored, and both also backwards

Steps = Annotated[WholeNumber, Field(ge=1, le=MAX_STEPS)]
Seed = Annotated[WholeNumber, Field(ge=0, le=MAX_SEED)]
Seconds = Annotated[float, Field(ge=0, le=1e5)]
GuidanceScale = Annotated[float, Field(ge=1, le=20)]


class EstimateRequest(StrictModel):
    """What to estimate: which frames of a video, and how carefully.

    Attributes:
        video: Name of the video's file in the job's folder.
        num_frames: Frames to use, evenly spaced; None for every frame, where nothing but the part
            of the video counts.
        start_sec: First moment to use; None for the beginning.
        end_sec: First moment to leave out; None for the end.
        steps: Denoising steps.
        num_samples: Samples from different noise, averaged.
        num_flips: 1, 2 (also mirrored) or 4 (both also backwards) looks at the clip, averaged.
        shared_focal: Whether the focal length is the same in all frames.
        seed: Seed of the noise.
        extra_frames: Whether to use the video's frames in between where tracking is weak.
    """

    video: str
    num_frames: Annotated[WholeNumber, Field(ge=1)] | None = None
    start_sec: Seconds | None = None
    end_sec: Seconds | None = None
    steps: Steps = ESTIMATE_STEPS
    num_samples: Annotated[WholeNumber, Field(ge=1, le=MAX_RUNS)] = 1
    num_flips: Literal[1, 2, 4] = 1
    shared_focal: bool = False
    seed: Seed = 0
    extra_frames: bool = True


class GenerateRequest(StrictModel):
    """How to generate a video along a path.

    Attributes:
        image_frames: For each of the job's images the frame of the path it belongs to.
        steps: Denoising steps.
        guidance_scale: 1 for none; more follows the input harder.
        seed: Seed of the noise.
    """

    image_frames: tuple[int, ...] = (0,)
    steps: Steps = GENERATE_STEPS
    guidance_scale: GuidanceScale = 1.0
    seed: Seed = 0


class ImagineRequest(StrictModel):
    """How to imagine a video and its path.

    Attributes:
        num_frames: Frames of the video.
        fps: Its frames per second.
        steps: Denoising steps.
        guidance_scale: 1 for none; more follows the input harder.
        seed: Seed of the noise.
    """

    num_frames: Annotated[WholeNumber, Field(ge=1)]
    fps: Annotated[float, Field(ge=0.1, le=240)] = 10.0
    steps: Steps = IMAGINE_STEPS
    guidance_scale: GuidanceScale = 1.0
    seed: Seed = 0


class LoopRequest(StrictModel):
    """How to run the loop along a path.

    Attributes:
        path: Which path it is, for people: "estimated", "edited", "stabilise", ...
        rounds: How often to go round.
        steps: Denoising steps of each video.
        estimate_steps: Denoising steps of each estimate.
        guidance_scale: 1 for none.
        seed: Seed of the noise.
        has_reference: Whether reference.npy holds what the camera really saw along the path.
    """

    path: str = "estimated"
    rounds: Annotated[WholeNumber, Field(ge=1, le=MAX_ROUNDS)] = 1
    steps: Steps = GENERATE_STEPS
    estimate_steps: Steps = ESTIMATE_STEPS
    guidance_scale: GuidanceScale = 1.0
    seed: Seed = 0
    has_reference: bool = True
