"""The tables: Markdown from the JSON of one or more devices, with what was not measured said."""

from typing import Any

DEVICES = ("cpu", "cuda")
SIZES = ("mini", "1.3B", "14B")
GOALS = (
    "one step at most 1.05 times Wan's at equal tokens",
    "at least 50 % of the measured bf16 matmul rate at 14B on one H200",
    "estimate (2 steps) at least 15 times faster than generate (50 steps), 49x480x832",
)


def table(header: list[str], rows: list[list[str]]) -> str:
    """Format a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _seconds(value: float) -> str:
    return (
        f"{value * 1000:.1f} ms"
        if value < 1
        else f"{value:.2f} s"
        if value < 100
        else (f"{value:.0f} s" if value < 7200 else f"{value / 3600:.1f} h")
    )


def _bytes(value: int | None) -> str:
    return "not measured" if value is None else f"{value / 1e9:.2f} GB"


def _rate(value: float) -> str:
    return f"{value / 1e12:.2f} TFLOP/s"


def markdown(results: dict[str, dict[str, Any]]) -> str:
    """Write the tables of several devices.

    Args:
        results: By device type, what `run` returned; a device that is missing is said to be.
    """
    parts = ["# Benchmarks", ""]
    for device in DEVICES:
        found = results.get(device)
        if found is None:
            parts.append(f"- {device}: not measured")
        else:
            parts.append(
                f"- {device}: {found['date']}, {found['device']}, {found['threads']} thread(s), "
                f"torch {found['torch']}, diffusers {found['diffusers']}; matmul ceiling "
                + ", ".join(f"{_rate(v)} in {k}" for k, v in found["matmul"].items())
            )
    parts += ["", "Goals: " + "; ".join(GOALS) + ".", ""]
    parts += ["## One step beside Wan's, at equal tokens, width, precision and weights", ""]
    parts += [step_table(results), "", "## Whole tasks", "", task_table(results), ""]
    parts += ["## Estimate against generate", "", goal_table(results), ""]
    parts += ["## Levers", "", lever_table(results), "", NOTES, ""]
    return "\n".join(parts)


def step_table(results: dict[str, dict[str, Any]]) -> str:
    """Compare one call of both networks per device and size."""
    rows = []
    for device in DEVICES:
        found = {row["network"]: row for row in results.get(device, {}).get("steps", [])}
        for size in SIZES:
            if size not in found:
                rows.append([device, size, *["not measured"] * 8])
                continue
            row = found[size]
            ceiling = results[device]["matmul"][row["dtype"]]
            rows.append(
                [
                    device,
                    size,
                    row["clip"],
                    f"{row['video_tokens']} + {row['ray_tokens']}",
                    f"{row['layers_measured']} of {row['layers']}, {row['dtype']}",
                    _seconds(row["ours_sec"]),
                    _seconds(row["wan_sec"]),
                    f"{row['ratio']:.2f} ({row['flops_ratio']:.2f})",
                    f"{100 * row['ours_flops_per_sec'] / ceiling:.0f} % "
                    f"({100 * row['wan_flops_per_sec'] / ceiling:.0f} %)",
                    _bytes(row["peak_bytes"]),
                ]
            )
    header = [
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
    return table(header, rows)


def task_table(results: dict[str, dict[str, Any]]) -> str:
    """List seconds and bytes per task."""
    rows = []
    for device in DEVICES:
        tasks = results.get(device, {}).get("tasks", [])
        for size in SIZES:
            found = [row for row in tasks if row["network"] == size]
            if not found:
                rows.append([device, size, *["not measured"] * 5])
            rows += [
                [
                    device,
                    size,
                    row["task"],
                    row["clip"],
                    _seconds(row["seconds"]),
                    _bytes(row["peak_bytes"]),
                    row["how"],
                ]
                for row in found
            ]
    return table(["device", "size", "task", "clip", "time", "peak", "how"], rows)


def goal_table(results: dict[str, dict[str, Any]]) -> str:
    """Divide generate's seconds by estimate's."""
    rows = []
    for device in DEVICES:
        tasks = results.get(device, {}).get("tasks", [])
        for size in SIZES:
            found = {r["task"].split(",")[0]: r for r in tasks if r["network"] == size}
            if "estimate" not in found or "generate" not in found:
                rows.append([device, size, "not measured", ""])
                continue
            times = found["generate"]["seconds"] / found["estimate"]["seconds"]
            rows.append([device, size, f"{times:.1f}", found["generate"]["how"]])
    return table(["device", "size", "estimate is faster by", "how"], rows)


def lever_table(results: dict[str, dict[str, Any]]) -> str:
    """List what each lever is worth."""
    rows = []
    for device in DEVICES:
        found = results.get(device, {}).get("levers", [])
        if not found:
            rows.append([device, *["not measured"] * 6])
        rows += [
            [
                device,
                row["network"],
                row["name"],
                _seconds(row["plain_sec"]),
                _seconds(row["with_sec"]),
                f"{row['ratio']:.2f}",
                row["note"],
            ]
            for row in found
        ]
    header = ["device", "size", "lever", "without", "with", "ratio", "note"]
    return table(header, rows)


NOTES = """\
Times are medians; ratios are medians over pairs run in turn, so a machine that slows down slows
both. With one CPU thread, seconds are those of the process itself, which other programs on the
machine do not lengthen. A step is one call of the network on one sample. Operations count 2 per
multiply-add, in matrix products and attention alone. At 1.3B and 14B a CPU is asked for one block
at a small clip; both networks share its weights. Weights are random except mini's tasks, which run
the model that comes with the project."""
