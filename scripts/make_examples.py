"""Render the example clips of assets/examples, and solve them with the shipped model.

    python scripts/make_examples.py [--model DIR] [--only-solve | --only-points] [NAME ...]

Each example is a folder with clip.mp4, truth.json (its true path), points.npz (points of its world,
those of three frames thinned), poster.png, about.json, and solved/KIND/ with what the model made of
it: the files of a job, and record.json with its settings.
Run it again with --only-solve whenever the weights change.
"""

import argparse
import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rays_as_pixels.app.jobs import tasks
from rays_as_pixels.app.jobs.frame_files import frames_bytes, load_frames
from rays_as_pixels.app.jobs.input_files import (
    REFERENCE,
    TARGET_TRAJECTORY,
    image_name,
    png_bytes,
    source_clip_files,
    trajectory_bytes,
)
from rays_as_pixels.app.jobs.kinds import job_kinds
from rays_as_pixels.app.jobs.manager import JobManager
from rays_as_pixels.app.jobs.records import JobRecord
from rays_as_pixels.app.jobs.requests import (
    EstimateRequest,
    GenerateRequest,
    LoopRequest,
)
from rays_as_pixels.app.page.points import POINTS
from rays_as_pixels.app.validation import StrictModel
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.video import write_image, write_video
from rays_as_pixels.model.checkpoints import DEFAULT_MODEL
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
from rays_as_pixels.trajectories.depth import depth_of_path
from rays_as_pixels.trajectories.formats.native import read_native, write_native
from rays_as_pixels.trajectories.presets import make_preset
from rays_as_pixels.worlds.clips import WorldClips, WorldOptions, render_clips

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "examples"
FPS = 10.0
NUM_FRAMES, HEIGHT, WIDTH = 17, 240, 320
USED = 9
POINT_STEP = 8  # pixels
# Seeds picked by looking: a clear motion, nothing in front of the lens. The last is the preset that
# the example is filmed again along, and how far.
EXAMPLES = {
    "1-orbit": (27, {"en": "Orbit", "zh": "环绕"}, ("truck-right", 0.25)),
    "2-crane": (11, {"en": "Crane down", "zh": "下降"}, ("dolly-in", 0.25)),
    "3-slide": (18, {"en": "Slide left", "zh": "左移"}, ("arc-right", 15.0)),
}
# What the page needs of each kind; the rest it can make itself.
SHIPPED = {
    "estimate": (tasks.TRAJECTORY, tasks.CLIP, "raxels.npy"),
    "generate": (tasks.TRAJECTORY, tasks.VIDEO, TARGET_TRAJECTORY),
    "loop": (tasks.TRAJECTORY, tasks.VIDEO, tasks.CLIP, tasks.REESTIMATED, tasks.REPORT),
}


def rendered(name: str) -> WorldClips:
    """Render an example's clip."""
    return render_clips(
        [EXAMPLES[name][0]],
        split="heldout",
        num_frames=NUM_FRAMES,
        height=HEIGHT,
        width=WIDTH,
        options=WorldOptions(degraded=False),
    )


def write_points(name: str, clips: WorldClips) -> None:
    """Write points of an example's world: every POINT_STEP-th pixel of three frames, lifted.

    Raises:
        SystemExit: The world is no more the one that the example's true path lies in.
    """
    cameras = clips.cameras[0].to(dtype=torch.float64)
    truth = read_native(FOLDER / name / "truth.json").cameras
    if not torch.allclose(truth.world_from_cam, cameras.world_from_cam, atol=1e-5):
        raise SystemExit(f"{name}: the seed renders another world now. Render the example anew.")
    xyz, rgb = [], []
    for frame in (0, NUM_FRAMES // 2, NUM_FRAMES - 1):
        camera = cameras[frame]
        row, column = (
            at.flatten()
            for at in torch.meshgrid(
                torch.arange(POINT_STEP // 2, HEIGHT, POINT_STEP),
                torch.arange(POINT_STEP // 2, WIDTH, POINT_STEP),
                indexing="ij",
            )
        )
        pixel = torch.stack([column, row], dim=1) + 0.5
        depth = clips.depth[0, frame, row, column].double()
        ray = torch.cat([(pixel - camera.center_px) / camera.focal_px, torch.ones(len(row), 1)], 1)
        world_from_cam = camera.world_from_cam
        xyz.append((depth[:, None] * ray) @ world_from_cam[:3, :3].T + world_from_cam[:3, 3])
        rgb.append(clips.video[0, frame, :, row, column].clamp(0, 1).T)
    np.savez_compressed(
        FOLDER / name / POINTS,
        xyz=torch.cat(xyz).numpy().astype(np.float16),
        rgb=(torch.cat(rgb) * 255).round().to(torch.uint8).numpy(),
    )


def render(name: str) -> None:
    """Write an example's clip, poster, true path, points and description."""
    seed, title, _ = EXAMPLES[name]
    clips = rendered(name)
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    video = clips.video[0].clamp(0, 1)
    write_video(folder / "clip.mp4", video, fps=FPS)
    write_image(folder / "poster.png", video[NUM_FRAMES // 2])
    truth = Trajectory(clips.cameras[0].to(dtype=torch.float64), FPS)
    write_native(truth, folder / "truth.json", extra={"world_seed": seed})
    write_points(name, clips)
    about = {"title": title, "origin": f"rendered by rays_as_pixels.worlds, seed {seed}"}
    text = json.dumps(about, indent=1, ensure_ascii=False)
    (folder / "about.json").write_text(f"{text}\n", encoding="utf-8")


def solve(name: str, made_with: str, jobs: JobManager) -> None:
    """Estimate the path, film along another, and run the loop, as jobs of the app."""
    solved = FOLDER / name / "solved"
    shutil.rmtree(solved, ignore_errors=True)

    request = EstimateRequest(video="input.mp4", num_frames=USED)
    clip = FOLDER / name / "clip.mp4"
    estimate = _run(jobs, "estimate", request, {"input.mp4": clip}, {})
    _ship(jobs, estimate, solved, made_with)
    frames = load_frames(jobs.folder(estimate.id) / tasks.FRAMES)
    path = read_native(jobs.folder(estimate.id) / tasks.TRAJECTORY)
    depth = depth_of_path(jobs.folder(estimate.id) / tasks.TRAJECTORY)
    assert depth is not None
    first = png_bytes(frames[0])

    inputs: dict[str, Any] = {
        TARGET_TRAJECTORY: trajectory_bytes(_other_path(name, path), depth),
        image_name(0): first,
        **source_clip_files(frames, path, depth, inlier_ratio=estimate.results["inlier_ratio"]),
    }
    of_estimate = {"estimate": f"example:{name}/estimate"}
    notes = {"path": "edited", "whole_clip": True} | of_estimate
    _ship(jobs, _run(jobs, "generate", GenerateRequest(), inputs, notes), solved, made_with)

    inputs = {
        TARGET_TRAJECTORY: trajectory_bytes(path, depth),
        image_name(0): first,
        REFERENCE: frames_bytes(frames),
    }
    looped = _run(jobs, "loop", LoopRequest(rounds=2), inputs, of_estimate)
    _ship(jobs, looped, solved, made_with)


def _other_path(name: str, path: Trajectory) -> Trajectory:
    """Return the preset that an example is filmed again along, with its lens and length."""
    preset, amount = EXAMPLES[name][2]
    cameras = path.cameras
    return make_preset(
        preset,
        num_frames=len(path),
        fps=path.fps,
        height=cameras.height,
        width=cameras.width,
        hfov_deg=cameras.hfov_rad[0].rad2deg().item(),
        amount=amount,
    )


def _run(
    jobs: JobManager,
    kind: str,
    request: StrictModel,
    inputs: dict[str, Any],
    notes: dict[str, Any],
) -> JobRecord:
    record = jobs.submit(kind, request, inputs=inputs, notes=notes)
    record = jobs.wait(record.id)
    if record.state != "done":
        raise SystemExit(f"{kind}: {record.message}")
    return record


def _ship(jobs: JobManager, record: JobRecord, solved: Path, made_with: str) -> None:
    """Copy what the page needs of a finished job, with its settings."""
    place = solved / record.kind
    place.mkdir(parents=True)
    for name in SHIPPED[record.kind]:
        source = jobs.folder(record.id) / name
        if source.is_file():
            shutil.copyfile(source, place / name)
    results = {key: value for key, value in record.results.items() if _kept(key, value, place)}
    about = {
        "kind": record.kind,
        "settings": record.settings,
        "results": results,
        "created_unix": round(record.created_unix),
        "duration_sec": round(record.duration_sec or 0.0, 2),
        "made_with": made_with,
    }
    text = json.dumps(about, indent=1, allow_nan=False)
    (place / "record.json").write_text(f"{text}\n", encoding="utf-8")
    print(f"{place.relative_to(FOLDER)}: {about['duration_sec']} s")  # noqa: T201


def _kept(key: str, value: Any, place: Path) -> bool:
    """Drop what names files that are not shipped."""
    named = isinstance(value, str) and "." in value and key not in ("source", "notes")
    return key not in ("frames", "pictures") and (not named or (place / value).is_file())


def name_of(folder: Path) -> str:
    """Name a model so that one can tell whether the shipped results are still its own."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.safetensors")):
        digest.update(np.memmap(file, mode="r").data)
    return f"{folder.name}, weights {digest.hexdigest()[:8]}"


def main() -> None:
    """Render and solve all examples, or those named on the command line."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(EXAMPLES))
    parser.add_argument("--model", type=Path, default=Path(DEFAULT_MODEL))
    parser.add_argument("--only-solve", action="store_true", help="keep the clips as they are")
    parser.add_argument("--only-points", action="store_true", help="write the points, no more")
    args = parser.parse_args()
    names = args.names or list(EXAMPLES)
    if args.only_points:
        for name in names:
            write_points(name, rendered(name))
        return
    pipeline = RaysAsPixelsPipeline.from_pretrained(args.model)
    pipeline.set_progress_bar_config(disable=True)
    made_with = name_of(args.model)
    with tempfile.TemporaryDirectory() as work:
        jobs = JobManager(Path(work) / "jobs", job_kinds(lambda: pipeline))
        for name in names:
            if not args.only_solve:
                render(name)
            solve(name, made_with, jobs)
        jobs.close()


if __name__ == "__main__":
    main()
