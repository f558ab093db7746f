"""Clips rendered while training are kept, drawn with what belongs to them, and make room."""

import dataclasses
import multiprocessing

import pytest
import torch

from rays_as_pixels.model.autoencoder import LatentCodec, new_autoencoder
from rays_as_pixels.training.config import training_config
from rays_as_pixels.training.data import online
from rays_as_pixels.training.data.latents import LatentStore
from rays_as_pixels.training.data.online import RecentClips, encoded_clips, online_batches

CPU = torch.device("cpu")


def clips(numbers: list[int], frames: int = 3, side: int = 2) -> LatentStore:
    """Clips whose every value is their number."""
    value = torch.tensor(numbers, dtype=torch.float16)

    def of(*shape: int) -> torch.Tensor:
        return value.view(-1, *[1] * len(shape)).expand(-1, *shape).clone()

    return LatentStore(
        of(4, frames, side, side),
        of(4, frames, 1, 1),
        of(4, 3, side, side),
        of(3).float(),
        of(5, frames, side, side),
        of(frames, 8).float(),
    )


def drawn(kept: RecentClips, seed: int = 0):
    return kept.draw(64, torch.tensor([0, 2]), torch.Generator().manual_seed(seed))


def test_what_is_drawn_belongs_together():
    kept = RecentClips(8)
    kept.add(clips([1, 2, 3]))
    batch = drawn(kept)
    numbers = batch.pose[:, 0, 0]
    assert set(numbers.tolist()) == {1, 2, 3}
    assert batch.reference_latents.shape == (64, 4, 2, 2, 2)
    for field in dataclasses.fields(batch):
        value = getattr(batch, field.name).flatten(1)
        assert torch.equal(value, numbers[:, None].expand_as(value)), field.name


def test_the_oldest_clips_make_room():
    kept = RecentClips(4)
    kept.add(clips([1, 2, 3]))
    kept.add(clips([4, 5, 6]))
    assert len(kept) == 4
    assert set(drawn(kept).pose[:, 0, 0].tolist()) == {3, 4, 5, 6}


def test_a_batch_has_one_size_and_length_and_all_are_drawn():
    kept = RecentClips(4)
    kept.add(clips([1, 2]))
    kept.add(clips([3, 4], frames=5))
    kept.add(clips([5, 6], side=4))
    seen = set()
    for seed in range(40):
        batch = drawn(kept, seed)
        numbers = set(batch.pose[:, 0, 0].tolist())
        assert numbers in ({1, 2}, {3, 4}, {5, 6})
        seen |= numbers
    assert seen == {1, 2, 3, 4, 5, 6}


@pytest.mark.slow
def test_clips_are_rendered_as_often_as_the_configuration_says(monkeypatch):
    rendered = []

    def counted(seeds, **options):
        rendered.append((len(seeds), options["num_frames"]))
        return render(seeds, **options)

    render = online.render_clips
    monkeypatch.setattr(online, "render_clips", counted)
    config = training_config("tiny")
    config = dataclasses.replace(
        config,
        render_clips=4,
        clip_uses=2.0,
        cached_clips=64,
        long_clip_share=0.5,
        transformer=dataclasses.replace(config.transformer, batch_size=8),
    )
    torch.manual_seed(0)
    autoencoder = new_autoencoder(base_dim=24, z_dim=8, num_res_blocks=1, temporal_stride=1)
    codec = LatentCodec(autoencoder.eval(), raxel_mean=[0.0] * 8, raxel_std=[1.0] * 8)
    source = online_batches(config, codec, seed=0, device=CPU)
    frames = {next(source).latents.shape[2] for _ in range(12)}
    assert frames == {5, 9}
    assert {length for _, length in rendered} == {5, 9}
    clips_rendered = sum(count for count, _ in rendered)
    ahead = 4 * config.render_clips
    assert abs(clips_rendered - (ahead + 11 * 8 / config.clip_uses)) <= config.render_clips


@pytest.mark.slow
def test_clips_come_from_another_process_that_ends_with_the_source():
    config = training_config("tiny")
    config = dataclasses.replace(
        config,
        render_clips=4,
        clip_uses=2.0,
        cached_clips=64,
        transformer=dataclasses.replace(config.transformer, batch_size=8),
    )
    torch.manual_seed(0)
    autoencoder = new_autoencoder(base_dim=24, z_dim=8, num_res_blocks=1, temporal_stride=1)
    codec = LatentCodec(autoencoder.eval(), raxel_mean=[0.0] * 8, raxel_std=[1.0] * 8)
    before = set(multiprocessing.active_children())
    source = online_batches(config, codec, seed=0, device=CPU, in_background=True)
    batch = next(source)
    first = next(encoded_clips(config, codec, 0, CPU))
    made = set(multiprocessing.active_children()) - before
    assert len(made) == 1
    source.close()
    assert not set(multiprocessing.active_children()) - before
    # What was drawn is among what this process would have rendered itself.
    same_size = batch.latents.shape[2:] == first.latents.shape[2:]
    assert same_size
    known = first.latents.float().flatten(1)
    distance = torch.cdist(batch.latents.flatten(1), known).amin(1)
    assert (distance < 1e-3).any()
