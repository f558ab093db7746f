"""Video to camera path, p(rays given video): short clips, long ones, and with extra frames.

With the shipped weights the transformer's blocks do not run here: the camera prior gives the rays
of every frame (`RaysAsPixelsTransformer3DModel`), and photometric bundle adjustment refines their
cameras. Networks without a camera prior denoise the rays, as in the paper.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.raxels import raxels_from_cameras
from rays_as_pixels.geometry.resize_crop import ResizeCrop
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.clip import Clip
from rays_as_pixels.model.camera_readout import read_cameras
from rays_as_pixels.pipeline.base import PipelineBase
from rays_as_pixels.pipeline.conditioning import condition_on_video
from rays_as_pixels.pipeline.flip_augmentation import (
    AugmentedEstimate,
    Flip,
    average_flips,
    expected_error_deg,
    flips_to_average,
)
from rays_as_pixels.pipeline.long_video import DEFAULT_OVERLAP, WindowPlan, estimate_in_windows
from rays_as_pixels.pipeline.options import (
    EstimateOptions,
    FrameTimes,
    RunOptions,
    check_num_samples,
)
from rays_as_pixels.pipeline.outputs import EstimateOutput, LongEstimateOutput
from rays_as_pixels.pipeline.sampler import DenoisedLatents, Generators
from rays_as_pixels.pipeline.stages import (
    embed_prompts,
    encode_video,
    trajectory_of_input,
)
from rays_as_pixels.pipeline.validation import check_frames, check_video
from rays_as_pixels.solve.inlier_ratio import MIN_RELATIVE_WITH_EXTRA_FRAMES, is_doubtful
from rays_as_pixels.solve.photometric_refinement import refine_photometrically
from rays_as_pixels.solve.plane_sweep import dense_log_depth

ReadExtraFrames = Callable[[], "tuple[Clip, Sequence[int]] | None"]
_READOUT_ITERATIONS = 2  # of fitting cameras to ray latents; refinement starts as well without


@dataclass(frozen=True, eq=False)
class _FlipResult:
    """What one flip of the clip gives.

    Attributes:
        estimate: Its cameras.
        raxels: (F, 3, h, w) decoded.
        residual: (F,) misfit of the cameras to them, scene units.
    """

    estimate: AugmentedEstimate
    raxels: Float[Tensor, "frames 3 h w"]
    residual: Float[Tensor, "frames"]


@torch.no_grad()
def estimate(
    pipe: PipelineBase,
    video: Float[Tensor, "frames 3 height width"],
    *,
    times: FrameTimes,
    options: EstimateOptions,
    run: RunOptions,
) -> EstimateOutput:
    """Estimate the camera path of a clip; see `RaysAsPixelsPipeline.estimate`."""
    check_video(video, max_frames=pipe.max_frames, temporal_stride=pipe.codec.temporal_stride)
    check_num_samples(options.num_samples, run)
    flips = flips_to_average(options.num_flips)
    resize_crop = ResizeCrop.nearest(video.shape[-2], video.shape[-1], pipe.sizes)
    frames = resize_crop.images(video.to(pipe.execution_device, torch.float32))
    fine = resize_crop.finer().images(video.to(torch.float32).cpu())

    results = [
        _estimate_flip(pipe, flip, frames, fine, index=index, options=options, run=run)
        for index, flip in enumerate(flips)
    ]
    cameras, pose_std = average_flips([result.estimate for result in results])
    first = results[0]
    depth = _first_frame_depth(
        fine, cameras, first.estimate, resize_crop=resize_crop, options=options, run=run
    )

    run.report("read cameras", len(flips), len(flips))
    pipe.maybe_free_model_hooks()
    return EstimateOutput(
        trajectory=trajectory_of_input(cameras, resize_crop, times),
        raxels=first.raxels,
        residual=first.residual,
        pose_std=pose_std,
        inlier_ratio=first.estimate.inlier_ratio,
        depth=depth,
        expected_error_deg=expected_error_deg(
            pose_std,
            pipe.config["calibration_factor"],
            num_samples=options.num_samples,
            num_flips=options.num_flips,
        ),
    )


def _estimate_flip(
    pipe: PipelineBase,
    flip: Flip,
    frames: Float[Tensor, "frames 3 h w"],
    fine: Float[Tensor, "frames 3 hf wf"],
    *,
    index: int,
    options: EstimateOptions,
    run: RunOptions,
) -> _FlipResult:
    """Encode, denoise the rays, read cameras off them, and refine these on the pixels."""
    run.report("encode video", 0, 1)
    latents = encode_video(pipe, flip.video(frames))
    denoised = _denoise_rays(pipe, latents, len(frames), index=index, options=options, run=run)

    run.report("read cameras", index, options.num_flips)
    iterations = 0 if options.refine else _READOUT_ITERATIONS
    read = partial(
        read_cameras, pipe.codec, shared_focal=options.shared_focal, iterations=iterations
    )
    mean, raxels = read(denoised.rays.mean(0, keepdim=True))
    each = read(denoised.rays)[0].cameras if options.num_samples > 1 else mean.cameras
    estimated = AugmentedEstimate(flip, mean.cameras[0], each)

    if options.refine:
        estimated = estimated.refined(
            flip.video(fine),
            None if denoised.log_depth is None else denoised.log_depth[0],
            shared_focal=options.shared_focal,
            max_rounds=pipe.config["refine_rounds"],
            before_round=partial(run.report, "fit path to frames", index, options.num_flips),
        )
    return _FlipResult(estimated, raxels[0], mean.residual[0])


def _denoise_rays(
    pipe: PipelineBase,
    latents: Float[Tensor, "1 c t h w"],
    num_frames: int,
    *,
    index: int,
    options: EstimateOptions,
    run: RunOptions,
) -> DenoisedLatents:
    """Denoise the rays of a clip's latents, one row for each sample."""
    prompts = embed_prompts(pipe, run, num_samples=options.num_samples, guidance_scale=1.0)
    conditioning = condition_on_video(latents, frames=num_frames).repeated(options.num_samples)
    stage = "estimate path" if index == 0 else f"estimate path, flip {index + 1}"
    return pipe.denoise(
        conditioning, run, steps=options.num_inference_steps, stage=stage, prompts=prompts
    )


def _first_frame_depth(
    fine: Float[Tensor, "frames 3 hf wf"],
    cameras: Cameras,
    refined: AugmentedEstimate,
    *,
    resize_crop: ResizeCrop,
    options: EstimateOptions,
    run: RunOptions,
) -> Float[Tensor, "rows columns"] | None:
    """Return depths over the whole of frame 0; None where the path was not refined."""
    if refined.log_depth is None or not options.estimate_depth:
        return None
    run.report("estimate depth", 0, 1)
    log_depth = dense_log_depth(
        fine, cameras, refined.log_depth, inlier_ratio=refined.inlier_ratio or 0.0
    )
    return resize_crop.restored_map(log_depth).float().exp()


@torch.no_grad()
def estimate_long(
    pipe: PipelineBase,
    video: Float[Tensor, "frames 3 height width"],
    *,
    times: FrameTimes,
    plan: WindowPlan,
    options: EstimateOptions,
    run: RunOptions,
) -> LongEstimateOutput:
    """Estimate a video of any length in windows; see `RaysAsPixelsPipeline.estimate_long`."""
    check_frames(video)
    windows = plan.windows(
        len(video),
        native=pipe.num_frames,
        longest=pipe.max_frames,
        temporal_stride=pipe.codec.temporal_stride,
    )
    of_window = replace(options, estimate_depth=False)
    quiet = replace(run, progress=lambda *_: None)

    def estimate_window(frames: Tensor, number: int) -> Cameras:
        run.report("estimate windows", number, len(windows))
        return estimate(
            pipe, frames, times=FrameTimes(), options=of_window, run=quiet
        ).trajectory.cameras

    found = estimate_in_windows(video, windows, estimate_window, shared_focal=options.shared_focal)
    run.report("estimate windows", len(windows), len(windows))
    return LongEstimateOutput(
        trajectory=Trajectory(found.cameras, times.fps, times.time_sec, times.source_frame),
        pose_std=found.pose_std,
        windows=found.windows,
        num_outlier_windows=found.num_outlier_windows,
    )


@torch.no_grad()
def estimate_with_extra_frames(
    pipe: PipelineBase,
    video: Float[Tensor, "frames 3 height width"],
    read_extra_frames: ReadExtraFrames,
    *,
    times: FrameTimes,
    options: EstimateOptions,
    run: RunOptions,
) -> EstimateOutput:
    """Estimate; where tracking is weak, estimate again from the frames between these too.

    See `RaysAsPixelsPipeline.estimate_with_extra_frames`.
    """
    first = replace(run, generator=_copied(run.generator))  # both estimates start from one noise
    estimated = estimate(pipe, video, times=times, options=options, run=first)
    one_run = options.num_samples * options.num_flips == 1
    if not (one_run and is_doubtful(estimated.inlier_ratio)):
        return estimated
    run.report("reading the frames between", 0, 1)
    extra = read_extra_frames()
    if extra is None:
        return estimated
    longer, places = extra
    return estimate_from_extra_frames(
        pipe, video, estimated, longer=longer.video, places=places, options=options, run=run
    )


def _copied(generators: Generators) -> Generators:
    if generators is None:
        return None
    if isinstance(generators, torch.Generator):
        return generators.clone_state()
    return [one.clone_state() for one in generators]


@torch.no_grad()
def estimate_from_extra_frames(
    pipe: PipelineBase,
    video: Float[Tensor, "frames 3 height width"],
    estimated: EstimateOutput,
    *,
    longer: Float[Tensor, "more 3 height width"],
    places: Sequence[int],
    options: EstimateOptions,
    run: RunOptions,
) -> EstimateOutput:
    """Estimate the path of a clip from the frames between its own too. Beyond the paper.

    Far apart, frames have little in common. `longer` is estimated in windows; its cameras of the
    clip's own frames are refined on these, and kept unless that explains clearly less of them.

    `places` are the indices of the F frames in `longer`, the first 0. Returned is one of the two,
    by `inlier_ratio`, with `frames_seen` set; a path from `longer` has raxels computed from it.

    Raises:
        InputError: See `estimate_long`; or `places` does not name the frames.
        Cancelled: See `RunOptions`.
    """
    index = _place_index(places, len(video), len(longer))
    plan = WindowPlan(overlap=min(DEFAULT_OVERLAP, pipe.num_frames // 2))
    long = estimate_long(pipe, longer, times=FrameTimes(), plan=plan, options=options, run=run)
    resize_crop = ResizeCrop.nearest(video.shape[-2], video.shape[-1], pipe.sizes)
    fine = resize_crop.finer().images(video.to(torch.float32).cpu())
    start = resize_crop.cameras(long.trajectory.cameras[index].relative_to(0))
    fit = refine_photometrically(
        fine,
        start,
        shared_focal=options.shared_focal,
        max_rounds=pipe.config["refine_rounds"],
        before_round=partial(run.report, "fit path to frames", 0, 1),
    )
    if fit.inlier_ratio < MIN_RELATIVE_WITH_EXTRA_FRAMES * (estimated.inlier_ratio or 0.0):
        return replace(estimated, frames_seen=len(longer))
    run.report("estimate depth", 0, 1)
    depth = dense_log_depth(fine, fit.cameras, fit.log_depth, inlier_ratio=fit.inlier_ratio)
    old = estimated.trajectory
    times = FrameTimes(old.fps, old.times_sec, old.source_frame)
    return EstimateOutput(
        trajectory=trajectory_of_input(fit.cameras, resize_crop, times),
        raxels=raxels_from_cameras(fit.cameras).to(estimated.raxels),
        residual=torch.zeros_like(estimated.residual),
        pose_std=None,
        inlier_ratio=fit.inlier_ratio,
        depth=resize_crop.restored_map(depth).float().exp(),
        frames_seen=len(longer),
    )


def _place_index(places: Sequence[int], num_frames: int, num_longer: int) -> Int[Tensor, "frames"]:
    """Return the places as an index.

    Raises:
        InputError: They are not one for each frame, within the longer clip, the first 0.
    """
    index = torch.as_tensor(list(places))
    if len(index) != num_frames or int(index[0]) or int(index.max()) >= num_longer:
        raise InputError(
            f"places must name {num_frames} of the {num_longer} frames, the first being 0; "
            f"got {list(places)}. Read both from the same part of the video."
        )
    return index
