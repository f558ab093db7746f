"""Tell the network's `LatentFlow` how latents change as pictures move, by least squares."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.model.codec import SPATIAL_STRIDE, LatentCodec
from rays_as_pixels.model.motion_features import LatentFlow

_SHIFT = 1  # pixels to each side
_RIDGE = 1e-3
_DAMPING = 0.02  # of the mean squared gradient


@torch.no_grad()
def fit_latent_flow(
    flow: LatentFlow,
    codec: LatentCodec,
    frames: Float[Tensor, "n 3 height width"],
    log: Callable[[str], None],
) -> None:
    """Shift pictures a pixel to each side and fit the change of their latents, cell by cell.

    Channels weigh by how well their change is explained.

    Args:
        flow: What is set.
        codec: Of the latents.
        frames: Pictures in [0, 1]; some thousand.
        log: Called with one line of text.
    """
    edge = SPATIAL_STRIDE // 2
    gradients, left_over, strength = [], [], []
    for axis in (-1, -2):
        moved = []
        for shift in (_SHIFT, -_SHIFT):
            part = frames
            for side in (-1, -2):
                first = edge + (shift if side == axis else 0)
                part = part.narrow(side, first, part.shape[side] - 2 * edge)
            latents = [codec.encode_video(p[:, None])[:, :, 0] for p in part.split(64)]
            moved.append(torch.cat(latents).double())
        mean = (moved[0] + moved[1]) / 2
        change = (moved[0] - moved[1]) * SPATIAL_STRIDE / (2 * _SHIFT)  # per cell
        rows = nn.functional.unfold(mean, 3).mT.flatten(0, 1)
        wanted = change[:, :, 1:-1, 1:-1].flatten(2).mT.flatten(0, 1)
        gram = rows.mT @ rows / len(rows)
        ridge = _RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
        solution = torch.linalg.solve(gram + ridge.to(gram), rows.mT @ wanted / len(rows))
        gradients.append(solution.mT.unflatten(1, (-1, 3, 3)))
        left_over.append((rows @ solution - wanted).square().mean(0))
        strength.append((rows @ solution).square().mean(0))
    noise = torch.stack(left_over).mean(0)
    weight = (1 / noise) / (1 / noise).sum()
    squared = (weight * torch.stack(strength).sum(0)).sum()
    flow.gradient.weight.copy_(torch.cat(gradients))
    flow.log_weight.copy_(weight.log())
    flow.log_damping.copy_((_DAMPING * squared).log())
    explained = sum(strength) / (sum(strength) + sum(left_over))
    log(
        "latent flow: share of the change of shifted pictures explained, best and worst channel: "
        f"{float(explained.max()):.2f}, {float(explained.min()):.2f}"
    )
