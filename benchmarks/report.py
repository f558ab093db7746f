"""The tables: Markdown from the JSON of one or more devices, with "not measured" where so."""

from collections.abc import Callable
from typing import Any

DEVICES = ("cpu", "cuda")
SIZES = ("mini", "1.3B", "14B")
GOALS = (
    "one step at most 1.05 times Wan's at equal tokens",
    "at least 50 % of the measured bf16 matmul rate at 14B on one H200",
    "estimate (2 steps) at least 15 times faster than generate (50 steps), 49x480x832",
)
NOTES = """\
Times are medians; ratios are medians over pairs run in turn, so a machine that slows down slows
both. With one CPU thread, seconds are those of the process itself, which other programs on the
machine do not lengthen. A step is one call of the network on one sample. Operations count 2 per
multiply-add, in matrix products and attention alone. At 1.3B and 14B a CPU is asked for one block
at a small clip; both networks share its weights. Weights are random except mini's tasks, which run
the model that comes with the project."""
Results = dict[str, dict[str, Any]]  # by device type, what a run measured
_STEP_COLUMNS = [
    "device",
    "size",
    "clip",
    "tokens, video + rays",
    "blocks",
    "ours",
    "Wan",
    "ours / Wan (operations)",
    "of matmul ceiling (Wan's)",
    "peak",
]
_TASK_COLUMNS = ["device", "size", "task", "clip", "time", "peak", "how"]


def markdown(results: Results) -> str:
    """Write the tables of several devices; a device that is missing is called not measured."""
    parts = ["# Benchmarks", ""]
    for device in DEVICES:
        found = results.get(device)
        if found is None:
            parts.append(f"- {device}: not measured")
            continue
        ceilings = (
            f"{rate / 1e12:.2f} TFLOP/s in {kind}" for kind, rate in found["matmul"].items()
        )
        parts.append(
            f"- {device}: {found['date']}, {found['device']}, {found['threads']} thread(s), "
            f"torch {found['torch']}, diffusers {found['diffusers']}; matmul ceiling "
            + ", ".join(ceilings)
        )
    steps = _table(_STEP_COLUMNS, results, "steps", _step_cells)
    tasks = _table(_TASK_COLUMNS, results, "tasks", _task_cells)
    parts += ["", "Goals: " + "; ".join(GOALS) + ".", ""]
    parts += ["## One step beside Wan's, at equal tokens, width, precision and weights", ""]
    parts += [steps, "", "## Whole tasks", "", tasks, ""]
    parts += [NOTES, ""]
    return "\n".join(parts)


def _table(
    columns: list[str],
    results: Results,
    key: str,
    cells: Callable[[dict[str, Any], dict[str, Any]], list[str]],
) -> str:
    """Format the rows of one key per device and size; a size without rows is not measured."""
    lines = [columns, ["---"] * len(columns)]
    for device in DEVICES:
        measured = results.get(device, {})
        for size in SIZES:
            rows = [row for row in measured.get(key, []) if row["network"] == size]
            lines += [[device, size, *cells(row, measured)] for row in rows]
            if not rows:
                lines.append([device, size, *["not measured"] * (len(columns) - 2)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _step_cells(row: dict[str, Any], measured: dict[str, Any]) -> list[str]:
    ceiling = measured["matmul"][row["dtype"]]
    ours, wan = (100 * row[f"{name}_flops_per_sec"] / ceiling for name in ("ours", "wan"))
    return [
        row["clip"],
        f"{row['video_tokens']} + {row['ray_tokens']}",
        f"{row['layers_measured']} of {row['layers']}, {row['dtype']}",
        _seconds(row["ours_sec"]),
        _seconds(row["wan_sec"]),
        f"{row['ratio']:.2f} ({row['flops_ratio']:.2f})",
        f"{ours:.0f} % ({wan:.0f} %)",
        _bytes(row["peak_bytes"]),
    ]


def _task_cells(row: dict[str, Any], _: dict[str, Any]) -> list[str]:
    peak = _bytes(row["peak_bytes"])
    return [row["task"], row["clip"], _seconds(row["seconds"]), peak, row["how"]]


def _seconds(value: float) -> str:
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"


def _bytes(value: int | None) -> str:
    return "not measured" if value is None else f"{value / 1e9:.2f} GB"
