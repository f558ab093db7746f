"""`evaluate` on the command line: refusals in one line, tables on stdout, files where asked."""

import argparse
import json

import pytest
import rooms
from tiny_pipe import SIZE, tiny_pipeline

from rays_as_pixels.cli.evaluate import add_parser, step_list
from rays_as_pixels.cli.main import main
from rays_as_pixels.errors import InputError
from rays_as_pixels.evaluation.tasks.runner import Settings
from rays_as_pixels.media.video import write_image


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny_pipeline().save_pretrained(folder)
    return folder


@pytest.fixture
def data(tmp_path):
    """One clip of a room in the layout of --data, seven frames."""
    height, width = SIZE
    clip = rooms.room_clip(rooms.curved_path(7, height=height, width=width, focal_px=40.0))
    folder = tmp_path / "data" / "room"
    (folder / "frames").mkdir(parents=True)
    frames = []
    for k, image in enumerate(clip.video):
        write_image(folder / "frames" / f"{k:03d}.png", image)
        pose = clip.cameras.world_from_cam[k].tolist()
        frames.append({"fx": 40, "fy": 40, "cx": width / 2, "cy": height / 2, "cam2world": pose})
    cameras = {"convention": "opencv_cam2world", "width": width, "height": height}
    (folder / "cameras.json").write_text(json.dumps(cameras | {"frames": frames}))
    return folder.parent


def test_steps_are_whole_numbers_separated_by_commas():
    assert step_list("1, 2,8,2") == (1, 2, 8)
    with pytest.raises(InputError, match=r"separated by commas; got '1,x'"):
        step_list("1,x")
    with pytest.raises(InputError, match="at least 1"):
        step_list("0")


def test_tables_go_to_stdout_and_files_to_the_folder(model, data, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["evaluate", "--data", str(data), "--model", str(model), "--device", "cpu"]
    arguments += [
        "--tasks",
        "autoencoder,estimate",
        "--steps",
        "1",
        "--num-samples",
        "1",
        "--out",
        str(out),
    ]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "## Autoencoder floor" in printed and "| constant velocity" in printed
    result = json.loads((out / "evaluation.json").read_text())
    assert result["clips"] == [{"name": "room", "source_frame": [0, 1, 2, 3, 4]}]
    assert "equally spaced from the first on" in result["source"]
    assert printed.startswith((out / "evaluation.md").read_text())
    assert sorted(path.name for path in out.iterdir()) == ["evaluation.json", "evaluation.md"]


def test_a_worse_result_than_an_earlier_one_ends_with_exit_code_1(model, data, tmp_path, capsys):
    arguments = ["evaluate", "--data", str(data), "--model", str(model), "--device", "cpu"]
    arguments += ["--tasks", "autoencoder", "--num-samples", "1"]
    assert main([*arguments, "--out", str(tmp_path / "old")]) == 0
    file = tmp_path / "old" / "evaluation.json"
    capsys.readouterr()
    assert main([*arguments, "--against", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "- autoencoder rotation_mean_deg: " in printed and "same" in printed
    assert "- generate psnr_db: not compared" in printed
    old = json.loads(file.read_text())
    row = next(r for r in old["tables"]["autoencoder"]["rows"] if r["id"] == "autoencoder")
    row["psnr_db"] += 1
    file.write_text(json.dumps(old))
    assert main([*arguments, "--against", str(file)]) == 1
    assert capsys.readouterr().err.endswith("worse than before: autoencoder psnr_db\n")


def test_the_steps_that_are_measured_are_the_defaults(model):
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    args = parser.parse_args(["evaluate", "--worlds", "1"])
    settings = Settings()
    assert step_list(args.steps) == settings.estimate_steps == (settings.default_estimate_steps,)
    assert step_list(args.generate_steps) == settings.generate_steps
    assert settings.generate_steps == (settings.default_generate_steps,)


@pytest.mark.parametrize(
    ("extra", "complaint"),
    [
        (["--tasks", "dance"], "tasks must be some of"),
        (["--steps", "2,,4"], "steps must be whole numbers"),
        (["--frames", "8"], "--frames must be 5 or 9 for this model; got 8"),
        (["--frames", "13"], "--frames must be 5 or 9 for this model; got 13"),
        (["--stride", "9"], "stride must be 1 to 1"),
    ],
)
def test_bad_options_are_one_line_and_exit_code_2(extra, complaint, model, data, capsys):
    arguments = ["evaluate", "--data", str(data), "--model", str(model), "--device", "cpu"]
    assert main([*arguments, *extra]) == 2
    assert complaint in capsys.readouterr().err.splitlines()[-1]


def test_an_empty_data_folder_is_refused_before_the_model_is_loaded(tmp_path, capsys):
    assert main(["evaluate", "--data", str(tmp_path), "--model", str(tmp_path / "none")]) == 2
    assert "must hold clips" in capsys.readouterr().err
