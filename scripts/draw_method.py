"""Draw the README's figure of the method: `python scripts/draw_method.py`.

One row per task and one box per step, as the shipped weights run them: blue boxes are learned
networks, orange ones classical computation; each says whether it is the paper's or ours.
"""

from pathlib import Path
from xml.sax.saxutils import escape

OUT = Path(__file__).resolve().parents[1] / "assets" / "readme" / "method.svg"
NETWORK, CLASSICAL, DATA = "#cfe3f7", "#fbe0c3", "#f1f3f5"
BOX_W, BOX_H, GAP, LEFT, TOP, ROW_H = 166, 74, 22, 96, 20, 104
FONT = "font-family='Helvetica, Arial, sans-serif'"

ENCODER = (NETWORK, ["video autoencoder", "(encoder)"], "paper")
# Of each task: its steps from left to right, as (colour, lines of words, whose).
ROWS = {
    "estimate": [
        (DATA, ["video"], ""),
        ENCODER,
        (NETWORK, ["camera prior: matches,", "track bundle adjustment"], "ours"),
        (CLASSICAL, ["cameras read from", "raxels, closed form"], "paper"),
        (CLASSICAL, ["photometric bundle", "adjustment, depths"], "ours"),
        (DATA, ["camera path", "and depth map"], ""),
    ],
    "generate": [
        (DATA, ["image(s), camera path", "drawn as raxels"], ""),
        ENCODER,
        (NETWORK, ["view prior: depth,", "image warped to the path"], "ours"),
        (NETWORK, ["joint transformer,", "2 steps; decoder"], "paper, smaller"),
        (CLASSICAL, ["view synthesis from", "the image's pixels"], "ours"),
        (DATA, ["video"], ""),
    ],
    "imagine": [
        (DATA, ["image(s)"], ""),
        ENCODER,
        (NETWORK, ["joint transformer,", "20 steps: path and video"], "paper, smaller"),
        (CLASSICAL, ["cameras read from", "raxels, closed form"], "paper"),
        (NETWORK, ["generate (row above)", "along that path"], "ours"),
        (DATA, ["video and", "camera path"], ""),
    ],
    "loop": [
        (DATA, ["video"], ""),
        (DATA, ["estimate"], ""),
        (DATA, ["generate from the first", "frame along that path"], ""),
        (DATA, ["estimate again"], ""),
        (CLASSICAL, ["compare the two paths:", "R_err, T_err"], "paper"),
        (DATA, ["cycle consistency"], ""),
    ],
}
LEGEND = ((NETWORK, "learned network"), (CLASSICAL, "classical computation"), (DATA, "data, tasks"))


def text(x: float, y: float, words: str, *, size: int = 12, style: str = "") -> str:
    """Return one centred line of words."""
    return (
        f"<text x='{x}' y='{y}' {FONT} font-size='{size}' text-anchor='middle' "
        f"fill='#20262e' {style}>{escape(words)}</text>"
    )


def box(x: float, y: float, color: str, lines: list[str], whose: str) -> list[str]:
    """Return one step: a box, its words, and whose idea it is."""
    middle = x + BOX_W / 2
    first = y + BOX_H / 2 + 4 - 8 * (len(lines) - 1) - (7 if whose else 0)
    parts = [
        f"<rect x='{x}' y='{y}' width='{BOX_W}' height='{BOX_H}' rx='8' fill='{color}' "
        "stroke='#7d8894'/>"
    ]
    parts += [text(middle, first + 16 * index, line) for index, line in enumerate(lines)]
    if whose:
        parts.append(text(middle, y + BOX_H - 9, whose, size=11, style="font-style='italic'"))
    return parts


def figure() -> str:
    """Return the figure as SVG."""
    columns = max(map(len, ROWS.values()))
    width = LEFT + columns * (BOX_W + GAP)
    height = TOP + len(ROWS) * ROW_H + 30
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}'>",
        "<defs><marker id='head' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' "
        "markerHeight='7' orient='auto'><path d='M0 0 8 4 0 8z' fill='#56606b'/></marker></defs>",
        f"<rect width='{width}' height='{height}' fill='white'/>",
    ]
    for row, (task, steps) in enumerate(ROWS.items()):
        y = TOP + row * ROW_H
        parts.append(text(LEFT / 2, y + BOX_H / 2 + 5, task, size=15, style="font-weight='bold'"))
        for column, (color, lines, whose) in enumerate(steps):
            x = LEFT + column * (BOX_W + GAP)
            parts += box(x, y, color, lines, whose)
            if column:
                at = y + BOX_H / 2
                parts.append(
                    f"<path d='M{x - GAP + 2} {at}H{x - 3}' stroke='#56606b' stroke-width='1.5' "
                    "marker-end='url(#head)'/>"
                )
    for index, (color, words) in enumerate(LEGEND):
        x, y = LEFT + 190 * index, height - 28
        parts.append(
            f"<rect x='{x}' y='{y}' width='18' height='14' fill='{color}' stroke='#7d8894'/>"
        )
        parts.append(
            f"<text x='{x + 26}' y='{y + 12}' {FONT} font-size='12' fill='#20262e'>{words}</text>"
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(figure(), encoding="utf-8")
