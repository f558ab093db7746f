"""Results appear whole or not at all."""

import io
import os
import stat
import sys

import pytest

from rays_as_pixels.cli.outputs import staged, staged_file
from rays_as_pixels.cli.progress import ProgressLine
from rays_as_pixels.errors import InputError


def names_in(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_arrive_together_in_a_folder_that_is_made(tmp_path):
    out = tmp_path / "deep" / "out"
    with staged(out, ("a.txt", "b.txt")) as staging:
        (staging / "a.txt").write_text("a")
        (staging / "b.txt").write_text("b")
        assert not out.exists(), "nothing may be seen before the end"
    assert staging.results == [out / "a.txt", out / "b.txt"]
    assert names_in(out) == ["a.txt", "b.txt"]
    assert names_in(tmp_path) == ["deep"]


def test_an_error_leaves_everything_as_it_was(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.txt").write_text("old")
    with pytest.raises(ZeroDivisionError), staged(out, ("a.txt",)) as staging:
        (staging / "a.txt").write_text("half")
        raise ZeroDivisionError
    assert (out / "a.txt").read_text() == "old"
    assert names_in(out) == ["a.txt"]
    assert names_in(tmp_path) == ["out"]


def test_our_files_are_replaced_and_others_left_alone(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    with staged(tmp_path, ("a.txt",)) as staging:
        (staging / "a.txt").write_text("new")
    assert (tmp_path / "a.txt").read_text() == "new"
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert names_in(tmp_path) == ["a.txt", "notes.txt"]


def test_scratch_files_stay_behind(tmp_path):
    with staged(tmp_path / "out", ("a.txt",)) as staging:
        (staging / "a.txt").write_text("a")
        (staging / "scratch.bin").write_text("b")
    assert names_in(tmp_path / "out") == ["a.txt"]


def test_a_new_folder_has_the_usual_permissions(tmp_path):
    with staged(tmp_path / "out", ("a.txt",)) as staging:
        (staging / "a.txt").write_text("a")
    (tmp_path / "usual").mkdir()
    modes = [stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in ("out", "usual")]
    assert modes[0] == modes[1]


def test_one_file_is_staged_under_its_own_name(tmp_path):
    out = tmp_path / "video.MP4"
    with staged_file(out, suffix=".mp4") as part:
        part.write_bytes(b"x")
        assert part.name == out.name
        assert not out.exists()
    assert out.read_bytes() == b"x"


@pytest.mark.parametrize("name", ["video.avi", "video", ".mp4"])
def test_another_suffix_is_refused(tmp_path, name):
    with (
        pytest.raises(InputError, match="must end in"),
        staged_file(tmp_path / name, suffix=".mp4"),
    ):
        pass


def test_progress_is_one_line_a_step_for_a_file_and_one_line_in_all_for_a_terminal():
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, newlines in ((io.StringIO(), 4), (Terminal(), 2)):
        progress = ProgressLine(stream)
        for done in range(3):
            progress("generate", done, 2)
        progress.say("done")
        assert stream.getvalue().count("\n") == newlines
        assert "generate: step 2/2" in stream.getvalue()


def test_progress_goes_to_stderr(capsys):
    ProgressLine()("estimate", 1, 2)
    out, err = capsys.readouterr()
    assert out == ""
    assert "estimate: step 1/2" in err
    assert sys.stdout is not sys.stderr
