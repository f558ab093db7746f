"""Prompts, with a real text encoder of toy size."""

import json

import pytest
import torch
from tiny_wan import WORDS, saved_joint

from rays_as_pixels.cli.main import main
from rays_as_pixels.errors import InputError
from rays_as_pixels.media.images import write_image
from rays_as_pixels.model.transformer.text import clean_prompt, encode_prompts
from rays_as_pixels.pipeline.options import (
    EstimateOptions,
    GenerateOptions,
    ImagineOptions,
    RunOptions,
)
from rays_as_pixels.pipeline.pipeline import RaysAsPixelsPipeline
from rays_as_pixels.trajectories.formats.native import write_native
from rays_as_pixels.trajectories.presets import make_preset


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved_joint(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="module")
def pipe(folder) -> RaysAsPixelsPipeline:
    loaded = RaysAsPixelsPipeline.from_pretrained(folder)
    loaded.set_progress_bar_config(disable=True)
    return loaded


def image() -> torch.Tensor:
    return torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))


def path():
    return make_preset("truck-right", num_frames=5, fps=10, height=32, width=32)


def made(pipe, verb: str = "generate", *, guidance_scale: float = 1.0, **run) -> torch.Tensor:
    asked = RunOptions(**{"generator": torch.Generator().manual_seed(1), **run})
    if verb == "generate":
        how = GenerateOptions(num_inference_steps=2, guidance_scale=guidance_scale)
        return pipe.generate(image(), path(), options=how, run=asked).video
    how = ImagineOptions(num_inference_steps=2, guidance_scale=guidance_scale)
    return pipe.imagine(image(), num_frames=5, options=how, run=asked).video


def embedded(pipe, *prompts: str) -> torch.Tensor:
    return encode_prompts(
        pipe.tokenizer, pipe.text_encoder, prompts, length=512, device=torch.device("cpu")
    )


@pytest.mark.parametrize("verb", ["generate", "imagine"])
def test_the_prompt_changes_the_video_and_its_embeddings_do_the_same(pipe, verb):
    nothing, cat = made(pipe, verb), made(pipe, verb, prompt="a cat walks")
    room = made(pipe, verb, prompt="the room")
    assert (cat - nothing).abs().max() > 1e-5
    assert (cat - room).abs().max() > 1e-5
    assert torch.equal(made(pipe, verb, prompt_embeds=embedded(pipe, "a cat walks")), cat)
    assert torch.equal(made(pipe, verb, prompt=""), nothing), "no prompt is the empty prompt"


@pytest.mark.parametrize("verb", ["generate", "imagine"])
def test_guidance_leads_away_from_the_negative_prompt(pipe, verb):
    options = {"prompt": "a cat walks", "guidance_scale": 4.0}
    plain = made(pipe, verb, **options)
    against = made(pipe, verb, **options, negative_prompt="blurred")
    assert (plain - against).abs().max() > 1e-5
    embeds = embedded(pipe, "blurred")
    assert torch.equal(made(pipe, verb, **options, negative_prompt_embeds=embeds), against)


def test_estimate_and_loop_read_a_prompt_too(pipe):
    video = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(1)
    plain = pipe.estimate(video, run=RunOptions(generator=generator)).raxels
    told = pipe.estimate(
        video, run=RunOptions(generator=generator.manual_seed(1), prompt="the room")
    ).raxels
    assert not torch.equal(plain, told)
    loop = pipe.loop(
        video,
        estimate_options=EstimateOptions(num_inference_steps=2),
        generate_options=GenerateOptions(num_inference_steps=1),
        run=RunOptions(prompt="the room", negative_prompt="blurred"),
    )
    assert loop.video.shape == (5, 3, 32, 32)


def test_each_seed_may_have_its_own_prompt(pipe):
    def seeds(*numbers: int) -> list[torch.Generator]:
        return [torch.Generator().manual_seed(number) for number in numbers]

    both = pipe.generate(
        image(),
        path(),
        options=GenerateOptions(num_samples=2, num_inference_steps=2),
        run=RunOptions(prompt=["a cat", "the room"], generator=seeds(4, 5)),
    ).videos
    for index, words in enumerate(("a cat", "the room")):
        alone = made(pipe, prompt=words, generator=seeds(4 + index))
        # the same sums in another order, over two steps and the decoder
        torch.testing.assert_close(both[index], alone, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": "a", "prompt_embeds": torch.zeros(1, 3, 16)}, "as words or as prompt_embeds"),
        ({"prompt_embeds": torch.zeros(1, 3, 8)}, r"\(samples, tokens, 16\); got \(1, 3, 8\)"),
        ({"prompt_embeds": torch.zeros(3, 16)}, "must have shape"),
        ({"prompt_embeds": torch.zeros(2, 3, 16)}, "one for all 1 samples"),
        ({"prompt": ["a", "cat"]}, "one for all 1 samples or one each; got 2"),
        ({"prompt": "cat " * 600}, "at most 512 tokens; got 601"),
    ],
)
def test_prompts_that_break_a_rule_are_refused(pipe, options, message):
    with pytest.raises(InputError, match=message):
        made(pipe, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"prompt": "a cat"},
        {"negative_prompt": "blurred"},
        {"prompt_embeds": torch.zeros(1, 3, 16)},
        {"negative_prompt_embeds": torch.zeros(1, 3, 16)},
    ],
)
def test_a_model_without_a_text_branch_says_so(toy, options):
    name = next(iter(options))
    with pytest.raises(InputError, match=f"{name} must be left out for a model without a text"):
        toy.imagine(image(), num_frames=5, run=RunOptions(**options))


def test_words_are_cleaned_as_wan_cleans_them_and_embedded_with_zeros_after_the_end(pipe):
    assert clean_prompt("  a&amp;amp;b \n cat ") == "a&b cat"
    states = embedded(pipe, "a cat", "a cat walks through the room")
    assert states.shape == (2, 512, 16)
    assert states[0, 2].abs().max() > 0  # the end mark
    assert states[0, 3:].abs().max() == 0
    # What follows the end of the shorter prompt does not leak into it.
    torch.testing.assert_close(states[0], embedded(pipe, "a cat")[0], rtol=0, atol=1e-6)
    assert WORDS.index("</s>") == 1


def test_the_command_line_takes_a_prompt(folder, tmp_path, capsys):
    write_image(tmp_path / "image.png", image())
    write_native(path(), tmp_path / "path.json")
    words = ["--image", str(tmp_path / "image.png"), "--model", str(folder), "--steps", "1"]
    told = [*words, "--prompt", "a cat walks", "--negative-prompt", "blurred", "--guidance", "3"]
    out = tmp_path / "result"
    assert main(["imagine", *told, "--frames", "5", "--out", str(out)]) == 0
    kept = json.dumps(json.loads((out / "trajectory.json").read_text()))
    assert "a cat walks" in kept
    video = tmp_path / "v.mp4"
    generate = ["generate", *told, "--trajectory", str(tmp_path / "path.json"), "--out", str(video)]
    assert main(generate) == 0
    assert video.stat().st_size > 0
    capsys.readouterr()
    refused = [*words, "--negative-prompt", "blurred", "--out", str(out)]
    assert main(["imagine", *refused]) == 2
    assert "--guidance" in capsys.readouterr().err
