"""Training the camera prior of a finished pipeline further changes that prior alone."""

import itertools
import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from rays_as_pixels.errors import InputError
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
from rays_as_pixels.training.config import TransformerConfig, training_config
from rays_as_pixels.training.run_context import TrainingOptions
from rays_as_pixels.training.stages import stage_loop
from rays_as_pixels.training.stages.run import train


def weights(folder) -> dict[str, torch.Tensor]:
    return load_file(next((folder / "transformer").glob("*.safetensors")))


@pytest.fixture
def start(toy_folder, tmp_path):
    toy = RaysAsPixelsPipeline.from_pretrained(toy_folder)
    toy.transformer.to(torch.bfloat16)  # as pipelines are shipped
    toy.save_pretrained(tmp_path / "start")
    return tmp_path / "start"


def options_of(start, tmp_path) -> TrainingOptions:
    return TrainingOptions(
        tmp_path / "run",
        tmp_path / "out",
        init_from=start,
        minutes={"pretrain": 3 / 60},
        stages=("camera-prior",),
    )


def with_rate(config: TransformerConfig, rate: float) -> TransformerConfig:
    pretraining = replace(config.pretraining, camera_prior_learning_rate=rate)
    return replace(config, pretraining=pretraining)


@pytest.mark.slow
def test_all_but_the_prior_stays_and_the_facts_say_what_was_done(start, tmp_path, monkeypatch):
    seconds = itertools.count()  # one a step, on every machine
    monkeypatch.setattr(stage_loop, "shared_clock", lambda accelerator: next(seconds))
    config = replace(training_config("tiny"), pool_clips=1)  # a pool has 64 clips at least
    config = replace(config, transformer=with_rate(config.transformer, 1e-2))
    (start / "training.json").write_text('{"clips_seen": 7}')
    train(config, options_of(start, tmp_path))
    before, after = weights(start), weights(tmp_path / "out")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("camera_prior.") for name in changed)
    facts = json.loads((tmp_path / "out" / "training.json").read_text())
    assert facts == {"clips_seen": 7, "prior_steps": 3, "prior_batch": 4}
    for file in ("vae/config.json", "model_index.json"):
        old, new = (json.loads((folder / file).read_text()) for folder in (start, tmp_path / "out"))
        assert {**old, "_name_or_path": ""} == {**new, "_name_or_path": ""}


def test_without_a_pipeline_to_start_from_the_error_names_the_missing_option(tmp_path):
    with pytest.raises(InputError, match=r"got none\. Add --init-from"):
        train(training_config("tiny"), options_of(None, tmp_path))


def test_clips_that_another_autoencoder_encoded_are_refused(start, tmp_path):
    (tmp_path / "run").mkdir()
    other = {"mean": [0.5] * 8, "std": [1.0] * 8}
    (tmp_path / "run" / "raxel-statistics.json").write_text(json.dumps(other))
    with pytest.raises(InputError, match=r"those of another in .*\. Choose a new --run"):
        train(training_config("tiny"), options_of(start, tmp_path))
