"""The first verb, video to rays: of short clips, of long ones, and with a second look between."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.raxels import raxels_from_cameras
from rays_as_pixels.geometry.resize_crop import ResizeCrop
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.memory.guard import explain_out_of_memory
from rays_as_pixels.model.camera_readout import read_cameras
from rays_as_pixels.pipeline.compositing import ShowingComponents
from rays_as_pixels.pipeline.conditioning import condition_on_video
from rays_as_pixels.pipeline.defaults import ESTIMATE_STEPS
from rays_as_pixels.pipeline.flip_augmentation import (
    AugmentedEstimate,
    combined,
    expected_error_deg,
    flips_of,
)
from rays_as_pixels.pipeline.long_video import DEFAULT_OVERLAP, WindowPlan, estimate_in_windows
from rays_as_pixels.pipeline.outputs import EstimateOutput, LongEstimateOutput
from rays_as_pixels.pipeline.validation import RunOptions, check_frames, check_seeds, check_video
from rays_as_pixels.solve.inlier_ratio import MIN_RELATIVE_WITH_EXTRA_FRAMES
from rays_as_pixels.solve.photometric_refinement import refine_photometrically
from rays_as_pixels.solve.plane_sweep import dense_log_depth


class EstimatingComponents(ShowingComponents):
    """The components, and what reads camera paths with them."""

    @explain_out_of_memory
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
        num_flips: int = 1,
        shared_focal: bool = False,
        camera_fit_steps: int | None = None,
        photometric_adjustment: bool = True,
        look_for_depth: bool = True,
        **options: Any,
    ) -> EstimateOutput:
        """Predict the camera path of a video: p(rays given video).

        Args:
            video: Frames in [0, 1], any size; it is resized and centre-cropped to the nearest size
                in `sizes`. From 2 to `max_frames` of them where the autoencoder keeps every frame,
                as the shipped one does; see `model.autoencoder.clip_lengths`.
            fps: Frames per second of these frames, for the trajectory.
            time_sec: (F,) times of the frames, where they are not evenly spaced.
            source_frame: Indices of the frames in the file they came from.
            num_inference_steps: Denoising steps.
            num_seeds: Noise seeds to average over; more than one also gives a spread.
            num_flips: 1, 2 (also mirrored) or 4 (both also backwards) looks at the clip, averaged;
                more than one also gives a spread. Beyond the paper; see `views`.
            shared_focal: One focal length for the whole clip, for a lens that does not zoom.
            camera_fit_steps: Steps of fitting cameras to the latents (`model.camera_fit`), beyond
                the paper; 0 reads them from the decoded raxels alone. None for 2, or for 0 where
                photometric adjustment follows, which starts as well from these.
            photometric_adjustment: Move the network's cameras until patches of some frames fit
                the others (`model.photometric_adjustment`), beyond the paper; False for the
                network's own.
            look_for_depth: Also find the depth of frame 0's pixels (`model.dense_depth`), where
                the path is fitted to the frames; False where it is not needed is half a second
                faster.
            options: See `RunOptions`.

        Raises:
            InputError: Frame count, size or values break a rule.
            Cancelled: See `RunOptions`.
        """
        run = RunOptions(**options)
        check_video(video, max_frames=self.max_frames, temporal_stride=self.codec.temporal_stride)
        check_seeds(num_seeds, run)
        views = flips_of(num_flips)
        resize_crop = ResizeCrop.nearest(video.shape[-2], video.shape[-1], self.sizes)
        fitted = resize_crop.images(video.to(self._execution_device, torch.float32))
        fits = 2 * (not photometric_adjustment) if camera_fit_steps is None else camera_fit_steps
        read = partial(read_cameras, self.codec, shared_focal=shared_focal, iterations=fits)
        fine = resize_crop.finer().images(video.to(torch.float32).cpu())
        answers, decoded = [], []
        for index, view in enumerate(views):
            run.report("encode video", 0, 1)
            latents = self._encode(view.video(fitted))
            with self._keeping_depths():
                rays = self._rays_of(
                    latents,
                    len(video),
                    run,
                    steps=num_inference_steps,
                    num_seeds=num_seeds,
                    number=index,
                )
                told = self._depth_of(latents) if photometric_adjustment else None
            run.report("read cameras", index, len(views))
            mean, drawn = read(rays.mean(0, keepdim=True))
            each = read(rays)[0].cameras if num_seeds > 1 else mean.cameras
            answer = AugmentedEstimate(view, mean.cameras[0], each)
            if photometric_adjustment:
                said = partial(run.report, "fit path to frames", index, len(views))
                answer = answer.adjusted(
                    view.video(fine),
                    told,
                    shared_focal=shared_focal,
                    before_round=said,
                )
            answers.append(answer)
            decoded.append((drawn[0], mean.residual[0]))
        cameras, spread = combined(answers)
        depth = answers[0].log_depth if look_for_depth else None
        if depth is not None:
            run.report("look for depths", 0, 1)
            depth = dense_log_depth(
                fine, cameras, depth, inlier_ratio=answers[0].inlier_ratio or 0.0
            )
        run.report("read cameras", len(views), len(views))
        self.maybe_free_model_hooks()
        return EstimateOutput(
            trajectory=self._trajectory(cameras, resize_crop, fps, time_sec, source_frame),
            raxels=decoded[0][0],
            residual=decoded[0][1],
            spread=spread,
            inlier_ratio=answers[0].inlier_ratio,
            depth=None if depth is None else resize_crop.restored_map(depth).float().exp(),
            expected_error_deg=expected_error_deg(
                spread, self.config["error_per_spread"], num_seeds=num_seeds, num_flips=num_flips
            ),
        )

    @explain_out_of_memory
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
        windows = plan.windows(
            len(video),
            native=self.num_frames,
            longest=self.max_frames,
            temporal_stride=self.codec.temporal_stride,
        )
        run = RunOptions(progress=options.pop("progress", None), cancel=options.get("cancel"))

        def estimated(frames: Tensor, number: int) -> Cameras:
            run.report("estimate windows", number, len(windows))
            quiet = {"progress": lambda *_: None, "look_for_depth": False, **options}
            return self.estimate(frames, shared_focal=shared_focal, **quiet).trajectory.cameras

        found = estimate_in_windows(video, windows, estimated, shared_focal=shared_focal)
        run.report("estimate windows", len(windows), len(windows))
        return LongEstimateOutput(
            trajectory=Trajectory(found.cameras, fps, time_sec, source_frame),
            spread=found.spread,
            windows=found.windows,
            num_outlier_windows=found.num_outlier_windows,
        )

    @explain_out_of_memory
    @torch.no_grad()
    def estimate_with_extra_frames(
        self,
        video: Float[Tensor, "frames 3 height width"],
        estimated: EstimateOutput,
        *,
        longer: Float[Tensor, "more 3 height width"],
        places: Sequence[int],
        shared_focal: bool = False,
        **options: Any,
    ) -> EstimateOutput:
        """Look at the frames between too, where an estimate's path shows little; beyond the paper.

        Far apart, frames have little in common to go by. `longer` is estimated in windows, as by
        `estimate_long`; its cameras of the clip's own frames are fitted to these, and kept unless
        that explains clearly less of them than the estimate does: they rest on more.

        Args:
            video: The F frames that were estimated.
            estimated: What `estimate` said of them.
            longer: The same part of the video with more frames, these among them.
            places: For each of the F frames its index in `longer`; the first is 0.
            shared_focal: As for `estimate`.
            options: See `RunOptions`, and `num_inference_steps`.

        Returns:
            One of the two, by `inlier_ratio`, on the same frames; `frames_seen` of the result says
            that `longer` was looked at. A path found between has its own raxels, drawn.

        Raises:
            InputError: See `estimate_long`; or `places` does not name the frames.
            Cancelled: See `RunOptions`.
        """
        index = torch.as_tensor(list(places))
        if len(index) != len(video) or int(index[0]) or int(index.max()) >= len(longer):
            raise InputError(
                f"places must name {len(video)} of the {len(longer)} frames, the first being 0; "
                f"got {list(places)}. Read both from the same part of the video."
            )
        run = RunOptions(cancel=options.get("cancel"))
        plan = WindowPlan(overlap=min(DEFAULT_OVERLAP, self.num_frames // 2))
        long = self.estimate_long(longer, plan=plan, shared_focal=shared_focal, **options)
        resize_crop = ResizeCrop.nearest(video.shape[-2], video.shape[-1], self.sizes)
        fine = resize_crop.finer().images(video.to(torch.float32).cpu())
        fit = refine_photometrically(
            fine,
            resize_crop.cameras(long.trajectory.cameras[index].relative_to(0)),
            None,
            shared_focal=shared_focal,
            before_round=partial(run.report, "fit path to frames", 0, 1),
        )
        if fit.inlier_ratio < MIN_RELATIVE_WITH_EXTRA_FRAMES * (estimated.inlier_ratio or 0.0):
            return replace(estimated, frames_seen=len(longer))
        run.report("look for depths", 0, 1)
        depth = dense_log_depth(fine, fit.cameras, fit.log_depth, inlier_ratio=fit.inlier_ratio)
        old = estimated.trajectory
        return EstimateOutput(
            trajectory=self._trajectory(
                fit.cameras, resize_crop, old.fps, old.times_sec, old.source_frame
            ),
            raxels=raxels_from_cameras(fit.cameras).to(estimated.raxels),
            residual=torch.zeros_like(estimated.residual),
            spread=None,
            inlier_ratio=fit.inlier_ratio,
            depth=resize_crop.restored_map(depth).float().exp(),
            frames_seen=len(longer),
        )

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
        given = condition_on_video(latents, frames=frames).repeated(num_seeds)
        stage = "estimate path" if number == 0 else f"estimate path, view {number + 1}"
        return self._denoise(given, run, steps=steps, stage=stage, prompts=prompts)[1]
