"""What attention backends and compiled blocks gain, measured in turn with the plain network."""

from dataclasses import dataclass

import torch

from benchmarks.shapes import Network, joint_inputs
from benchmarks.step import filled, plan
from benchmarks.timing import interleaved, ratio
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel
from rays_as_pixels.pipeline.acceleration import (
    available_backends,
    compile_blocks,
    use_attention_backend,
)

_UNMEASURED = ("native", "flex")  # the plain one; compiles for long, for what is no mask


@dataclass(frozen=True)
class Optimization:
    """One way to be faster.

    Attributes:
        name: What is compared.
        network: The size it was measured at.
        plain_sec: Median seconds without it.
        with_sec: Median seconds with it.
        ratio: Median of pairwise ratios, with over without; below 1 is faster.
    """

    name: str
    network: str
    plain_sec: float
    with_sec: float
    ratio: float


@torch.no_grad()
def measure_optimizations(
    network: Network, device: torch.device, *, budget_sec: float, compiled: bool
) -> list[Optimization]:
    """Compare each backend that works here, and compiled blocks, with torch's own attention.

    Args:
        network: The size.
        device: Where.
        budget_sec: Per comparison.
        compiled: Whether to compile too; the time to compile is not counted.
    """
    _, _, dtype = plan(network, device)
    plain, other = _build(network, device), _build(network, device)
    use_attention_backend(plain, "native")
    found = []
    for name in available_backends(device, dtype, head_dim=network.width // network.heads):
        if name in _UNMEASURED or name.endswith("_hub"):
            continue
        use_attention_backend(other, name)
        found.append(_compared(f"attention backend {name}", network, (plain, other), budget_sec))
    if compiled:
        use_attention_backend(other, "native")
        compile_blocks(other)
        found.append(_compared("compiled blocks", network, (plain, other), budget_sec))
    return found


def _build(network: Network, device: torch.device) -> RaysAsPixelsTransformer3DModel:
    """Build a network of as many blocks as the device can be asked for, with random weights."""
    _, layers, dtype = plan(network, device)
    with torch.device("meta"):
        model = network.ours(layers)
    filled(model, device, dtype)
    return model


def _compared(
    name: str,
    network: Network,
    models: tuple[RaysAsPixelsTransformer3DModel, RaysAsPixelsTransformer3DModel],
    budget_sec: float,
) -> Optimization:
    plain, other = models
    clip, _, dtype = plan(network, plain.device)
    state, text = joint_inputs(network, clip, device=plain.device, dtype=dtype)
    works = {"plain": lambda: plain(state, text), "with": lambda: other(state, text)}
    times = interleaved(works, plain.device, budget_sec=budget_sec)
    medians = times["plain"].median, times["with"].median
    return Optimization(name, network.name, *medians, ratio(times, "with", "plain"))
