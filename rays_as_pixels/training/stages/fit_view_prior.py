"""Set the linear maps of the view prior, and how far off its expectations are."""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.model.autoencoder import LatentCodec
from rays_as_pixels.model.camera_prior.camera_params import (
    camera_params_from_pose_params,
    raxels_from_camera_params,
)
from rays_as_pixels.model.joint_state import CLIP, LatentImages
from rays_as_pixels.model.view_prior.view_prior import CELL, View, ViewPrior
from rays_as_pixels.training.objective import CleanBatch
from rays_as_pixels.training.stages.fit_motion import clips_of

_RIDGE = 1e-6
_CLIPS = 480


@torch.no_grad()
def fit_view_prior(
    view: ViewPrior,
    codec: LatentCodec,
    frames: Float[Tensor, "n 3 height width"],
    batches: Iterator[CleanBatch],
    log: Callable[[str], None],
) -> None:
    """Fit the maps between latents, pixels and raxels by least squares; measure the errors.

    Args:
        view: What is set.
        codec: Of the latents.
        frames: Pictures in [0, 1]; some thousand.
        batches: Clips; some hundred are drawn.
        log: Called with one line of text at a time.
    """
    encoded = [codec.encode_video(part[:, None])[:, :, 0] for part in frames.split(64)]
    latents = torch.cat(encoded).movedim(1, -1).flatten(0, 2)
    cells = nn.functional.pixel_unshuffle(frames, CELL).movedim(1, -1).flatten(0, 2)
    lines = []
    for weight, bias, x, y in (
        (view.pixel_weight, view.pixel_bias, latents, cells),
        (view.cell_weight, view.cell_bias, cells, latents),
    ):
        left = _fit(weight, bias, x, y)
        lines.append(f"{100 * left:.1f} %")
    clips = list(clips_of(batches, _CLIPS))
    rays, points = [], []
    for clean in clips:
        raster = (clean.ray_latents.shape[-2], clean.ray_latents.shape[-1])
        numbers = camera_params_from_pose_params(clean.pose.cpu(), *raster)
        raxels = raxels_from_camera_params(numbers, raster).flatten(0, 1)
        middle = nn.functional.avg_pool2d(raxels[..., 3:, 3:], 2, CELL)  # around cells' centres
        rays.append(
            clean.ray_latents.cpu().transpose(1, 2).flatten(0, 1).movedim(1, -1).flatten(0, 2)
        )
        points.append(middle.movedim(1, -1).flatten(0, 2))
    left = _fit(view.ray_weight, view.ray_bias, torch.cat(rays), torch.cat(points))
    log(
        "view prior: deviation left of pixels, latents and raxels by linear maps: "
        f"{', '.join(lines)}, {100 * left:.2f} %"
    )
    measure_deviations(view, clips, log)


@torch.no_grad()
def measure_deviations(
    view: ViewPrior, clips: list[CleanBatch], log: Callable[[str], None]
) -> None:
    """Set how far latents are from what is expected of them, on clips with known frame 0.

    Args:
        view: What is set.
        clips: Some hundred.
        log: Called with one line of text.
    """
    for known, kept in ((False, view.copied), (True, view.moved)):
        kept.copy_(_deviation(view, clips, known=known))
    log(
        f"view prior: deviation of latents a clip away: unmoved {float(view.copied.mean()):.3f}, "
        f"moved {float(view.moved.mean()):.3f}"
    )


def _fit(weight: Tensor, bias: Tensor, x: Tensor, y: Tensor) -> float:
    """Set an affine map by least squares; return the deviation that is left, of all of it."""
    rows = nn.functional.pad(x.double(), (0, 1), value=1.0)
    gram = rows.mT @ rows / len(rows)
    gram = gram + _RIDGE * gram.diagonal().mean() * torch.eye(len(gram)).to(gram)
    solution = torch.linalg.solve(gram, rows.mT @ y.double() / len(rows))
    weight.copy_(solution[:-1].mT)
    bias.copy_(solution[-1])
    return float((rows @ solution - y).std() / y.std())


def expected_view(
    view: ViewPrior, clean: CleanBatch, *, known: bool, source: Tensor | None = None
) -> View:
    """Return what is expected of clips of which one frame is known, and perhaps their rays.

    Args:
        view: The prior.
        clean: The clips.
        known: Whether their rays are known.
        source: (B,) the frame that is known of each; None for frame 0.
    """
    latents = clean.latents
    count, frames = latents.shape[0], latents.shape[2]
    frame = torch.arange(frames, device=latents.device).float().expand(count, -1)
    first = torch.zeros(count) if source is None else source.float()
    sigma = (frame != first.to(latents)[:, None]).to(latents)
    ray_sigma = torch.full_like(sigma, 0.0 if known else 1.0)
    kind = torch.full_like(frame, CLIP, dtype=torch.int64)
    return view(
        LatentImages(latents, sigma, frame, kind),
        LatentImages(clean.ray_latents, ray_sigma, frame, kind),
    )


def _deviation(view: ViewPrior, clips: list[CleanBatch], *, known: bool) -> Tensor:
    """Root of the mean squared error per channel, each frame's divided by its share of the clip."""
    squares = []
    for clean in clips:
        error = (expected_view(view, clean, known=known).latents - clean.latents)[:, :, 1:]
        frames = error.shape[2]
        share = torch.arange(1, frames + 1).to(error) / frames
        squares.append((error.square() / share[:, None, None]).mean((0, 2, 3, 4)).cpu())
    return torch.stack(squares).mean(0).sqrt()
