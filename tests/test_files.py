"""rays_as_pixels.files: a file is replaced as one or stays as it was."""

import os

import pytest

from rays_as_pixels.errors import InputError
from rays_as_pixels.files import atomic_write, folders_replaced, write_json, write_text


def test_a_write_that_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail_half_way():
        with atomic_write(path) as temporary:
            assert temporary.parent == path.parent
            temporary.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_half_way()
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]
    with atomic_write(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_a_file_left_by_a_killed_run_matches_no_search_for_its_kind(tmp_path):
    with atomic_write(tmp_path / "a.npz") as temporary:
        temporary.write_bytes(b"half")
        assert list(tmp_path.glob("*.npz")) == []


def test_a_new_file_has_the_permissions_of_any_other_new_file(tmp_path):
    (tmp_path / "ordinary").write_text("")
    write_json(tmp_path / "a.json", [1])
    assert os.stat(tmp_path / "a.json").st_mode == os.stat(tmp_path / "ordinary").st_mode
    assert (tmp_path / "a.json").read_text() == "[\n 1\n]\n"


def test_a_missing_folder_and_a_folder_in_the_way_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"its folder .* does not exist"):
        write_text(tmp_path / "none" / "a.txt", "")
    with pytest.raises(InputError, match="must be a file"):
        write_text(tmp_path, "")


def test_folders_that_cannot_all_be_replaced_stay_as_they_were(tmp_path):
    (tmp_path / "home/a").mkdir(parents=True)
    (tmp_path / "home/a/old").write_text("old")

    def forget_one():
        with folders_replaced(tmp_path / "home", ("a", "b")) as staging:
            (staging / "a").mkdir()
            (staging / "a/new").write_text("new")

    with pytest.raises(FileNotFoundError):
        forget_one()
    assert [one.name for one in tmp_path.iterdir()] == ["home"]
    assert [one.name for one in (tmp_path / "home").iterdir()] == ["a"]
    assert (tmp_path / "home/a/old").read_text() == "old"
    with folders_replaced(tmp_path / "home", ("a", "b")) as staging:
        for name in ("a", "b"):
            (staging / name).mkdir()
    assert sorted(one.name for one in (tmp_path / "home").iterdir()) == ["a", "b"]
    assert not (tmp_path / "home/a/old").exists()
