"""Four verbs over one network: estimate, generate, imagine and loop, the paper's tasks."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.components import JointComponents
from rays_as_pixels.diffusion.steps import ESTIMATE_STEPS, GENERATE_STEPS, IMAGINE_STEPS
from rays_as_pixels.framing import Framing
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.raxels import raxels_from_cameras
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.inputs import (
    RunOptions,
    check_clip_length,
    check_frames,
    check_image_frames,
    check_seeds,
    check_video,
    depths_for_images,
    framed_images,
    path_for_images,
)
from rays_as_pixels.known import only_images, only_video, with_cameras_told, with_rays
from rays_as_pixels.loop import loop_report
from rays_as_pixels.memory.guard import says_what_to_change
from rays_as_pixels.model.camera_fit import read_cameras
from rays_as_pixels.outputs import (
    EstimateOutput,
    GenerateOutput,
    ImagineOutput,
    LongEstimateOutput,
    LoopOutput,
)
from rays_as_pixels.views import Answer, combined, expected_error_deg, views_of
from rays_as_pixels.windows import WindowPlan, estimate_in_windows


class RaysAsPixelsPipeline(JointComponents):
    """Video to camera path, images and path to video, or both at once.

    Its components and their arguments are those of `JointComponents`.
    """

    # 1. estimate: video -> rays

    @says_what_to_change
    @torch.no_grad()
    def estimate(
        self,
        video: Float[Tensor, "frames 3 height width"],
        *,
        fps: float = 10.0,
        time_sec: Tensor | None = None,
        source_frame: tuple[int, ...] | None = None,
        num_inference_steps: int = ESTIMATE_STEPS,
        num_seeds: int = 1,
        num_views: int = 1,
        shared_focal: bool = False,
        camera_fit_steps: int | None = None,
        photometric_adjustment: bool = True,
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
            num_views: 1, 2 (also mirrored) or 4 (both also backwards) looks at the clip, averaged;
                more than one also gives a spread. Beyond the paper; see `views`.
            shared_focal: One focal length for the whole clip, for a lens that does not zoom.
            camera_fit_steps: Steps of fitting cameras to the latents (`model.camera_fit`), beyond
                the paper; 0 reads them from the decoded raxels alone. None for 2, or for 0 where
                photometric adjustment follows, which starts as well from these.
            photometric_adjustment: Move the network's cameras until patches of some frames fit
                the others (`model.photometric_adjustment`), beyond the paper; False for the
                network's own.
            options: See `RunOptions`.

        Raises:
            InputError: Frame count, size or values break a rule.
            Cancelled: See `RunOptions`.
        """
        run = RunOptions(**options)
        check_video(video, max_frames=self.max_frames)
        check_seeds(num_seeds, run)
        views = views_of(num_views)
        framing = Framing.nearest(video.shape[-2], video.shape[-1], self.sizes)
        fitted = framing.images(video.to(self._execution_device, torch.float32))
        fits = 2 * (not photometric_adjustment) if camera_fit_steps is None else camera_fit_steps
        read = partial(read_cameras, self.codec, shared_focal=shared_focal, iterations=fits)
        fine = framing.finer().images(video.to(torch.float32).cpu())
        answers, decoded = [], []
        for index, view in enumerate(views):
            run.report("encode video", 0, 1)
            latents = self._encode(view.video(fitted))
            rays = self._rays_of(latents, len(video), run, steps=num_inference_steps,
                                 num_seeds=num_seeds, number=index)  # fmt: skip
            run.report("read cameras", index, len(views))
            mean, drawn = read(rays.mean(0, keepdim=True))
            each = read(rays)[0].cameras if num_seeds > 1 else mean.cameras
            answer = Answer(view, mean.cameras[0], each)
            if photometric_adjustment:
                run.report("fit path to frames", index, len(views))
                answer = answer.adjusted(
                    view.video(fine), self._depth_of(latents), shared_focal=shared_focal
                )
            answers.append(answer)
            decoded.append((drawn[0], mean.residual[0]))
        cameras, spread = combined(answers)
        depth = answers[0].log_depth
        run.report("read cameras", len(views), len(views))
        self.maybe_free_model_hooks()
        return EstimateOutput(
            trajectory=self._trajectory(cameras, framing, fps, time_sec, source_frame),
            raxels=decoded[0][0], residual=decoded[0][1], spread=spread,
            explained=answers[0].explained,
            depth=None if depth is None else framing.restored_map(depth).float().exp(),
            expected_error_deg=expected_error_deg(
                spread, self.config["error_per_spread"], num_seeds=num_seeds, num_views=num_views
            ),
        )  # fmt: skip

    @says_what_to_change
    def estimate_long(
        self,
        video: Float[Tensor, "frames 3 height width"],
        *,
        fps: float = 10.0,
        time_sec: Tensor | None = None,
        source_frame: tuple[int, ...] | None = None,
        plan: WindowPlan | None = None,
        shared_focal: bool = False,
        **options: Any,
    ) -> LongEstimateOutput:
        """Predict the path of a video of any length, in windows that overlap; see `windows`.

        Args:
            video: 5 frames or more, in [0, 1], any size.
            fps: Frames per second of these frames.
            time_sec: (F,) times of the frames, where they are not evenly spaced.
            source_frame: Indices of the frames in the file they came from.
            plan: Length, overlap and strides of the windows.
            shared_focal: One focal length for the whole video.
            options: Other arguments of `estimate`.

        Raises:
            InputError: See `estimate` and `WindowPlan`.
            Cancelled: See `RunOptions`.
        """
        plan = WindowPlan() if plan is None else plan
        check_frames(video)
        windows = plan.windows(len(video), native=self.num_frames, longest=self.max_frames)
        run = RunOptions(progress=options.pop("progress", None), cancel=options.get("cancel"))

        def estimated(frames: Tensor, number: int) -> Cameras:
            run.report("estimate windows", number, len(windows))
            quiet = {"progress": lambda *_: None, **options}
            return self.estimate(frames, shared_focal=shared_focal, **quiet).trajectory.cameras

        found = estimate_in_windows(video, windows, estimated, shared_focal=shared_focal)
        run.report("estimate windows", len(windows), len(windows))
        return LongEstimateOutput(
            trajectory=Trajectory(found.cameras, fps, time_sec, source_frame),
            spread=found.spread, windows=found.windows, doubted=found.doubted,
        )  # fmt: skip

    # 2. generate: images and rays -> video

    @says_what_to_change
    @torch.no_grad()
    def generate(
        self,
        images: "Float[Tensor, '3 height width'] | Sequence[Float[Tensor, '3 height width']]",
        trajectory: Trajectory,
        *,
        image_frames: Sequence[int] = (0,),
        image_cameras_known: Sequence[bool] | None = None,
        image_depths: Sequence[Tensor | None] | None = None,
        num_inference_steps: int = GENERATE_STEPS,
        guidance_scale: float = 1.0,
        num_seeds: int = 1,
        **options: Any,
    ) -> GenerateOutput:
        """Make the video seen along a path from images: p(video given rays, images).

        Args:
            images: One image in [0, 1] or several of the same size.
            trajectory: 4k+1 cameras; its image size must have the images' aspect ratio.
            image_frames: The trajectory's frame that each image belongs to.
            image_cameras_known: False for images whose camera is not known; all True if None.
            image_depths: How far away what each image shows is, along its camera's axis, in scene
                units, as maps (rows, columns) over the whole image on any grid; None for images
                of which nothing is known, whose depths the network tells. Read as at least 0.1
                and at most 20. Beyond the paper.
            num_inference_steps: Denoising steps.
            guidance_scale: 1 for none; above 1 follows the path and the prompt more strongly, at
                twice the time.
            num_seeds: Videos to make at once, from different noise.
            options: See `RunOptions`.

        Raises:
            InputError: A count, size, aspect ratio or frame number breaks a rule, the path goes
                further than raxels can hold, or this model takes no depths.
            Cancelled: See `RunOptions`.
        """
        run = RunOptions(**options)
        stack, framing = framed_images(images, self.sizes)
        frames = len(trajectory)
        check_clip_length(frames, max_frames=self.max_frames)
        cameras = path_for_images(trajectory, framing)
        known = [True] * len(stack) if image_cameras_known is None else list(image_cameras_known)
        check_image_frames(image_frames, known, len(stack), frames)
        check_seeds(num_seeds, run)
        if image_depths is not None:
            self._check_takes_depths()
        log_depth = depths_for_images(image_depths, len(stack), framing)
        prompts = self._prompts(run, samples=num_seeds, guidance_scale=guidance_scale)
        run.report("encode images", 0, 1)
        raxels = raxels_from_cameras(cameras)[None].to(self._execution_device, torch.float32)
        ray_latents = self.codec.encode_raxels(raxels)
        given = only_images(
            self._encode_stills(stack), image_frames,
            frames=frames, rays=ray_latents, cameras_known=torch.tensor(known),
            temporal_stride=self.codec.temporal_stride, log_depth=log_depth,
        )  # fmt: skip
        latents, _ = self._denoise(
            given.repeated(num_seeds), run, steps=num_inference_steps, stage="generate video",
            prompts=prompts, guidance_scale=guidance_scale,
        )  # fmt: skip
        run.report("decode video", 0, 1)
        videos = self.codec.decode_video(latents).cpu()
        run.report("decode video", 1, 1)
        self.maybe_free_model_hooks()
        path = Trajectory(cameras, trajectory.fps, trajectory.times_sec, trajectory.source_frame)
        return GenerateOutput(video=videos[0], trajectory=path, videos=videos)

    # 3. imagine: images -> video and rays

    @says_what_to_change
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
        **options: Any,
    ) -> ImagineOutput:
        """Make a video and its camera path together: p(video, rays given images).

        Several images, one of them frame 0, tell their own cameras where the network has a camera
        prior, and these are fitted to their pixels as in `estimate`; the path goes through them.

        Args:
            images: One image in [0, 1] or several of the same size.
            num_frames: Length, 4k+1; the model's own if None.
            fps: Frames per second of the result.
            image_frames: Frame that each image belongs to.
            num_inference_steps: Denoising steps of the path and the video together.
            video_steps: Of the video once more, along that path; 0 for none, as in the paper.
            guidance_scale: 1 for none.
            num_seeds: Videos to make at once, from different noise.
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
        check_seeds(num_seeds, run)
        prompts = self._prompts(run, samples=num_seeds, guidance_scale=guidance_scale)
        run.report("encode images", 0, 1)
        given = only_images(
            self._encode_stills(stack), image_frames,
            frames=frames, rays=None, cameras_known=torch.tensor(unknown),
            temporal_stride=self.codec.temporal_stride,
        )  # fmt: skip
        mend = partial(self._fitted_to_images, list(images), framing)
        given = with_cameras_told(given, image_frames, self.transformer.camera_prior, mend)
        latents, rays = self._denoise(
            given.repeated(num_seeds), run, steps=num_inference_steps, stage="imagine",
            prompts=prompts, guidance_scale=guidance_scale,
        )  # fmt: skip
        if video_steps:
            along = with_rays(given.repeated(num_seeds), rays, image_frames)
            latents, _ = self._denoise(
                along, run, steps=video_steps, stage="generate video", prompts=prompts,
                guidance_scale=guidance_scale,
            )  # fmt: skip
        run.report("decode video", 0, 1)
        videos = self.codec.decode_video(latents).cpu()
        fit, raxels = read_cameras(self.codec, rays)
        paths = tuple(
            self._trajectory(fit.cameras[k], framing.of_model(), fps, None, None)
            for k in range(num_seeds)
        )
        run.report("decode video", 1, 1)
        self.maybe_free_model_hooks()
        return ImagineOutput(
            video=videos[0], trajectory=paths[0], raxels=raxels[0], videos=videos,
            trajectories=paths,
        )  # fmt: skip

    # 4. loop: video -> rays -> video -> rays

    @says_what_to_change
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
        **options: Any,
    ) -> LoopOutput:
        """Estimate a path, generate along it from the first image, and estimate again.

        The first image's depths, found with the path, go with it where the network takes any.

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
        first = self.estimate(video, num_inference_steps=estimate_steps, **timing, **options)
        estimated = first.trajectory
        generated = self.generate(
            video[0], estimated, num_inference_steps=generate_steps,
            image_depths=[first.depth] if self.takes_depths else None,
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

    def _rays_of(
        self,
        latents: Float[Tensor, "1 c t h w"],
        frames: int,
        run: RunOptions,
        *,
        steps: int,
        num_seeds: int,
        number: int,
    ) -> Float[Tensor, "seeds c frames hr wr"]:
        """Estimate the ray latents of a clip's latents; `number` is its view's."""
        prompts = self._prompts(run, samples=num_seeds, guidance_scale=1.0)
        given = only_video(latents, frames=frames).repeated(num_seeds)
        stage = "estimate path" if number == 0 else f"estimate path, view {number + 1}"
        return self._denoise(given, run, steps=steps, stage=stage, prompts=prompts)[1]
