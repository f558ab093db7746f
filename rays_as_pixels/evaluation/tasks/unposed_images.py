"""Cameras of a few images that come without any, made with `imagine`."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.evaluation.baselines.trivial import identity_cameras
from rays_as_pixels.evaluation.clips import EvalClip
from rays_as_pixels.evaluation.scores import PathResult, PathScore
from rays_as_pixels.evaluation.tables import Row, Table
from rays_as_pixels.evaluation.tasks.estimate import baseline_scores, path_table, score_clip
from rays_as_pixels.evaluation.tasks.runner import Progress, Runner
from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.pipeline.options import ImagineOptions, RunOptions

COUNTS = (2, 3, 5)  # images


def unposed_images_task(
    runner: Runner, clips: Sequence[EvalClip], progress: Progress
) -> tuple[Table, list[Row]]:
    """Give 2, 3 or 5 frames of every clip as images, and score the cameras that come out.

    Beside `imagine`, which has only the images: `estimate` on the images alone where they make a
    clip (5), and `estimate` on the whole video they are from, read at the images' frames.
    """
    clips = [runner.fitted(clip) for clip in clips if clip.cameras is not None]
    labels: dict[str, str] = {}
    scores: dict[str, list[PathScore]] = {}
    for index, clip in enumerate(clips):
        truth = clip.trajectory().cameras
        video = runner.estimate(clip.video, truth, generator=runner.generator(index, 0))
        for count in (count for count in COUNTS if count <= len(clip.video)):
            for key, label, score in _scores_of_images(runner, clip, video, count, index=index):
                labels[f"{key}-{count}"] = f"{count} images: {label}"
                scores.setdefault(f"{key}-{count}", []).append(score)
        progress("unposed images", index + 1, len(clips))
    ordered = {key: scores[key] for count in COUNTS for key in scores if key.endswith(f"-{count}")}
    notes = (
        f"{len(clips)} clips; images evenly spaced, the first and the last among them, the order "
        "known, the cameras not. One seed. Constant velocity is given the true motion from the "
        "first image to the second: with 2 images that is the whole answer.",
    )
    return path_table(
        "unposed-images", "Images without cameras", ordered, labels=labels, notes=notes
    )


def _scores_of_images(
    runner: Runner, clip: EvalClip, video: PathResult, count: int, *, index: int
) -> Iterator[tuple[str, str, PathScore]]:
    """Yield key, label and score of each way to get the cameras of `count` of a clip's frames.

    Args:
        runner: The pipeline.
        clip: With true cameras.
        video: The estimate from all of its frames.
        count: How many images.
        index: Of the clip.
    """
    frames = [round(k * (len(clip.video) - 1) / (count - 1)) for k in range(count)]
    chosen = _only(clip, frames)
    for key, found in baseline_scores([chosen]).items():
        yield key, key.replace("_", " "), found[0]
    settings = runner.settings
    for steps in sorted({settings.default_estimate_steps, settings.default_imagine_steps}):
        result = _imagined(runner, clip, frames, index=index, steps=steps)
        yield f"imagine@{steps}", f"imagine, {steps} steps", score_clip(result, chosen)
    if count == 5:
        truth = chosen.trajectory().cameras
        result = runner.estimate(chosen.video, truth, generator=runner.generator(index, 0))
        yield "estimate", "estimate, as a clip of 5", score_clip(result, chosen)
    read = replace(video, cameras=video.cameras[torch.tensor(frames)])
    yield "video", f"estimate from all {len(clip.video)} frames", score_clip(read, chosen)


def _only(clip: EvalClip, frames: Sequence[int]) -> EvalClip:
    index = torch.tensor(list(frames))
    cameras = clip.trajectory().cameras[index]
    depth = None if clip.depth is None else clip.depth[index]
    source = tuple(clip.source_frame[k] for k in frames)
    return replace(clip, video=clip.video[index], cameras=cameras, depth=depth, source_frame=source)


def _imagined(
    runner: Runner, clip: EvalClip, frames: Sequence[int], *, index: int, steps: int
) -> PathResult:
    """Imagine a clip around the images; their cameras are those of the imagined path."""
    truth = clip.trajectory().cameras[torch.tensor(list(frames))]
    try:
        output, seconds = runner.timed(
            lambda: runner.pipe.imagine(
                list(clip.video[list(frames)]),
                num_frames=len(clip.video),
                image_frames=list(frames),
                # The cameras alone are looked at.
                options=ImagineOptions(num_inference_steps=steps, video_steps=0),
                run=RunOptions(generator=runner.generator(index, 0)),
            )
        )
    except InputError as error:
        return PathResult(identity_cameras(truth), 0.0, str(error))
    found: Cameras = output.trajectory.cameras.to(dtype=torch.float64, device="cpu")
    found = found[torch.tensor(list(frames))].resized(height=truth.height, width=truth.width)
    return PathResult(found, seconds)
