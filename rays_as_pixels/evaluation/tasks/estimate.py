"""The estimate tables: our model over steps, beside trivial and classical baselines."""

from collections.abc import Sequence

from rays_as_pixels.evaluation.baselines import trivial
from rays_as_pixels.evaluation.baselines.classical import ClassicalBaseline, run_baseline
from rays_as_pixels.evaluation.clips import SCENE_UNITS, EvalClip
from rays_as_pixels.evaluation.scores import PathResult, PathScore, score_path, summarise
from rays_as_pixels.evaluation.tables import PATH_COLUMNS, PATH_NOTES, Row, Table
from rays_as_pixels.evaluation.tasks.runner import Progress, Runner


def score_clip(result: PathResult, clip: EvalClip, *, seed: int = 0) -> PathScore:
    """Compare an answer with a clip's own truth."""
    return score_path(
        result,
        clip.trajectory().cameras,
        clip=clip.name,
        seed=seed,
        scale_known=clip.unit == SCENE_UNITS,
    )


def baseline_scores(clips: Sequence[EvalClip]) -> dict[str, list[PathScore]]:
    """Score identity and constant velocity."""
    return {
        "identity": [score_clip(trivial.identity(c.trajectory().cameras), c) for c in clips],
        "constant_velocity": [
            score_clip(trivial.constant_velocity(c.trajectory().cameras), c) for c in clips
        ],
    }


def model_scores(
    runner: Runner,
    clips: Sequence[EvalClip],
    *,
    steps: int,
    progress: Progress,
    network_alone: bool = False,
) -> list[PathScore]:
    """Score the model on all clips and seeds, or the network without the fit to the frames."""
    scores = []
    for index, clip in enumerate(clips):
        for seed in range(runner.settings.seeds):
            result = runner.estimate(
                clip.video,
                clip.trajectory().cameras,
                generator=runner.generator(index, seed),
                steps=steps,
                refine=not network_alone,
            )
            scores.append(score_clip(result, clip, seed=seed))
        progress(f"estimate, {steps} steps", index + 1, len(clips))
    return scores


def classical_scores(
    baseline: ClassicalBaseline, clips: Sequence[EvalClip], progress: Progress
) -> list[PathScore]:
    """Score a classical baseline, its failures included."""
    scores = []
    for index, clip in enumerate(clips):
        scores.append(score_clip(run_baseline(baseline, clip), clip))
        progress(baseline.name, index + 1, len(clips))
    return scores


def path_table(
    key: str,
    title: str,
    scores: dict[str, list[PathScore]],
    *,
    labels: dict[str, str],
    notes: Sequence[str] = (),
) -> tuple[Table, list[Row]]:
    """Put scores by row id into a table, and every clip's numbers into records.

    Args:
        key: Key of the table.
        title: Heading.
        scores: By row id; the row `identity`, where there is one, is what clips are counted
            against.
        labels: What people read, by row id.
        notes: Sentences before those on the columns.
    """
    identity = scores.get("identity", [])
    rows: list[Row] = [
        {"id": row_id, "label": labels[row_id], **summarise(found, identity)}
        for row_id, found in scores.items()
    ]
    records: list[Row] = [
        {"table": key, "row": row_id, **score.to_dict()}
        for row_id, found in scores.items()
        for score in found
    ]
    table = Table(key, title, PATH_COLUMNS, tuple(rows), (*notes, *PATH_NOTES))
    return table, records


def estimate_task(
    runner: Runner,
    clips: Sequence[EvalClip],
    baselines: Sequence[ClassicalBaseline],
    progress: Progress,
) -> tuple[Table, list[Row]]:
    """Evaluate `estimate` on every clip whose cameras are known."""
    clips = [clip for clip in clips if clip.cameras is not None]
    scores = baseline_scores(clips)
    labels = {"identity": "identity", "constant_velocity": "constant velocity (given step 0 to 1)"}
    notes = [about_clips(clips)]
    for baseline in baselines:
        scores[baseline.name] = classical_scores(baseline, clips, progress)
        labels[baseline.name] = baseline.name
        notes.append(f"{baseline.name}: {baseline.note}.")
    steps = min(runner.settings.estimate_steps)
    row_id = f"network@{steps}"
    scores[row_id] = model_scores(runner, clips, steps=steps, progress=progress, network_alone=True)
    labels[row_id] = f"our network alone, {_counted(steps)}"
    for steps in runner.settings.estimate_steps:
        row_id = f"model@{steps}"
        scores[row_id] = model_scores(runner, clips, steps=steps, progress=progress)
        labels[row_id] = f"ours, {_counted(steps)}"
        notes.append(runner.describe_sigmas(steps))
        notes.append(_by_seed(labels[row_id], scores[row_id]))
    return path_table("estimate", "Estimate", scores, labels=labels, notes=notes)


def _counted(steps: int) -> str:
    return f"{steps} step{'s' if steps > 1 else ''}"


def about_clips(clips: Sequence[EvalClip]) -> str:
    """Say how many clips there are, of how many frames and which size."""
    sizes = sorted({f"{c.video.shape[-2]}x{c.video.shape[-1]}" for c in clips})
    frames = sorted({len(clip.video) for clip in clips})
    units = " and ".join(sorted({clip.unit for clip in clips}))
    return (
        f"{len(clips)} clips with known cameras of {' or '.join(map(str, frames))} frames at "
        f"{', '.join(sizes)}; lengths in {units}."
    )


def _by_seed(label: str, scores: Sequence[PathScore]) -> str:
    parts = []
    for seed in sorted({score.seed for score in scores}):
        mine = summarise([score for score in scores if score.seed == seed])
        mean, middle = mine["rotation_mean_deg"], mine["rotation_median_deg"]
        parts.append(f"seed {seed}: {mean:.2f} / {middle:.2f}")
    return f"{label}, e_R mean / median in degrees by seed: {'; '.join(parts)}."
