"""Draw one small picture per preset: `python scripts/draw_presets.py [NAME ...]`.

Each shows the path over the ground, its cameras from dark (first) to light (last), and the subject
where the move depends on it. Amounts are larger than the defaults where these would hardly show.
"""

import io
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image

from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.trajectories.look_at import look_at_rotation
from rays_as_pixels.trajectories.presets import PRESETS, make_preset
from rays_as_pixels.viz.colors import OTHER_COLOR, viridis
from rays_as_pixels.viz.frusta import EDGES, frustum_vertices

OUT = Path(__file__).resolve().parents[1] / "assets" / "presets"
SIZE_PX = (240, 180)
MOST_BYTES = 15_000
AMOUNTS = {
    "hand-held": 12.0,
    "circle": 0.3,
    "spiral": 0.4,
    "lemniscate": 0.5,
    "pendulum": 35.0,
    "look-around": 40.0,
    "pan-left": 60.0,
    "pan-right": 60.0,
    "tilt-up": 50.0,
    "tilt-down": 50.0,
    "roll": 50.0,
    "zoom-in": 35.0,
    "zoom-out": 35.0,
    "dolly-zoom": 0.6,
    "fly-through": 1.6,
    "arc-left": 60.0,
    "arc-right": 60.0,
    "arc-up": 50.0,
    "arc-down": 50.0,
    "push-and-pan": 0.9,
    "crane-up": 0.7,
    "crane-down": 0.7,
    "slide-left": 0.7,
    "slide-right": 0.7,
    "helix": 300.0,
    "pull-back-reveal": 0.8,
    "dolly-in": 0.6,
    "dolly-out": 0.6,
    "boomerang": 0.6,
    "truck-left": 0.7,
    "truck-right": 0.7,
    "pedestal-up": 0.6,
    "pedestal-down": 0.6,
}
CAMERAS_SHOWN = {
    "orbit": 9,
    "helix": 8,
    "lemniscate": 9,
    "hand-held": 5,
    "circle": 7,
    "spiral": 6,
    "roll": 2,
    "pan-left": 3,
    "pan-right": 3,
    "tilt-up": 3,
    "tilt-down": 3,
    "zoom-in": 2,
    "zoom-out": 2,
}
RETURNING = ("orbit", "pendulum", "circle", "lemniscate", "boomerang", "look-around", "hand-held")
NUM_FRAMES = 97
PICTURE = [1, 2, 3, 4]  # vertices of a frustum that are the corners of its picture
EYE = (1.1, -1.15, -1.5)  # seen from behind the first camera, from the right and from above


def project(points: np.ndarray) -> np.ndarray:
    """Return screen coordinates, x to the right and y up, of world points (..., 3)."""
    eye = torch.tensor([EYE], dtype=torch.float64)
    axes = look_at_rotation(eye, torch.zeros(1, 3, dtype=torch.float64))[0].numpy()
    return np.stack([points @ axes[:, 0], -points @ axes[:, 1]], axis=-1)


def draw(name: str) -> Image.Image:
    """Draw one preset."""
    preset = PRESETS[name]
    path = make_preset(
        name,
        num_frames=NUM_FRAMES,
        fps=24.0,
        height=36,
        width=48,
        hfov_deg=50.0,
        amount=AMOUNTS.get(name, preset.amount_default),
    )
    centres = path.positions.numpy()
    subject = np.array([0.0, 0.0, 1.0])
    with_subject = preset.uses_pivot and name != "hand-held"  # which would look tiny beside it
    extent = max(np.ptp(centres, axis=0).max(), 0.55 if with_subject else 0.3)
    turning = np.ptp(centres, axis=0).max() < 1e-6
    depth = (0.3 if turning else 0.22) * extent
    shown = shown_frames(path, CAMERAS_SHOWN.get(name, 5))
    corners = frustum_vertices(path.cameras[torch.tensor(shown)], depth=depth).numpy()
    points = [corners.reshape(-1, 3), centres]
    if with_subject:
        points.append(subject[None] + 0.09 * extent * np.array([[1, 1, 1], [-1, -1, -1]]))
    everything = np.concatenate(points)

    figure = plt.figure(figsize=(SIZE_PX[0] / 100, SIZE_PX[1] / 100), dpi=300)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    draw_ground(axes, everything)
    draw_path(axes, centres, floor=everything[:, 1].max() + 0.05 * extent)
    tip = frustum_vertices(path.cameras, depth=depth).numpy()[:, 5]
    draw_arrow(axes, tip if turning else centres, at=0.2 if name in RETURNING else 1.0)
    if with_subject:
        draw_subject(axes, subject, 0.09 * extent)
    for frame, vertices in zip(shown, corners, strict=True):
        draw_camera(axes, vertices, viridis(np.array(0.88 * frame / (NUM_FRAMES - 1))))
    fit_view(axes, project(everything))
    return as_small_image(figure)


def shown_frames(path: Trajectory, count: int) -> list[int]:
    """Choose frames at even lengths of the way, so that eased ends do not crowd."""
    pose = path.cameras.world_from_cam
    way = (
        pose.diff(dim=0).flatten(1).norm(dim=-1)
        + path.cameras.focal_px.log().diff(dim=0)[:, 0].abs()
    )
    reached = np.concatenate([[0.0], way.cumsum(0).numpy()])
    return np.searchsorted(reached, np.linspace(0, reached[-1], count) - 1e-9).tolist()


def draw_ground(axes: plt.Axes, points: np.ndarray) -> None:
    """Draw a square grid below everything."""
    low, high = points.min(0), points.max(0)
    middle, half = (low + high) / 2, 0.62 * max(high[0] - low[0], high[2] - low[2], 0.4)
    floor = high[1] + 0.12 * half
    for share in np.linspace(-1, 1, 7):
        for ends in (((share, -1), (share, 1)), ((-1, share), (1, share))):
            line = np.array([[middle[0] + half * a, floor, middle[2] + half * b] for a, b in ends])
            axes.plot(*project(line).T, color="#dfe3e8", lw=0.5, zorder=0)


def draw_path(axes: plt.Axes, centres: np.ndarray, *, floor: float) -> None:
    """Draw the line of the camera centres and its shadow on the ground."""
    shadow = centres.copy()
    shadow[:, 1] = floor
    axes.plot(*project(shadow).T, color="#c3c9d1", lw=1.4, zorder=1)
    screen = project(centres)
    for index in range(len(screen) - 1):
        color = viridis(np.array(0.88 * index / len(screen)))
        axes.plot(
            *screen[index : index + 2].T, color=color, lw=2.0, zorder=3, solid_capstyle="round"
        )


def draw_arrow(axes: plt.Axes, line: np.ndarray, *, at: float) -> None:
    """Draw an arrow's head on a line, at a share of its length, and the line if it is none yet."""
    screen = project(line)
    if np.ptp(screen, axis=0).max() == 0:
        return
    reached = np.concatenate([[0.0], np.linalg.norm(np.diff(screen, axis=0), axis=1).cumsum()])
    tip = int(np.searchsorted(reached, at * reached[-1] * (1 - 1e-9)))
    tail = int(np.searchsorted(reached, reached[tip] - 0.02 * reached[-1]))
    axes.plot(*screen[: tip + 1].T, color="#20262e", lw=0.7, ls=(0, (3, 2)), zorder=7)
    axes.annotate(
        "",
        screen[tip],
        screen[min(tail, tip - 1)],
        zorder=8,
        annotation_clip=False,
        arrowprops={
            "arrowstyle": "-|>,head_width=0.22,head_length=0.5",
            "color": "#20262e",
            "lw": 0.7,
            "shrinkA": 0,
            "shrinkB": 0,
        },
    )


def draw_camera(axes: plt.Axes, vertices: np.ndarray, color: np.ndarray) -> None:
    """Draw one camera as a pyramid, its picture plane lightly filled."""
    screen = project(vertices)
    axes.fill(*screen[PICTURE].T, color=(*color, 0.13), lw=0, zorder=4)
    for start, end in EDGES:
        axes.plot(*screen[[start, end]].T, color=color, lw=1.1, zorder=5, solid_capstyle="round")


def draw_subject(axes: plt.Axes, centre: np.ndarray, half: float) -> None:
    """Draw the subject as a cube."""
    corners = centre + half * np.array(
        [[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    )
    screen = project(corners)
    for face, shade in (((0, 1, 5, 4), 1.0), ((4, 5, 7, 6), 0.72), ((0, 4, 6, 2), 0.86)):
        rgb = shade * np.array(mpl.colors.to_rgb(OTHER_COLOR))
        axes.fill(*screen[list(face)].T, color=rgb, lw=0, zorder=2)


def fit_view(axes: plt.Axes, screen: np.ndarray) -> None:
    """Show everything with a margin, at equal scales."""
    low, high = screen.min(0), screen.max(0)
    middle = (low + high) / 2
    aspect = SIZE_PX[0] / SIZE_PX[1]
    half = 0.57 * max((high - low)[0] / aspect, (high - low)[1])
    axes.set_xlim(middle[0] - half * aspect, middle[0] + half * aspect)
    axes.set_ylim(middle[1] - half, middle[1] + half)


def as_small_image(figure: plt.Figure) -> Image.Image:
    """Render at three times the size, shrink, and keep 64 colours."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    plt.close(figure)
    image = Image.open(buffer).convert("RGB").resize(SIZE_PX, Image.Resampling.LANCZOS)
    return image.quantize(64, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def main(names: list[str]) -> None:
    """Write the pictures of the named presets, or of all."""
    OUT.mkdir(parents=True, exist_ok=True)
    for name in names or PRESETS:
        path = OUT / f"{name}.png"
        draw(name).save(path, optimize=True)
        size = path.stat().st_size
        assert size < MOST_BYTES, f"{name}: {size} bytes"
        sys.stdout.write(f"{path.name}: {size} bytes\n")


if __name__ == "__main__":
    main(sys.argv[1:])
