"""Draw the README's pictures in assets/readme: `python scripts/draw_readme.py [FOLDER]`.

Runs the README's commands with the shipped weights on a rendered clip of assets/examples (about a
minute on two cores), then draws what they wrote: the moving picture on top and one picture per
task. FOLDER keeps the results, so that drawing again does not run them again.
"""

import io
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from draw_presets import PICTURE, project
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.video import read_clip, write_image
from rays_as_pixels.trajectories.formats.native import read_native, write_native
from rays_as_pixels.trajectories.presets import make_preset
from rays_as_pixels.viz.colors import OTHER_COLOR, viridis
from rays_as_pixels.viz.frusta import EDGES, frustum_vertices

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "assets" / "readme"
CLIP = ROOT / "assets" / "examples" / "1-orbit" / "clip.mp4"
NUM_FRAMES = 17
OTHER_PATH = ("crane-up", 0.18)  # a preset and how far, in scene units
# The shape of generated videos; clips are cropped to it, as for the model.
PANE_PX = (320, 192)
CAPTION_PX = 30
CYCLE_COLOR = "#0072b2"


def run(*words: str) -> None:
    """Run one verb of the command line."""
    subprocess.run([sys.executable, "-m", "rays_as_pixels", *words], cwd=ROOT, check=True)


def compute(work: Path) -> None:
    """Write to `work` what the pictures are drawn from."""
    clip = read_clip(CLIP, num_frames=NUM_FRAMES)
    write_image(work / "first.png", clip.video[0])
    run("estimate", str(CLIP), "--frames", str(NUM_FRAMES), "--out", str(work))
    estimated = read_native(work / "trajectory.json")
    cameras = estimated.cameras
    other = make_preset(
        OTHER_PATH[0],
        num_frames=NUM_FRAMES,
        fps=estimated.fps,
        height=cameras.height,
        width=cameras.width,
        hfov_deg=cameras.hfov_rad[0].rad2deg().item(),
        amount=OTHER_PATH[1],
    )
    write_native(other, work / "other.json")
    first, depth = str(work / "first.png"), str(work / "trajectory.json")
    run(
        *("generate", "--image", first, "--depth", depth, "--clip", str(CLIP)),
        *("--trajectory", str(work / "other.json"), "--out", str(work / "other.mp4")),
    )
    run("imagine", "--image", first, "--out", str(work / "imagined"))
    run("loop", str(CLIP), "--out", str(work / "loop"))


def draw_paths(
    paths: list[tuple[Trajectory, str]], *, upto: int, size: tuple[int, int]
) -> Image.Image:
    """Draw camera paths in 3D; the frusta up to frame `upto`, an empty colour for viridis."""
    dpi = 100
    figure = plt.figure(figsize=(size[0] / dpi, size[1] / dpi), dpi=2 * dpi)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    extent = max(np.ptp(path.positions.numpy(), axis=0).max() for path, _ in paths)
    points = []
    for path, color in paths:
        corners = frustum_vertices(path.cameras, depth=0.22 * extent).numpy()
        points.append(project(corners.reshape(-1, 3)))
        axes.plot(*project(path.positions.numpy()).T, color=color or "#9aa3ad", lw=1.2, zorder=2)
        chosen = sorted({*range(0, upto, max(1, len(path) // 5)), min(upto, len(path) - 1)})
        for frame in chosen:
            rgb = viridis(np.array(0.88 * frame / (len(path) - 1)))
            shade = mpl.colors.to_rgb(color) if color else tuple(rgb)
            screen = project(corners[frame])
            last = frame == chosen[-1]
            axes.fill(*screen[PICTURE].T, color=(*shade, 0.35 if last else 0.08), lw=0)
            for start, end in EDGES:
                axes.plot(*screen[[start, end]].T, color=shade, lw=1.8 if last else 0.7)
    everything = np.concatenate(points)
    low, high = everything.min(0), everything.max(0)
    aspect = size[0] / size[1]
    half = 0.56 * max((high - low)[0] / aspect, (high - low)[1])
    middle = (low + high) / 2
    axes.set_xlim(middle[0] - half * aspect, middle[0] + half * aspect)
    axes.set_ylim(middle[1] - half, middle[1] + half)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    plt.close(figure)
    return Image.open(buffer).convert("RGB").resize(size, Image.Resampling.LANCZOS)


def as_image(frame: Tensor) -> Image.Image:
    """Turn a frame (3, height, width) in [0, 1] into a picture of a pane's size."""
    pixels = (frame.clamp(0, 1) * 255).round().to(torch.uint8).movedim(0, -1).numpy()
    return ImageOps.fit(Image.fromarray(pixels), PANE_PX, Image.Resampling.LANCZOS)


def side_by_side(panes: list[Image.Image], captions: list[str]) -> Image.Image:
    """Put pictures beside each other, each with a line of words below it."""
    width = sum(pane.width for pane in panes) + 6 * (len(panes) - 1)
    page = Image.new("RGB", (width, panes[0].height + CAPTION_PX), "white")
    pen, font, left = ImageDraw.Draw(page), ImageFont.load_default(size=15), 0
    for pane, caption in zip(panes, captions, strict=True):
        page.paste(pane, (left, 0))
        place = (left + pane.width / 2, pane.height + CAPTION_PX / 2)
        pen.text(place, caption, fill="#20262e", font=font, anchor="mm")
        left += pane.width + 6
    return page


def draw_moving_picture(work: Path) -> None:
    """Draw the clip, its path and the clip along another path, there and back."""
    clip = read_clip(CLIP, num_frames=NUM_FRAMES).video
    other = read_clip(work / "other.mp4", num_frames=NUM_FRAMES).video
    paths = [
        (read_native(work / "trajectory.json"), ""),
        (read_native(work / "other.json"), OTHER_COLOR),
    ]
    captions = ["a clip", "its camera path, and a new one", "the same clip along the new path"]
    pages = [
        side_by_side(
            [
                as_image(clip[frame]),
                draw_paths(paths, upto=frame, size=PANE_PX),
                as_image(other[frame]),
            ],
            captions,
        )
        for frame in range(NUM_FRAMES)
    ]
    pages += pages[-2:0:-1]
    pages[0].save(
        OUT / "clip-path-new-clip.webp",
        save_all=True,
        append_images=pages[1:],
        duration=110,
        loop=0,
        quality=70,
        method=6,
    )


def draw_tasks(work: Path) -> None:
    """Draw one picture per task."""
    clip = read_clip(CLIP, num_frames=NUM_FRAMES).video
    last, path = NUM_FRAMES - 1, read_native(work / "trajectory.json")
    other, imagined = (
        read_native(work / "other.json"),
        read_native(work / "imagined/trajectory.json"),
    )
    new = read_clip(work / "other.mp4").video
    dream = read_clip(work / "imagined/video.mp4").video
    again = read_clip(work / "loop/video.mp4").video
    first, second = (
        read_native(work / f"loop/{name}.json") for name in ("estimated", "reestimated")
    )
    rows = {
        "estimate": (
            [as_image(clip[0]), as_image(clip[last]), draw_one(path)],
            ["clip, first frame", "clip, last frame", "its camera path"],
        ),
        "generate": (
            [as_image(clip[0]), draw_one(other, OTHER_COLOR), as_image(new[-1])],
            ["clip, first frame", "a camera path", "new video, last frame"],
        ),
        "imagine": (
            [as_image(clip[0]), draw_one(imagined), as_image(dream[-1])],
            ["one image", "an imagined camera path", "its video, last frame"],
        ),
        "loop": (
            [as_image(clip[last]), as_image(again[-1]), draw_both(first, second)],
            ["clip, last frame", "generated, last frame", "path of the clip, of the result"],
        ),
    }
    for name, (panes, captions) in rows.items():
        page = side_by_side(panes, captions)
        page.save(OUT / f"{name}.webp", quality=80, method=6)


def draw_one(path: Trajectory, color: str = "") -> Image.Image:
    """Draw one whole path."""
    return draw_paths([(path, color)], upto=len(path) - 1, size=PANE_PX)


def draw_both(first: Trajectory, second: Trajectory) -> Image.Image:
    """Draw the path of a clip, and the one estimated from what was generated along it."""
    return draw_paths(
        [(first, CYCLE_COLOR), (second, OTHER_COLOR)], upto=len(first) - 1, size=PANE_PX
    )


def main() -> None:
    """Run the commands, unless FOLDER has their results, and draw all pictures."""
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as fresh:
        work = Path(sys.argv[1] if len(sys.argv) > 1 else fresh)
        work.mkdir(parents=True, exist_ok=True)
        if not (work / "loop" / "loop.html").is_file():  # the last thing that is written
            compute(work)
        draw_moving_picture(work)
        draw_tasks(work)


if __name__ == "__main__":
    main()
