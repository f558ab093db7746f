"""Depths of an image in files: beside a path, or as an array."""

import numpy as np
import pytest
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.trajectories.depth import depth_for_extra, depth_of_path, read_depth
from rays_as_pixels.trajectories.formats.native import write_native
from rays_as_pixels.trajectories.presets import make_preset


@pytest.fixture
def path():
    return make_preset("truck-right", num_frames=5, fps=10, height=40, width=60)


def test_depths_kept_with_a_path_come_back_to_four_digits(tmp_path, path):
    depth = torch.rand(7, 5, generator=torch.Generator().manual_seed(0)) * 3 + 0.2
    write_native(path, tmp_path / "a.json", extra=depth_for_extra(depth))
    for back in (depth_of_path(tmp_path / "a.json"), read_depth(tmp_path / "a.json")):
        torch.testing.assert_close(back, depth, rtol=5e-4, atol=0)


def test_an_array_is_read_as_it_is(tmp_path):
    depth = np.linspace(0.5, 2, 12).reshape(3, 4)
    np.save(tmp_path / "a.npy", depth)
    back = read_depth(tmp_path / "a.npy")
    assert back.dtype == torch.float32
    np.testing.assert_allclose(back, depth, rtol=1e-6)


def test_a_path_without_depths_has_none(tmp_path, path):
    assert depth_for_extra(None) == {}
    write_native(path, tmp_path / "a.json")
    assert depth_of_path(tmp_path / "a.json") is None
    with pytest.raises(InputError, match="must keep the depths of its first frame; got none"):
        read_depth(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "depths must be a file"),
        (b"", "must be an array as numpy.save writes it"),
        (b"\x93NUMPY\x01\x00v\x00{'descr'", "must be an array as numpy.save writes it"),
    ],
)
def test_what_is_no_array_is_refused(tmp_path, content, message):
    file = tmp_path / "a.npy"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_depth(file)


def test_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="numpy"):
        read_depth(tmp_path / "a.npy")


@pytest.mark.parametrize("kept", [[[1.0, 2.0], [3.0]], "deep", {"a": 1}, [1.0, 2.0], [], [[]]])
def test_rows_of_other_things_are_refused(tmp_path, path, kept):
    write_native(path, tmp_path / "a.json", extra={"depth": kept})
    with pytest.raises(InputError, match=r"depths in a\.json must be rows of numbers"):
        read_depth(tmp_path / "a.json")
