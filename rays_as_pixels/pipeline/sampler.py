"""The one denoising loop under all verbs: any subset of video, rays and images may be known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Event
from typing import Any, NamedTuple, cast

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import Cancelled
from rays_as_pixels.model.joint_state import JointState, JointVelocity, ReferenceImages
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.pipeline.schedule import set_sigmas

Generators = torch.Generator | Sequence[torch.Generator] | None
# Up to so many latent cells both halves of guidance go through the network in one call: a fifth
# faster at 336 tokens. Beyond, a call fills the device anyway and one would only take more memory.
ONE_CALL_CELLS = 8192

StepEnd = Callable[[int, Tensor, dict[str, Tensor]], dict[str, Any]]


@dataclass(frozen=True)
class Conditioning:
    """Which latents are known. Each mask is per image; True stays bit-identical.

    Attributes:
        video: (B, C, T, h, w) clean latents, read where `video_known`.
        video_known: (T,) booleans.
        rays: (B, C, F, hr, wr) clean latents, read where `rays_known`.
        rays_known: (F,) booleans.
        reference_images: (B, C, S, h, w) clean latents of single images, or None; always known.
        reference_rays: (B, C, S, hr, wr), read where `reference_rays_known`.
        reference_rays_known: (S,) booleans.
        reference_frame: (S,) frame numbers.
        reference_kind: (S,) SOURCE or SPARSE_TARGET.
        reference_log_depth: (S, height, width), see `ReferenceImages.log_depth`.
    """

    video: Float[Tensor, "batch c t h w"]
    video_known: Tensor
    rays: Float[Tensor, "batch c frames hr wr"]
    rays_known: Tensor
    reference_images: Float[Tensor, "batch c s h w"] | None = None
    reference_rays: Float[Tensor, "batch c s hr wr"] | None = None
    reference_rays_known: Tensor | None = None
    reference_frame: Float[Tensor, "s"] | None = None
    reference_kind: Tensor | None = None
    reference_log_depth: Float[Tensor, "s height width"] | None = None

    def repeated(self, count: int) -> "Conditioning":
        """Return the same for `count` samples, to be denoised at once from different noise."""

        def spread(value: Tensor | None) -> Any:
            return None if value is None else value.expand(count, -1, -1, -1, -1)

        return replace(
            self,
            video=spread(self.video),
            rays=spread(self.rays),
            reference_images=spread(self.reference_images),
            reference_rays=spread(self.reference_rays),
        )


@dataclass(frozen=True)
class SamplerOptions:
    """How to run the loop.

    Attributes:
        num_inference_steps: Euler steps n; the network is called n times (2 n with guidance).
        guidance_scale: 1 for none; above 1 leads away from what the network predicts without rays
            and with the negative prompt.
        shift: Of the noise levels, see `schedule.explicit_sigmas`.
        generator: Source of the starting noise: one for all samples, or one per sample, which then
            comes out as it would alone.
        text: Prompt embeddings, one for all samples or one each; None for the network's own empty
            prompt, or for a network without text.
        negative_text: Of the negative prompt, read where guidance is on; None as for `text`.
        step_end: Called after each step with (step, timestep, latents by name); may return
            replacements, among them `text`, `negative_text` and `guidance_scale`.
        progress: Called with (steps done, steps in all).
        cancel: Checked before each step.
        interrupted: Asked before each step; True ends the loop with the latents as they are.
    """

    num_inference_steps: int
    guidance_scale: float = 1.0
    shift: float = 1.0
    generator: Generators = None
    text: Float[Tensor, "samples k text"] | None = None
    negative_text: Float[Tensor, "samples k text"] | None = None
    step_end: StepEnd | None = None
    progress: Callable[[int, int], None] | None = None
    cancel: Event | None = None
    interrupted: Callable[[], bool] | None = None


def _noise_like(clean: Tensor, generator: Generators) -> Tensor:
    if isinstance(generator, Sequence):
        pairs = zip(clean.split(1), generator, strict=True)
        return torch.cat([_noise_like(part, each) for part, each in pairs])
    device = torch.device("cpu") if generator is None else generator.device
    noise = torch.randn(clean.shape, generator=generator, device=device, dtype=torch.float32)
    return noise.to(device=clean.device, dtype=clean.dtype)


def _start(clean: Tensor, known: Tensor, generator: Generators) -> Tensor:
    mask = known.to(clean.device)[None, None, :, None, None]
    return torch.where(mask, clean, _noise_like(clean, generator))


def _levels(known: Tensor, sigma: float, like: Tensor) -> Float[Tensor, "batch s"]:
    row = torch.where(known, torch.zeros(len(known)), torch.full((len(known),), sigma))
    return row.to(like.device).expand(like.shape[0], -1)


class DenoisedLatents(NamedTuple):
    """What the loop ends with.

    Attributes:
        video: Latents of the clip.
        rays: Latents of its rays.
        log_depth: See `JointVelocity.log_depth`.
    """

    video: Float[Tensor, "batch c t h w"]
    rays: Float[Tensor, "batch c frames hr wr"]
    log_depth: Float[Tensor, "batch h w"] | None


class _Loop:
    """State of one run: what is known, and the current value of what is not."""

    def __init__(self, conditioning: Conditioning, options: SamplerOptions) -> None:
        self.conditioning, self.options = conditioning, options
        self.guidance_scale = options.guidance_scale
        self.text, self.negative_text = options.text, options.negative_text
        generator = options.generator
        self.video = _start(conditioning.video, conditioning.video_known, generator)
        self.rays = _start(conditioning.rays, conditioning.rays_known, generator)
        self.reference_rays = None
        if conditioning.reference_images is not None:
            assert conditioning.reference_rays is not None
            assert conditioning.reference_rays_known is not None
            self.reference_rays = _start(
                conditioning.reference_rays, conditioning.reference_rays_known, generator
            )

    def state(self, sigma: float, *, unconditional: bool = False) -> JointState:
        """Assemble the network's input; `unconditional` hides all rays behind noise (guidance)."""
        conditioning, rays, reference_rays = self.conditioning, self.rays, self.reference_rays
        rays_known, reference_known = conditioning.rays_known, conditioning.reference_rays_known
        ray_level = _levels(rays_known, sigma, rays)
        if unconditional:
            rays = _noise_like(rays, self.options.generator)
            ray_level = torch.ones_like(ray_level)
        reference_images = None
        if conditioning.reference_images is not None:
            assert reference_rays is not None
            assert reference_known is not None
            assert conditioning.reference_frame is not None
            assert conditioning.reference_kind is not None
            reference_level = _levels(reference_known, sigma, reference_rays)
            if unconditional:
                reference_rays = _noise_like(reference_rays, self.options.generator)
                reference_level = torch.ones_like(reference_level)
            batch = len(rays)
            device = rays.device
            depth = conditioning.reference_log_depth
            reference_images = ReferenceImages(
                conditioning.reference_images,
                torch.zeros(batch, conditioning.reference_images.shape[2], device=device),
                reference_rays,
                reference_level,
                conditioning.reference_frame.to(device).expand(batch, -1),
                conditioning.reference_kind.to(device).expand(batch, -1),
                None if depth is None else depth.to(device).expand(batch, -1, -1, -1),
            )
        return JointState(
            self.video,
            _levels(conditioning.video_known, sigma, self.video),
            rays,
            ray_level,
            reference_images,
        )

    def apply(self, name: str, new: Tensor, known: Tensor) -> None:
        mask = known.to(new.device)[None, None, :, None, None]
        setattr(self, name, torch.where(mask, getattr(self, name), new))

    def end_step(self, index: int, timestep: Tensor) -> None:
        """Call `step_end` and take over what it returns."""
        if self.options.step_end is None:
            return
        tensors = {"latents": self.video, "ray_latents": self.rays}
        for name in ("text", "negative_text"):
            if getattr(self, name) is not None:
                tensors[name] = getattr(self, name)
        changed = self.options.step_end(index, timestep, tensors) or {}
        self.apply("video", changed.get("latents", self.video), self.conditioning.video_known)
        self.apply("rays", changed.get("ray_latents", self.rays), self.conditioning.rays_known)
        for name in ("text", "negative_text", "guidance_scale"):
            setattr(self, name, changed.get(name, getattr(self, name)))

    def stops(self, index: int) -> bool:
        """Tell whether to end early; raises Cancelled where the caller asked for that."""
        options = self.options
        if options.cancel is not None and options.cancel.is_set():
            raise Cancelled(f"cancelled before step {index + 1} of {options.num_inference_steps}")
        return options.interrupted is not None and options.interrupted()


def _called(
    model: RaysAsPixelsTransformer3DModel, state: JointState, text: Tensor | None
) -> JointVelocity:
    """Call the network in its own precision; the loop itself stays in the latents' precision."""
    own, loop = model.dtype, state.latents.dtype
    prompt: dict[str, Tensor] = {}
    if text is not None:
        text = text.to(device=state.latents.device, dtype=own)
        prompt["encoder_hidden_states"] = text.expand(len(state.latents), -1, -1)
    if own == loop:
        return model(state, **prompt)
    reference_images = state.reference_images
    if reference_images is not None:
        reference_images = replace(
            reference_images,
            latents=reference_images.latents.to(own),
            ray_latents=reference_images.ray_latents.to(own),
        )
    velocity = model(
        replace(
            state,
            latents=state.latents.to(own),
            ray_latents=state.ray_latents.to(own),
            reference_images=reference_images,
        ),
        **prompt,
    )

    def back(value: Tensor | None) -> Tensor | None:
        return None if value is None else value.to(loop)

    return JointVelocity(
        velocity.video.to(loop),
        velocity.rays.to(loop),
        back(velocity.reference_images),
        back(velocity.reference_rays),
        log_depth=velocity.log_depth,
    )


def _guided(model: RaysAsPixelsTransformer3DModel, loop: _Loop, sigma: float) -> JointVelocity:
    scale = loop.guidance_scale
    if scale == 1.0:
        return _called(model, loop.state(sigma), loop.text)
    state, hidden = loop.state(sigma), loop.state(sigma, unconditional=True)
    texts = _one_call_texts(state, loop.text, loop.negative_text)
    if texts is None:
        velocity = _called(model, state, loop.text)
        unconditional = _called(model, hidden, loop.negative_text).video
    else:
        both = _called(model, _stacked(state, hidden), *texts)
        velocity, unconditional = _first_half(both), both.video[len(both.video) // 2 :]
    video = unconditional + scale * (velocity.video - unconditional)
    return replace(velocity, video=video)


def _one_call_texts(
    state: JointState, text: Tensor | None, negative: Tensor | None
) -> tuple[Tensor | None] | None:
    """Return the prompts of both halves of guidance if they fit one call, else None."""
    cells = state.latents[0, 0].numel() + state.ray_latents[0, 0].numel()
    if cells > ONE_CALL_CELLS or (text is None) != (negative is None):
        return None
    if text is None or negative is None:
        return (None,)
    if text.shape[1:] != negative.shape[1:]:
        return None
    count = len(state.latents)
    return (torch.cat([text.expand(count, -1, -1), negative.expand(count, -1, -1)]),)


def _stacked(one: Any, other: Any) -> Any:
    """Join two states along the batch axis."""
    if isinstance(one, Tensor):
        return torch.cat([one, other])
    if one is None:
        return None
    return replace(one, **{n: _stacked(v, getattr(other, n)) for n, v in vars(one).items()})


def _first_half(velocity: JointVelocity) -> JointVelocity:
    return JointVelocity(
        *(None if v is None else v[: len(v) // 2] for v in vars(velocity).values())  # type: ignore[arg-type]
    )


def _stepped(scheduler: Any, velocity: Tensor, timestep: Tensor, current: Tensor) -> Tensor:
    """Take one step; diffusers asks for a FloatTensor, which no tensor is to a type checker."""
    return scheduler.step(velocity, timestep, current, return_dict=False)[0]


@torch.no_grad()
def denoise_jointly(
    model: RaysAsPixelsTransformer3DModel,
    conditioning: Conditioning,
    options: SamplerOptions,
    *,
    scheduler: FlowMatchEulerDiscreteScheduler,
    ray_scheduler: FlowMatchEulerDiscreteScheduler,
) -> DenoisedLatents:
    """Turn noise into whatever is not known, video and rays along the same noise levels.

    Returns:
        Video and ray latents, of which known parts are bit-identical to what came in.

    Raises:
        Cancelled: `options.cancel` was set; at most one step late.
        InputError: The number of steps is out of range.
    """
    loop = _Loop(conditioning, options)
    device = conditioning.video.device
    steps = options.num_inference_steps
    for each in (scheduler, ray_scheduler):
        set_sigmas(each, steps, device, shift=options.shift)
    log_depth = None
    for index, timestep in enumerate(cast(Tensor, scheduler.timesteps)):
        if loop.stops(index):
            break
        sigma = float(cast(Tensor, scheduler.sigmas)[index])
        velocity = _guided(model, loop, sigma)
        log_depth = velocity.log_depth
        video = _stepped(scheduler, velocity.video, timestep, loop.video)
        # Rays of the images and of the clip take the same step, so they go through as one tensor.
        count = 0 if loop.reference_rays is None else loop.reference_rays.shape[2]
        current, change = loop.rays, velocity.rays
        if loop.reference_rays is not None:
            assert velocity.reference_rays is not None
            current = torch.cat([loop.reference_rays, current], dim=2)
            change = torch.cat([velocity.reference_rays, change], dim=2)
        rays = _stepped(ray_scheduler, change, timestep, current)
        loop.apply("video", video, conditioning.video_known)
        loop.apply("rays", rays[:, :, count:], conditioning.rays_known)
        if conditioning.reference_rays_known is not None:
            loop.apply("reference_rays", rays[:, :, :count], conditioning.reference_rays_known)
        loop.end_step(index, timestep)
        if options.progress is not None:
            options.progress(index + 1, steps)
    return DenoisedLatents(loop.video, loop.rays, log_depth)
