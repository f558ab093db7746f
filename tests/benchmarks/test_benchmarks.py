"""The benchmarks measure what they say: same tokens and weights, operations counted right."""

from dataclasses import asdict, replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import flops
from benchmarks.report import markdown
from benchmarks.shapes import NETWORKS, Clip, joint_inputs, wan_inputs
from benchmarks.step import build_pair, measure_step
from benchmarks.timing import Times, interleaved, ratio
from rays_as_pixels.pipeline.acceleration import use_attention_backend

CPU = torch.device("cpu")
TINY = replace(
    NETWORKS["1.3B"],
    width=48,
    heads=2,
    ffn=96,
    layers=2,
    channels=4,
    text=32,
    clip=Clip(5, 64, 96),
)


def pair():
    return build_pair(TINY, layers=2, shared_blocks=False, device=CPU, dtype=torch.float32)


def test_full_size_tokens_are_those_of_the_paper():
    assert NETWORKS["14B"].tokens(Clip(49, 480, 832)) == (20280, 19110)


def test_both_networks_get_as_many_tokens_and_share_the_weights_both_have():
    ours, wan = pair()
    assert wan.blocks[1].ffn.net[2].weight is not None
    assert wan.blocks[1].attn1.to_q.weight.data_ptr() == ours.blocks[1].attn1.to_q.weight.data_ptr()
    seen = {}
    for name, block in (("ours", ours.blocks[0]), ("wan", wan.blocks[0])):
        block.register_forward_pre_hook(lambda _m, args, name=name: seen.update({name: args}))
    state, text = joint_inputs(TINY, TINY.clip, device=CPU, dtype=torch.float32)
    with torch.no_grad():
        ours(state, text)
        wan(**wan_inputs(TINY, TINY.clip, device=CPU, dtype=torch.float32))
    both = seen["ours"][0].shape[1] + seen["ours"][1].shape[1]
    assert both == seen["wan"][0].shape[1] == sum(TINY.tokens(TINY.clip))
    assert seen["wan"][1].shape[1] == seen["ours"][4].shape[1] == 512


def test_operations_are_counted_as_torch_counts_them():
    ours, wan = pair()
    use_attention_backend(ours, "_native_math")  # products that the counter sees
    state, text = joint_inputs(TINY, TINY.clip, device=CPU, dtype=torch.float32)
    counts = []
    for work in (
        lambda: ours(state, text),
        lambda: wan(**wan_inputs(TINY, TINY.clip, device=CPU, dtype=torch.float32)),
    ):
        with (
            torch.no_grad(),
            torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH),
            FlopCounterMode(display=False) as counter,
        ):
            work()
        counts.append(counter.get_total_flops())
    # The time embedding is left out: some percent at this size, a ten-thousandth at full size.
    assert counts[0] == pytest.approx(flops.joint_step(TINY, TINY.clip), rel=0.08)
    assert counts[1] == pytest.approx(flops.wan_step(TINY, TINY.clip), rel=0.08)


def test_things_are_timed_in_turn_and_compared_pair_by_pair():
    order = []
    times = interleaved(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")},
        CPU,
        budget_sec=0,
        at_least=3,
    )
    assert order == ["a", "b"] * 4  # one run each to warm up
    assert len(times["a"].seconds) == 3
    slow = {"a": Times((1.0, 10.0, 2.0)), "b": Times((2.0, 20.0, 4.0))}
    assert ratio(slow, "a", "b") == 0.5


def test_a_measured_step_says_its_tokens_and_the_report_says_what_is_missing():
    step = measure_step(TINY, CPU, budget_sec=0.1)
    assert step.video_tokens + step.ray_tokens == 780  # the clip that a CPU is asked for
    assert step.layers_measured == 1
    assert step.ratio > 0
    assert step.ours_flops_per_sec > 0
    text = markdown(
        {
            "cpu": {
                "device": "a CPU",
                "threads": 1,
                "torch": "2",
                "diffusers": "0",
                "date": "today",
                "matmul": {"bfloat16": 1e11},
                "steps": [asdict(step)],
            }
        }
    )
    assert "- cuda: not measured" in text
    assert "| cpu | 1.3B | 5x192x320 | 480 + 300 | 1 of 2, bfloat16 |" in text
    assert "| cuda | 14B | not measured |" in text
