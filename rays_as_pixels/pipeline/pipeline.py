"""Four verbs over one network, the paper's tasks: estimate (`estimating`) and those here."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.cameras import joined
from rays_as_pixels.geometry.raxels import raxels_from_cameras
from rays_as_pixels.geometry.resize_crop import ResizeCrop
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.memory.guard import explain_out_of_memory
from rays_as_pixels.model.camera_readout import read_cameras
from rays_as_pixels.pipeline.conditioning import (
    condition_on_images,
    with_predicted_cameras,
    with_rays,
)
from rays_as_pixels.pipeline.defaults import (
    ESTIMATE_STEPS,
    GENERATE_STEPS,
    IMAGINE_STEPS,
    MAX_UPSCALE,
)
from rays_as_pixels.pipeline.estimate import EstimatingComponents
from rays_as_pixels.pipeline.loop import loop_report
from rays_as_pixels.pipeline.outputs import GenerateOutput, ImagineOutput, LoopOutput
from rays_as_pixels.pipeline.sampler import Conditioning
from rays_as_pixels.pipeline.source_clip import PosedClip
from rays_as_pixels.pipeline.source_images import PosedImages
from rays_as_pixels.pipeline.validation import (
    RunOptions,
    check_clip_length,
    check_image_frames,
    check_seeds,
    check_upscale,
    framed_images,
)


class RaysAsPixelsPipeline(EstimatingComponents):
    """Video to camera path, images and path to video, or both at once.

    Its components and their arguments are those of `PipelineBase`.
    """

    # 1. estimate: `EstimatingComponents`

    # 2. generate: images and rays -> video

    @explain_out_of_memory
    @torch.no_grad()
    def generate(
        self,
        images: "Float[Tensor, '3 height width'] | Sequence[Float[Tensor, '3 height width']]",
        trajectory: Trajectory,
        *,
        image_frames: Sequence[int] = (0,),
        source_trajectory: Trajectory | None = None,
        image_cameras_known: Sequence[bool] | None = None,
        image_depths: Sequence[Tensor | None] | None = None,
        source_clip: PosedClip | None = None,
        num_inference_steps: int = GENERATE_STEPS,
        guidance_scale: float = 1.0,
        num_seeds: int = 1,
        show_images: bool = True,
        max_upscale: int = MAX_UPSCALE,
        **options: Any,
    ) -> GenerateOutput:
        """Make the video seen along a path from images: p(video given rays, images).

        Args:
            images: One image in [0, 1] or several of the same size.
            trajectory: One camera per frame, see `estimate` for how many; its image size must have
                the images' aspect ratio.
            image_frames: The trajectory's frame that each image belongs to.
            source_trajectory: Path that the images were taken along, in the trajectory's world and
                unit, where that is another; `image_frames` are then frames of it, and the
                trajectory may begin anywhere. Beyond the paper.
            image_cameras_known: False for images whose camera is not known; all True if None.
            image_depths: How far away what each image shows is, along its camera's axis, in scene
                units, as maps (rows, columns) over the whole image on any grid; None for images
                of which nothing is known, whose depths the network tells. Read as at least 0.1
                and at most 20. Beyond the paper.
            source_clip: Frames of a clip with known cameras, drawn where the images show nothing;
                in the path's unit, and its first camera is where the first one of
                `source_trajectory` is, or of the trajectory without. Beyond the paper.
            num_inference_steps: Denoising steps.
            guidance_scale: 1 for none; above 1 follows the path and the prompt more strongly, at
                twice the time.
            num_seeds: Videos to make at once, from different noise.
            show_images: Take what the images show from their pixels, see `showing`, beyond the
                paper; False for the network's own video throughout.
            max_upscale: How many times the model's size the video may be along each side, as far as
                images that are shown have the pixels; the rest is enlarged.
            options: See `RunOptions`.

        Raises:
            InputError: A count, size, aspect ratio or frame number breaks a rule, the path goes
                further than raxels can hold and depths are not known of all images (where they
                are, both are taken at a smaller scale), or this model takes no depths.
            Cancelled: See `RunOptions`.
        """
        run = RunOptions(**options)
        placed = PosedImages.beside(
            trajectory,
            images,
            sizes=self.sizes,
            max_frames=self.max_frames,
            temporal_stride=self.codec.temporal_stride,
            image_frames=image_frames,
            source_trajectory=source_trajectory,
            cameras_known=image_cameras_known,
            depths=image_depths,
        )
        check_seeds(num_seeds, run)
        check_upscale(max_upscale)
        if image_depths is not None or source_clip is not None:
            self._check_takes_depths()
        prompts = self._prompts(run, samples=num_seeds, guidance_scale=guidance_scale)
        run.report("encode images", 0, 1)
        reference_images = self._encode_stills(placed.resize_crop.images(placed.images))
        given = self._given(placed, reference_images)
        latents, _ = self._denoise(
            given.repeated(num_seeds),
            run,
            steps=num_inference_steps,
            stage="generate video",
            prompts=prompts,
            guidance_scale=guidance_scale,
            shift=self.config["video_shift"],
        )
        run.report("decode video", 0, 1)
        videos = self.codec.decode_video(latents).cpu()
        run.report("show images", 0, 1)
        used = placed.known & show_images
        videos = self._with_shown(
            videos,
            placed.images[used],
            reference_images[:, :, used],
            placed.resize_crop,
            taken=placed.taken[used],
            frames=torch.tensor(placed.frames)[used],
            cameras=placed.cameras,
            log_depth=None if placed.log_depth is None else placed.log_depth[used],
            max_upscale=max_upscale,
            source_clip=source_clip if show_images else None,
            origin=placed.origin,
        )
        run.report("show images", 1, 1)
        self.maybe_free_model_hooks()
        cameras = placed.cameras if source_trajectory is None else placed.in_world_of(trajectory)
        path = Trajectory(cameras, trajectory.fps, trajectory.times_sec, trajectory.source_frame)
        path = path.resized(height=videos.shape[-2], width=videos.shape[-1])
        return GenerateOutput(video=videos[0], trajectory=path, videos=videos)

    def _given(
        self, placed: PosedImages, reference_images: Float[Tensor, "1 c n h w"]
    ) -> Conditioning:
        """Encode the rays of a path and of images beside it, and say that these are known."""
        path, taken, log_depth = placed.within_reach()
        raxels = raxels_from_cameras(joined(path, taken) if placed.apart else path)[None]
        rays = self.codec.encode_raxels(raxels.to(self._execution_device, torch.float32))
        frames = len(placed.cameras.world_from_cam)
        return condition_on_images(
            reference_images,
            placed.frames,
            frames=frames,
            rays=rays[:, :, :frames],
            cameras_known=placed.known,
            temporal_stride=self.codec.temporal_stride,
            log_depth=log_depth,
            reference_rays=rays[:, :, frames:] if placed.apart else None,
            shown=placed.shown,
        )

    # 3. imagine: images -> video and rays

    @explain_out_of_memory
    @torch.no_grad()
    def imagine(
        self,
        images: "Float[Tensor, '3 height width'] | Sequence[Float[Tensor, '3 height width']]",
        *,
        num_frames: int | None = None,
        fps: float = 10.0,
        image_frames: Sequence[int] = (0,),
        num_inference_steps: int = IMAGINE_STEPS,
        video_steps: int = GENERATE_STEPS,
        guidance_scale: float = 1.0,
        num_seeds: int = 1,
        show_images: bool = True,
        max_upscale: int = MAX_UPSCALE,
        **options: Any,
    ) -> ImagineOutput:
        """Make a video and its camera path together: p(video, rays given images).

        Several images, one of them frame 0, tell their own cameras where the network has a camera
        prior, and these are fitted to their pixels as in `estimate`; the path goes through them.

        Args:
            images: One image in [0, 1] or several of the same size.
            num_frames: Length, see `estimate`; the model's own if None.
            fps: Frames per second of the result.
            image_frames: Frame that each image belongs to.
            num_inference_steps: Denoising steps of the path and the video together.
            video_steps: Of the video once more, along that path; 0 for none, as in the paper.
            guidance_scale: 1 for none.
            num_seeds: Videos to make at once, from different noise.
            show_images: Take what the images show from their pixels, see `showing`, beyond the
                paper; False for the network's own video throughout.
            max_upscale: How many times the model's size the video may be along each side, as far as
                images that are shown have the pixels; the rest is enlarged.
            options: See `RunOptions`.

        Raises:
            InputError: A count, size or frame number breaks a rule.
            Cancelled: See `RunOptions`.
        """
        run = RunOptions(**options)
        stack, resize_crop = framed_images(images, self.sizes)
        frames = self.num_frames if num_frames is None else num_frames
        check_clip_length(
            frames, max_frames=self.max_frames, temporal_stride=self.codec.temporal_stride
        )
        unknown = [False] * len(stack)
        check_image_frames(image_frames, unknown, len(stack), frames)
        check_seeds(num_seeds, run)
        check_upscale(max_upscale)
        prompts = self._prompts(run, samples=num_seeds, guidance_scale=guidance_scale)
        run.report("encode images", 0, 1)
        reference_images = self._encode_stills(resize_crop.images(stack))
        given = condition_on_images(
            reference_images,
            image_frames,
            frames=frames,
            rays=None,
            cameras_known=torch.tensor(unknown),
            temporal_stride=self.codec.temporal_stride,
        )
        mend = partial(self._fitted_to_images, run, list(images), resize_crop)
        with self._keeping_depths():
            given = with_predicted_cameras(given, image_frames, self.transformer.camera_prior, mend)
        latents, rays = self._denoise(
            given.repeated(num_seeds),
            run,
            steps=num_inference_steps,
            stage="imagine",
            prompts=prompts,
            guidance_scale=guidance_scale,
        )
        if video_steps:
            along = with_rays(given.repeated(num_seeds), rays, image_frames)
            latents, _ = self._denoise(
                along,
                run,
                steps=video_steps,
                stage="generate video",
                prompts=prompts,
                guidance_scale=guidance_scale,
                shift=self.config["video_shift"],
            )
        run.report("decode video", 0, 1)
        videos = self.codec.decode_video(latents).cpu()
        fit, raxels = read_cameras(self.codec, rays)
        run.report("show images", 0, num_seeds)
        stack = stack[: len(stack) * show_images]
        shown_at = torch.tensor(list(image_frames[: len(stack)]), dtype=torch.int64)
        videos = torch.stack(
            [
                self._with_shown(
                    videos[k],
                    stack,
                    reference_images,
                    resize_crop,
                    taken=fit.cameras[k][shown_at],
                    frames=shown_at,
                    cameras=fit.cameras[k],
                    log_depth=given.reference_log_depth,
                    max_upscale=max_upscale,
                )
                for k in range(num_seeds)
            ]
        )
        height, width = videos.shape[-2:]
        paths = tuple(
            self._trajectory(fit.cameras[k], resize_crop.of_model(), fps, None, None).resized(
                height=height, width=width
            )
            for k in range(num_seeds)
        )
        run.report("show images", num_seeds, num_seeds)
        self.maybe_free_model_hooks()
        return ImagineOutput(
            video=videos[0],
            trajectory=paths[0],
            raxels=raxels[0],
            videos=videos,
            trajectories=paths,
        )

    # 4. loop: video -> rays -> video -> rays

    @explain_out_of_memory
    def loop(
        self,
        video: Float[Tensor, "frames 3 height width"],
        *,
        fps: float = 10.0,
        time_sec: Tensor | None = None,
        source_frame: tuple[int, ...] | None = None,
        estimate_steps: int = ESTIMATE_STEPS,
        generate_steps: int = GENERATE_STEPS,
        guidance_scale: float = 1.0,
        show_images: bool = True,
        max_upscale: int = MAX_UPSCALE,
        **options: Any,
    ) -> LoopOutput:
        """Estimate a path, generate along it from the first image, and estimate again.

        The first image's depths, found with the path, go with it where the network takes any.

        Args:
            video: Frames in [0, 1], see `estimate`.
            fps: Frames per second.
            time_sec: (F,) times of the frames, where they are not evenly spaced.
            source_frame: Indices of the frames in the file they came from.
            estimate_steps: Denoising steps of both estimates.
            generate_steps: Denoising steps of the generation.
            guidance_scale: Of the generation.
            show_images: See `generate`.
            max_upscale: See `generate`.
            options: See `RunOptions`.

        Raises:
            InputError: See `estimate`.
            Cancelled: See `RunOptions`.
        """
        timing = {"fps": fps, "time_sec": time_sec, "source_frame": source_frame}
        first = self.estimate(video, num_inference_steps=estimate_steps, **timing, **options)
        estimated = first.trajectory
        generated = self.generate(
            video[0],
            estimated,
            num_inference_steps=generate_steps,
            image_depths=[first.depth] if self.takes_depths else None,
            guidance_scale=guidance_scale,
            show_images=show_images,
            max_upscale=max_upscale,
            **options,
        )
        again = self.estimate(
            generated.video,
            num_inference_steps=estimate_steps,
            look_for_depth=False,
            **timing,
            **options,
        )
        resize_crop = ResizeCrop.nearest(video.shape[-2], video.shape[-1], self.sizes)
        made = replace(
            resize_crop, height=generated.video.shape[-2], width=generated.video.shape[-1]
        )
        reestimated = Trajectory(
            resize_crop.restored(made.cameras(again.trajectory.cameras)),
            fps,
            estimated.times_sec,
            source_frame,
        )
        seen = resize_crop.images(video.to(torch.float32).cpu())
        report = loop_report(estimated, reestimated, seen, made.images(generated.video))
        return LoopOutput(
            estimated=estimated, video=generated.video, reestimated=reestimated, report=report
        )

    def __call__(self, video: Tensor, **kwargs: Any) -> LoopOutput:
        """Close the loop on a video; see `loop`."""
        return self.loop(video, **kwargs)
