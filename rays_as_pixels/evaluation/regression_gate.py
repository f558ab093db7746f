"""Whether new weights may replace the old ones: they must improve the table and break nothing."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rays_as_pixels.errors import InputError


@dataclass(frozen=True)
class Guard:
    """One number of the result that new weights are judged by.

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
    Guard("codec", "codec", "rotation_mean_deg", False, 0.02, 0.05),
    Guard("codec", "codec", "t_err_fixed_scale", False, 0.0005, 0.05),
    Guard("codec", "codec", "psnr_db", True, 0.1),
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
class Decision:
    """The verdict on new weights and the reasons for it, one sentence per number."""

    accept: bool
    better: tuple[str, ...]
    worse: tuple[str, ...]
    reasons: tuple[str, ...]


def read_result(path: Path) -> dict:
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
    old: Mapping | None, new: Mapping, *, guards: Sequence[Guard] = GUARDS
) -> Decision:
    """Say whether the new weights improve the table.

    Rule: accept if no guarded number is worse by more than its tolerance and at least one is better
    by more than its tolerance. A number that only the old result has, or that was defined and no
    longer is, counts as worse. Failures of `estimate` may not increase. Without an old result
    (first weights), accept if the median rotation error of `estimate` is below identity's.

    Args:
        old: JSON of the shipped weights, or None.
        new: JSON of the candidate.
        guards: The numbers, in order.

    Raises:
        InputError: The two were measured on different clips, seeds or steps, or share no number.
    """
    if old is None:
        return _first(new)
    _check_comparable(old, new)
    better, worse, reasons = [], [], []
    for guard in guards:
        before, after = (_value(result, guard) for result in (old, new))
        if before is None:
            continue
        if after is None:
            worse.append(guard.name)
            reasons.append(f"{guard.name}: {before:.4g} before, undefined now")
            continue
        gain = (after - before) if guard.higher_is_better else (before - after)
        tolerance = max(guard.absolute, guard.relative * abs(before))
        verdict = "better" if gain > tolerance else "worse" if gain < -tolerance else "same"
        reasons.append(
            f"{guard.name}: {before:.4g} to {after:.4g}, {verdict} (tolerance {tolerance:.2g})"
        )
        (better if verdict == "better" else worse if verdict == "worse" else []).append(guard.name)
    _compare_failures(old, new, worse, reasons)
    if not reasons:
        raise InputError(
            "results must share a guarded number; got none in common. "
            "Evaluate both with --tasks codec,estimate,generate,loop."
        )
    return Decision(bool(better) and not worse, tuple(better), tuple(worse), tuple(reasons))


def _row(result: Mapping, table: str, row_id: str) -> Mapping:
    settings = result["settings"]
    row_id = row_id.format(
        estimate=settings["default_estimate_steps"], generate=settings["default_generate_steps"]
    )
    rows = result["tables"].get(table, {}).get("rows", [])
    return next((row for row in rows if row["id"] == row_id), {})


def _value(result: Mapping, guard: Guard) -> float | None:
    return _row(result, guard.table, guard.row).get(guard.column)


def _check_comparable(old: Mapping, new: Mapping) -> None:
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


def _compare_failures(old: Mapping, new: Mapping, worse: list[str], reasons: list[str]) -> None:
    before, after = (
        _row(result, "estimate", "model@{estimate}").get("failures") for result in (old, new)
    )
    if before is not None and after is not None and after > before:
        worse.append("estimate failures")
        reasons.append(f"estimate failures: {before} to {after}, worse")


def _first(new: Mapping) -> Decision:
    ours = _row(new, "estimate", "model@{estimate}").get("rotation_median_deg")
    still = _row(new, "estimate", "identity").get("rotation_median_deg")
    if ours is None or still is None:
        raise InputError(
            "result must hold the estimate table to judge first weights; got none. "
            "Evaluate with --tasks estimate."
        )
    name = "estimate rotation_median_deg"
    reason = f"{name}: {ours:.4g}, identity {still:.4g}; there are no old weights"
    accept = ours < still
    return Decision(accept, (name,) if accept else (), () if accept else (name,), (reason,))
