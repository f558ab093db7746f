"""Whether new weights or new code are worse than a stored evaluation: `evaluate --against`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rays_as_pixels.errors import InputError


@dataclass(frozen=True)
class Guard:
    """One number that an evaluation is judged by.

    Attributes:
        table: Key of the table.
        row: Id of the row; `{estimate}` and `{generate}` stand for the default numbers of steps.
        column: Key of the column.
        higher_is_better: Direction.
        absolute: Change below this is noise, in the column's unit.
        relative: Change below this share of the old value is noise too; the larger of both holds.
    """

    table: str
    row: str
    column: str
    higher_is_better: bool
    absolute: float
    relative: float = 0.0

    @property
    def name(self) -> str:
        """Table and column, for messages."""
        return f"{self.table} {self.column}"


GUARDS = (
    Guard("autoencoder", "autoencoder", "rotation_mean_deg", False, 0.02, 0.05),
    Guard("autoencoder", "autoencoder", "t_err_fixed_scale", False, 0.0005, 0.05),
    Guard("autoencoder", "autoencoder", "psnr_db", True, 0.1),
    Guard("estimate", "model@{estimate}", "rotation_median_deg", False, 0.02, 0.02),
    Guard("estimate", "model@{estimate}", "rotation_mean_deg", False, 0.03, 0.03),
    Guard("estimate", "model@{estimate}", "mrra30", True, 0.003),
    Guard("estimate", "model@{estimate}", "rta15", True, 0.01),
    Guard("estimate", "model@{estimate}", "focal_error_median", False, 0.002, 0.03),
    Guard("generate", "model@{generate}", "psnr_db", True, 0.1),
    Guard("generate", "model@{generate}", "path_rotation_mean_deg", False, 0.05, 0.03),
    Guard("loop", "model", "r_err_rad", False, 0.001, 0.03),
    Guard("loop", "model", "t_err", False, 0.005, 0.03),
)


@dataclass(frozen=True)
class Comparison:
    """What changed between two evaluations.

    Attributes:
        better: Guarded numbers that are better by more than their tolerance.
        worse: Those that are worse, or no longer defined.
        not_compared: Those that the old evaluation does not have.
        lines: One sentence per guarded number that was compared or could not be.
    """

    better: tuple[str, ...]
    worse: tuple[str, ...]
    not_compared: tuple[str, ...]
    lines: tuple[str, ...]


def read_result(path: Path) -> dict[str, Any]:
    """Read an evaluation's JSON.

    Raises:
        InputError: The file is missing, damaged or of another kind.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"result must be an evaluation.json; got {path} ({error}). Run 'evaluate' again."
        ) from error
    if not isinstance(result, dict) or result.get("format") != "rays-as-pixels/evaluation":
        raise InputError(
            f"result must be written by 'evaluate'; got {path} of another kind. "
            "Give the evaluation.json."
        )
    return result


def compare_results(
    old: Mapping[str, Any], new: Mapping[str, Any], *, guards: Sequence[Guard] = GUARDS
) -> Comparison:
    """Compare a new evaluation with an old one, number by number.

    A number that was defined and no longer is counts as worse, and so do more failures of
    `estimate`. Numbers that the old evaluation lacks are listed as not compared.

    Args:
        old: JSON of the stored evaluation.
        new: JSON of the new one.
        guards: The numbers, in order.

    Raises:
        InputError: The two were measured on different clips, seeds or steps, or share no number.
    """
    _check_comparable(old, new)
    found: dict[str, list[str]] = {"better": [], "worse": [], "not compared": [], "same": []}
    lines = []
    for guard in guards:
        verdict, line = _judged(guard, _value(old, guard), _value(new, guard))
        found[verdict].append(guard.name)
        lines.append(line)
    if len(found["not compared"]) == len(guards):
        raise InputError(
            "results must share a guarded number; got none in common. "
            "Evaluate both with --tasks autoencoder,estimate,generate,loop."
        )
    before, after = (
        _row(result, "estimate", "model@{estimate}").get("failures") for result in (old, new)
    )
    if before is not None and after is not None and after > before:
        found["worse"].append("estimate failures")
        lines.append(f"estimate failures: {before} to {after}, worse")
    return Comparison(
        tuple(found["better"]), tuple(found["worse"]), tuple(found["not compared"]), tuple(lines)
    )


def _judged(guard: Guard, before: float | None, after: float | None) -> tuple[str, str]:
    """Return the verdict on one number, and the sentence that tells it."""
    if before is None:
        return "not compared", f"{guard.name}: not compared, the old evaluation lacks it"
    if after is None:
        return "worse", f"{guard.name}: {before:.4g} before, undefined now"
    gain = (after - before) if guard.higher_is_better else (before - after)
    tolerance = max(guard.absolute, guard.relative * abs(before))
    verdict = "better" if gain > tolerance else "worse" if gain < -tolerance else "same"
    change = f"{before:.4g} to {after:.4g}, {verdict} (tolerance {tolerance:.2g})"
    return verdict, f"{guard.name}: {change}"


def _row(result: Mapping[str, Any], table: str, row_id: str) -> Mapping[str, Any]:
    settings = result["settings"]
    row_id = row_id.format(
        estimate=settings["default_estimate_steps"], generate=settings["default_generate_steps"]
    )
    rows = result["tables"].get(table, {}).get("rows", [])
    return next((row for row in rows if row["id"] == row_id), {})


def _value(result: Mapping[str, Any], guard: Guard) -> float | None:
    return _row(result, guard.table, guard.row).get(guard.column)


def _check_comparable(old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    for name in ("clips", "source"):
        if old[name] != new[name]:
            raise InputError(
                f"results must be of the same clips; got different {name}. "
                "Evaluate both on the same worlds or folder."
            )
    for name in ("seeds", "seed", "default_estimate_steps", "default_generate_steps"):
        if old["settings"][name] != new["settings"][name]:
            raise InputError(
                f"results must share their settings; got {name} {old['settings'][name]} and "
                f"{new['settings'][name]}. Evaluate one of them again."
            )
