"""`convert IN OUT`: what it writes, what it says, and what it refuses."""

from pathlib import Path

import pytest

from rays_as_pixels.cli.main import main
from rays_as_pixels.trajectories.formats import FORMATS, load

GOLDEN = Path(__file__).parents[1] / "trajectories" / "golden"


def test_a_conversion_names_its_files_on_stdout_and_says_both_conventions(capsys, tmp_path):
    out = tmp_path / "model"
    code = main(
        ["convert", str(GOLDEN / "re10k.txt"), str(out), "--format", "colmap", "--size", "640x480"]
    )
    captured = capsys.readouterr()
    assert code == 0
    assert captured.out.split() == [
        str(path)
        for path in (
            out / "cameras.txt",
            out / "images.txt",
            out / "points3D.txt",
            out / "trajectory.about.json",
        )
    ]
    assert f"format of IN (detected): re10k: {FORMATS['re10k'].convention}" in captured.err
    assert f"format of OUT: colmap: {FORMATS['colmap'].convention}" in captured.err
    path = load(out)
    assert path.positions[1].tolist() == pytest.approx([1.0, 2.0, 3.0])
    assert path.cameras.focal_px[1].tolist() == pytest.approx([500.0, 510.0])


def test_what_a_file_does_not_hold_is_given_by_options_or_said_to_be_assumed(capsys, tmp_path):
    words = ["convert", str(GOLDEN / "kitti.txt"), str(tmp_path / "path.json")]
    assert main(words) == 0
    assert capsys.readouterr().err.count("note: Assumed") == 3
    assert main([*words, "--size", "640x480", "--fps", "24", "--hfov", "90"]) == 0
    assert "Assumed" not in capsys.readouterr().err
    path = load(tmp_path / "path.json")
    assert (path.cameras.width, path.cameras.height, path.fps) == (640, 480, 24.0)
    assert path.cameras.focal_px[0, 0].item() == pytest.approx(320.0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing.txt", "x.json"], "missing.txt"),
        ([str(GOLDEN / "tum.txt"), "x.txt"], "leaves it open"),
        ([str(GOLDEN / "tum.txt"), "x.json", "--input-format", "kitti"], "must hold 12 numbers"),
        ([str(GOLDEN / "tum.txt"), "x.json", "--size", "640"], "must be WxH"),
        ([str(GOLDEN / "tum.txt"), "x.json", "--size", "0x480"], "must be WxH"),
        ([str(GOLDEN / "tum.txt"), "x.json", "--fps", "0"], "must be a positive number"),
        ([str(GOLDEN / "tum.txt"), "x.json", "--hfov", "180"], "between 0 and 180"),
        ([str(GOLDEN / "tum.txt"), "x.json", "--camera", "cam02"], "camera must not be given"),
        ([str(GOLDEN / "tum.txt"), "none/x.json"], "must be writable"),
        ([str(GOLDEN / "tum.txt"), "x.json", "--input-format", "fbx"], "must be one of native"),
        ([str(GOLDEN / "tum.txt"), "x.json", "--format", "fbx"], "must be one of native, re10k"),
    ],
)
def test_bad_input_ends_with_code_2_and_one_line_and_writes_nothing(
    capsys, tmp_path, monkeypatch, words, said
):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(["convert", *words])
    except SystemExit as leaving:
        code = leaving.code
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert said in captured.err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []
