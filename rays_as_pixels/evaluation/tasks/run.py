"""One evaluation: clips and a pipeline in, tables out, as markdown and as JSON."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rays_as_pixels.errors import InputError
from rays_as_pixels.evaluation.baselines.classical import ClassicalBaseline
from rays_as_pixels.evaluation.baselines.registry import installed_baselines
from rays_as_pixels.evaluation.clips import EvalClip
from rays_as_pixels.evaluation.tables import Row, Table
from rays_as_pixels.evaluation.tasks.autoencoder import autoencoder_task
from rays_as_pixels.evaluation.tasks.controls import estimate_controls, generate_controls
from rays_as_pixels.evaluation.tasks.cycle import imagine_task, loop_task
from rays_as_pixels.evaluation.tasks.dynamic_objects import dynamic_objects_task
from rays_as_pixels.evaluation.tasks.estimate import estimate_task
from rays_as_pixels.evaluation.tasks.every_frame import every_frame_task
from rays_as_pixels.evaluation.tasks.generate import generate_task
from rays_as_pixels.evaluation.tasks.long_video import long_video_task
from rays_as_pixels.evaluation.tasks.runner import Progress, Runner, Settings
from rays_as_pixels.evaluation.tasks.uncertainty import uncertainty_task
from rays_as_pixels.evaluation.tasks.unposed_images import unposed_images_task

if TYPE_CHECKING:
    from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline

RESULT_FORMAT = "rays-as-pixels/evaluation"
RESULT_VERSION = 1
JSON_NAME, MARKDOWN_NAME = "evaluation.json", "evaluation.md"


@dataclass(frozen=True)
class EvaluationResult:
    """Tables of one evaluation.

    Attributes:
        source: What the clips are, in words.
        clips: Names of the clips, with the source frames that were used.
        settings: Of the evaluation.
        tables: By key, in the order in which they ran.
        records: One row per clip, seed and method.
        about: Free facts for the head of the report, for example the model's name.
    """

    source: str
    clips: tuple[dict[str, object], ...]
    settings: Settings
    tables: dict[str, Table]
    records: tuple[Row, ...] = ()
    about: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """Return what JSON holds; undefined numbers are None."""
        return {
            "format": RESULT_FORMAT,
            "version": RESULT_VERSION,
            "about": self.about,
            "source": self.source,
            "settings": asdict(self.settings),
            "clips": list(self.clips),
            "tables": {key: table.to_dict() for key, table in self.tables.items()},
            "records": [dict(record) for record in self.records],
        }

    def markdown(self) -> str:
        """Return the report."""
        lines = ["# Evaluation", "", f"- Clips: {self.source}"]
        lines += [f"- {name}: {text}" for name, text in self.about.items()]
        lines.append(f"- Seeds per clip: {self.settings.seeds}, from {self.settings.seed}")
        lines.append(
            f"- Default steps: estimate {self.settings.default_estimate_steps}, "
            f"generate {self.settings.default_generate_steps}, "
            f"imagine {self.settings.default_imagine_steps}"
        )
        return "\n".join(lines) + "\n\n" + "\n".join(t.markdown() for t in self.tables.values())

    def write(self, folder: Path) -> None:
        """Write `evaluation.json` and `evaluation.md` into an existing folder."""
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False)
        (folder / JSON_NAME).write_text(text + "\n", encoding="utf-8")
        (folder / MARKDOWN_NAME).write_text(self.markdown(), encoding="utf-8")


def _silent(stage: str, done: int, total: int) -> None:
    """Report nothing."""


def evaluate(
    pipe: "RaysAsPixelsPipeline",
    clips: Sequence[EvalClip],
    settings: Settings | None = None,
    *,
    source: str = "",
    about: dict[str, str] | None = None,
    baselines: Sequence[ClassicalBaseline] | None = None,
    progress: Progress | None = None,
) -> EvaluationResult:
    """Evaluate a pipeline on clips.

    Args:
        pipe: The pipeline, on the device where it is to run.
        clips: From `clips.world_clips` or `clips.real_clip`. Tasks that need true cameras use only
            those that have them; the loop uses all.
        settings: Tasks, steps and seeds; the full evaluation if None.
        source: What the clips are, for the report.
        about: More facts for the report.
        baselines: Classical estimators to run if `settings.baselines`; all installed ones if None.
        progress: Called with (stage, done, total).

    Raises:
        InputError: There are no clips, or none has cameras and a task needs them.
    """
    settings = Settings() if settings is None else settings
    progress = _silent if progress is None else progress
    _check_clips(clips, settings)
    if not settings.baselines:
        baselines = []
    elif baselines is None:
        baselines = installed_baselines()
    runner = Runner(pipe, settings)
    tables: dict[str, Table] = {}
    records: list[Row] = []
    for task in settings.tasks:
        for table, rows in _run_task(task, runner, clips, baselines, progress):
            tables[table.key] = table
            records.extend(rows)
    listed = tuple({"name": c.name, "source_frame": list(c.source_frame)} for c in clips)
    return EvaluationResult(source, listed, settings, tables, tuple(records), about or {})


def _check_clips(clips: Sequence[EvalClip], settings: Settings) -> None:
    if not clips:
        raise InputError("clips must hold at least one; got none. Use --worlds or --data.")
    needing = [task for task in settings.tasks if task not in ("loop", "imagine")]
    if needing and all(clip.cameras is None for clip in clips):
        raise InputError(
            f"{', '.join(needing)} must have clips with known cameras; got none with cameras.json. "
            "Use --tasks loop,imagine."
        )


def _run_task(
    task: str,
    runner: Runner,
    clips: Sequence[EvalClip],
    baselines: Sequence[ClassicalBaseline],
    progress: Progress,
) -> list[tuple[Table, list[Row]]]:
    if task == "estimate" and runner.settings.every_frame:
        return [every_frame_task(runner, clips, baselines, progress)]
    if task == "estimate":
        return [estimate_task(runner, clips, baselines, progress)]
    return _TASKS[task](runner, clips, progress)


def _controls(
    runner: Runner, clips: Sequence[EvalClip], progress: Progress
) -> list[tuple[Table, list[Row]]]:
    return [
        estimate_controls(runner, clips, progress),
        generate_controls(runner, clips, progress),
    ]


def _alone(
    task: Callable[[Runner, Sequence[EvalClip], Progress], tuple[Table, list[Row]]],
) -> Callable[[Runner, Sequence[EvalClip], Progress], list[tuple[Table, list[Row]]]]:
    """Return a task of one table as one of several."""
    return lambda runner, clips, progress: [task(runner, clips, progress)]


_TASKS = {
    "autoencoder": _alone(autoencoder_task),
    "generate": _alone(generate_task),
    "loop": _alone(loop_task),
    "imagine": _alone(imagine_task),
    "controls": _controls,
    "uncertainty": uncertainty_task,
    "long-video": _alone(long_video_task),
    "unposed-images": _alone(unposed_images_task),
    "dynamic-objects": _alone(dynamic_objects_task),
}
