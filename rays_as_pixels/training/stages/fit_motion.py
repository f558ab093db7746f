"""Fit linear maps: how latents change as images move, and how raxels are encoded."""

import itertools
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.model.autoencoder import SPATIAL_STRIDE, LatentCodec
from rays_as_pixels.model.camera_prior.camera_params import (
    camera_params_from_pose_params,
    raxels_from_camera_params,
)
from rays_as_pixels.model.camera_prior.camera_prior import CameraPrior
from rays_as_pixels.model.camera_prior.motion_features import LatentFlow
from rays_as_pixels.model.latent_pictures import SIDE, Pictures
from rays_as_pixels.training.objective import CleanBatch

_SHIFT = 1  # pixels to each side
_RIDGE = 1e-3
_CODE_RIDGE = 1e-9
_CAMERA_CLIPS, _MOST_BATCHES = 960, 60
_DAMPING = 0.02  # of the mean squared gradient


@torch.no_grad()
def fit_camera_prior(
    prior: CameraPrior, batches: Iterator[CleanBatch], log: Callable[[str], None]
) -> None:
    """Set the size of moments and cameras and the linear code of raxels from clips.

    Its pictures must have been fitted (`fit_pictures`).

    Args:
        prior: What is set.
        batches: Clips; some hundred are drawn.
        log: Called with one line of text.
    """
    numbers, rows, wanted, moments = [], [], [], []
    for clean in clips_of(batches, _CAMERA_CLIPS):
        latents = clean.ray_latents.cpu()
        raster = (latents.shape[-2], latents.shape[-1])
        cameras = camera_params_from_pose_params(clean.pose.cpu(), *raster)
        raxels = raxels_from_camera_params(cameras, raster).flatten(0, 1)
        side = raxels.shape[-1] // raster[1]
        rows.append(nn.functional.unfold(raxels, side, stride=side).mT.flatten(0, 1).double())
        wanted.append(latents.transpose(1, 2).flatten(3).mT.flatten(0, 2).double())
        numbers.append(cameras)
        moments.append(prior.motion(clean.latents).moments.flatten(0, 1).cpu())
    x = torch.cat(rows)
    x = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], 1)
    y = torch.cat(wanted)
    gram = x.mT @ x / len(x)
    ridge = _CODE_RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    solution = torch.linalg.solve(gram + ridge, x.mT @ y / len(x))
    prior.code.weight.copy_(solution[:-1].mT.reshape(prior.code.weight.shape))
    assert prior.code.bias is not None
    prior.code.bias.copy_(solution[-1])
    every = torch.cat([one[:, 1:].flatten(0, 1) for one in numbers])
    prior.std.copy_(every.std(0).clamp_min(1e-3))
    prior.mean[6:] = every[:, 6:].mean(0)
    seen = torch.cat(moments)
    prior.moment_mean.copy_(seen.mean(0))
    prior.moment_std.copy_(seen.std(0).clamp_min(1e-4))
    off = (x @ solution - y).square().mean().sqrt() / y.std()
    log(f"camera prior: raxels coded to {100 * float(off):.1f} % of their latents' deviation")


def clips_of(batches: Iterator[CleanBatch], count: int) -> Iterator[CleanBatch]:
    """Yield batches until they hold `count` clips, but no more than _MOST_BATCHES."""
    seen = 0
    for clean in itertools.islice(batches, _MOST_BATCHES):
        if seen >= count:
            break
        seen += len(clean.latents)
        yield clean


@torch.no_grad()
def fit_pictures(
    pictures: Pictures,
    codec: LatentCodec,
    frames: Float[Tensor, "n 3 height width"],
    log: Callable[[str], None],
) -> None:
    """Set the linear map from latents to pictures of half the raster, by least squares.

    Args:
        pictures: What is set.
        codec: Of the latents.
        frames: Pictures in [0, 1]; some thousand.
        log: Called with one line of text.
    """
    latents = [codec.encode_video(part[:, None])[:, :, 0] for part in frames.split(64)]
    x = torch.cat(latents).movedim(1, -1).flatten(0, 2).double()
    x = torch.cat([x, torch.ones(len(x), 1).to(x)], 1)
    half = nn.functional.pixel_unshuffle(nn.functional.avg_pool2d(frames, 2), SIDE)
    y = half.movedim(1, -1).flatten(0, 2).double()
    gram = x.mT @ x / len(x)
    ridge = _CODE_RIDGE * gram.diagonal().mean() * torch.eye(len(gram)).to(gram)
    solution = torch.linalg.solve(gram + ridge, x.mT @ y / len(x))
    pictures.weight.copy_(solution[:-1].mT)
    pictures.bias.copy_(solution[-1])
    error = (x @ solution - y).square().mean()
    log(f"pictures from latents, half the raster: {-10 * float(error.log10()):.1f} dB")


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
        ridge = _RIDGE * gram.diagonal().mean() * torch.eye(len(gram)).to(gram)
        solution = torch.linalg.solve(gram + ridge, rows.mT @ wanted / len(rows))
        gradients.append(solution.mT.unflatten(1, (-1, 3, 3)))
        left_over.append((rows @ solution - wanted).square().mean(0))
        strength.append((rows @ solution).square().mean(0))
    noise = torch.stack(left_over).mean(0)
    weight = (1 / noise) / (1 / noise).sum()
    squared = (weight * torch.stack(strength).sum(0)).sum()
    flow.gradient.weight.copy_(torch.cat(gradients))
    flow.log_weight.copy_(weight.log())
    flow.log_damping.copy_((_DAMPING * squared).log())
    kept = torch.stack(strength).sum(0)
    explained = kept / (kept + torch.stack(left_over).sum(0))
    log(
        "latent flow: share of the change of shifted pictures explained, best and worst channel: "
        f"{float(explained.max()):.2f}, {float(explained.min()):.2f}"
    )
