"""Draw a training log: losses over minutes."""

import re
from pathlib import Path

_STEP = re.compile(
    r"step \d+ min ([\d.]+) clips \d+ loss ([\d.]+) video ([\d.]+) rays ([\d.]+) "
    r"rays_pure ([\d.]+|nan)"
)


def read_log(path: Path) -> list[tuple[float, ...]]:
    """Return (minutes, loss, video, rays, rays at pure noise) of every logged step."""
    rows = []
    for line in path.read_text().splitlines():
        match = _STEP.search(line)
        if match:
            rows.append(tuple(float(value) for value in match.groups()))
    return rows


def plot_log(log: Path, picture: Path) -> bool:
    """Write a PNG of the curves; False where matplotlib is missing or the log is empty."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - optional
    except ImportError:
        return False
    rows = read_log(log)
    if not rows:
        return False
    figure = Figure(figsize=(7, 4))
    axes = figure.add_subplot()
    columns = list(zip(*rows, strict=True))
    for name, values in zip(("loss", "video", "rays", "rays at noise 1"), columns[1:], strict=True):
        axes.plot(columns[0], values, label=name, linewidth=1)
    axes.set_xlabel("minutes of training")
    axes.set_ylabel("loss")
    axes.set_yscale("log")
    axes.legend()
    figure.savefig(picture, dpi=110, bbox_inches="tight")
    return True
