"""Training goes on from what `convert-wan` made, at whatever size."""

import json

import pytest
import torch
from tiny_wan import saved_wan

from rays_as_pixels.errors import InputError
from rays_as_pixels.model.wan.folder import ConvertOptions, convert_wan
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
from rays_as_pixels.training.config import training_config
from rays_as_pixels.training.run_context import TrainingOptions
from rays_as_pixels.training.stages.run import train


@pytest.mark.slow
def test_a_converted_wan_trains_and_opens_its_gates(tmp_path):
    saved_wan(tmp_path / "wan")
    options = ConvertOptions(num_frames=5, max_frames=9, sizes=((32, 32),))
    source = tmp_path / "joint"
    convert_wan(tmp_path / "wan", source, options, progress=lambda stage, done, total: None)
    run = TrainingOptions(
        run_folder=tmp_path / "run",
        export_folder=tmp_path / "out",
        init_from=source,
        minutes={"transformer": 0.03},
        check=False,
    )
    trained = RaysAsPixelsPipeline.from_pretrained(train(training_config("wan"), run))
    before = RaysAsPixelsPipeline.from_pretrained(source)
    gate = trained.transformer.blocks[0].cross_scale_shift_table[:, 2]
    assert before.transformer.blocks[0].cross_scale_shift_table[:, 2].abs().max() == 0
    assert gate.abs().max() > 0
    assert trained.sizes == before.sizes
    assert trained.max_frames == 9
    assert trained.scheduler.config.shift == 3.0
    assert trained.text_encoder is not None
    assert json.loads((tmp_path / "out" / "training.json").read_text())["steps"] > 0
    for ours, theirs in zip(trained.vae.parameters(), before.vae.parameters(), strict=True):
        assert torch.equal(ours, theirs), "the autoencoder stays as it is"


def test_there_must_be_something_to_go_on_from(tmp_path):
    options = TrainingOptions(run_folder=tmp_path / "run", export_folder=tmp_path / "out")
    with pytest.raises(InputError, match="--init-from must name a pipeline for --config wan"):
        train(training_config("wan"), options)
