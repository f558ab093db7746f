"""The unposed table: cameras of a few images that come without any, made with `imagine`."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.evaluation.baselines.trivial import identity_cameras
from rays_as_pixels.evaluation.clips import EvalClip
from rays_as_pixels.evaluation.runner import Progress, Runner
from rays_as_pixels.evaluation.scores import PathResult, PathScore
from rays_as_pixels.evaluation.tables import Row, Table
from rays_as_pixels.evaluation.tasks.estimate import baseline_scores, path_table, score_clip
from rays_as_pixels.geometry.cameras import Cameras

COUNTS = (2, 3, 5)  # images


def unposed_task(
    runner: Runner, clips: Sequence[EvalClip], progress: Progress
) -> tuple[Table, list[Row]]:
    """Give 2, 3 or 5 frames of every clip as images, and score the cameras that come out.

    Beside `imagine`, which has only the images: `estimate` on the images alone where they make a
    clip (5), and `estimate` on the whole video they are from, read at the images' frames.
    """
    clips = [runner.fitted(clip) for clip in clips if clip.cameras is not None]
    steps = runner.settings.default_estimate_steps
    long_steps = runner.settings.default_imagine_steps
    labels: dict[str, str] = {}
    scores: dict[str, list[PathScore]] = {}

    def add(key: str, label: str, score: PathScore) -> None:
        labels[key] = label
        scores.setdefault(key, []).append(score)

    for index, clip in enumerate(clips):
        whole = runner.estimate(
            clip.video, clip.trajectory().cameras, generator=runner.generator(index, 0)
        )
        for count in (count for count in COUNTS if count <= len(clip.video)):
            frames = [round(k * (len(clip.video) - 1) / (count - 1)) for k in range(count)]
            chosen = _only(clip, frames)
            words = f"{count} images"
            for key, found in baseline_scores([chosen]).items():
                add(f"{key}-{count}", f"{words}: {key.replace('_', ' ')}", found[0])
            for number in sorted({steps, long_steps}):
                result = _imagined(runner, clip, frames, index=index, steps=number)
                add(
                    f"imagine@{number}-{count}",
                    f"{words}: imagine, {number} steps",
                    score_clip(result, chosen),
                )
            if count == 5:
                result = runner.estimate(
                    chosen.video, chosen.trajectory().cameras, generator=runner.generator(index, 0)
                )
                add(
                    f"estimate-{count}",
                    f"{words}: estimate, as a clip of 5",
                    score_clip(result, chosen),
                )
            read = replace(whole, cameras=whole.cameras[torch.tensor(frames)])
            add(
                f"video-{count}",
                f"{words}: estimate from all {len(clip.video)} frames",
                score_clip(read, chosen),
            )
        progress("unposed images", index + 1, len(clips))
    ordered = {key: scores[key] for count in COUNTS for key in scores if key.endswith(f"-{count}")}
    notes = (
        f"{len(clips)} clips; images evenly spaced, the first and the last among them, the order "
        "known, the cameras not. One seed. Constant velocity is given the true motion from the "
        "first image to the second: with 2 images that is the whole answer.",
    )
    return path_table("unposed", "Images without cameras", ordered, labels=labels, notes=notes)


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
                num_inference_steps=steps,
                video_steps=0,  # the cameras alone are looked at
                generator=runner.generator(index, 0),
            )
        )
    except InputError as error:
        return PathResult(identity_cameras(truth), 0.0, str(error))
    found: Cameras = output.trajectory.cameras.to(dtype=torch.float64, device="cpu")
    found = found[torch.tensor(list(frames))].resized(height=truth.height, width=truth.width)
    return PathResult(found, seconds)
