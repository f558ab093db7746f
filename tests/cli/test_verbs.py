"""Every verb that runs a model, from the command line to its files, on a real toy-sized model."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rays_as_pixels.cli.main import main
from rays_as_pixels.media.video import read_clip, write_image, write_video
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
from rays_as_pixels.trajectories.formats.native import (
    read_native,
    read_native_with_extra,
    write_native,
)
from rays_as_pixels.trajectories.presets import make_preset

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clip(tmp_path) -> Path:
    """Write 12 frames of 32 x 48 smooth noise at 10 frames per second."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(12, 3, 4, 6, generator=generator)
    video = torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bilinear")
    write_video(tmp_path / "clip.mp4", video, fps=10)
    write_image(tmp_path / "photo.png", video[0])
    return tmp_path / "clip.mp4"


def run(capsys, *words: object) -> tuple[list[str], str]:
    """Run a verb that must succeed; return the lines of stdout and all of stderr."""
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    assert code == 0, err
    return out.splitlines(), err


def test_estimate_writes_the_path_and_its_page(capsys, tmp_path, clip, model_folder):
    out = tmp_path / "out"
    words = ("--frames", 5, "--model", model_folder, "--seed", 7, "--no-extra-frames")
    lines, err = run(capsys, "estimate", clip, "--out", out, *words)
    assert lines == [str(out / "trajectory.json"), str(out / "path.html")]
    assert sorted(path.name for path in out.iterdir()) == ["path.html", "trajectory.json"]
    trajectory, extra = read_native_with_extra(out / "trajectory.json")
    assert len(trajectory) == 5
    assert (trajectory.cameras.height, trajectory.cameras.width) == (32, 48), "the video's own size"
    assert extra["seed"] == 7
    assert extra["input"] == "clip.mp4"
    indices = re.search(r"frames used: 5 of 12: ([\d, ]+)", err).group(1)
    assert tuple(map(int, indices.split(", "))) == trajectory.source_frame
    assert trajectory.source_frame[0] == 0
    assert trajectory.source_frame[-1] == 11
    assert "estimate path: step 1/1" in err
    assert "<script" in (out / "path.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "words",
    [
        ["--frames", "9"],
        ["--frames", "6"],
        ["--frames", "5", "--start-sec", "0.5"],
        ["--frames", "5", "--end-sec", "0.6"],
    ],
)
def test_the_frames_asked_for_are_the_frames_used(capsys, tmp_path, clip, model_folder, words):
    words = [*words, "--no-extra-frames"]
    run(capsys, "estimate", clip, "--out", tmp_path / "out", "--model", model_folder, *words)
    used = read_native(tmp_path / "out" / "trajectory.json").source_frame
    assert len(used) == int(words[1])
    if "--start-sec" in words:
        assert used[0] == 5
    if "--end-sec" in words:
        assert used[-1] < float(words[words.index("--end-sec") + 1]) * 10


def test_a_seed_gives_the_same_path_again_and_another_seed_another(
    capsys, tmp_path, clip, model_folder
):
    poses = []
    for number, seed in enumerate((3, 3, 4)):
        out = tmp_path / str(number)
        words = ("--frames", 5, "--model", model_folder, "--seed", seed, "--no-extra-frames")
        run(capsys, "estimate", clip, "--out", out, *words)
        poses.append(read_native(out / "trajectory.json").cameras.world_from_cam)
    assert torch.equal(poses[0], poses[1])
    assert not torch.equal(poses[0], poses[2])


def test_generate_makes_the_video_along_the_path(capsys, tmp_path, clip, model_folder):
    path = make_preset("dolly-in", num_frames=9, fps=7.0, height=32, width=48)
    write_native(path, tmp_path / "path.json")
    out = tmp_path / "deep" / "video.mp4"
    lines, err = run(
        capsys,
        "generate",
        "--image",
        clip.parent / "photo.png",
        "--trajectory",
        tmp_path / "path.json",
        "--out",
        out,
        "--model",
        model_folder,
        "--steps",
        2,
    )
    assert lines == [str(out)]
    video = read_clip(out)
    assert len(video) == 9
    assert video.fps == pytest.approx(7.0, rel=1e-3), "fps is stored as a fraction"
    assert "generate video: step 2/2" in err


def test_depths_of_an_estimate_are_for_generate(capsys, tmp_path, clip, model_folder, monkeypatch):
    given, generate = [], RaysAsPixelsPipeline.generate
    monkeypatch.setattr(
        RaysAsPixelsPipeline, "generate", lambda *a, **k: given.append(k) or generate(*a, **k)
    )
    words = ("--frames", 5, "--model", model_folder, "--no-extra-frames")
    run(capsys, "estimate", clip, "--out", tmp_path / "a", *words)
    result = tmp_path / "a" / "trajectory.json"
    depth = read_native_with_extra(result)[1]["depth"]
    assert min(map(min, depth)) > 0
    path = make_preset("dolly-in", num_frames=5, fps=7.0, height=32, width=48)
    write_native(path, tmp_path / "path.json", extra={"depth": depth})
    photo = clip.parent / "photo.png"
    common = (
        "--image",
        photo,
        "--trajectory",
        tmp_path / "path.json",
        "--model",
        model_folder,
        "--steps",
        1,
    )
    for number, words in enumerate(([], ["--depth", tmp_path / "path.json"])):
        run(capsys, "generate", *common, "--out", tmp_path / f"{number}.mp4", *words)
    assert given[0]["image_depths"] is None, "only when asked for"
    torch.testing.assert_close(given[1]["image_depths"][0], torch.tensor(depth))
    words = [*common, "--out", tmp_path / "no.mp4", *["--depth", result] * 2]
    assert main(["generate", *map(str, words)]) == 2
    assert "at most once per --image; got 2 for 1" in capsys.readouterr().err
    words = ["--depth", result, "--clip", clip]
    run(capsys, "generate", *common, "--out", tmp_path / "2.mp4", *words)
    source_clip = given[2]["source_clip"]
    assert len(source_clip.video) == len(source_clip.trajectory) == len(read_native(result))
    torch.testing.assert_close(source_clip.depth, torch.tensor(depth))
    run(capsys, "generate", *common, "--out", tmp_path / "3.mp4", "--source-trajectory", result)
    pose = given[3]["source_trajectory"].cameras.world_from_cam
    torch.testing.assert_close(pose, read_native(result).cameras.world_from_cam)
    assert given[0]["source_trajectory"] is None
    words = [*common, "--out", tmp_path / "no.mp4", "--clip", clip]
    assert main(["generate", *map(str, words)]) == 2
    assert "must come with the trajectory.json" in capsys.readouterr().err


def test_generate_shortens_a_long_path_only_when_told_to(capsys, tmp_path, clip, model_folder):
    path = make_preset("dolly-in", num_frames=30, fps=10.0, height=32, width=48)
    write_native(path, tmp_path / "path.json")
    words = [
        "generate",
        "--image",
        str(clip.parent / "photo.png"),
        "--trajectory",
        str(tmp_path / "path.json"),
        "--out",
        str(tmp_path / "v.mp4"),
        "--model",
        str(model_folder),
        "--steps",
        "1",
    ]
    assert main(words) == 2
    assert "--frames 5" in capsys.readouterr().err
    assert not (tmp_path / "v.mp4").exists()
    run(capsys, *words, "--frames", "5")
    assert len(read_clip(tmp_path / "v.mp4")) == 5


def test_imagine_writes_a_video_and_its_path(capsys, tmp_path, clip, model_folder):
    out = tmp_path / "out"
    lines, _ = run(
        capsys,
        "imagine",
        "--image",
        clip.parent / "photo.png",
        "--out",
        out,
        "--model",
        model_folder,
        "--steps",
        1,
        "--frames",
        9,
    )
    assert lines == [str(out / "video.mp4"), str(out / "trajectory.json")]
    assert len(read_clip(out / "video.mp4")) == len(read_native(out / "trajectory.json")) == 9


def test_several_images_are_spread_over_the_video_openly(capsys, tmp_path, clip, model_folder):
    photo = clip.parent / "photo.png"
    words = ["imagine", "--image", photo, "--image", photo, "--out", tmp_path / "out"]
    words += ["--model", model_folder, "--steps", 1]
    assert "images taken as frames 0, 4 of 5" in run(capsys, *words)[1]
    again = run(capsys, *words, "--image-frame", 0, "--image-frame", 2)
    assert "images taken" not in again[1]


def test_loop_writes_everything_and_its_numbers(capsys, tmp_path, clip, model_folder):
    out = tmp_path / "out"
    lines, _ = run(capsys, "loop", clip, "--out", out, "--model", model_folder, "--steps", 1)
    names = [
        "video.mp4",
        "input.mp4",
        "estimated.json",
        "reestimated.json",
        "report.json",
        "loop.html",
    ]
    assert lines == [str(out / name) for name in names]
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    for name in ("R_err", "T_err", "psnr_db"):
        assert math.isfinite(report[name])
    for name in ("rotation_error_rad", "translation_error", "psnr_db"):
        assert len(report[f"{name}_by_frame"]) == 5
    assert len(read_clip(out / "video.mp4")) == len(read_clip(out / "input.mp4")) == 5
    assert len(read_native(out / "estimated.json")) == len(read_native(out / "reestimated.json"))


@pytest.mark.parametrize("broken", ["cut", "missing", "text"])
def test_damaged_weights_are_refused_in_one_line(capsys, tmp_path, clip, model_folder, broken):
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    weights = next((folder / "transformer").glob("*.safetensors"))
    if broken == "cut":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif broken == "text":
        weights.write_text("not weights")
    else:
        weights.unlink()
    code = main(["estimate", str(clip), "--out", str(tmp_path / "out"), "--model", str(folder)])
    errors = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert code == 2
    assert len(errors) == 1
    assert not (tmp_path / "out").exists()


def test_a_clip_the_model_cannot_hold_is_refused(capsys, tmp_path, clip, model_folder):
    words = ["estimate", str(clip), "--out", str(tmp_path / "out"), "--model", str(model_folder)]
    for extra, part in (
        (["--frames", "10"], "from 2 to 9 for this model; got 10"),
        (["--fps", "10", "--no-refine"], "at most 9 frames"),
        (["--start-sec", "99"], "start_sec"),
        (["--start-sec", "1.05"], "got 1"),
        (["--flips", "2"], "--flips must come with --frames N"),
    ):
        assert main([*words, *extra]) == 2
        assert part in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_stopping_leaves_nothing_behind(tmp_path, clip, model_folder, name, code):
    before = sorted(path.name for path in tmp_path.iterdir())
    command = [sys.executable, "-m", "rays_as_pixels", "estimate", str(clip), "--out"]
    command += [str(tmp_path / "out"), "--model", str(model_folder), "--steps", "1000"]
    # Tests that run in the background have been told to ignore SIGINT, and would pass it on.
    kept = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    signal.signal(signal.SIGINT, kept)
    said = []
    for line in process.stderr:
        said.append(line)
        if "step 3/" in line:
            break
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert out == ""
    assert err.splitlines()[-1].startswith("stopped")
    words = "".join(said) + err
    assert "Traceback" not in words
    ours = ("model: ", "frames used: ", "note: ", "track frames: ", "stopping; ", "stopped")
    assert all(line.startswith(ours) for line in words.splitlines()), words
    assert sorted(path.name for path in tmp_path.iterdir()) == before
