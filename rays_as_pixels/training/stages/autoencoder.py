"""Train the autoencoder on rendered frames and raxels, mixed.

Video: L1, multi-scale gradient L1 and KL 1e-6. Raxels: L1, L1 of local and global means, and KL;
they weigh ten times as much, since 0.0026 on the halved raxel is the 0.3 degrees the autoencoder
may cost.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from accelerate import Accelerator
from diffusers import AutoencoderKLWan
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.raxels import raxels_from_cameras
from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.model.autoencoder import RAXEL_LIMIT, decoded_by, posterior_of
from rays_as_pixels.training.config import AutoencoderConfig
from rays_as_pixels.training.stages.stage_loop import StageLoop

_KL_WEIGHT = 1e-6
_RAXEL_WEIGHT = 10.0
_MIN_STD = 0.05  # of a channel's latents, relative to the widest channel

ClipSource = Iterator[tuple[Float[Tensor, "batch frames 3 height width"], Cameras]]


def pooled_loss(
    prediction: Float[Tensor, "batch c t height width"],
    target: Float[Tensor, "batch c t height width"],
) -> Float[Tensor, ""]:
    """Return the L1 distance of images averaged over 4x4, 16x16 and all pixels.

    A pose is read from a raxel image as a whole: an error of one sign over the image turns the
    camera, while noise of the same size averages out.
    """
    error = (prediction - target).transpose(1, 2).flatten(0, 1)
    coarse = torch.nn.functional.avg_pool2d(error, 4)
    total = coarse.abs().mean() + error.mean(dim=(-2, -1)).abs().mean()
    if min(error.shape[-2:]) >= 16:
        total = total + torch.nn.functional.avg_pool2d(coarse, 4).abs().mean()
    return total


def gradient_loss(
    prediction: Float[Tensor, "batch c t height width"],
    target: Float[Tensor, "batch c t height width"],
    *,
    scales: int = 3,
) -> Float[Tensor, ""]:
    """Return the L1 distance of image gradients, averaged over octaves."""
    error = (prediction - target).transpose(1, 2).flatten(0, 1)
    total = error.new_zeros(())
    for _ in range(scales):
        total = total + error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        if min(error.shape[-2:]) < 4:
            break
        error = torch.nn.functional.avg_pool2d(error, 2)
    return total / scales


def training_cameras(cameras: Cameras, count: int, generator: torch.Generator) -> Cameras:
    """Draw pairs (count, 2) of a reference and a camera: half from clips, half at random.

    Pairs from clips are two random frames of one clip. Random cameras (35 degrees and 0.4 scene
    units of standard deviation at most, fields of view of 30 to 100 degrees) cover what clips lack.
    Pairs whose raxels would not fit the autoencoder's range are left out.
    """
    clips, frames = cameras.batch_shape
    own = count // 2
    index = torch.randint(clips, (2 * own, 1), generator=generator)
    frame = torch.randint(frames, (2 * own, 2), generator=generator)
    index, frame = index.to(cameras.focal_px.device), frame.to(cameras.focal_px.device)
    parts = []
    drawn = _random_cameras(2 * (count - own), cameras.height, cameras.width, generator)
    drawn = drawn.to(device=cameras.focal_px.device)
    for pairs, share in ((cameras[index, frame], own), (drawn, count - own)):
        raxels = raxels_from_cameras(pairs)[:, 1]
        fits = (raxels.abs().amax(dim=(1, 2, 3)) < RAXEL_LIMIT).nonzero().squeeze(-1)
        parts.append(pairs[fits[:share]])
    return Cameras(
        torch.cat([part.world_from_cam for part in parts]),
        torch.cat([part.focal_px for part in parts]),
        torch.cat([part.center_px for part in parts]),
        cameras.height,
        cameras.width,
    )


def training_raxels(
    cameras: Cameras, count: int, generator: torch.Generator
) -> Float[Tensor, "count 3 h w"]:
    """Draw the raxel images of `training_cameras`."""
    return raxels_from_cameras(training_cameras(cameras, count, generator))[:, 1]


def _random_cameras(count: int, height: int, width: int, generator: torch.Generator) -> Cameras:
    """Pairs (count, 2): a reference at the identity and a camera anywhere near it."""

    def normal(limit: float) -> Tensor:
        size = limit * torch.rand(count, 1, generator=generator)
        return size * torch.randn(count, 3, generator=generator)

    turn = rotation_from_vector(normal(0.6) * torch.tensor([0.6, 1.0, 0.4]))
    pose = torch.eye(4).repeat(count, 2, 1, 1)
    pose[:, 1] = rigid(turn, normal(0.4))
    hfov = torch.deg2rad(30 + 70 * torch.rand(count, 1, generator=generator))
    focal = (width / (2 * torch.tan(hfov / 2)))[..., None].expand(count, 2, 2)
    center = torch.tensor([width / 2, height / 2]).expand(count, 2, 2)
    return Cameras(pose, focal, center, height, width)


def random_window(
    video: Float[Tensor, "batch frames 3 height width"],
    crops: Sequence[tuple[int, int, float]],
    generator: torch.Generator,
) -> Float[Tensor, "batch n 3 h w"]:
    """Cut a window of one of the kinds in `crops`, at one place for the batch."""
    share = torch.tensor([crop[2] for crop in crops])
    kind = int(torch.multinomial(share, 1, generator=generator))
    frames, pixels, _ = crops[kind]
    sizes = (frames, pixels or video.shape[-2], pixels or video.shape[-1])
    for axis, size in zip((1, -2, -1), sizes, strict=True):
        spare = video.shape[axis] - size
        first = int(torch.randint(spare + 1, (), generator=generator))
        video = video.narrow(axis, first, size)
    return video


def video_loss(
    autoencoder: AutoencoderKLWan, video: Float[Tensor, "batch 3 frames height width"]
) -> tuple[Float[Tensor, ""], float]:
    """Reconstruct clips in [-1, 1]; return L1 + gradient L1 + KL, and the L1 alone for the log."""
    posterior = posterior_of(autoencoder, video)
    reconstruction = decoded_by(autoencoder, posterior.mode())
    l1 = (reconstruction - video).abs().mean()
    kl = posterior.kl().mean() / video[0].numel()
    return l1 + gradient_loss(reconstruction, video) + _KL_WEIGHT * kl, float(l1.detach())


def raxel_loss(
    autoencoder: AutoencoderKLWan, raxels: Float[Tensor, "count 3 1 h w"]
) -> tuple[Float[Tensor, ""], float]:
    """Reconstruct halved raxels; return L1 + pooled L1 + KL, and the pooled L1 for the log."""
    posterior = posterior_of(autoencoder, raxels)
    reconstruction = decoded_by(autoencoder, posterior.mode())
    pooled = pooled_loss(reconstruction, raxels)
    kl = posterior.kl().mean() / raxels[0].numel()
    loss = (reconstruction - raxels).abs().mean() + pooled
    return loss + _KL_WEIGHT * kl, float(pooled.detach()) / 3


def train_autoencoder(
    autoencoder: AutoencoderKLWan,
    clips: ClipSource,
    config: AutoencoderConfig,
    folder: Path,
    *,
    accelerator: Accelerator,
    log: Callable[[str], None],
    seed: int = 0,
) -> None:
    """Train for `config.minutes`, writing to `folder`; continues from what is there.

    An encoder that was set to principal components is not trained.

    The rate warms up and then falls linearly to zero over the minutes, so
    stopping early costs quality but nothing else.
    """
    if config.starts_linear:
        autoencoder.encoder.requires_grad_(False)
        autoencoder.quant_conv.requires_grad_(False)
    trained = [parameter for parameter in autoencoder.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(
        trained, lr=config.learning_rate, betas=(0.9, 0.95), weight_decay=1e-3
    )
    loop = StageLoop(
        "autoencoder",
        autoencoder,
        optimiser,
        folder,
        minutes=config.minutes,
        accelerator=accelerator,
        log=log,
    )
    generator = loop.generator(seed)
    video_l1 = float("nan")
    for done in loop.steps():
        video, cameras = next(clips)
        raxels = training_raxels(cameras, config.batch_raxels, generator)[:, :, None] / 2
        ray_loss, raxel_l1 = raxel_loss(autoencoder, raxels.to(accelerator.device))
        loss = _RAXEL_WEIGHT * ray_loss
        if loop.step % config.video_every == 0:
            window = random_window(video, config.crops, generator).transpose(1, 2) * 2 - 1
            more, video_l1 = video_loss(autoencoder, window.to(accelerator.device))
            loss = loss + more
        rate = max(0.01, min(1.0, (loop.step + 1) / 30) * (1 - done))
        loop.descend(loss, learning_rate=config.learning_rate * rate)
        loop.report = f"video_l1 {video_l1:.4f} raxel_pooled_l1 {raxel_l1:.5f}"


@torch.no_grad()
def measure_statistics(
    autoencoder: AutoencoderKLWan, clips: ClipSource, *, batches: int = 10
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return per-channel mean and deviation of the latents of video and of raxels."""
    generator = torch.Generator().manual_seed(0)
    video_latents, raxel_latents = [], []
    for _ in range(batches):
        video, cameras = next(clips)
        latents = posterior_of(autoencoder, video.transpose(1, 2) * 2 - 1).mode()
        video_latents.append(latents.transpose(0, 1).flatten(1))
        raxels = training_raxels(cameras, 24, generator)[:, :, None] / 2
        latents = posterior_of(autoencoder, raxels.to(video.device)).mode()
        raxel_latents.append(latents.transpose(0, 1).flatten(1))
    result = []
    for parts in (video_latents, raxel_latents):
        values = torch.cat(parts, dim=1).to(torch.float64)
        # Channels that hardly say anything of raxels are not blown up to say as much as others.
        std = values.std(1)
        std = std.clamp_min(_MIN_STD * std.max())
        result.append({"mean": values.mean(1).tolist(), "std": std.tolist()})
    return result[0], result[1]
