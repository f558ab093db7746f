"""Draw one picture per axis convention, and one of a pixel, for docs/conventions.md.

`python scripts/draw_conventions.py`. All pictures show the same camera and the same world from the
same place; only the names of the axes change.
"""

import io
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image

mpl.use("Agg")
import matplotlib.pyplot as plt

OUT = Path(__file__).resolve().parents[1] / "assets" / "conventions"
SIZE_PX = (560, 280)
COLORS = ("#c8452d", "#1f8a5b", "#2166ac")  # X, Y, Z; the letters say the same without colour
INK, PALE = "#20262e", "#c3c9d1"

RIGHT, DOWN, FORWARD = np.eye(3)
LEFT, UP, BACK = -RIGHT, -DOWN, -FORWARD

Axes3 = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Convention:
    """Where X, Y and Z point, as directions of our own OpenCV axes.

    Attributes:
        name: File name of the picture.
        title: Heading of the picture.
        camera: The camera's axes.
        world: The world's axes as this project reads and writes them, seen from a level camera;
            None where the files leave them open.
        handed: "right" or "left".
    """

    name: str
    title: str
    camera: Axes3
    world: Axes3 | None
    handed: str = "right"


OPENCV: Axes3 = (RIGHT, DOWN, FORWARD)
OPENGL: Axes3 = (RIGHT, UP, BACK)
Z_UP: Axes3 = (RIGHT, FORWARD, UP)
UNREAL: Axes3 = (FORWARD, RIGHT, UP)

CONVENTIONS = (
    Convention("opencv", "OpenCV: this project", OPENCV, OPENCV),
    Convention("colmap", "COLMAP", OPENCV, None),
    Convention("opengl", "OpenGL: NeRF, nerfstudio", OPENGL, None),
    Convention("blender", "Blender", OPENGL, Z_UP),
    Convention("gltf", "glTF", OPENGL, OPENGL),
    Convention("usd", "USD", OPENGL, OPENGL),
    Convention("unreal", "Unreal: ReCamMaster", UNREAL, UNREAL, "left"),
)

_SIDE = np.array([0.8, 0.0, 0.6])  # the drawing's right-hand direction, level
_VIEW = np.array([-0.51, 0.53, 0.68]) / np.linalg.norm([-0.51, 0.53, 0.68])


def project(points: np.ndarray) -> np.ndarray:
    """Return picture coordinates, x to the right and y up, of points in OpenCV axes."""
    side = _SIDE / np.linalg.norm(_SIDE)
    below = np.cross(_VIEW, side)
    below = below / np.linalg.norm(below)
    return np.stack([points @ side, -points @ below], axis=-1)


def draw_axes(panel: plt.Axes, directions: Axes3, origin: np.ndarray, *, length: float) -> None:
    """Draw three named arrows."""
    for name, color, direction in zip("XYZ", COLORS, directions, strict=True):
        tail, tip, label = project(
            np.stack([origin, origin + length * direction, origin + 1.2 * length * direction])
        )
        panel.annotate(
            "",
            tip,
            tail,
            zorder=6,
            arrowprops={
                "arrowstyle": "-|>,head_width=0.3,head_length=0.6",
                "color": color,
                "lw": 2.2,
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )
        panel.text(
            *label,
            name,
            color=color,
            fontsize=13,
            weight="bold",
            ha="center",
            va="center",
            zorder=7,
        )


def draw_camera(panel: plt.Axes) -> None:
    """Draw a camera that looks forward, with a tick on top of its picture."""
    x, y, z = 0.54, 0.38, 1.35
    corners = np.array([[-x, -y, z], [x, -y, z], [x, y, z], [-x, y, z]])
    screen, apex = project(corners), project(np.zeros((1, 3)))[0]
    panel.fill(*screen.T, color="#e9edf2", lw=0, zorder=1)
    for corner in screen:
        panel.plot(*np.stack([apex, corner]).T, color=PALE, lw=1.2, zorder=2)
    panel.plot(*np.concatenate([screen, screen[:1]]).T, color=INK, lw=1.4, zorder=3)
    tick = project(np.array([[-0.2, -y, z], [0, -y - 0.2, z], [0.2, -y, z]]))
    panel.fill(*tick.T, color=INK, lw=0, zorder=3)
    top_left = screen[0]
    panel.plot(*top_left, "o", color=INK, ms=4, zorder=4)
    panel.annotate(
        "pixel (0, 0)",
        top_left,
        (-6, 3),
        textcoords="offset points",
        fontsize=8,
        color=INK,
        ha="right",
    )


def draw_ground(panel: plt.Axes) -> None:
    """Draw the ground as a grid with a little tree, so that one sees what is up."""
    for share in np.linspace(-1, 1, 7):
        for ends in (((share, -1), (share, 1)), ((-1, share), (1, share))):
            line = np.array([[1.1 * a, 0.0, 1.1 * b] for a, b in ends])
            panel.plot(*project(line).T, color="#dfe3e8", lw=0.8, zorder=0)
    foot = np.array([-0.95, 0.0, 0.5])
    trunk = project(np.stack([foot, foot + 0.25 * UP]))
    panel.plot(*trunk.T, color="#8a6f55", lw=3, zorder=1)
    crown = project(
        np.stack([foot + 0.2 * UP + 0.2 * LEFT, foot + 0.2 * UP + 0.2 * RIGHT, foot + 0.8 * UP])
    )
    panel.fill(*crown.T, color="#9dbfa5", lw=0, zorder=1)


def draw(convention: Convention) -> Image.Image:
    """Draw the camera's axes on the left and the world's on the right."""
    figure = plt.figure(figsize=(SIZE_PX[0] / 100, SIZE_PX[1] / 100), dpi=200)
    figure.text(0.03, 0.92, convention.title, fontsize=13, weight="bold", color=INK, va="center")
    figure.text(
        0.97, 0.92, f"{convention.handed}-handed", fontsize=9, color=INK, va="center", ha="right"
    )
    for column, heading in enumerate(("camera", "world")):
        panel = figure.add_axes((0.5 * column, 0.0, 0.5, 0.86))
        panel.set_axis_off()
        panel.set_xlim(-1.45, 1.65)
        panel.set_ylim(-1.35, 1.32)
        panel.text(-1.3, -1.2, heading, fontsize=10, color=INK)
        if column == 0:
            draw_camera(panel)
            draw_axes(panel, convention.camera, np.zeros(3), length=0.85)
        elif convention.world is None:
            panel.text(
                0,
                0,
                "left open by the file:\nkept as it is",
                fontsize=10,
                color=INK,
                ha="center",
                va="center",
            )
        else:
            draw_ground(panel)
            draw_axes(panel, convention.world, np.zeros(3), length=0.85)
    return as_small_image(figure)


def draw_pixels() -> Image.Image:
    """Draw the first four pixels with our coordinates and OpenCV's."""
    figure = plt.figure(figsize=(SIZE_PX[0] / 100, SIZE_PX[1] / 100), dpi=200)
    panel = figure.add_axes((0.05, 0.02, 0.9, 0.94))
    panel.set_axis_off()
    panel.set_xlim(-0.7, 5.4)
    panel.set_ylim(2.35, -0.5)
    for row in range(2):
        for column in range(2):
            panel.add_patch(plt.Rectangle((column, row), 1, 1, fc="#f1f4f7", ec=INK, lw=1.2))
            panel.plot(column + 0.5, row + 0.5, "o", color=COLORS[2], ms=5)
    panel.plot(0, 0, "o", color=COLORS[0], ms=6)
    for name, tip, beside in (("x", (2.4, 0), (2.47, 0.03)), ("y", (0, 2.3), (-0.15, 2.25))):
        style = {"arrowstyle": "-|>", "color": INK, "shrinkA": 0, "shrinkB": 0}
        panel.annotate("", tip, (0, 0), arrowprops=style)
        panel.text(*beside, name, color=INK, va="center", fontsize=11)
    panel.text(-0.08, -0.18, "(0, 0)", color=COLORS[0], ha="right", fontsize=10)
    panel.text(0.5, 0.74, "(0.5, 0.5)", color=COLORS[2], ha="center", fontsize=9)
    panel.text(1.5, 0.74, "(1.5, 0.5)", color=COLORS[2], ha="center", fontsize=9)
    lines = (
        "Ours and COLMAP's:",
        "(0, 0) is the image's corner,",
        "the first centre is (0.5, 0.5).",
        "",
        "OpenCV's: (0, 0) is the first",
        "centre, so every number is",
        "0.5 less.",
    )
    for index, line in enumerate(lines):
        panel.text(2.7, 0.6 + 0.24 * index, line, fontsize=8, color=INK)
    return as_small_image(figure)


def as_small_image(figure: plt.Figure) -> Image.Image:
    """Render at twice the size, shrink, and keep 64 colours."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    plt.close(figure)
    image = Image.open(buffer).convert("RGB").resize(SIZE_PX, Image.Resampling.LANCZOS)
    return image.quantize(64, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def main() -> None:
    """Write all pictures."""
    OUT.mkdir(parents=True, exist_ok=True)
    pictures = {convention.name: draw(convention) for convention in CONVENTIONS}
    for name, image in (pictures | {"pixels": draw_pixels()}).items():
        path = OUT / f"{name}.png"
        image.save(path, optimize=True)
        sys.stdout.write(f"{path.name}: {path.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
