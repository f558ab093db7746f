"""Videos along the true paths, beside copies, the autoencoder alone and the truth."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.evaluation.baselines import trivial as baselines
from rays_as_pixels.evaluation.clips import SCENE_UNITS, EvalClip
from rays_as_pixels.evaluation.tables import Row, Table
from rays_as_pixels.evaluation.tasks.estimate import score_clip
from rays_as_pixels.evaluation.tasks.runner import Progress, Runner
from rays_as_pixels.evaluation.video_scores import (
    VIDEO_COLUMNS,
    VIDEO_NOTES,
    VideoScore,
    score_video,
    summarise_videos,
)
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.pipeline.options import GenerateOptions, RunOptions

PathChange = Callable[[Trajectory], Trajectory]


def clips_for_video(
    runner: Runner, clips: Sequence[EvalClip], progress: Progress
) -> list[EvalClip]:
    """Return the clips with known cameras at the model's size, lengths in scene units.

    Real clips have no scene unit: their true path is scaled to the length of the path that the
    model estimates for them, so that the model is asked for a motion of a size it knows.
    """
    fitted = []
    known = [clip for clip in clips if clip.cameras is not None]
    for index, clip in enumerate(known):
        at_size = runner.fitted(clip)
        assert at_size.cameras is not None
        if clip.unit != SCENE_UNITS:
            generator = runner.generator(index, 0)
            result = runner.estimate(
                at_size.video, at_size.cameras, generator=generator, estimate_depth=False
            )
            extent = float(result.cameras.world_from_cam[:, :3, 3].norm(dim=-1).max())
            if extent > 1e-6:
                at_size = replace(at_size, cameras=at_size.cameras.scaled(extent))
        fitted.append(at_size)
        progress("fit clips", index + 1, len(known))
    return fitted


def generate_scores(
    runner: Runner,
    clips: Sequence[EvalClip],
    *,
    steps: int,
    progress: Progress,
    change: PathChange | None = None,
    label: str = "generate",
    depths: Sequence[Tensor | None] | None = None,
) -> list[VideoScore]:
    """Generate along the true path from the first frame, all clips and seeds.

    Args:
        runner: The model.
        clips: From `clips_for_video`.
        steps: Denoising steps.
        progress: Called per clip.
        change: What to do to the path before it is given (for controls); the result is still
            compared with the true video and the true path.
        label: Name for the progress.
        depths: What is known of each clip's first frame, see `generate`; None for nothing.
    """
    scores = []
    for index, clip in enumerate(clips):
        asked = clip.trajectory()
        given = asked if change is None else change(asked)
        known = None if depths is None or depths[index] is None else [depths[index]]
        for seed in range(runner.settings.seeds):
            scores.append(
                _generate_one(
                    runner, clip, given, index=index, seed=seed, steps=steps, depths=known
                )
            )
        progress(f"{label}, {steps} steps", index + 1, len(clips))
    return scores


def _generate_one(
    runner: Runner,
    clip: EvalClip,
    given: Trajectory,
    *,
    index: int,
    seed: int,
    steps: int,
    depths: list[Tensor | None] | None,
) -> VideoScore:
    generator = runner.generator(index, seed)
    failure, seconds = None, 0.0
    try:
        output, seconds = runner.timed(
            lambda: runner.pipe.generate(
                clip.video[0],
                given,
                image_depths=depths,
                options=GenerateOptions(num_inference_steps=steps, max_upscale=1),
                run=RunOptions(generator=generator, callback_on_step_end=runner.recorder(steps)),
            )
        )
        video = output.video.float().cpu()
    except InputError as error:
        video, failure = baselines.copy_first_frame(clip.video), str(error)
    return _scored(runner, clip, video, seed=seed, seconds=seconds, failure=failure, index=index)


def _scored(
    runner: Runner,
    clip: EvalClip,
    video: Tensor,
    *,
    index: int,
    seed: int = 0,
    seconds: float = 0.0,
    failure: str | None = None,
) -> VideoScore:
    """Score a video and the path that it shows; the estimator's noise is the clip's own."""
    result = runner.estimate(
        video,
        clip.trajectory().cameras,
        generator=runner.generator(index, 10_000 + seed),
        estimate_depth=False,
    )
    path = score_clip(result, clip, seed=seed)
    return score_video(video, clip, seed=seed, seconds=seconds, path=path, failure=failure)


def _found_depths(runner: Runner, clips: Sequence[EvalClip]) -> list[Tensor | None]:
    found: list[Tensor | None] = []
    for index, clip in enumerate(clips):
        truth = clip.trajectory().cameras
        generator = runner.generator(index, 0)
        found.append(runner.estimate(clip.video, truth, generator=generator).depth)
    return found


def reference_scores(
    runner: Runner,
    clips: Sequence[EvalClip],
    progress: Progress,
    only: Sequence[str] = ("copy_first_frame", "autoencoder", "true_video"),
) -> dict[str, list[VideoScore]]:
    """Score the first frame copied, the autoencoder alone and the true video."""
    makers: dict[str, Callable[[EvalClip], Tensor]] = {
        "copy_first_frame": lambda clip: baselines.copy_first_frame(clip.video),
        "autoencoder": lambda clip: runner.autoencoder_video(clip.video),
        "true_video": lambda clip: clip.video,
    }
    scores: dict[str, list[VideoScore]] = {}
    for row_id in only:
        make = makers[row_id]
        scores[row_id] = []
        for index, clip in enumerate(clips):
            video, seconds = runner.timed(lambda make=make, clip=clip: make(clip))
            scores[row_id].append(_scored(runner, clip, video, seconds=seconds, index=index))
            progress(row_id.replace("_", " "), index + 1, len(clips))
    return scores


LABELS = {
    "copy_first_frame": "copy first frame",
    "autoencoder": "autoencoder alone (encode, decode)",
    "true_video": "true video",
}


def video_table(
    key: str,
    title: str,
    scores: dict[str, list[VideoScore]],
    *,
    labels: dict[str, str],
    notes: Sequence[str] = (),
) -> tuple[Table, list[Row]]:
    """Put scores by row id into a table, and every clip's numbers into records."""
    rows: list[Row] = []
    for row_id, found in scores.items():
        summary = summarise_videos(found)
        if row_id == "true_video":  # its PSNR is the cap, which would only mislead
            summary |= dict.fromkeys(["psnr_db", "psnr_median_db", "psnr_seen_db"])
        rows.append({"id": row_id, "label": labels[row_id], **summary})
    records: list[Row] = [
        {"table": key, "row": row_id, **score.to_dict()}
        for row_id, found in scores.items()
        for score in found
    ]
    return Table(key, title, VIDEO_COLUMNS, tuple(rows), (*notes, *VIDEO_NOTES)), records


def generate_task(
    runner: Runner, clips: Sequence[EvalClip], progress: Progress
) -> tuple[Table, list[Row]]:
    """Evaluate `generate` along the true path of every clip whose cameras are known."""
    fitted = clips_for_video(runner, clips, progress)
    scores = reference_scores(runner, fitted, progress)
    labels = dict(LABELS)
    notes = []
    if any(clip.unit != SCENE_UNITS for clip in clips):
        notes.append("Real clips: the true path is scaled to the length of the estimated one.")
    for steps in runner.settings.generate_steps:
        row_id = f"model@{steps}"
        scores[row_id] = generate_scores(runner, fitted, steps=steps, progress=progress)
        labels[row_id] = f"ours, {steps} step{'s' if steps > 1 else ''}"
        notes.append(runner.describe_sigmas(steps))
    if runner.pipe.takes_depths:
        steps = runner.settings.generate_steps[0]
        row_id = f"model_depths@{steps}"
        scores[row_id] = generate_scores(
            runner, fitted, steps=steps, progress=progress, depths=_found_depths(runner, fitted)
        )
        labels[row_id] = f"ours, {steps} step{'s' if steps > 1 else ''}, depths from the clip"
        notes.append(
            "Depths from the clip: the first frame's, as `estimate` finds them with the path, are "
            "given too, as the page does for a video whose path is edited. They rest on the true "
            "video; the other rows see its first frame alone."
        )
    return video_table("generate", "Generate", scores, labels=labels, notes=notes)
