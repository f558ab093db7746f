"""Run the pipeline on evaluation clips: seeds, wall time, and failures that count."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.evaluation.baselines.trivial import identity_cameras
from rays_as_pixels.evaluation.clips import EvalClip
from rays_as_pixels.evaluation.scores import PathResult
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.raxels import raxels_from_cameras
from rays_as_pixels.geometry.resize_crop import ResizeCrop
from rays_as_pixels.media.video import Request, open_frames
from rays_as_pixels.model.camera_readout import read_cameras
from rays_as_pixels.pipeline.defaults import ESTIMATE_STEPS, GENERATE_STEPS, IMAGINE_STEPS
from rays_as_pixels.pipeline.options import EstimateOptions, RunOptions

if TYPE_CHECKING:
    from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline

TASKS = ("autoencoder", "estimate", "generate", "loop", "imagine", "controls")
# Beyond the paper; they run only where they are named.
EXTRA_TASKS = ("uncertainty", "long-video", "unposed-images", "dynamic-objects")
_SEED_STRIDE = 1_000_003  # prime, so that seeds of different clips do not meet

_Result = TypeVar("_Result")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Settings:
    """What to evaluate.

    Attributes:
        tasks: Any of `TASKS` and `EXTRA_TASKS`, in the order in which they are to run.
        estimate_steps: Denoising steps of the estimate sweep.
        generate_steps: Denoising steps of the generate sweep.
        default_estimate_steps: Steps of every estimate outside the sweep.
        default_generate_steps: Steps of every video outside the sweep.
        default_imagine_steps: Steps of every imagined video.
        seeds: Noise seeds per clip.
        seed: First seed.
        baselines: Whether classical baselines run too.
        every_frame: Whether `estimate` poses every frame of real clips.
    """

    tasks: tuple[str, ...] = TASKS
    estimate_steps: tuple[int, ...] = (ESTIMATE_STEPS,)
    generate_steps: tuple[int, ...] = (GENERATE_STEPS,)
    default_estimate_steps: int = ESTIMATE_STEPS
    default_generate_steps: int = GENERATE_STEPS
    default_imagine_steps: int = IMAGINE_STEPS
    seeds: int = 3
    seed: int = 0
    baselines: bool = False
    every_frame: bool = False

    def __post_init__(self) -> None:
        """Refuse unknown tasks and counts below 1."""
        unknown = [task for task in self.tasks if task not in TASKS + EXTRA_TASKS]
        if unknown or not self.tasks:
            raise InputError(
                f"tasks must be some of {', '.join(TASKS + EXTRA_TASKS)}; got "
                f"{', '.join(unknown) or 'none'}. Separate them by commas."
            )
        defaults = (
            self.default_estimate_steps,
            self.default_generate_steps,
            self.default_imagine_steps,
        )
        steps = (*self.estimate_steps, *self.generate_steps, *defaults)
        if min(*steps, self.seeds) < 1:
            raise InputError(
                f"steps and seeds must be 1 or more; got steps {steps} and {self.seeds} seeds. "
                "Use --steps 2 --num-samples 3."
            )


class Runner:
    """The pipeline with the settings of one evaluation."""

    def __init__(self, pipe: "RaysAsPixelsPipeline", settings: Settings) -> None:
        self.pipe = pipe
        self.settings = settings
        self._sigmas: dict[int, list[float]] = {}

    def generator(self, clip_index: int, seed: int) -> torch.Generator:
        """Return the noise source of one clip and seed, the same on every device."""
        value = self.settings.seed + seed + _SEED_STRIDE * clip_index
        return torch.Generator().manual_seed(value)

    def timed(self, work: Callable[[], _Result]) -> tuple[_Result, float]:
        """Return what `work` returns and its wall time in seconds."""
        cuda = torch.device(self.pipe.device).type == "cuda"
        start = time.perf_counter()
        answer = work()
        if cuda:
            torch.cuda.synchronize()
        return answer, time.perf_counter() - start

    def estimate(
        self,
        video: Float[Tensor, "frames 3 H W"],
        truth: Cameras,
        *,
        generator: torch.Generator,
        steps: int | None = None,
        **options: Any,
    ) -> PathResult:
        """Estimate the path of a video; a refusal counts as a failure with the identity path.

        Args:
            video: (F, 3, H, W) in [0, 1].
            truth: (F,) cameras that the answer will be compared with, in pixels of `video`.
            generator: Noise.
            steps: Denoising steps; the default ones if None.
            options: Further fields of `EstimateOptions`.
        """
        steps = self.settings.default_estimate_steps if steps is None else steps
        try:
            output, seconds = self.timed(
                lambda: self.pipe.estimate(
                    video,
                    options=EstimateOptions(num_inference_steps=steps, **options),
                    run=RunOptions(generator=generator, callback_on_step_end=self.recorder(steps)),
                )
            )
        except InputError as error:
            return PathResult(identity_cameras(truth), 0.0, str(error))
        cameras = output.trajectory.cameras.to(dtype=torch.float64, device="cpu")
        return PathResult(cameras, seconds, depth=output.depth)

    def estimate_every_frame(self, clip: EvalClip) -> tuple[PathResult, str]:
        """Estimate a camera for every frame of a clip, as the command line does.

        Where the clip is taken for several shots, their paths are put one after the other: they
        share no world, and the score says so. Interpolated frames count as a failure.

        Returns:
            The answer, and the name of the candidate that was chosen for the longest shot.
        """
        assert clip.frames is not None
        truth, stream = clip.trajectory().cameras, open_frames(clip.frames, Request())
        options = EstimateOptions(estimate_depth=False)
        found, seconds = self.timed(lambda: self.pipe.estimate_video(stream, options=options))
        pose = identity_cameras(truth)
        lost = len(truth.focal_px) - sum(len(shot.trajectory) for shot in found.shots)
        lost += sum(int(shot.interpolated.sum()) for shot in found.shots)
        world, focal = pose.world_from_cam.clone(), pose.focal_px.clone()
        for shot in found.shots:
            part = slice(shot.first_frame, shot.first_frame + len(shot.trajectory))
            world[part] = shot.trajectory.cameras.world_from_cam
            focal[part] = shot.trajectory.cameras.focal_px
        cameras = replace(pose, world_from_cam=world, focal_px=focal)
        failure = f"{lost} of {len(world)} frames interpolated" if lost else None
        solution = found.longest.solution
        name = "the network" if solution is None else solution.chosen
        return PathResult(cameras, seconds, failure, knows_scale=False), name

    def recorder(self, steps: int) -> Callable[..., dict[str, Any]]:
        """Return a diffusers callback that notes the noise level at which each step starts."""
        visited: list[float] = []

        def step_end(pipe: Any, index: int, timestep: Any, latents: Any) -> dict[str, Any]:
            visited.append(float(timestep) / pipe.scheduler.config.num_train_timesteps)
            if index + 1 == steps:
                self._sigmas[steps] = visited
            return {}

        return step_end

    def describe_sigmas(self, steps: int) -> str:
        """Say which noise levels the last run with that many steps really went through."""
        visited = self._sigmas.get(steps)
        levels = "none, every run failed"
        if visited is not None:
            levels = ", ".join(f"{sigma:.3g}" for sigma in [*visited, 0.0])
        return f"Noise levels of {steps} step{'s' if steps > 1 else ''}: {levels}."

    def fitted(self, clip: EvalClip) -> EvalClip:
        """Return a clip at the model's nearest size, cropped as the pipeline crops.

        Depth is kept only where the size does not change.
        """
        resize_crop = ResizeCrop.nearest(
            clip.video.shape[-2], clip.video.shape[-1], self.pipe.sizes
        )
        if (resize_crop.height, resize_crop.width) == (
            resize_crop.model_height,
            resize_crop.model_width,
        ):
            return clip
        cameras = None if clip.cameras is None else resize_crop.cameras(clip.cameras)
        return replace(clip, video=resize_crop.images(clip.video), cameras=cameras, depth=None)

    @torch.no_grad()
    def autoencoder_cameras(self, truth: Cameras, *, fit_steps: int = 2) -> Cameras:
        """Draw cameras as raxels, encode and read them back.

        Args:
            truth: (F,) cameras in pixels of one of the model's sizes.
            fit_steps: Steps of fitting cameras to the latents; 0 reads the decoded raxels alone.

        Raises:
            InputError: The path goes further than the autoencoder's range.
        """
        codec, device = self.pipe.codec, self.pipe.device
        raxels = raxels_from_cameras(truth)[None].to(device, torch.float32)
        fit, _ = read_cameras(codec, codec.encode_raxels(raxels), iterations=fit_steps)
        return fit.cameras[0]

    @torch.no_grad()
    def autoencoder_video(
        self, video: Float[Tensor, "frames 3 H W"]
    ) -> Float[Tensor, "frames 3 H W"]:
        """Encode and decode a video of one of the model's sizes."""
        codec, device = self.pipe.codec, self.pipe.device
        latents = codec.encode_video(video[None].to(device, torch.float32))
        return codec.decode_video(latents)[0].float().cpu()
