"""One call of the joint network against one of Wan's: same width, tokens, precision and weights."""

from dataclasses import dataclass, replace

import torch
from diffusers import WanTransformer3DModel
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed
from torch import nn

from benchmarks import flops
from benchmarks.shapes import SMALL_CLIP, Clip, Network, joint_inputs, wan_inputs
from benchmarks.timing import interleaved, peak_bytes, ratio, reset_peak
from rays_as_pixels.model.transformer.joint_transformer import RaysAsPixelsTransformer3DModel


@dataclass(frozen=True)
class StepResult:
    """What one step costs.

    Attributes:
        network: mini, 1.3B or 14B.
        clip: Frames x height x width.
        video_tokens: Of the clip.
        ray_tokens: Of the clip.
        dtype: Of weights and tokens.
        layers_measured: How many blocks were there; all of them share weights on a CPU.
        layers: How many the network has.
        ours_sec: Median of one call as measured.
        wan_sec: Median of Wan's call.
        ratio: Median of pairwise ratios, ours over Wan's.
        flops_ratio: The same of operations.
        ours_flops_per_sec: Achieved.
        wan_flops_per_sec: Achieved.
        peak_bytes: Highest memory use while both were there.
        runs: Pairs timed.
    """

    network: str
    clip: str
    video_tokens: int
    ray_tokens: int
    dtype: str
    layers_measured: int
    layers: int
    ours_sec: float
    wan_sec: float
    ratio: float
    flops_ratio: float
    ours_flops_per_sec: float
    wan_flops_per_sec: float
    peak_bytes: int | None
    runs: int


def filled(model: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Give a model that was built without memory random weights, in place."""
    model.to(dtype).to_empty(device=device)
    generator = torch.Generator(device).manual_seed(0)
    for value in [*model.parameters(), *model.buffers()]:
        value.data.uniform_(-0.02, 0.02, generator=generator)


def build_pair(
    network: Network, *, layers: int, shared_blocks: bool, device: torch.device, dtype: torch.dtype
) -> tuple[RaysAsPixelsTransformer3DModel, WanTransformer3DModel]:
    """Build both networks, Wan's blocks with the joint network's own tensors where both have them.

    Args:
        network: The size.
        layers: Blocks.
        shared_blocks: One block many times, where memory holds no more.
        device: Where to.
        dtype: Precision of everything.
    """
    with torch.device("meta"):
        ours = network.ours(1 if shared_blocks else layers)
        wan = network.wan(1 if shared_blocks else layers)
    filled(ours, device, dtype)
    theirs = ours.state_dict()
    missing = [n for n, p in wan.named_parameters() if _shape(theirs.get(n)) != p.shape]
    wan.load_state_dict(
        {n: theirs[n] for n, _ in wan.named_parameters() if n not in missing},
        strict=False,
        assign=True,
    )
    generator = torch.Generator(device).manual_seed(1)
    for name in missing:
        parent, leaf = wan.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2]
        shape = getattr(parent, leaf).shape
        fresh = torch.empty(shape, device=device, dtype=dtype)
        fresh.uniform_(-0.02, 0.02, generator=generator)
        setattr(parent, leaf, nn.Parameter(fresh, requires_grad=False))
    wan.rope = WanRotaryPosEmbed(network.width // network.heads, wan.config["patch_size"], 1024)
    wan.rope.to(device)
    if shared_blocks:
        ours.blocks = nn.ModuleList([ours.blocks[0]] * layers)
        wan.blocks = nn.ModuleList([wan.blocks[0]] * layers)
    return ours, wan


def _shape(value: torch.Tensor | None) -> torch.Size | None:
    return None if value is None else value.shape


def plan(network: Network, device: torch.device) -> tuple[Clip, int, torch.dtype]:
    """Choose what this device can be asked to do: clip, blocks and precision."""
    if device.type == "cuda":
        return network.clip, network.layers, torch.bfloat16
    if network.name == "mini":
        return network.clip, network.layers, torch.float32
    return SMALL_CLIP, 1, torch.bfloat16


@torch.no_grad()
def measure_step(network: Network, device: torch.device, *, budget_sec: float) -> StepResult:
    """Time both networks in turn."""
    clip, layers, dtype = plan(network, device)
    reset_peak(device)
    shared = device.type != "cuda" and layers < network.layers
    ours, wan = build_pair(network, layers=layers, shared_blocks=shared, device=device, dtype=dtype)
    state, text = joint_inputs(network, clip, device=device, dtype=dtype)
    inputs = wan_inputs(network, clip, device=device, dtype=dtype)
    times = interleaved(
        {"ours": lambda: ours(state, text), "wan": lambda: wan(**inputs, return_dict=False)},
        device,
        budget_sec=budget_sec,
    )
    measured = replace(network, layers=layers)
    video, rays = network.tokens(clip)
    work, their_work = flops.joint_step(measured, clip), flops.wan_step(measured, clip)
    return StepResult(
        network=network.name,
        clip=str(clip),
        video_tokens=video,
        ray_tokens=rays,
        dtype=str(dtype)[6:],
        layers_measured=layers,
        layers=network.layers,
        ours_sec=times["ours"].median,
        wan_sec=times["wan"].median,
        ratio=ratio(times, "ours", "wan"),
        flops_ratio=work / their_work,
        ours_flops_per_sec=work / times["ours"].median,
        wan_flops_per_sec=their_work / times["wan"].median,
        peak_bytes=peak_bytes(device),
        runs=len(times["ours"].seconds),
    )


@torch.no_grad()
def matmul_rate(device: torch.device, dtype: torch.dtype, *, budget_sec: float = 3.0) -> float:
    """Return the best measured rate of one large matrix product, in operations per second."""
    best = 0.0
    for size in (4096, 8192, 16384) if device.type == "cuda" else (512, 1024, 2048):
        a = torch.randn(size, size, device=device).to(dtype)
        times = interleaved(
            {"matmul": lambda a=a: a @ a}, device, budget_sec=budget_sec / 3, at_most=50
        )
        best = max(best, 2 * size**3 / min(times["matmul"].seconds))
    return best
