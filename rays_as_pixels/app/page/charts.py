"""Small charts as inline SVG: a number per frame, and how it drifts from round to round."""

import html
import itertools
import math
from collections.abc import Sequence

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 260, 84, 58, 16, 8
COLORS = ("#0f766e", "#c2410c", "#6d28d9", "#0369a1", "#a16207")


def line_chart(
    title: str,
    unit: str,
    series: Sequence[tuple[str, Sequence[float]]],
    *,
    x_name: str,
    first: int = 0,
    from_zero: bool = True,
) -> str:
    """Draw lines over frames or rounds.

    Args:
        title: What is measured.
        unit: Its unit.
        series: Name and values of each line.
        x_name: What is counted along the bottom.
        first: Number of the first value.
        from_zero: Whether the scale begins at 0.
    """
    values = [value for _, line in series for value in line if math.isfinite(value)]
    if not values:
        return ""
    low = 0.0 if from_zero else min(values)
    high = max(values)
    if high - low < 1e-9:
        high = low + max(1e-3, abs(low) * 0.1)
    count = max(len(line) for _, line in series)
    lines = "".join(
        _line(line, (low, high), count=count, color=color, name=name, first=first)
        for (name, line), color in zip(series, itertools.cycle(COLORS), strict=False)
    )
    return (
        f'<figure class="rap-chart"><div class="rap-chart-name"><b>{html.escape(title)}</b> '
        f"<small>{html.escape(unit)}</small></div>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">'
        f"{_axes((low, high), x_name=x_name, first=first, last=first + count - 1)}"
        f"{lines}</svg>{_legend(series)}</figure>"
    )


def _axes(scale: tuple[float, float], *, x_name: str, first: int, last: int) -> str:
    low, high = scale
    return (
        f'<path class="rap-axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - 4}"/>'
        f'<text x="{LEFT - 4}" y="{TOP + 8}" text-anchor="end">{_short(high)}</text>'
        f'<text x="{LEFT - 4}" y="{HEIGHT - BOTTOM}" text-anchor="end">{_short(low)}</text>'
        f'<text x="{LEFT}" y="{HEIGHT - 3}">{html.escape(x_name)} {first}</text>'
        f'<text x="{WIDTH - 4}" y="{HEIGHT - 3}" text-anchor="end">{last}</text>'
    )


def _legend(series: Sequence[tuple[str, Sequence[float]]]) -> str:
    if len(series) < 2:
        return ""
    items = "".join(
        f'<span><i style="background:{color}"></i>{html.escape(name)}</span>'
        for (name, _), color in zip(series, itertools.cycle(COLORS), strict=False)
    )
    return f'<figcaption class="rap-legend">{items}</figcaption>'


def _line(
    line: Sequence[float],
    scale: tuple[float, float],
    *,
    count: int,
    color: str,
    name: str,
    first: int,
) -> str:
    low, high = scale
    wide, tall = WIDTH - 4 - LEFT, HEIGHT - BOTTOM - TOP
    points = [
        (
            LEFT + wide * (k / max(1, count - 1) if count > 1 else 0.5),
            HEIGHT - BOTTOM - tall * (value - low) / (high - low),
            value,
            k,
        )
        for k, value in enumerate(line)
        if math.isfinite(value)
    ]
    way = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in points)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{color}"><title>{html.escape(name)} '
        f"{first + k}: {value:.4g}</title></circle>"
        for x, y, value, k in points
    )
    return f'<polyline points="{way}" fill="none" stroke="{color}" stroke-width="1.8"/>{dots}'


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
