"""What each way to be faster is worth, measured in turn with the plain way."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import nn

from benchmarks.shapes import Network, joint_inputs
from benchmarks.step import filled, plan
from benchmarks.timing import interleaved, ratio
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.pipeline.acceleration import (
    available_backends,
    compile_blocks,
    use_attention_backend,
)

_UNMEASURED = ("flex",)  # compiles for long, for what is no mask


@dataclass(frozen=True)
class Lever:
    """One way to be faster.

    Attributes:
        name: What is compared.
        network: The size it was measured at.
        plain_sec: Median seconds without it.
        with_sec: Median seconds with it.
        ratio: Median of pairwise ratios, with over without; below 1 is faster.
        note: What the numbers mean where that is not plain.
    """

    name: str
    network: str
    plain_sec: float
    with_sec: float
    ratio: float
    note: str = ""

    def as_dict(self) -> dict:
        """Return plain values, for JSON."""
        return asdict(self)


def compared(
    name: str,
    network: Network,
    plain: Callable[[], object],
    faster: Callable[[], object],
    *,
    device: torch.device,
    budget_sec: float,
    note: str = "",
) -> Lever:
    """Time both ways in turn."""
    times = interleaved({"plain": plain, "with": faster}, device, budget_sec=budget_sec)
    return Lever(
        name,
        network.name,
        times["plain"].median,
        times["with"].median,
        ratio(times, "with", "plain"),
        note,
    )


def build(network: Network, device: torch.device) -> RaysAsPixelsTransformer3DModel:
    """Build a network of as many blocks as the device can be asked for, with random weights."""
    _, layers, dtype = plan(network, device)
    with torch.device("meta"):
        model = network.ours(layers)
    filled(model, device, dtype)
    return model


@torch.no_grad()
def backends(network: Network, device: torch.device, *, budget_sec: float) -> list[Lever]:
    """Compare each attention backend that works here with torch's own choice."""
    clip, _, dtype = plan(network, device)
    state, text = joint_inputs(network, clip, device=device, dtype=dtype)
    plain, other = build(network, device), build(network, device)
    use_attention_backend(plain, "native")
    head_dim = network.width // network.heads
    found = []
    for name in available_backends(device, dtype, head_dim=head_dim):
        if name == "native" or name in _UNMEASURED or name.endswith("_hub"):
            continue
        use_attention_backend(other, name)
        found.append(
            compared(
                f"attention backend {name}",
                network,
                lambda: plain(state, text),
                lambda: other(state, text),
                device=device,
                budget_sec=budget_sec,
            )
        )
    return found


@torch.no_grad()
def batches(network: Network, device: torch.device, *, budget_sec: float) -> list[Lever]:
    """Compare one call on several samples with one call each: seeds, and guidance's two halves."""
    clip, _, dtype = plan(network, device)
    model = build(network, device)
    one, text_one = joint_inputs(network, clip, device=device, dtype=dtype)
    found = []
    for count, name in ((2, "guidance: both halves in one call"), (8, "8 seeds in one call")):
        many, text = joint_inputs(network, clip, device=device, dtype=dtype, batch=count)

        def singly(count: int = count) -> None:
            for _ in range(count):
                model(one, text_one)

        found.append(
            compared(
                name,
                network,
                singly,
                lambda many=many, text=text: model(many, text),
                device=device,
                budget_sec=budget_sec,
            )
        )
    return found


@torch.no_grad()
def compiled(network: Network, device: torch.device, *, budget_sec: float) -> Lever:
    """Compare compiled blocks with plain ones; the time to compile is not counted."""
    clip, _, dtype = plan(network, device)
    state, text = joint_inputs(network, clip, device=device, dtype=dtype)
    plain, other = build(network, device), build(network, device)
    compile_blocks(other)
    return compared(
        "compiled blocks",
        network,
        lambda: plain(state, text),
        lambda: other(state, text),
        device=device,
        budget_sec=budget_sec,
    )


@torch.no_grad()
def reuse(network: Network, device: torch.device, *, budget_sec: float) -> list[Lever]:
    """Measure the work that is the same at every step, beside a whole step: what reuse could save.

    Only this much is the same to the last bit: the prompt's embedding, keys and values, and what
    the clean stream (the video in `estimate`, the rays in `generate`) does before it first looks at
    the other stream: its embedding, its place tables and self-attention in the first block. Beyond
    that every token, of source images too, depends on the noise through attention.
    """
    clip, layers, dtype = plan(network, device)
    state, text = joint_inputs(network, clip, device=device, dtype=dtype)
    model = build(network, device)
    scale = layers / network.layers  # what happens once a step counts less in a deeper network

    def step() -> None:
        model(state, text)

    def clean_stream() -> None:
        video, _, layout = model._embed(state)
        block = model.blocks[0]
        assert isinstance(block, nn.Module)
        video_rotary = layout.rotary[0]
        block.attn1(block.norm1(video), None, video_rotary, video_rotary)

    found = [("clean stream until it first sees the other", clean_stream, scale)]
    if text is not None:

        def prompt() -> None:
            embedder = model.condition_embedder.text_embedder
            assert embedder is not None
            embedded = embedder(text)
            for block in model.blocks:
                assert isinstance(block, nn.Module)
                block.attn2.norm_k(block.attn2.to_k(embedded))
                block.attn2.to_v(embedded)

        found.append(("prompt embedding, keys and values", prompt, 1.0))
    levers = []
    for name, part, share in found:
        times = interleaved({"step": step, "part": part}, device, budget_sec=budget_sec)
        saved = ratio(times, "part", "step") * share
        levers.append(
            Lever(
                f"reuse: {name}",
                network.name,
                times["step"].median,
                times["step"].median * (1 - saved),
                1 - saved,
                f"an upper bound: {100 * saved:.1f} % of a step is the same every time",
            )
        )
    return levers
