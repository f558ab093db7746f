"""What the pipeline is made of, and how it keeps diffusers' conventions.

Loading and saving, callbacks, interruption, progress bar, offloading: everything that is the same
for the four verbs of `pipeline.RaysAsPixelsPipeline`.
"""

import inspect
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import AutoencoderKLWan, DiffusionPipeline, FlowMatchEulerDiscreteScheduler
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.raxels import raxels_from_cameras
from rays_as_pixels.geometry.resize_crop import ResizeCrop
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.hub.fetch import find_model
from rays_as_pixels.hub.location import HubAccess
from rays_as_pixels.model.autoencoder import RAXEL_LIMIT, LatentCodec
from rays_as_pixels.model.camera_readout import read_cameras
from rays_as_pixels.model.checkpoints import check_component_weights, with_own_classes
from rays_as_pixels.model.root_module import write_root_module
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.pipeline.prompts import PromptEmbeddings, Prompter
from rays_as_pixels.pipeline.sampler import Conditioning, SamplerOptions, denoise_jointly
from rays_as_pixels.pipeline.schedule import explicit_sigmas
from rays_as_pixels.pipeline.validation import RunOptions
from rays_as_pixels.solve.photometric_refinement import refine_photometrically
from rays_as_pixels.solve.plane_sweep import dense_log_depth

# The sampler's names of what a step's callback may see, and diffusers' names.
_SHOWN = {
    "latents": "latents",
    "ray_latents": "ray_latents",
    "text": "prompt_embeds",
    "negative_text": "negative_prompt_embeds",
}


class PipelineBase(DiffusionPipeline):
    """The components of `RaysAsPixelsPipeline`.

    Args:
        vae: Autoencoder of video and raxels.
        transformer: The joint network.
        scheduler: Of the video latents.
        ray_scheduler: Of the raxel latents.
        tokenizer: Of the prompts; None for a model without.
        text_encoder: Of the prompts; None for a model without.
        raxel_latents_mean: Per-channel mean of raxel latents.
        raxel_latents_std: Per-channel deviation of raxel latents.
        num_frames: Clip length the network was trained at.
        max_frames: Longest clip it takes.
        sizes: (height, width) the network was trained at, in pixels.
        error_per_spread: Two of three rotation errors lie below so many times the spread over 4
            views; measured by `scripts/calibrate_spread.py`. None where it was not.
        video_shift: Of a video's noise levels where its path is known, see
            `diffusion.schedule.explicit_sigmas`; above 1 more of the steps are noisy.

    Raises:
        InputError: `video_shift` is not above 0.
    """

    model_cpu_offload_seq = "text_encoder->transformer->vae"
    _optional_components = ["tokenizer", "text_encoder"]  # noqa: RUF012 - diffusers' protocol
    _callback_tensor_inputs = list(_SHOWN.values())  # noqa: RUF012
    _interrupt = False
    _guidance_scale = 1.0

    def __init__(  # noqa: PLR0917 - diffusers builds it from these names
        self,
        vae: AutoencoderKLWan,
        transformer: RaysAsPixelsTransformer3DModel,
        scheduler: FlowMatchEulerDiscreteScheduler,
        ray_scheduler: FlowMatchEulerDiscreteScheduler,
        tokenizer: Any = None,
        text_encoder: torch.nn.Module | None = None,
        raxel_latents_mean: Sequence[float] = (0.0,),
        raxel_latents_std: Sequence[float] = (1.0,),
        num_frames: int = 9,
        max_frames: int = 17,
        sizes: Sequence[Sequence[int]] = ((64, 64),),
        error_per_spread: float | None = None,
        video_shift: float = 1.0,
    ) -> None:
        super().__init__()
        if not 0 < video_shift < math.inf:
            raise InputError(
                f"video_shift must be a number above 0; got {video_shift}. Use 1 for levels that "
                "are evenly spread."
            )
        self.register_modules(
            vae=vae,
            transformer=transformer,
            scheduler=scheduler,
            ray_scheduler=ray_scheduler,
            tokenizer=tokenizer,
            text_encoder=text_encoder,
        )
        self.register_to_config(
            raxel_latents_mean=list(raxel_latents_mean),
            raxel_latents_std=list(raxel_latents_std),
            num_frames=num_frames,
            max_frames=max_frames,
            sizes=[list(size) for size in sizes],
            error_per_spread=error_per_spread,
            video_shift=video_shift,
        )
        self.num_frames, self.max_frames = num_frames, max_frames
        self.sizes: list[tuple[int, int]] = [(int(s[0]), int(s[1])) for s in sizes]

    @property
    def codec(self) -> LatentCodec:
        """Video and raxels to latents and back, through the pipeline's present autoencoder."""
        return LatentCodec(
            self.vae,
            raxel_mean=self.config["raxel_latents_mean"],
            raxel_std=self.config["raxel_latents_std"],
        )

    @property
    def takes_depths(self) -> bool:
        """Whether the network uses what is known of images' depths; those with a view prior do."""
        return self.transformer.view_prior is not None

    @property
    def interrupt(self) -> bool:
        """Whether the run should end; a callback sets `_interrupt`, as in diffusers."""
        return self._interrupt

    @property
    def guidance_scale(self) -> float:
        """Guidance of the run; a callback may set `_guidance_scale`, as in diffusers."""
        return self._guidance_scale

    @classmethod
    def _get_signature_types(cls) -> dict[str, Any]:
        """Name the classes diffusers checks; what it cannot check, it is told not to."""
        names = list(inspect.signature(cls.__init__).parameters)[1:]
        types: dict[str, Any] = dict.fromkeys(names, (inspect.Signature.empty,))
        return types | {
            "vae": (AutoencoderKLWan,),
            "transformer": (RaysAsPixelsTransformer3DModel,),
        }

    @classmethod
    def load_config(cls, *args: Any, **kwargs: Any) -> Any:
        """Read model_index.json; its names always mean this package's classes."""
        return with_own_classes(super().load_config(*args, **kwargs))

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **kwargs: Any) -> Any:
        """Load a pipeline from a folder or the Hub, refusing weights that do not fit exactly.

        Raises:
            CheckpointError: Something is missing, damaged or does not fit its config.
        """
        access = HubAccess(
            token=kwargs.pop("token", None),
            cache=kwargs.pop("cache_dir", None),
            offline=kwargs.pop("local_files_only", None) or None,
        )
        revision = kwargs.pop("revision", None)
        found = find_model(pretrained_model_name_or_path, revision=revision, access=access)
        for name, component in (
            ("vae", AutoencoderKLWan),
            ("transformer", RaysAsPixelsTransformer3DModel),
        ):
            if kwargs.get(name) is not None:
                continue
            with torch.device("meta"):
                config = cast(dict[str, Any], component.load_config(found.folder / name))
                model = cast(torch.nn.Module, component.from_config(config))
                expected = set(model.state_dict())
            check_component_weights(found.folder, name, expected)
        if "dtype" not in kwargs:
            kwargs.setdefault("torch_dtype", torch.float32)
        kwargs.setdefault("use_safetensors", True)
        return super().from_pretrained(found.folder, **kwargs)

    def save_config(self, save_directory: Any, push_to_hub: bool = False, **kwargs: Any) -> None:
        """Write model_index.json, and the root module that diffusers' generic loader runs."""
        super().save_config(save_directory, push_to_hub=push_to_hub, **kwargs)
        write_root_module(Path(save_directory))

    def _prompts(self, run: RunOptions, *, samples: int, guidance_scale: float) -> PromptEmbeddings:
        prompter = Prompter(
            self.transformer,
            tokenizer=self.tokenizer,
            text_encoder=self.text_encoder,
            device=self._execution_device,
        )
        return prompter.embeddings(run, samples=samples, guided=guidance_scale != 1.0)

    def _denoise(
        self,
        given: Conditioning,
        run: RunOptions,
        *,
        steps: int,
        stage: str,
        prompts: PromptEmbeddings,
        guidance_scale: float = 1.0,
        shift: float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        explicit_sigmas(steps)
        self._interrupt, self._guidance_scale = False, guidance_scale
        run.report(stage, 0, steps)
        with ExitStack() as stack:
            bar = None  # who follows the progress needs no bar
            if run.progress is None:
                bar = stack.enter_context(cast(Any, self).progress_bar(total=steps))

            def progress(done: int, total: int) -> None:
                if bar is not None:
                    bar.update()
                run.report(stage, done, total)

            options = SamplerOptions(
                num_inference_steps=steps,
                guidance_scale=guidance_scale,
                shift=shift,
                generator=run.generator,
                text=prompts.positive,
                negative_text=prompts.negative,
                step_end=self._step_end(run),
                progress=progress,
                cancel=run.cancel,
                interrupted=lambda: self._interrupt,
            )
            return denoise_jointly(
                self.transformer,
                given,
                options,
                scheduler=self.scheduler,
                ray_scheduler=self.ray_scheduler,
            )

    def _step_end(self, run: RunOptions) -> Any:
        """Adapt diffusers' callback to the sampler's; None where there is none."""
        callback, names = run.callback_on_step_end, run.callback_on_step_end_tensor_inputs
        if callback is None:
            return None
        if isinstance(callback, PipelineCallback | MultiPipelineCallbacks):
            names = callback.tensor_inputs
        unknown = [name for name in names if name not in self._callback_tensor_inputs]
        if unknown:
            raise InputError(
                "callback_on_step_end_tensor_inputs must be some of "
                f"{', '.join(self._callback_tensor_inputs)}; got {unknown[0]!r}. Leave it out."
            )

        def step_end(index: int, timestep: Tensor, tensors: dict[str, Tensor]) -> dict[str, Any]:
            shown = {_SHOWN[name]: value for name, value in tensors.items()}
            wanted = {name: shown[name] for name in names if name in shown}
            changed = callback(self, index, timestep, wanted) or {}
            own = {name: changed[theirs] for name, theirs in _SHOWN.items() if theirs in changed}
            # diffusers' callbacks write 0 for "no guidance"; here that is 1.
            return {**own, "guidance_scale": self._guidance_scale or 1.0}

        return step_end

    def _check_takes_depths(self) -> None:
        if not self.takes_depths:
            raise InputError(
                "this model takes no depths of images and no footage: its network has no view "
                "prior. Leave them out, or use a model like the default one."
            )

    def _depth_of(self, latents: Float[Tensor, "1 c t h w"]) -> Float[Tensor, "h w"] | None:
        """Return logarithms of the depths of frame 0's cells, where the network tells them."""
        prior = self.transformer.camera_prior
        return None if prior is None else prior.log_depth(latents.to(prior.std.device))[0]

    def _keeping_depths(self) -> AbstractContextManager[None]:
        """Until this ends, the camera prior tells depths along with cameras, not anew."""
        prior = self.transformer.camera_prior
        return nullcontext() if prior is None else prior.keeping_depths()

    def _fitted_to_images(  # noqa: PLR0917 - the first three are bound, see `known.RefineCameras`
        self,
        run: RunOptions,
        images: Sequence[Tensor],
        resize_crop: ResizeCrop,
        order: list[int],
        latents: Float[Tensor, "1 c n h w"],
        rays: Float[Tensor, "1 c n hr wr"],
    ) -> tuple[Float[Tensor, "1 c n hr wr"], Float[Tensor, "height width"] | None]:
        """Move the cameras that images tell until their pixels fit; see `known.RefineCameras`."""
        told = read_cameras(self.codec, rays, iterations=0)[0].cameras[0]
        shown = torch.stack([images[k] for k in order]).to("cpu", torch.float32)
        fine = resize_crop.finer().images(shown)
        check = partial(run.report, "fit path to frames", 0, 1)
        fit = refine_photometrically(fine, told, self._depth_of(latents), before_round=check)
        raxels = raxels_from_cameras(fit.cameras)[None].to(rays.device, torch.float32)
        if float(raxels.abs().max()) > RAXEL_LIMIT:  # so far away no camera can be coded
            return rays, None
        depth = dense_log_depth(fine, fit.cameras, fit.log_depth, inlier_ratio=fit.inlier_ratio)
        return self.codec.encode_raxels(raxels), resize_crop.of_model().map(depth)

    def _encode(self, images: Float[Tensor, "frames 3 h w"]) -> Float[Tensor, "1 c t h w"]:
        return self.codec.encode_video(images[None].to(self._execution_device, torch.float32))

    def _encode_stills(self, stack: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "1 c n h w"]:
        return torch.cat([self._encode(image[None]) for image in stack], dim=2)

    def _trajectory(
        self,
        cameras: Cameras,
        resize_crop: ResizeCrop,
        fps: float,
        time_sec: Tensor | None,
        source_frame: tuple[int, ...] | None,
    ) -> Trajectory:
        restored = resize_crop.restored(cameras.to(dtype=torch.float64))
        return Trajectory(restored, fps, time_sec, source_frame)
