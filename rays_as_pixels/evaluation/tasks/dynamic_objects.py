"""The same worlds and paths, with objects that move and with the same objects still.

Training has at most two dynamic objects in a world, and mostly none; five are held out.
"""

from collections.abc import Sequence

import torch

from rays_as_pixels.evaluation.clips import EvalClip, first_world, world_clips
from rays_as_pixels.evaluation.scores import PathScore
from rays_as_pixels.evaluation.tables import Row, Table
from rays_as_pixels.evaluation.tasks.estimate import baseline_scores, model_scores, path_table
from rays_as_pixels.evaluation.tasks.runner import Progress, Runner

_SAME_DEPTH = 0.01  # of the depth: beyond it a pixel shows something else


def dynamic_objects_task(
    runner: Runner, clips: Sequence[EvalClip], progress: Progress
) -> tuple[Table, list[Row]]:
    """Evaluate `estimate` on the clips' worlds with five moving objects, and with them still."""
    first = first_world(clips)
    kinds = {
        kind: list(
            world_clips(
                len(clips),
                num_frames=len(clips[0].video),
                sizes=runner.pipe.sizes,
                first_seed=first,
                device=runner.pipe.device,
                dynamic_objects=kind,
            )
        )
        for kind in ("none", "many")
    }
    scores: dict[str, list[PathScore]] = baseline_scores(kinds["none"])
    labels = {"identity": "identity", "constant_velocity": "constant velocity (given step 0 to 1)"}
    steps = runner.settings.default_estimate_steps
    for kind, words in (("none", "five objects stand still"), ("many", "the same five move")):
        scores[kind] = model_scores(runner, kinds[kind], steps=steps, progress=progress)
        labels[kind] = f"ours, {words}"
    share = _changed_share(kinds["none"], kinds["many"])
    notes = (
        f"{len(clips)} held-out worlds from seed {first}, rendered twice along the same paths. In "
        f"frames after frame 0 the moving objects change {100 * share:.0f} % of the pixels.",
        f"{steps} steps. The baselines do not look at the video and are the same for both.",
    )
    return path_table("dynamic-objects", "Dynamic objects", scores, labels=labels, notes=notes)


def _changed_share(still: Sequence[EvalClip], moving: Sequence[EvalClip]) -> float:
    """Return the share of pixels after frame 0 that show another depth when objects move."""
    changed = []
    for one, other in zip(still, moving, strict=True):
        assert one.depth is not None
        assert other.depth is not None
        difference = (one.depth - other.depth)[1:].abs() > _SAME_DEPTH * one.depth[1:]
        changed.append(difference.float().mean())
    return float(torch.stack(changed).mean())
