"""`RaysAsPixelsPipeline`: one network, the paper's tasks as methods, each over plain functions."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.video import FrameStream, Request, with_frames
from rays_as_pixels.memory.guard import explain_out_of_memory
from rays_as_pixels.pipeline.base import PipelineBase
from rays_as_pixels.pipeline.estimate import (
    ReadExtraFrames,
    estimate,
    estimate_long,
    estimate_with_extra_frames,
)
from rays_as_pixels.pipeline.estimate_video import estimate_video
from rays_as_pixels.pipeline.generate import generate
from rays_as_pixels.pipeline.imagine import imagine
from rays_as_pixels.pipeline.long_video import WindowPlan
from rays_as_pixels.pipeline.loop import LoopStart, loop_output, loop_rounds
from rays_as_pixels.pipeline.options import (
    EstimateOptions,
    FrameTimes,
    GenerateOptions,
    ImagineOptions,
    RunOptions,
)
from rays_as_pixels.pipeline.outputs import (
    EstimateOutput,
    GenerateOutput,
    ImagineOutput,
    LongEstimateOutput,
    LoopOutput,
    VideoEstimateOutput,
)
from rays_as_pixels.pipeline.source_clip import PosedClip
from rays_as_pixels.pipeline.source_images import PosedImages
from rays_as_pixels.pipeline.validation import check_clip_length


class RaysAsPixelsPipeline(PipelineBase):
    """Video to camera path, images and path to video, or both at once.

    Its components and their arguments are those of `PipelineBase`. Which part answers `estimate`
    depends on the weights: with the shipped ones it is the camera prior and then bundle adjustment;
    the transformer's blocks run in `generate` and `imagine`.
    """

    @explain_out_of_memory
    def estimate(
        self,
        video: Float[Tensor, "frames 3 height width"],
        *,
        fps: float = 10.0,
        time_sec: Tensor | None = None,
        source_frame: tuple[int, ...] | None = None,
        options: EstimateOptions = EstimateOptions(),
        run: RunOptions = RunOptions(),
    ) -> EstimateOutput:
        """Estimate the camera path of a video: p(rays given video).

        With a camera prior, as the shipped weights have, the prior gives every frame's rays and
        steps, samples and seeds change nothing; without, the transformer denoises them. Then the
        cameras are refined on the frames' pixels (`EstimateOptions.refine`), beyond the paper.

        Args:
            video: Frames in [0, 1], any size; it is resized and centre-cropped to the nearest size
                in `sizes`. From 2 to `max_frames` of them where the autoencoder keeps every frame,
                as the shipped one does; see `model.clip_lengths`.
            fps: Frames per second of these frames, for the trajectory.
            time_sec: (F,) times of the frames, where they are not evenly spaced.
            source_frame: Indices of the frames in the file they came from.
            options: How to estimate.
            run: Noise, prompts, progress, cancelling.

        Raises:
            InputError: Frame count, size or values break a rule.
            Cancelled: See `RunOptions`.
        """
        times = FrameTimes(fps, time_sec, source_frame)
        return estimate(self, video, times=times, options=options, run=run)

    @explain_out_of_memory
    def estimate_with_extra_frames(
        self,
        video: Float[Tensor, "frames 3 height width"],
        read_extra_frames: ReadExtraFrames,
        *,
        fps: float = 10.0,
        time_sec: Tensor | None = None,
        source_frame: tuple[int, ...] | None = None,
        options: EstimateOptions = EstimateOptions(),
        run: RunOptions = RunOptions(),
    ) -> EstimateOutput:
        """Estimate, and look at the frames between these where tracking is weak; beyond the paper.

        Tracking is weak where a small share of patches is found along the path
        (`inlier_ratio.is_doubtful`). With several samples or flips the estimate stays as it is.

        Args:
            video: As for `estimate`.
            read_extra_frames: Called where tracking is weak: returns the same part of the video
                with more frames, and for each of the F frames its index among these, the first 0;
                None if there are none, as `media.extra_frames.frames_between` does.
            fps: As for `estimate`.
            time_sec: As for `estimate`.
            source_frame: As for `estimate`.
            options: How to estimate.
            run: Noise, prompts, progress, cancelling.

        Raises:
            InputError: See `estimate` and `estimate_long`.
            Cancelled: See `RunOptions`.
        """
        times = FrameTimes(fps, time_sec, source_frame)
        return estimate_with_extra_frames(
            self, video, read_extra_frames, times=times, options=options, run=run
        )

    @explain_out_of_memory
    def estimate_video(
        self,
        video: "FrameStream | str | Path",
        *,
        options: EstimateOptions = EstimateOptions(),
        run: RunOptions = RunOptions(),
    ) -> VideoEstimateOutput:
        """Estimate a camera for every frame of a video of any length; beyond the paper.

        Tracks and features are mapped by structure from motion, with the network's focal length as
        a start; of several candidates the one that explains best what was held out is returned.
        Shots are told apart, and each has a world of its own. Where nothing can be tracked, or
        OpenCV or pycolmap is missing, the path is the network's, and a note says so.

        Args:
            video: A file, an image folder, or frames of one that `media.video.open_frames` chose.
                They are decoded one by one.
            options: `estimate_depth` and, where the path is the network's, `refine` count.
            run: Progress and cancelling.

        Raises:
            InputError: The input cannot be read, or has fewer than 2 frames.
            Cancelled: See `RunOptions`. Where parts of a long video, or shots, are solved by then,
                they are returned, and a note says so.
        """
        use = partial(estimate_video, self, options=options, run=run)
        if isinstance(video, FrameStream):
            return use(video)
        return with_frames(video, Request(), use)

    @explain_out_of_memory
    def estimate_long(
        self,
        video: Float[Tensor, "frames 3 height width"],
        *,
        fps: float = 10.0,
        time_sec: Tensor | None = None,
        source_frame: tuple[int, ...] | None = None,
        plan: WindowPlan = WindowPlan(),
        options: EstimateOptions = EstimateOptions(),
        run: RunOptions = RunOptions(),
    ) -> LongEstimateOutput:
        """Estimate the path of a video of any length in overlapping windows; see `long_video`.

        Args:
            video: 5 frames or more, in [0, 1], any size.
            fps: As for `estimate`.
            time_sec: As for `estimate`.
            source_frame: As for `estimate`.
            plan: Length, overlap and strides of the windows.
            options: How to estimate each window.
            run: Noise, prompts, progress, cancelling.

        Raises:
            InputError: See `estimate` and `WindowPlan`.
            Cancelled: See `RunOptions`.
        """
        times = FrameTimes(fps, time_sec, source_frame)
        return estimate_long(self, video, times=times, plan=plan, options=options, run=run)

    @explain_out_of_memory
    def generate(
        self,
        images: "Float[Tensor, '3 height width'] | Sequence[Float[Tensor, '3 height width']]",
        trajectory: Trajectory,
        *,
        image_frames: Sequence[int] = (0,),
        source_trajectory: Trajectory | None = None,
        image_depths: Sequence[Tensor | None] | None = None,
        source_clip: PosedClip | None = None,
        options: GenerateOptions = GenerateOptions(),
        run: RunOptions = RunOptions(),
    ) -> GenerateOutput:
        """Generate the video along a path from images: p(video given rays, images).

        What the images show is rendered from their own pixels (`compositing`), beyond the paper,
        where the network has a view prior; it fills in the rest.

        Args:
            images: One image in [0, 1] or several of the same size.
            trajectory: One camera per frame, see `estimate` for how many; its image size must have
                the images' aspect ratio.
            image_frames: The trajectory's frame that each image belongs to.
            source_trajectory: Path that the images were taken along, in the trajectory's world and
                unit, where that is another; `image_frames` are then frames of it. Beyond the paper.
            image_depths: Depth maps (rows, columns) of the images along their cameras' axes, in
                scene units, read as 0.1 to 20; None for images without. Beyond the paper.
            source_clip: A clip with known cameras to render from where the images show nothing; in
                the path's unit, its first camera where the first of `source_trajectory` is, or of
                the trajectory without. Beyond the paper.
            options: How to generate.
            run: Noise, prompts, progress, cancelling.

        Raises:
            InputError: A count, size, aspect ratio or frame number breaks a rule, the path goes
                further than raxels can hold and depths are not known of all images (where they
                are, both are scaled down), or this model takes no depths.
            Cancelled: See `RunOptions`.
        """
        posed = PosedImages.from_inputs(
            trajectory,
            images,
            sizes=self.sizes,
            image_frames=image_frames,
            source_trajectory=source_trajectory,
            depths=image_depths,
        )
        stride = self.codec.temporal_stride
        check_clip_length(len(trajectory), max_frames=self.max_frames, temporal_stride=stride)
        return generate(self, posed, trajectory, source_clip=source_clip, options=options, run=run)

    @explain_out_of_memory
    def imagine(
        self,
        images: "Float[Tensor, '3 height width'] | Sequence[Float[Tensor, '3 height width']]",
        *,
        num_frames: int | None = None,
        fps: float = 10.0,
        image_frames: Sequence[int] = (0,),
        options: ImagineOptions = ImagineOptions(),
        run: RunOptions = RunOptions(),
    ) -> ImagineOutput:
        """Generate a video and its camera path together: p(video, rays given images).

        Where the network has a camera prior, the cameras of several images, one of them frame 0,
        are predicted and refined as in `estimate`, and the path goes through them.

        Args:
            images: One image in [0, 1] or several of the same size.
            num_frames: Length, see `estimate`; the model's own if None.
            fps: Frames per second of the result.
            image_frames: Frame that each image belongs to.
            options: How to imagine.
            run: Noise, prompts, progress, cancelling.

        Raises:
            InputError: A count, size or frame number breaks a rule.
            Cancelled: See `RunOptions`.
        """
        return imagine(
            self,
            images,
            num_frames=self.num_frames if num_frames is None else num_frames,
            fps=fps,
            image_frames=image_frames,
            options=options,
            run=run,
        )

    @explain_out_of_memory
    def loop(
        self,
        video: Float[Tensor, "frames 3 height width"],
        *,
        fps: float = 10.0,
        time_sec: Tensor | None = None,
        source_frame: tuple[int, ...] | None = None,
        estimate_options: EstimateOptions = EstimateOptions(),
        generate_options: GenerateOptions = GenerateOptions(),
        run: RunOptions = RunOptions(),
    ) -> LoopOutput:
        """Estimate a path, generate along it from the first image, and estimate again.

        The first image's depths, found with the path, go with it where the network takes any.

        Args:
            video: As for `estimate`.
            fps: As for `estimate`.
            time_sec: As for `estimate`.
            source_frame: As for `estimate`.
            estimate_options: Of both estimates.
            generate_options: Of the video between.
            run: Noise, prompts, progress, cancelling.

        Raises:
            InputError: See `estimate`.
            Cancelled: See `RunOptions`.
        """
        times = {"fps": fps, "time_sec": time_sec, "source_frame": source_frame}
        first = self.estimate(video, **times, options=estimate_options, run=run)
        again = replace(estimate_options, estimate_depth=False)
        (closed,) = loop_rounds(
            LoopStart(video[0], first.trajectory, first.depth),
            lambda start, _: self.generate(
                start.image,
                start.trajectory,
                image_depths=[start.depth] if self.takes_depths else None,
                options=generate_options,
                run=run,
            ),
            lambda made, _: self.estimate(made.video, **times, options=again, run=run),
            rounds=1,
            model_sizes=self.sizes,
            reference=video,
        )
        return loop_output(first.trajectory, closed, self.sizes)

    def __call__(self, video: Tensor, **kwargs: Any) -> LoopOutput:
        """Close the loop on a video; see `loop`."""
        return self.loop(video, **kwargs)
