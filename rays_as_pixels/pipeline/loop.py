"""Cycle consistency: path to video to path again, for one round or more, and how far it drifts.

Each round generates along the path that the round before read off its own video. A model that
agrees with itself gets the same path every time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.camera_metrics import frame_errors
from rays_as_pixels.geometry.resize_crop import ResizeCrop
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.video_metrics import psnr_db
from rays_as_pixels.pipeline.outputs import (
    EstimateOutput,
    GenerateOutput,
    LoopOutput,
    LoopReport,
    LoopRound,
)


@dataclass(frozen=True, eq=False)
class LoopStart:
    """What a round starts from.

    Attributes:
        image: (3, H, W) in [0, 1].
        trajectory: Path to generate, for images of its size.
        depth: Of the image, see `EstimateOutput`; None where it is not known.
        source_trajectory: Path whose first camera took the image, in the same world; None for
            `trajectory`.
    """

    image: Float[Tensor, "3 height width"]
    trajectory: Trajectory
    depth: Float[Tensor, "rows columns"] | None = None
    source_trajectory: Trajectory | None = None


GenerateAlong = Callable[[LoopStart, int], GenerateOutput]
EstimateAgain = Callable[[GenerateOutput, int], EstimateOutput]


def loop_rounds(
    start: LoopStart,
    generate: GenerateAlong,
    estimate: EstimateAgain,
    *,
    rounds: int,
    model_sizes: list[tuple[int, int]],
    reference: Float[Tensor, "frames 3 height width"] | None = None,
) -> Iterator[LoopRound]:
    """Go round, and compare every round with what the first one started from.

    Args:
        start: Of the first round; each later one starts from the video before it.
        generate: Generates a round's video; gets the round's number, from 0, too.
        estimate: Estimates the path of a round's video; likewise.
        rounds: How often.
        model_sizes: Sizes (height, width) of the model, at one of which videos are compared.
        reference: The frames that a perfect model would generate; None where there are none.

    Raises:
        InputError: `generate` or `estimate` refuses, as for a path that drifted out of reach.
    """
    first = start.trajectory
    for number in range(rounds):
        generated = generate(start, number)
        estimated = estimate(generated, number)
        reestimated = estimated.trajectory.reanchored()
        report = loop_report(
            first, reestimated, generated.video, reference=reference, model_sizes=model_sizes
        )
        yield LoopRound(generated.video, reestimated, estimated.depth, report)
        start = LoopStart(generated.video[0], reestimated, estimated.depth)


def loop_report(
    first: Trajectory,
    reestimated: Trajectory,
    video: Float[Tensor, "frames 3 height width"],
    *,
    reference: Float[Tensor, "frames 3 heightr widthr"] | None,
    model_sizes: list[tuple[int, int]],
) -> LoopReport:
    """Compare the two paths and the two videos of a loop.

    Args:
        first: The path that the loop began with; only motion is compared, see
            `camera_metrics.frame_errors`.
        reestimated: The path read off the video.
        video: What was generated.
        reference: The frames that the loop began with, at their own size.
        model_sizes: Sizes (height, width) of the model; videos are compared at one of them.
    """
    errors = frame_errors(reestimated.cameras, first.cameras)
    by_frame = None
    if reference is not None:
        made = ResizeCrop.nearest(video.shape[-2], video.shape[-1], model_sizes)
        seen = replace(made, height=reference.shape[-2], width=reference.shape[-1])
        by_frame = psnr_db(made.images(video), seen.images(reference.to("cpu", torch.float32)))
    return LoopReport(
        rotation_error_rad=errors.r_err_rad,
        translation_error=errors.t_err,
        translation_error_fixed_scale=errors.t_err_fixed_scale,
        # Frame 0 is given to the model and would only flatter.
        psnr_db=None if by_frame is None else float(by_frame[1:].mean()),
        rotation_error_rad_by_frame=[0.0, *errors.rotation_rad.tolist()],
        translation_error_by_frame=[0.0, *errors.translation.tolist()],
        psnr_db_by_frame=None if by_frame is None else by_frame.tolist(),
    )


def loop_output(
    estimated: Trajectory, closed: LoopRound, model_sizes: list[tuple[int, int]]
) -> LoopOutput:
    """Put the result of one round together, both paths in pixels of the video it began with."""
    cameras = estimated.cameras
    resize_crop = ResizeCrop.nearest(cameras.height, cameras.width, model_sizes)
    made = replace(resize_crop, height=closed.video.shape[-2], width=closed.video.shape[-1])
    reestimated = Trajectory(
        resize_crop.restored(made.cameras(closed.reestimated.cameras)),
        estimated.fps,
        estimated.times_sec,
        estimated.source_frame,
    )
    return LoopOutput(
        estimated=estimated, video=closed.video, reestimated=reestimated, report=closed.report
    )
