"""Teach the autoencoder's video latents how things move.

A reconstruction of 22 dB looks right frame by frame and yet says little about motion: matching
8-pixel cells between frames of decoded clips was no better than assuming no motion, where the same
matching on the clips themselves was off by 0.7 pixels. Whatever the latents do not hold, the
transformer cannot read. So a small reader of the latents has to say how far every cell has moved
(`auxiliary.cell_motion`), and the encoder learns to tell it; pictures and raxels stay in the loss,
at every third step, which is cheaper and holds them as well. The reader is dropped afterwards.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from accelerate import Accelerator
from diffusers import AutoencoderKLWan
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.raxels import RASTER_STRIDE, raxels_from_cameras
from rays_as_pixels.model.autoencoder import SPATIAL_STRIDE, decoded_by, posterior_of
from rays_as_pixels.training.auxiliary import cell_motion, motion_channels, motion_head_loss
from rays_as_pixels.training.config import CodecConfig
from rays_as_pixels.training.stages.autoencoder import gradient_loss, pooled_loss, training_cameras
from rays_as_pixels.training.stages.finetune_decoder import pose_error
from rays_as_pixels.training.stages.stage_loop import LOG_EVERY_STEPS, StageLoop

MotionSource = Iterator[
    tuple[Float[Tensor, "batch frames 3 h w"], Cameras, Float[Tensor, "batch frames hc wc"]]
]
_WINDOW_CELLS = 4  # side of the window that is decoded, in latent cells
_DECODE_EVERY = 3  # steps; the decoder's terms then count as many times
_DECODED_SHARE = 0.6  # of the clips of such a step
_KL_WEIGHT = 1e-6
# Set so that the gradients of all four terms are about as long at the start: with the raxels'
# thirty times the motion's, the latents learned none.
_MOTION_WEIGHT = 1.0
_PICTURE_WEIGHT = 2.0
_RAXEL_WEIGHT = 0.25
_POSE_WEIGHT = 1.0
_POSE_SHARES = (1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.2, 0.2)  # rotation, centre, log focal


class MotionReader(nn.Module):
    """Say from a latent frame and the one before how far every cell has moved.

    Args:
        channels: Of the latents.
        stride: Video frames per latent frame.
        width: Of the hidden layer.
    """

    def __init__(self, channels: int, stride: int, width: int = 128) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(2 * channels, width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, width, 1),
            nn.SiLU(),
            nn.Conv2d(width, motion_channels(stride), 1),
        )

    def forward(self, latents: Float[Tensor, "batch c t h w"]) -> Tensor:
        """Return (B, channels, T, h, w), as `auxiliary.cell_motion`."""
        before = torch.cat([latents[:, :, :1], latents[:, :, :-1]], dim=2)
        pair = torch.cat([latents, before], dim=1).transpose(1, 2)
        return self.net(pair.flatten(0, 1)).unflatten(0, pair.shape[:2]).transpose(1, 2)


class _Trained(nn.Module):
    def __init__(self, autoencoder: AutoencoderKLWan, reader: MotionReader) -> None:
        super().__init__()
        self.autoencoder, self.reader = autoencoder, reader


def teach_motion(
    autoencoder: AutoencoderKLWan,
    clips: MotionSource,
    config: CodecConfig,
    folder: Path,
    *,
    accelerator: Accelerator,
    log: Callable[[str], None],
    seed: int = 0,
) -> None:
    """Train for `config.motion_minutes`, writing to `folder`; continues from what is there."""
    stride = int(autoencoder.config["scale_factor_temporal"])
    reader = MotionReader(int(autoencoder.config["z_dim"]), stride)
    model = _Trained(autoencoder, reader)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=config.motion_learning_rate, betas=(0.9, 0.95), weight_decay=1e-3
    )
    loop = StageLoop(
        "motion",
        model,
        optimiser,
        folder,
        minutes=config.motion_minutes,
        accelerator=accelerator,
        log=log,
    )
    generator = loop.generator(seed)
    terms = _Means()
    for done in loop.steps():
        if loop.step % LOG_EVERY_STEPS == 0:
            terms = _Means()
        video, cameras, disparity = next(clips)
        pixels = video.transpose(1, 2) * 2 - 1
        with accelerator.autocast():
            posterior = posterior_of(autoencoder, pixels)
            latents = posterior.mode()
            motion = model.reader(latents)
        clear = torch.zeros(len(video), latents.shape[2], device=video.device)
        truth = cell_motion(cameras, disparity, stride)
        losses = {"motion": _MOTION_WEIGHT * motion_head_loss(motion, truth, clear)}
        if loop.step % _DECODE_EVERY == 0:
            kl = _KL_WEIGHT * posterior.kl().mean() / video[0].numel()
            part = max(1, round(_DECODED_SHARE * len(video)))
            with accelerator.autocast():
                decoded, seen = _window(autoencoder, latents[:part], pixels[:part], generator)
            picture = (decoded.float() - seen).abs().mean() + gradient_loss(decoded.float(), seen)
            losses["picture"] = _PICTURE_WEIGHT * (picture + kl)
            losses |= _raxel_terms(autoencoder, cameras, config.batch_raxels // 2, generator)
        terms.add(losses)
        weights = {name: 1 if name == "motion" else _DECODE_EVERY for name in losses}
        rate = min(1.0, (loop.step + 1) / 50) * max(0.01, min(1.0, 1.5 * (1 - done)))
        loop.descend(
            torch.stack([weights[name] * value for name, value in losses.items()]).sum(),
            learning_rate=config.motion_learning_rate * rate,
        )
        loop.report = str(terms)


class _Means:
    """Mean of each named term over the steps that had it."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, int]] = {}

    def add(self, losses: dict[str, Tensor]) -> None:
        for name, value in losses.items():
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = (total + float(value.detach()), count + 1)

    def __str__(self) -> str:
        return " ".join(f"{name} {total / n:.4f}" for name, (total, n) in self._sums.items())


def _window(
    autoencoder: AutoencoderKLWan, latents: Tensor, pixels: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Decode a random window of the latents; return it and the pixels that belong there."""
    for axis in (-2, -1):
        side = min(_WINDOW_CELLS, latents.shape[axis])
        first = int(torch.randint(latents.shape[axis] - side + 1, (), generator=generator))
        latents = latents.narrow(axis, first, side)
        pixels = pixels.narrow(axis, first * SPATIAL_STRIDE, side * SPATIAL_STRIDE)
    return decoded_by(autoencoder, latents), pixels


def _raxel_terms(
    autoencoder: AutoencoderKLWan, cameras: Cameras, count: int, generator: torch.Generator
) -> dict[str, Tensor]:
    pairs = training_cameras(cameras, count, generator)
    raxels = raxels_from_cameras(pairs)[:, 1]
    raster = pairs.resized(
        height=pairs.height // RASTER_STRIDE, width=pairs.width // RASTER_STRIDE
    ).relative_to(0)[:, 1]
    latents = posterior_of(autoencoder, raxels[:, :, None] / 2).mode()
    decoded = decoded_by(autoencoder, latents).squeeze(2) * 2
    error = decoded - raxels
    shares = torch.tensor(_POSE_SHARES, device=error.device)
    pose = (pose_error(raster, error).abs() * shares).mean()
    image = error.abs().mean() + pooled_loss(decoded[:, :, None], raxels[:, :, None])
    return {"raxel": _RAXEL_WEIGHT * image, "pose": _POSE_WEIGHT * pose}
