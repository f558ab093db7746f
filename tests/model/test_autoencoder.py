import pytest
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.model.autoencoder import LatentStatistics
from rays_as_pixels.model.clip_lengths import (
    check_frame_count,
    clip_lengths,
    clip_lengths_in_words,
    largest_clip_length,
    latent_frames,
)


def test_normalise_and_restore_are_inverse_for_images_and_clips():
    statistics = LatentStatistics(mean=(1.0, -2.0), std=(0.5, 3.0))
    for shape in [(3, 2, 4), (3, 2, 4, 5, 6)]:
        latents = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        there = statistics.normalise(latents)
        torch.testing.assert_close(statistics.restore(there), latents)
    by_hand = statistics.normalise(torch.tensor([[[1.5], [4.0]]]))
    assert by_hand.flatten().tolist() == [1.0, 2.0]


def test_a_latent_frame_holds_one_frame_then_four_each():
    assert [latent_frames(n, 4) for n in (1, 5, 9, 17, 49)] == [1, 2, 3, 5, 13]
    assert [latent_frames(n, 1) for n in (1, 2, 6)] == [1, 2, 6]


def test_any_number_of_frames_fits_an_autoencoder_that_keeps_every_frame():
    assert list(clip_lengths(6, 1)) == [2, 3, 4, 5, 6]
    assert list(clip_lengths(16, 4)) == [5, 9, 13]
    assert [largest_clip_length(n, 1) for n in (1, 2, 8)] == [1, 2, 8]
    assert [largest_clip_length(n, 4) for n in (1, 4, 5, 8, 9)] == [1, 1, 5, 5, 9]
    for count in (1, 2, 6, 50):
        check_frame_count(count, 1)
    with pytest.raises(InputError, match="1 or more; got 0"):
        check_frame_count(0, 1)


def test_clip_lengths_are_described_in_words():
    said = [clip_lengths_in_words(clip_lengths(*rule)) for rule in ((17, 1), (5, 4), (9, 4))]
    assert said == ["2 to 17", "5", "5 or 9"]
    assert clip_lengths_in_words(clip_lengths(81, 4)) == "5, 9, ... or 81"


@pytest.mark.parametrize(("frames", "fewer", "more"), [(16, 13, 17), (2, 1, 5), (50, 49, 53)])
def test_other_frame_counts_are_refused_with_the_two_that_fit(frames, fewer, more):
    with pytest.raises(InputError, match=f"got {frames}. Use {fewer} or {more} frames"):
        check_frame_count(frames, 4)


@torch.no_grad()
@pytest.mark.parametrize("frames", [2, 6, 7])
def test_clips_of_any_length_have_the_latents_of_the_start_of_a_longer_one(toy, frames):
    video = torch.rand(1, 9, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    latents = toy.codec.encode_video(video[:, :frames])
    assert latents.shape[2] == frames
    torch.testing.assert_close(latents, toy.codec.encode_video(video)[:, :, :frames])
    assert toy.codec.decode_video(latents).shape[1] == frames


@torch.no_grad()
def test_first_latent_of_a_clip_is_that_of_its_first_frame_alone(toy):
    video = torch.rand(1, 9, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    clip = toy.codec.encode_video(video)
    frame = toy.codec.encode_video(video[:, :1])
    torch.testing.assert_close(clip[:, :, :1], frame, rtol=0, atol=1e-5)


@torch.no_grad()
def test_raxels_are_encoded_one_by_one(toy):
    raxels = torch.rand(1, 5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    together = toy.codec.encode_raxels(raxels)
    assert together.shape[2:] == (5, 2, 2)
    alone = toy.codec.encode_raxels(raxels[:, 3:4])
    torch.testing.assert_close(together[:, :, 3:4], alone, rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(("folded", "frames"), [(False, 3), (True, 9)])
def test_shapes_come_back_from_the_decoder(toy, folded_toy, folded, frames):
    codec = (folded_toy if folded else toy).codec
    latents = torch.randn(2, 8, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert codec.decode_video(latents).shape == (2, frames, 3, 32, 32)
    assert codec.decode_raxels(latents).shape == (2, 3, 3, 32, 32)


def test_raxels_beyond_the_autoencoders_range_are_refused_not_clipped(toy):
    raxels = torch.zeros(1, 5, 3, 16, 16)
    raxels[0, 2, 1, 3, 3] = 2.5
    with pytest.raises(InputError, match=r"at most 2; got 2\.5"):
        toy.codec.encode_raxels(raxels)


def test_sizes_off_the_grid_are_refused(toy):
    with pytest.raises(InputError, match="multiples of 8; got 30 x 32"):
        toy.codec.encode_video(torch.zeros(1, 5, 3, 30, 32))
