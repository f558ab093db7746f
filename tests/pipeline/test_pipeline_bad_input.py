"""Bad input to the pipeline is refused with the rule, the value and a remedy."""

import pytest
import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.pipeline.options import EstimateOptions, GenerateOptions
from tests.pipeline.test_pipeline import path, video, with_depths


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: p.estimate(video(1)), r"from 2 to 9 for this model; got 1"),
        (lambda p: p.estimate(video(13)), r"from 2 to 9 for this model; got 13"),
        (lambda p: p.estimate(video() * 255), r"values in \[0, 1\]"),
        (lambda p: p.estimate(video() * float("nan")), r"values in \[0, 1\]"),
        (lambda p: p.estimate(video()[:, :1]), "shape F 3 H W"),
        (lambda p: p.estimate(video(height=8)), "at least 16 pixels"),
        (lambda p: p.estimate(video(), options=EstimateOptions(num_samples=0)), "num_samples"),
        (
            lambda p: p.estimate(video(), options=EstimateOptions(num_inference_steps=0)),
            "num_inference_steps",
        ),
        (lambda p: p.generate(video()[0], path(10)), "from 2 to 9 for this model; got 10"),
        (lambda p: p.generate(video()[0], path(width=40)), "aspect 1.500"),
        (lambda p: p.generate(video()[0], path(), image_frames=(5,)), "from 0 to 4; got"),
        (lambda p: p.generate(video()[0], path().scaled(99)), r"\|d \+ o\| must be at most 2"),
        (
            lambda p: p.generate(video()[0], path(), options=GenerateOptions(max_upscale=0)),
            "max_upscale must be 1 or more",
        ),
        (lambda p: p.generate([video()[0], video(height=50)[0]], path()), "of one size"),
        (lambda p: p.generate(list(video()[:2]), path(), image_frames=(0, 0)), "no two the same"),
        (lambda p: p.imagine(video()[0], num_frames=1), "from 2 to 9 for this model; got 1"),
        (lambda p: with_depths(p, [torch.ones(2, 3)] * 2), "each of the 1 images; got 2"),
        (lambda p: with_depths(p, [torch.ones(3)]), r"must be rows of numbers.*; got shape \(3,\)"),
        (lambda p: with_depths(p, [torch.zeros(2, 3)]), "positive numbers of scene units; got 0"),
        (lambda p: with_depths(p, [torch.ones(2, 3) / 0]), "positive numbers .*; got inf"),
    ],
)
def test_bad_input_is_refused_with_rule_value_and_remedy(toy, call, message):
    with pytest.raises(InputError, match=message) as refused:
        call(toy)
    assert str(refused.value).count(". ") >= 1  # a remedy follows
