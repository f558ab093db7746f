"""Teaching the camera prior of a finished pipeline on changes that prior alone."""

import itertools
import json

import pytest
import torch
from safetensors.torch import load_file

from rays_as_pixels.errors import InputError
from rays_as_pixels.pipeline import RaysAsPixelsPipeline
from rays_as_pixels.training import stage_loop
from rays_as_pixels.training.config import TransformerConfig
from rays_as_pixels.training.latents import encoded
from rays_as_pixels.training.objective import CleanBatch
from rays_as_pixels.training.pool import cell_disparity
from rays_as_pixels.training.prior_stage import teach_prior_on
from rays_as_pixels.training.processes import new_accelerator
from rays_as_pixels.worlds import render_clips


@pytest.fixture
def batches(toy):
    clips = render_clips([0, 1], split="train", num_frames=5, height=32, width=32, supersample=1)
    store = encoded(
        toy.codec, clips.video, clips.cameras, cell_disparity(clips.depth),
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert store is not None
    every = torch.arange(len(store.latents))
    clean: CleanBatch = store.batch(every, torch.zeros(0, dtype=torch.int64))
    return itertools.repeat(clean)


def weights(folder) -> dict[str, torch.Tensor]:
    return load_file(next((folder / "transformer").glob("*.safetensors")))


def test_all_but_the_prior_stays_and_the_facts_say_what_was_done(
    toy_folder, batches, tmp_path, monkeypatch
):
    seconds = itertools.count()  # one a step, on every machine
    monkeypatch.setattr(stage_loop, "shared_clock", lambda accelerator: next(seconds))
    start = tmp_path / "start"
    toy = RaysAsPixelsPipeline.from_pretrained(toy_folder)
    toy.transformer.to(torch.bfloat16)  # as pipelines are shipped
    toy.save_pretrained(start)
    (start / "training.json").write_text('{"clips_seen": 7}')
    size = TransformerConfig(prior_minutes=3 / 60, prior_learning_rate=1e-2, batch_size=2)
    teach_prior_on(
        start, tmp_path / "out", batches, size, tmp_path,
        accelerator=new_accelerator(), log=lambda line: None, seed=0,
    )  # fmt: skip
    before, after = weights(start), weights(tmp_path / "out")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("camera_prior.") for name in changed)
    facts = json.loads((tmp_path / "out" / "training.json").read_text())
    assert facts == {"clips_seen": 7, "prior_steps": 3, "prior_batch": 2}


def test_without_a_pipeline_to_start_from_it_says_what_to_add(batches, tmp_path):
    with pytest.raises(InputError, match=r"got none\. Add --from"):
        teach_prior_on(
            None, tmp_path / "out", batches, TransformerConfig(), tmp_path,
            accelerator=new_accelerator(), log=lambda line: None, seed=0,
        )  # fmt: skip
    assert not list(tmp_path.iterdir())
