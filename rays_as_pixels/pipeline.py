"""Four verbs over one network: estimate, generate, imagine and loop, the paper's tasks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import AutoencoderKLWan, DiffusionPipeline, FlowMatchEulerDiscreteScheduler
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.diffusion.sampler import Given, SamplerOptions, denoise_jointly
from rays_as_pixels.diffusion.schedule import explicit_sigmas
from rays_as_pixels.errors import InputError
from rays_as_pixels.framing import Framing
from rays_as_pixels.geometry.raxels import RaxelFit, cameras_from_raxels, raxels_from_cameras
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.inputs import (
    RunOptions,
    check_clip_length,
    check_image_frames,
    check_video,
    framed_images,
    path_for_images,
)
from rays_as_pixels.loop import loop_report, pose_spread
from rays_as_pixels.model.checkpoints import check_component_weights, check_model_folder
from rays_as_pixels.model.codec import LatentCodec, latent_frames
from rays_as_pixels.model.joint_transformer import SOURCE, RaysAsPixelsTransformer3DModel
from rays_as_pixels.outputs import EstimateOutput, GenerateOutput, ImagineOutput, LoopOutput


class RaysAsPixelsPipeline(DiffusionPipeline):
    """Video to camera path, images and path to video, or both at once.

    Args:
        vae: Autoencoder of video and raxels.
        transformer: The joint network.
        scheduler: Of the video latents.
        ray_scheduler: Of the raxel latents.
        raxel_latents_mean: Per-channel mean of raxel latents.
        raxel_latents_std: Per-channel deviation of raxel latents.
        num_frames: Clip length the network was trained at.
        max_frames: Longest clip it takes.
        sizes: (height, width) the network was trained at, in pixels.
    """

    model_cpu_offload_seq = "transformer->vae"

    def __init__(  # noqa: PLR0917 - diffusers builds it from these names
        self,
        vae: AutoencoderKLWan,
        transformer: RaysAsPixelsTransformer3DModel,
        scheduler: FlowMatchEulerDiscreteScheduler,
        ray_scheduler: FlowMatchEulerDiscreteScheduler,
        raxel_latents_mean: Sequence[float] = (0.0,),
        raxel_latents_std: Sequence[float] = (1.0,),
        num_frames: int = 9,
        max_frames: int = 17,
        sizes: Sequence[Sequence[int]] = ((64, 64),),
    ) -> None:
        super().__init__()
        self.register_modules(
            vae=vae, transformer=transformer, scheduler=scheduler, ray_scheduler=ray_scheduler
        )
        self.register_to_config(
            raxel_latents_mean=list(raxel_latents_mean),
            raxel_latents_std=list(raxel_latents_std),
            num_frames=num_frames,
            max_frames=max_frames,
            sizes=[list(size) for size in sizes],
        )
        self.num_frames, self.max_frames = num_frames, max_frames
        self.sizes: list[tuple[int, int]] = [(int(s[0]), int(s[1])) for s in sizes]
        self.codec = LatentCodec(vae, raxel_mean=raxel_latents_mean, raxel_std=raxel_latents_std)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **kwargs: Any) -> Any:
        """Load a pipeline from a folder or the Hub, refusing weights that do not fit exactly.

        Raises:
            CheckpointError: Something is missing, damaged or does not fit its config.
        """
        folder = Path(str(pretrained_model_name_or_path))
        if folder.exists() or not _looks_like_hub_id(str(pretrained_model_name_or_path)):
            check_model_folder(folder)
            for name, component in (
                ("vae", AutoencoderKLWan), ("transformer", RaysAsPixelsTransformer3DModel),
            ):  # fmt: skip
                with torch.device("meta"):
                    config = cast(dict[str, Any], component.load_config(folder / name))
                    model = cast(torch.nn.Module, component.from_config(config))
                    expected = set(model.state_dict())
                check_component_weights(folder, name, expected)
        kwargs.setdefault("torch_dtype", torch.float32)
        return super().from_pretrained(pretrained_model_name_or_path, **kwargs)

    # 1. estimate: video -> rays

    @torch.no_grad()
    def estimate(
        self,
        video: Float[Tensor, "frames 3 height width"],
        *,
        fps: float = 10.0,
        time_sec: Tensor | None = None,
        source_frame: tuple[int, ...] | None = None,
        num_inference_steps: int = 2,
        num_seeds: int = 1,
        shared_focal: bool = False,
        **options: Any,
    ) -> EstimateOutput:
        """Predict the camera path of a video: p(rays given video).

        Args:
            video: 4k+1 frames in [0, 1], any size; it is resized and centre-cropped to the nearest
                size in `sizes`.
            fps: Frames per second of these frames, for the trajectory.
            time_sec: (F,) times of the frames, where they are not evenly spaced.
            source_frame: Indices of the frames in the file they came from.
            num_inference_steps: Denoising steps.
            num_seeds: Noise seeds to average over; more than one also gives a spread.
            shared_focal: One focal length for the whole clip, for a lens that does not zoom.
            options: See `RunOptions`.

        Raises:
            InputError: Frame count, size or values break a rule.
            Cancelled: See `RunOptions`.
        """
        run = RunOptions(**options)
        check_video(video, max_frames=self.max_frames)
        if num_seeds < 1:
            raise InputError(
                f"num_seeds must be 1 or more; got {num_seeds}. Use 1 for a quick look."
            )
        framing = Framing.nearest(video.shape[-2], video.shape[-1], self.sizes)
        run.report("encode video", 0, 1)
        latents = self._encode(framing.images(video.to(self._execution_device, torch.float32)))
        given = self._nothing_but_video(latents.expand(num_seeds, -1, -1, -1, -1), video.shape[0])
        _, rays = self._denoise(given, run, num_inference_steps, "estimate path")
        run.report("read cameras", 0, 1)
        raxels = self.codec.decode_raxels(rays).cpu()
        fit = cameras_from_raxels(raxels.mean(0).double(), shared_focal=shared_focal)
        trajectory = self._trajectory(fit, framing, fps, time_sec, source_frame)
        spread = (
            pose_spread(raxels.double(), fit, shared_focal=shared_focal) if num_seeds > 1 else None
        )
        run.report("read cameras", 1, 1)
        return EstimateOutput(
            trajectory=trajectory, raxels=raxels.mean(0), residual=fit.residual, spread=spread
        )

    # 2. generate: images and rays -> video

    @torch.no_grad()
    def generate(
        self,
        images: "Float[Tensor, '3 height width'] | Sequence[Float[Tensor, '3 height width']]",
        trajectory: Trajectory,
        *,
        image_frames: Sequence[int] = (0,),
        image_cameras_known: Sequence[bool] | None = None,
        num_inference_steps: int = 20,
        guidance_scale: float = 1.0,
        **options: Any,
    ) -> GenerateOutput:
        """Make the video seen along a path from images: p(video given rays, images).

        Args:
            images: One image in [0, 1] or several of the same size.
            trajectory: 4k+1 cameras; its image size must have the images' aspect ratio.
            image_frames: The trajectory's frame that each image belongs to.
            image_cameras_known: False for images whose camera is not known; all True if None.
            num_inference_steps: Denoising steps.
            guidance_scale: 1 for none; above 1 follows the path more strongly, at twice the time.
            options: See `RunOptions`.

        Raises:
            InputError: A count, size, aspect ratio or frame number breaks a rule, or the path goes
                further than raxels can hold.
            Cancelled: See `RunOptions`.
        """
        run = RunOptions(**options)
        stack, framing = framed_images(images, self.sizes)
        frames = len(trajectory)
        check_clip_length(frames, max_frames=self.max_frames)
        cameras = path_for_images(trajectory, framing)
        known = [True] * len(stack) if image_cameras_known is None else list(image_cameras_known)
        check_image_frames(image_frames, known, len(stack), frames)
        run.report("encode images", 0, 1)
        raxels = raxels_from_cameras(cameras)[None].to(self._execution_device, torch.float32)
        ray_latents = self.codec.encode_raxels(raxels)
        given = self._sources(stack, image_frames, frames, ray_latents, torch.tensor(known))
        latents, _ = self._denoise(
            given, run, num_inference_steps, "generate video", guidance_scale
        )
        run.report("decode video", 0, 1)
        video = self.codec.decode_video(latents)[0].cpu()
        run.report("decode video", 1, 1)
        return GenerateOutput(
            video=video,
            trajectory=Trajectory(
                cameras, trajectory.fps, trajectory.times_sec, trajectory.source_frame
            ),
        )

    # 3. imagine: images -> video and rays

    @torch.no_grad()
    def imagine(
        self,
        images: "Float[Tensor, '3 height width'] | Sequence[Float[Tensor, '3 height width']]",
        *,
        num_frames: int | None = None,
        fps: float = 10.0,
        image_frames: Sequence[int] = (0,),
        num_inference_steps: int = 20,
        guidance_scale: float = 1.0,
        **options: Any,
    ) -> ImagineOutput:
        """Make a video and its camera path together: p(video, rays given images).

        Args:
            images: One image in [0, 1] or several of the same size.
            num_frames: Length, 4k+1; the model's own if None.
            fps: Frames per second of the result.
            image_frames: Frame that each image belongs to.
            num_inference_steps: Denoising steps.
            guidance_scale: 1 for none.
            options: See `RunOptions`.

        Raises:
            InputError: A count, size or frame number breaks a rule.
            Cancelled: See `RunOptions`.
        """
        run = RunOptions(**options)
        stack, framing = framed_images(images, self.sizes)
        frames = self.num_frames if num_frames is None else num_frames
        check_clip_length(frames, max_frames=self.max_frames)
        unknown = [False] * len(stack)
        check_image_frames(image_frames, unknown, len(stack), frames)
        run.report("encode images", 0, 1)
        given = self._sources(stack, image_frames, frames, None, torch.tensor(unknown))
        latents, rays = self._denoise(given, run, num_inference_steps, "imagine", guidance_scale)
        run.report("decode video", 0, 1)
        video = self.codec.decode_video(latents)[0].cpu()
        raxels = self.codec.decode_raxels(rays)[0].cpu()
        fit = cameras_from_raxels(raxels.double())
        own = Framing(
            framing.model_height, framing.model_width, framing.model_height, framing.model_width
        )
        run.report("decode video", 1, 1)
        return ImagineOutput(
            video=video, trajectory=self._trajectory(fit, own, fps, None, None), raxels=raxels
        )

    # 4. loop: video -> rays -> video -> rays

    def loop(
        self,
        video: Float[Tensor, "frames 3 height width"],
        *,
        fps: float = 10.0,
        time_sec: Tensor | None = None,
        source_frame: tuple[int, ...] | None = None,
        estimate_steps: int = 2,
        generate_steps: int = 20,
        guidance_scale: float = 1.0,
        **options: Any,
    ) -> LoopOutput:
        """Estimate a path, generate along it from the first image, and estimate again.

        Args:
            video: 4k+1 frames in [0, 1].
            fps: Frames per second.
            time_sec: (F,) times of the frames, where they are not evenly spaced.
            source_frame: Indices of the frames in the file they came from.
            estimate_steps: Denoising steps of both estimates.
            generate_steps: Denoising steps of the generation.
            guidance_scale: Of the generation.
            options: See `RunOptions`.

        Raises:
            InputError: See `estimate`.
            Cancelled: See `RunOptions`.
        """
        timing = {"fps": fps, "time_sec": time_sec, "source_frame": source_frame}
        estimated = self.estimate(
            video, num_inference_steps=estimate_steps, **timing, **options
        ).trajectory
        generated = self.generate(
            video[0], estimated, num_inference_steps=generate_steps,
            guidance_scale=guidance_scale, **options,
        )  # fmt: skip
        again = self.estimate(
            generated.video, num_inference_steps=estimate_steps, **timing, **options
        )
        framing = Framing.nearest(video.shape[-2], video.shape[-1], self.sizes)
        reestimated = Trajectory(
            framing.restored(again.trajectory.cameras), fps, estimated.times_sec, source_frame
        )
        seen = framing.images(video.to(torch.float32).cpu())
        report = loop_report(estimated, reestimated, seen, generated.video)
        return LoopOutput(
            estimated=estimated, video=generated.video, reestimated=reestimated, report=report
        )

    def __call__(self, video: Tensor, **kwargs: Any) -> LoopOutput:
        """Close the loop on a video; see `loop`."""
        return self.loop(video, **kwargs)

    # Steps the verbs share

    def _encode(self, images: Float[Tensor, "frames 3 h w"]) -> Float[Tensor, "1 c t h w"]:
        return self.codec.encode_video(images[None])

    def _denoise(
        self, given: Given, run: RunOptions, steps: int, stage: str, guidance_scale: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        explicit_sigmas(steps)
        callback = run.callback_on_step_end

        def step_end(index: int, timestep: Tensor, latents: dict[str, Tensor]) -> dict[str, Tensor]:
            return {} if callback is None else callback(self, index, timestep, latents)

        options = SamplerOptions(
            num_inference_steps=steps,
            guidance_scale=guidance_scale,
            generator=run.generator,
            step_end=step_end,
            progress=lambda done, total: run.report(stage, done, total),
            cancel=run.cancel,
        )
        run.report(stage, 0, steps)
        return denoise_jointly(
            self.transformer, given, options,
            scheduler=self.scheduler, ray_scheduler=self.ray_scheduler,
        )  # fmt: skip

    def _nothing_but_video(self, latents: Float[Tensor, "b c t h w"], frames: int) -> Given:
        rays = latents.new_zeros(
            latents.shape[0], latents.shape[1], frames, latents.shape[3] // 2, latents.shape[4] // 2
        )
        return Given(
            video=latents,
            video_known=torch.ones(latents.shape[2], dtype=torch.bool),
            rays=rays,
            rays_known=torch.zeros(frames, dtype=torch.bool),
        )

    def _sources(
        self,
        stack: Float[Tensor, "n 3 h w"],
        image_frames: Sequence[int],
        frames: int,
        ray_latents: Float[Tensor, "1 c frames hr wr"] | None,
        cameras_known: Tensor,
    ) -> Given:
        """Put images in as clean stills; an image of frame 0 is also the first latent frame."""
        device = self._execution_device
        stills = torch.cat(
            [self._encode(image[None].to(device)) for image in stack.to(torch.float32)], dim=2
        )
        height, width = stills.shape[-2:]
        channels = stills.shape[1]
        rays = ray_latents
        if rays is None:
            rays = stills.new_zeros(1, channels, frames, height // 2, width // 2)
        index = torch.tensor(list(image_frames))
        video = stills.new_zeros(1, channels, latent_frames(frames), height, width)
        video_known = torch.zeros(video.shape[2], dtype=torch.bool)
        if 0 in image_frames:
            video[:, :, 0] = stills[:, :, list(image_frames).index(0)]
            video_known[0] = True
        return Given(
            video=video,
            video_known=video_known,
            rays=rays,
            rays_known=torch.full((frames,), ray_latents is not None),
            stills=stills,
            still_rays=rays[:, :, index.to(device)],
            still_rays_known=cameras_known,
            still_frame=index.float(),
            still_kind=torch.full((len(index),), SOURCE),
        )

    def _trajectory(
        self,
        fit: RaxelFit,
        framing: Framing,
        fps: float,
        time_sec: Tensor | None,
        source_frame: tuple[int, ...] | None,
    ) -> Trajectory:
        cameras = framing.restored(fit.cameras.to(dtype=torch.float64))
        return Trajectory(cameras, fps, time_sec, source_frame)


def _looks_like_hub_id(name: str) -> bool:
    return name.count("/") == 1 and not name.startswith((".", "/", "~"))
