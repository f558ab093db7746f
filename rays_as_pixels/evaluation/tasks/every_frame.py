"""The estimate table where every frame of a clip is posed: `estimate_video` beside baselines."""

from collections import Counter
from collections.abc import Sequence

from rays_as_pixels.evaluation.baselines import trivial
from rays_as_pixels.evaluation.baselines.classical import ClassicalBaseline
from rays_as_pixels.evaluation.clips import EvalClip
from rays_as_pixels.evaluation.scores import PathScore
from rays_as_pixels.evaluation.tables import Row, Table
from rays_as_pixels.evaluation.tasks.estimate import (
    about_clips,
    classical_scores,
    path_table,
    score_clip,
)
from rays_as_pixels.evaluation.tasks.runner import Progress, Runner

_SOURCES = "Cameras of every frame, lost ones counted as failures and scored as they are given."


def every_frame_task(
    runner: Runner,
    clips: Sequence[EvalClip],
    baselines: Sequence[ClassicalBaseline],
    progress: Progress,
) -> tuple[Table, list[Row]]:
    """Evaluate `estimate` without --frames N on every clip whose cameras are known."""
    clips = [clip for clip in clips if clip.cameras is not None]
    still = [score_clip(trivial.identity(clip.trajectory().cameras), clip) for clip in clips]
    scores: dict[str, list[PathScore]] = {"identity": still}
    labels = {"identity": "identity"}
    notes = [about_clips(clips), _SOURCES]
    for baseline in baselines:
        scores[baseline.name] = classical_scores(baseline, clips, progress)
        labels[baseline.name] = baseline.name
        notes.append(f"{baseline.name}: {baseline.note}.")
    scores["model"], chosen = [], Counter()
    for index, clip in enumerate(clips):
        result, name = runner.estimate_every_frame(clip)
        chosen[name] += 1
        scores["model"].append(score_clip(result, clip))
        progress("estimate, every frame", index + 1, len(clips))
    labels["model"] = "ours"
    notes.append(
        "ours: tracks and features by structure from motion, started from the network's focal "
        "length; seconds are of tracking, the network and all candidates."
    )
    shares = ", ".join(f"{name} {count} of {len(clips)}" for name, count in chosen.most_common())
    notes.append(f"Chosen by what was held out: {shares}.")
    return path_table(
        "estimate-every-frame", "Estimate, every frame", scores, labels=labels, notes=notes
    )
