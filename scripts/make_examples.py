"""Render the example clips of assets/examples from held-out worlds.

Each example is a folder with clip.mp4, truth.json (its true path), poster.png and about.json.
"""

import json
import sys
from pathlib import Path

import torch

from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.video import write_image, write_video
from rays_as_pixels.trajectories.formats.native import write_native
from rays_as_pixels.worlds.clips import render_clips

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "examples"
FPS = 10.0
NUM_FRAMES, HEIGHT, WIDTH = 17, 240, 320
# Seeds picked by looking: a clear motion, nothing in front of the lens.
EXAMPLES = {
    "1-orbit": (27, "Orbit"),
    "2-crane": (11, "Crane down"),
    "3-slide": (18, "Slide left"),
}


def main() -> None:
    """Write all examples, or those named on the command line."""
    for name, (seed, title) in EXAMPLES.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        clips = render_clips(
            [seed],
            split="heldout",
            num_frames=NUM_FRAMES,
            height=HEIGHT,
            width=WIDTH,
            degraded=False,
        )
        folder = FOLDER / name
        folder.mkdir(parents=True, exist_ok=True)
        video = clips.video[0].clamp(0, 1)
        write_video(folder / "clip.mp4", video, fps=FPS)
        write_image(folder / "poster.png", video[NUM_FRAMES // 2])
        truth = Trajectory(clips.cameras[0].to(dtype=torch.float64), FPS)
        write_native(truth, folder / "truth.json", extra={"world_seed": seed})
        about = {"title": title, "origin": f"rendered by rays_as_pixels.worlds, seed {seed}"}
        (folder / "about.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
