"""A saved pipeline comes back as it was; a damaged folder is refused."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rays_as_pixels.errors import CheckpointError
from rays_as_pixels.pipeline.options import RunOptions
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline

VIDEO = torch.rand(5, 3, 40, 60, generator=torch.Generator().manual_seed(0))


def test_a_saved_pipeline_comes_back_bit_exact(toy, toy_folder):
    loaded = RaysAsPixelsPipeline.from_pretrained(toy_folder)
    loaded.set_progress_bar_config(disable=True)
    for name in ("vae", "transformer"):
        ours, theirs = getattr(toy, name).state_dict(), getattr(loaded, name).state_dict()
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert loaded.sizes == toy.sizes
    assert loaded.codec.raxel_statistics == toy.codec.raxel_statistics
    a, b = (
        p.estimate(VIDEO, run=RunOptions(generator=torch.Generator().manual_seed(3))).raxels
        for p in (toy, loaded)
    )
    assert torch.equal(a, b)


def damaged(toy_folder, tmp_path, change) -> Path:
    copy = tmp_path / "copy"
    shutil.copytree(toy_folder, copy)
    change(copy)
    return copy


def edit_weights(folder, edit) -> None:
    file = next((folder / "transformer").glob("*.safetensors"))
    tensors = load_file(file)
    edit(tensors)
    save_file(tensors, file)


def truncate(folder) -> None:
    file = next((folder / "vae").glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "model_index.json").unlink(), "model_index.json"),
        (lambda f: (f / "model_index.json").write_text("{"), "must be JSON"),
        (lambda f: next((f / "vae").glob("*.safetensors")).unlink(), "got none in"),
        (truncate, "whole safetensors file"),
        (lambda f: edit_weights(f, lambda t: t.pop("proj_out.bias")), "1 missing"),
        (lambda f: edit_weights(f, lambda t: t.update(extra=torch.zeros(1))), "1 unexpected"),
    ],
)
def test_a_damaged_folder_is_refused_with_a_clear_error(toy_folder, tmp_path, change, message):
    with pytest.raises(CheckpointError, match=message):
        RaysAsPixelsPipeline.from_pretrained(damaged(toy_folder, tmp_path, change))


def test_a_folder_that_does_not_exist_is_refused_before_anything_is_loaded(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        RaysAsPixelsPipeline.from_pretrained(tmp_path / "nothing")
