"""The pipeline's components and diffusers' conventions: what is the same for the four tasks.

Loading and saving, callbacks, interruption, progress bar, offloading.
"""

import inspect
import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import AutoencoderKLWan, DiffusionPipeline, FlowMatchEulerDiscreteScheduler
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.hub.fetch import find_model
from rays_as_pixels.hub.location import HubAccess
from rays_as_pixels.model.autoencoder import LatentCodec
from rays_as_pixels.model.checkpoints import check_component_weights, with_own_classes
from rays_as_pixels.model.root_module import write_root_module
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.pipeline.options import RunOptions
from rays_as_pixels.pipeline.prompts import PromptEmbeddings
from rays_as_pixels.pipeline.sampler import (
    Conditioning,
    DenoisedLatents,
    SamplerOptions,
    denoise_jointly,
)
from rays_as_pixels.pipeline.schedule import explicit_sigmas
from rays_as_pixels.solve.photometric_refinement import MAX_ROUNDS

# The sampler's names of what a step's callback may see, and diffusers' names.
_TENSOR_NAMES = {
    "latents": "latents",
    "ray_latents": "ray_latents",
    "text": "prompt_embeds",
    "negative_text": "negative_prompt_embeds",
}


@dataclass(frozen=True)
class PipelineSettings:
    """What model_index.json keeps beside the components.

    Attributes:
        raxel_latents_mean: Per-channel mean of raxel latents.
        raxel_latents_std: Per-channel deviation of raxel latents.
        num_frames: Clip length the network was trained at.
        max_frames: Longest clip it takes.
        sizes: (height, width) the network was trained at, in pixels.
        calibration_factor: Two of three rotation errors lie below so many times the standard
            deviation over 4 flips, as `scripts/calibrate_uncertainty.py` measures it; None where
            it was not measured.
        video_shift: Of a video's noise levels where its path is known, see
            `schedule.explicit_sigmas`; above 1 more of the steps are noisy.
        refine_rounds: Most rounds of fitting a path to the frames' pixels, see
            `solve.photometric_refinement`.

    Raises:
        InputError: `video_shift` is not above 0, or `refine_rounds` below 1.
    """

    raxel_latents_mean: Sequence[float] = (0.0,)
    raxel_latents_std: Sequence[float] = (1.0,)
    num_frames: int = 9
    max_frames: int = 17
    sizes: Sequence[Sequence[int]] = ((64, 64),)
    calibration_factor: float | None = None
    video_shift: float = 1.0
    refine_rounds: int = MAX_ROUNDS

    def __post_init__(self) -> None:
        """Check the rules in the class docstring."""
        if not 0 < self.video_shift < math.inf:
            raise InputError(
                f"video_shift must be a number above 0; got {self.video_shift}. Use 1 for levels "
                "that are evenly spaced."
            )
        if self.refine_rounds < 1:
            raise InputError(
                f"refine_rounds must be 1 or more; got {self.refine_rounds}. Use {MAX_ROUNDS}."
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON keeps them."""
        return {
            **vars(self),
            "raxel_latents_mean": list(self.raxel_latents_mean),
            "raxel_latents_std": list(self.raxel_latents_std),
            "sizes": [list(size) for size in self.sizes],
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
        settings: Fields of `PipelineSettings`, by name: model_index.json keeps them flat.
    """

    model_cpu_offload_seq = "text_encoder->transformer->vae"
    _optional_components = ["tokenizer", "text_encoder"]  # noqa: RUF012 - diffusers' protocol
    _callback_tensor_inputs = list(_TENSOR_NAMES.values())  # noqa: RUF012
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
        **settings: Any,
    ) -> None:
        super().__init__()
        kept = PipelineSettings(**settings)
        self.register_modules(
            vae=vae,
            transformer=transformer,
            scheduler=scheduler,
            ray_scheduler=ray_scheduler,
            tokenizer=tokenizer,
            text_encoder=text_encoder,
        )
        self.register_to_config(**kept.to_dict())
        self.num_frames, self.max_frames = kept.num_frames, kept.max_frames
        self.sizes: list[tuple[int, int]] = [(int(s[0]), int(s[1])) for s in kept.sizes]

    @property
    def codec(self) -> LatentCodec:
        """Video and raxels to latents and back, through the pipeline's present autoencoder."""
        return LatentCodec(
            self.vae,
            raxel_mean=self.config["raxel_latents_mean"],
            raxel_std=self.config["raxel_latents_std"],
        )

    @property
    def execution_device(self) -> torch.device:
        """Where tensors are computed, with and without offloading."""
        return self._execution_device

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

    def denoise(
        self,
        conditioning: Conditioning,
        run: RunOptions,
        *,
        steps: int,
        stage: str,
        prompts: PromptEmbeddings,
        guidance_scale: float = 1.0,
        shift: float = 1.0,
    ) -> DenoisedLatents:
        """Run `denoise_jointly` with diffusers' callbacks, interruption and progress bar.

        `stage` is what progress is reported as; for `shift` see `schedule.explicit_sigmas`.
        """
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
                conditioning,
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
            named = {_TENSOR_NAMES[name]: value for name, value in tensors.items()}
            wanted = {name: named[name] for name in names if name in named}
            changed = callback(self, index, timestep, wanted) or {}
            own = {
                name: changed[theirs] for name, theirs in _TENSOR_NAMES.items() if theirs in changed
            }
            # diffusers' callbacks write 0 for "no guidance"; here that is 1.
            return {**own, "guidance_scale": self._guidance_scale or 1.0}

        return step_end


def _flat_signature() -> inspect.Signature:
    """Return the constructor's signature with the settings' names in place of `settings`."""
    components = list(inspect.signature(PipelineBase.__init__).parameters.values())[:-1]
    settings = [
        inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default)
        for one in fields(PipelineSettings)
    ]
    return inspect.Signature([*components, *settings])


# diffusers reads off the signature what model_index.json may hold.
PipelineBase.__init__.__signature__ = _flat_signature()  # type: ignore[attr-defined]
