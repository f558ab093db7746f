"""Muon in float32 takes the steps that torch's Muon takes."""

import pytest
import torch

from rays_as_pixels.training.distributed import load_optimiser
from rays_as_pixels.training.muon import Float32Muon, orthogonalised


def test_singular_values_come_near_one_and_directions_stay():
    matrices = torch.randn(3, 8, 20, generator=torch.Generator().manual_seed(0))
    result = orthogonalised(matrices)
    values = torch.linalg.svdvals(result)
    assert values.min() > 0.6 and values.max() < 1.3
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    turned = left.mT @ result @ right.mT
    off = turned - torch.diag_embed(turned.diagonal(dim1=1, dim2=2))
    assert off.abs().max() < 1e-4


@pytest.mark.skipif(
    not hasattr(torch.optim, "Muon"),
    reason="torch has Muon from 2.9; to compare: pip install torch",
)
def test_steps_equal_torchs_up_to_its_bfloat16():
    generator = torch.Generator().manual_seed(1)
    start = [torch.randn(shape, generator=generator) for shape in ((6, 10), (10, 6), (6, 10))]
    gradients = [[torch.randn(w.shape, generator=generator) for w in start] for _ in range(4)]
    ends = []
    for kind in ("ours", "torch"):
        weights = [torch.nn.Parameter(w.clone()) for w in start]
        if kind == "ours":
            optimiser = Float32Muon(weights, lr=0.02, weight_decay=0.01)
        else:
            optimiser = torch.optim.Muon(
                weights, lr=0.02, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"
            )
        for step in gradients:
            for weight, gradient in zip(weights, step, strict=True):
                weight.grad = gradient.clone()
            optimiser.step()
        ends.append([w.detach() for w in weights])
        names = {name for state in optimiser.state.values() for name in state}
        assert names == {"momentum_buffer"}
    for ours, theirs, first in zip(*ends, start, strict=True):
        assert (ours - first).norm() > 0.05
        assert (ours - theirs).norm() < 0.03 * (theirs - first).norm()


@pytest.mark.skipif(
    not hasattr(torch.optim, "Muon"), reason="torch has Muon from 2.9: pip install torch"
)
def test_a_run_goes_on_with_torchs_muon():
    """As where a run moves from one CPU to processes that spread their weights."""
    weight = torch.nn.Parameter(torch.randn(4, 6))
    ours = Float32Muon([weight], lr=1e-2)
    weight.grad = torch.randn(4, 6)
    ours.step()
    theirs = torch.optim.Muon([weight], lr=1e-3)
    load_optimiser(theirs, ours.state_dict())
    average = ours.state[weight]["momentum_buffer"]
    torch.testing.assert_close(theirs.state[weight]["momentum_buffer"], average)
    assert theirs.param_groups[0]["lr"] == 1e-2
    theirs.step()
