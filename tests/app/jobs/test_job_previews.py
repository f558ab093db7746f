"""Pictures of unfinished work: what they show, what they cost, what stays of a stopped run."""

import io
import threading
import time

import pytest
import torch
from PIL import Image

from rays_as_pixels.app.jobs import previews
from rays_as_pixels.app.jobs.previews import (
    LatentColors,
    LatentPreview,
    finished_guess,
    keep_picture,
    strip_jpeg,
)
from rays_as_pixels.errors import Cancelled
from rays_as_pixels.pipeline.options import EstimateOptions, ImagineOptions, RunOptions


def test_two_states_of_the_sampler_give_the_clean_latents_exactly_where_the_flow_is_straight():
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, 1, 4, 3, 2, 2, generator=generator, dtype=torch.float64)
    for here, after in ((1.0, 0.7), (0.7, 0.2), (0.2, 0.0)):
        before, now = ((1 - s) * clean + s * noise for s in (here, after))
        torch.testing.assert_close(finished_guess(before, now, here, after), clean)


class _Blocks(torch.nn.Module):
    """A codec whose latents are known: the mean colours of 8x8 blocks, mixed and shifted."""

    temporal_stride = 4
    mix = torch.tensor([[1.0, 0.5, -0.2], [0.1, -1.0, 0.3], [0.4, 0.2, 0.9], [0.3, 0.3, 0.3]])

    def encode_video(self, video):
        small = torch.nn.functional.avg_pool2d(video.flatten(0, 1), 8).unflatten(0, video.shape[:2])
        later = small[:, 1:].unflatten(1, (-1, 4)).mean(2)
        colors = torch.cat([small[:, :1], later], dim=1).transpose(1, 2)
        return torch.einsum("dc,bcthw->bdthw", self.mix, colors) - 0.3


def test_colours_are_those_of_the_pixels_where_latents_depend_on_them_linearly():
    codec = _Blocks()
    colors = LatentColors(codec, torch.device("cpu"))
    red = torch.tensor([0.9, 0.1, 0.2]).view(1, 1, 3, 1, 1).expand(1, 5, 3, 16, 24)
    drawn = colors(codec.encode_video(red)[0])
    assert drawn.shape == (2, 3, 2, 3)
    torch.testing.assert_close(drawn, red[0, :2, :, :2, :3], atol=0.03, rtol=0)  # a small ridge


def test_a_strip_is_small_and_holds_at_most_six_images_in_order():
    shades = torch.linspace(0, 1, 11).view(11, 1, 1, 1).expand(11, 3, 8, 12)
    jpeg = strip_jpeg(shades)
    picture = Image.open(io.BytesIO(jpeg))
    assert picture.format == "JPEG" and len(jpeg) < 40_000
    assert picture.width <= 640 and picture.height <= 96
    middle = [picture.getpixel((picture.width * (2 * k + 1) // 12, 5))[0] for k in range(6)]
    assert middle == sorted(middle) and middle[0] < 10 and middle[-1] > 245


def test_each_picture_has_a_name_of_its_own_and_two_are_kept(tmp_path):
    for number in range(1, 5):
        name = keep_picture(tmp_path, bytes([number]), number)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "preview-0003.jpg",
        "preview-0004.jpg",
    ]
    assert (tmp_path / name).read_bytes() == b"\x04"


def generate(toy, preview, *, steps=6, stop_after=None):
    """Generate with the untrained pipeline; returns the final latents."""
    cancel = threading.Event()
    seen = []

    def watch(pipe, step, moment, latents):
        seen.append(latents["latents"])
        preview(pipe, step, moment, latents)
        if stop_after is not None and step + 1 == stop_after:
            cancel.set()
        return {}

    toy.imagine(
        torch.rand(3, *toy.sizes[0], generator=torch.Generator().manual_seed(1)),
        options=ImagineOptions(num_inference_steps=steps, video_steps=0),
        run=RunOptions(
            generator=torch.Generator().manual_seed(2), callback_on_step_end=watch, cancel=cancel
        ),
    )
    return seen


def test_a_run_draws_pictures_and_its_last_guess_is_its_result(toy, monkeypatch):
    monkeypatch.setattr(previews, "MIN_INTERVAL_SEC", 0.0)
    drawn = []
    preview = LatentPreview(lambda jpeg, step, total: drawn.append((jpeg, step, total)))
    seen = generate(toy, preview)
    assert [(step, total) for _, step, total in drawn] == [(k, 6) for k in range(2, 7)]
    assert all(jpeg.startswith(b"\xff\xd8") for jpeg, _, _ in drawn)
    torch.testing.assert_close(preview._guess, seen[-1])


def test_watching_a_run_changes_nothing_in_it(toy, monkeypatch):
    monkeypatch.setattr(previews, "MIN_INTERVAL_SEC", 0.0)
    watched = generate(toy, LatentPreview(lambda *_: None))
    alone = generate(toy, lambda *_: {})
    torch.testing.assert_close(watched[-1], alone[-1], atol=0, rtol=0)


def test_an_estimate_has_nothing_to_preview(toy, monkeypatch):
    monkeypatch.setattr(previews, "MIN_INTERVAL_SEC", 0.0)
    drawn = []
    video = torch.rand(9, 3, *toy.sizes[0], generator=torch.Generator().manual_seed(3))
    preview = LatentPreview(lambda *picture: drawn.append(picture))
    toy.estimate(
        video,
        options=EstimateOptions(num_inference_steps=4),
        run=RunOptions(callback_on_step_end=preview),
    )
    assert drawn == [] and preview.partial() is None


@pytest.mark.parametrize(("budget", "repeats"), [(60.0, 1), (0.0, 4)])
def test_a_stopped_run_leaves_the_video_as_it_stood(folded_toy, monkeypatch, budget, repeats):
    """Decoded in full where that is quick, else one image per latent frame, to be shown longer."""
    toy = folded_toy
    monkeypatch.setattr(previews, "DECODE_BUDGET_SEC", budget)
    preview = LatentPreview(lambda *_: None)
    with pytest.raises(Cancelled):
        generate(toy, preview, steps=8, stop_after=4)
    video, times = preview.partial()
    assert times == repeats and preview.step == 4
    frames = toy.num_frames if repeats == 1 else (toy.num_frames - 1) // 4 + 1
    assert video.shape == (frames, 3, *toy.sizes[0])
    assert video.min() >= 0 and video.max() <= 1


def test_a_picture_costs_less_than_a_step(toy, monkeypatch):
    monkeypatch.setattr(previews, "MIN_INTERVAL_SEC", 0.0)
    generate(toy, LatentPreview(lambda *_: None), steps=2)  # fits the colours
    spent = []

    class Timed(LatentPreview):
        def __call__(self, *values):
            started = time.process_time()
            answer = super().__call__(*values)
            spent.append(time.process_time() - started)
            return answer

    started = time.process_time()
    generate(toy, Timed(lambda *_: None), steps=10)
    whole = time.process_time() - started
    milliseconds = [1e3 * max(spent), 100 * whole]
    print("a picture, a step: {:.1f}, {:.1f} ms".format(*milliseconds))
    assert sum(spent) < 0.5 * whole, "even beside the toy network, which is tiny"
