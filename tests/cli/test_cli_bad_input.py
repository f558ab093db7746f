"""Whatever is wrong with the input: exit code 2, one line that says so, and nothing written."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rays_as_pixels.cli.main import VERBS, build_parser, explain, main
from rays_as_pixels.errors import Cancelled, CheckpointError, InputError
from rays_as_pixels.media.video import write_image, write_video
from rays_as_pixels.trajectories.formats.native import write_native
from rays_as_pixels.trajectories.presets import make_preset

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def files(tmp_path) -> dict[str, str]:
    """Good and bad files by name."""
    generator = torch.Generator().manual_seed(0)
    video = torch.rand(9, 3, 32, 48, generator=generator)
    write_video(tmp_path / "clip.mp4", video, fps=10)
    write_video(tmp_path / "one.mp4", video[:1], fps=10)
    write_image(tmp_path / "photo.png", video[0])
    path = make_preset("dolly-in", num_frames=9, fps=10.0, height=32, width=48)
    write_native(path, tmp_path / "path.json")
    (tmp_path / "text.mp4").write_text("this is no video")
    (tmp_path / "text.png").write_text("this is no image")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "cut.mp4").write_bytes((tmp_path / "clip.mp4").read_bytes()[:400])
    (tmp_path / "nan.json").write_text((tmp_path / "path.json").read_text().replace("1.0", "NaN"))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model_index.json").write_text("{}")
    return {path.name: str(path) for path in tmp_path.iterdir()}


def refusal(capsys, *words: str) -> str:
    """Run the command line; check exit code 2 and one line on stderr; return the last line."""
    try:
        code = main(words)
    except SystemExit as leaving:
        code = leaving.code
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2, err
    assert out == "", "no result may be named"
    assert len(lines) == 1, err
    assert err.splitlines()[-1] == lines[0], err
    assert "Traceback" not in err
    return lines[0]


@pytest.mark.parametrize("verb", ["estimate", "loop"])
@pytest.mark.parametrize("name", ["missing.mp4", "text.mp4", "empty.mp4", "cut.mp4"])
def test_an_unreadable_video_is_refused_before_the_model_is_loaded(
    capsys, tmp_path, files, verb, name
):
    line = refusal(capsys, verb, files.get(name, name), "--out", str(tmp_path / "out"))
    assert name in line
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".*")), "no temporary folder may stay"


@pytest.mark.parametrize("verb", ["generate", "imagine"])
@pytest.mark.parametrize("name", ["missing.png", "text.png"])
def test_an_unreadable_image_is_refused(capsys, tmp_path, files, verb, name):
    words = ["--trajectory", files["path.json"]] if verb == "generate" else []
    out = str(tmp_path / ("out.mp4" if verb == "generate" else "out"))
    line = refusal(capsys, verb, "--image", files.get(name, name), "--out", out, *words)
    assert name in line
    assert not list(tmp_path.glob(".*"))


def test_a_trajectory_with_nan_is_refused(capsys, tmp_path, files):
    line = refusal(
        capsys,
        "generate",
        "--image",
        files["photo.png"],
        "--trajectory",
        files["nan.json"],
        "--out",
        str(tmp_path / "out.mp4"),
    )
    assert "nan.json" in line or "finite" in line


@pytest.mark.parametrize("verb", ["estimate", "loop"])
@pytest.mark.parametrize("model", ["missing", "broken", "clip.mp4"])
def test_a_model_that_is_missing_or_damaged_is_refused(capsys, tmp_path, files, verb, model):
    refusal(
        capsys,
        verb,
        files["clip.mp4"],
        "--out",
        str(tmp_path / "out"),
        "--model",
        files.get(model, str(tmp_path / model)),
        "--device",
        "cpu",
    )
    assert not (tmp_path / "out").exists()


def test_a_device_that_is_not_there_is_refused(capsys, tmp_path, files):
    words = ("estimate", files["clip.mp4"], "--out", str(tmp_path / "out"), "--device")
    assert "cuda:99" in refusal(capsys, *words, "cuda:99")
    assert "toaster" in refusal(capsys, *words, "toaster")


def test_an_output_that_cannot_take_the_results_is_refused_first(capsys, tmp_path, files):
    clip = files["clip.mp4"]
    assert "must be a folder" in refusal(capsys, "estimate", clip, "--out", clip)
    assert "must be a folder" in refusal(capsys, "estimate", clip, "--out", f"{clip}/deeper")
    (tmp_path / "out" / "path.html").mkdir(parents=True)
    assert "path.html" in refusal(capsys, "estimate", clip, "--out", str(tmp_path / "out"))
    image = ("generate", "--image", files["photo.png"], "--trajectory", files["path.json"])
    assert ".mp4" in refusal(capsys, *image, "--out", str(tmp_path / "video.avi"))
    assert Path(clip).read_bytes()[4:8] == b"ftyp", "the input must still be there"


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file system nobody can write to")
def test_an_output_nobody_can_write_to_is_refused(capsys, files):
    assert "write" in refusal(capsys, "estimate", files["clip.mp4"], "--out", "/proc/out")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["fly"],
        ["estimate"],
        ["estimate", "a.mp4"],
        ["estimate", "a.mp4", "--out", "x", "--steps", "0"],
        ["estimate", "a.mp4", "--out", "x", "--steps", "many"],
        ["estimate", "a.mp4", "--out", "x", "--seed", "-1"],
        ["estimate", "a.mp4", "--out", "x", "--fps", "nan"],
        ["estimate", "a.mp4", "--out", "x", "--fps", "inf"],
        ["estimate", "a.mp4", "--out", "x", "--start-sec", "-1"],
        ["estimate", "a.mp4", "--out", "x", "--unknown"],
        ["generate", "--image", "a.png", "--out", "x.mp4"],
        ["imagine", "--out", "x"],
        ["imagine", "--image", "a.png", "--image-frame", "last", "--out", "x"],
    ],
)
def test_options_that_make_no_sense_are_refused_in_one_line(capsys, words):
    assert "--help" in refusal(capsys, *words)


@pytest.mark.parametrize(
    "words",
    [
        ["convert", "missing.json", "out.json"],
        ["convert", "text.png", "out.json"],
        ["convert", "path.json", "out.unknown"],
        ["preview", "missing.json", "--out", "page.html"],
        ["preview", "nan.json", "--out", "page.html"],
        ["preview", "path.json", "--out", "page.pdf"],
        ["compare", "path.json", "missing.json"],
        ["evaluate", "--worlds", "0"],
        ["evaluate", "--worlds", "1", "--steps", "none"],
        ["evaluate", "--worlds", "1", "--model", "broken"],
        ["evaluate", "--data", "missing"],
        ["train", "--config", "huge"],
        ["app", "--device", "toaster"],
        ["app", "--port", "0"],
    ],
)
def test_the_other_verbs_refuse_bad_input_too(capsys, tmp_path, files, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    refusal(capsys, *words)
    assert sorted(tmp_path.iterdir()) == before


def test_an_image_frame_must_be_given_for_every_image_or_for_none(capsys, tmp_path, files):
    line = refusal(
        capsys,
        "imagine",
        "--image",
        files["photo.png"],
        "--image",
        files["photo.png"],
        "--image-frame",
        "0",
        "--out",
        str(tmp_path / "out"),
    )
    assert "--image-frame" in line


def test_every_error_has_its_exit_code_and_one_line():
    with pytest.raises(OSError) as full, open("/dev/full", "w") as file:
        file.write("x" * 100_000)
    cases = {
        InputError("x must be 1;\n got 2."): (2, "x must be 1; got 2."),
        CheckpointError("no weights"): (2, "no weights"),
        full.value: (2, "must have room"),
        PermissionError(errno.EACCES, "Permission denied", "a.mp4"): (2, "a.mp4"),
        FileNotFoundError(errno.ENOENT, "No such file", "b.mp4"): (2, "b.mp4"),
        MemoryError(): (2, "memory"),
        ModuleNotFoundError("No module", name="plotly"): (2, "pip install"),
        KeyboardInterrupt(): (130, "stopped"),
        Cancelled(): (130, "stopped"),
        ZeroDivisionError("division\nby zero"): (1, "--debug"),
    }
    for error, (code, part) in cases.items():
        told = explain(error)
        assert told[0] == code
        assert part in told[1]
        assert "\n" not in told[1]


def test_debug_shows_the_traceback(tmp_path):
    with pytest.raises(InputError):
        main(["estimate", "missing.mp4", "--out", str(tmp_path / "out"), "--debug"])


def test_every_verb_explains_itself():
    verbs = build_parser()._subparsers._group_actions[0].choices
    assert list(verbs) == list(VERBS)
    for name, parser in verbs.items():
        assert len(parser.format_help()) > 200, name


HELP_PROBE = """
import sys
from rays_as_pixels.cli.main import build_parser
build_parser().format_help()
heavy = {"torch", "gradio", "plotly", "open3d", "diffusers", "numpy", "av"} & set(sys.modules)
sys.exit(f"loaded {heavy}" if heavy else 0)
"""


def test_the_help_loads_nothing_heavy():
    subprocess.run([sys.executable, "-c", HELP_PROBE], cwd=ROOT, check=True)


def test_the_module_runs_as_a_program_and_passes_its_exit_code_on(tmp_path):
    command = [sys.executable, "-m", "rays_as_pixels", "estimate", "missing.mp4"]
    run = subprocess.run(
        [*command, "--out", str(tmp_path / "out")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1
