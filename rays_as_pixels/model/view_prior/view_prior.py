"""A first estimate of each frame: the nearest known image, seen from the frame's camera.

Not in the paper, whose video model brings its own idea of how pictures move. Where an image and the
cameras are known, most of a frame follows: with every depth guessed as 1, held-out frames come out
at 22.3 dB where the unmoved image has 19.5 and true depths have 24.9. The network adds the rest.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from rays_as_pixels.geometry.warp import warped
from rays_as_pixels.model.cell_layers import CellDepths
from rays_as_pixels.model.config import ViewPriorConfig
from rays_as_pixels.model.joint_state import MIN_SIGMA, LatentImages
from rays_as_pixels.model.view_prior.ray_cameras import cameras_of_points
from rays_as_pixels.solve.depth_reprojection import MAX_DEPTH, MIN_DEPTH, fill_holes, reproject

CELL = 8  # pixels per latent cell along each side
_DEEPEST = 2.0  # logarithm of a depth, either way
_CALM = 0.1  # noise left in a frame, of the error's deviation; less is closer to the mean
_FLOOR = 0.03  # deviation of a copy through the linear maps, at least


@dataclass(frozen=True)
class View:
    """What is expected of every image.

    Attributes:
        latents: (B, C, N, h, w) expected latents.
        deviation: (B, C, N, 1, 1) of the latents around them.
        share: (B, N) how clear the image is that they come from; 0 where there is none.
        seen: (B, 1, N, h, w) share of each cell that lies within that image.
        settled: (B, 1, N, h, w) the same where both cameras are known: there the network has
            nothing to add to what is visible in that image.
    """

    latents: Float[Tensor, "batch c n h w"]
    deviation: Float[Tensor, "batch c n 1 1"]
    share: Float[Tensor, "batch n"]
    seen: Float[Tensor, "batch 1 n h w"]
    settled: Float[Tensor, "batch 1 n h w"]

    def velocity(
        self,
        noisy: Float[Tensor, "batch c n h w"],
        sigma: Float[Tensor, "batch n"],
        predicted: Float[Tensor, "batch c n h w"],
    ) -> Float[Tensor, "batch c n h w"]:
        """Return d x_t / d t.

        Latents are normally distributed around what is expected and what the network adds to it
        where that is not settled; where nothing is expected the velocity is the network's output.

        Args:
            noisy: (B, C, N, h, w) latents at their noise levels.
            sigma: (B, N) those.
            predicted: The network's output.
        """
        level = sigma[:, None, :, None, None].float()
        share = self.share[:, None, :, None, None]
        expected = self.latents + (1 - self.settled) * predicted.float()
        variance = self.deviation.square()
        keep = (1 - level) * variance / ((1 - level).square() * variance + level.square())
        clean = expected + keep * (noisy - (1 - level) * expected)
        velocity = (noisy - clean) / level.clamp_min(MIN_SIGMA)
        return torch.lerp(predicted.float(), velocity, share).type_as(predicted)


class ViewPrior(nn.Module):
    """Warp known images to the other cameras of a clip, through depths estimated from the image.

    Args:
        channels: Of video latents, one per video frame.
        ray_channels: Of ray latents.
        config: Sizes.
    """

    pixel_weight: Tensor
    pixel_bias: Tensor
    cell_weight: Tensor
    cell_bias: Tensor
    ray_weight: Tensor
    ray_bias: Tensor
    moved: Tensor
    copied: Tensor

    def __init__(self, channels: int, ray_channels: int, config: ViewPriorConfig) -> None:
        super().__init__()
        size = 3 * CELL**2
        # Buffers: set by `training.stages.fit_view_prior`, never by gradients.
        self.register_buffer("pixel_weight", torch.zeros(size, channels))
        self.register_buffer("pixel_bias", torch.zeros(size))
        self.register_buffer("cell_weight", torch.zeros(channels, size))
        self.register_buffer("cell_bias", torch.zeros(channels))
        self.register_buffer("ray_weight", torch.zeros(3, ray_channels))
        self.register_buffer("ray_bias", torch.zeros(3))
        self.register_buffer("moved", torch.ones(channels))
        self.register_buffer("copied", torch.ones(channels))
        self.depth = CellDepths(
            channels,
            width=config.depth_width,
            blocks=config.depth_blocks,
            heads=config.depth_heads,
        )

    def initialise_from_scratch(self) -> None:
        """Take every depth as 1."""
        self.depth.initialise_from_scratch()

    def forward(
        self,
        images: LatentImages,
        ray_images: LatentImages,
        *,
        log_depth: Float[Tensor, "batch s height width"] | None = None,
    ) -> View:
        """Predict each image from another: reference images first, then the clip.

        Every image comes from another one, the nearest of the cleanest whose rays are known. One
        counts as known as far as its noise level is below 0.5, and so do its rays. Where
        rays are not known the image is expected to stand still.

        Args:
            images: Latents, noise levels and frame numbers.
            ray_images: Those of their rays, one for each image.
            log_depth: What is known of the first images' depths, see
                `ReferenceImages.log_depth`; the rest is estimated from the images.
        """
        kind = images.latents.device.type
        known = torch.amp.is_autocast_available(kind)  # not on the meta device
        with torch.autocast(kind if known else "cpu", enabled=False):
            source, away, share, moving = _sources(images, ray_images)
            relative = _relative(self._cameras(ray_images.latents.float()), source, moving)
            pixels, mask = self._warped(images.latents.float(), source, relative, log_depth)
            rows = nn.functional.pixel_unshuffle(fill_holes(pixels, mask), CELL)
            expected = nn.functional.conv2d(
                rows, self.cell_weight.float()[..., None, None], self.cell_bias.float()
            )
            expected = expected.unflatten(0, source.shape).transpose(1, 2)
            seen = nn.functional.avg_pool2d(mask, CELL).unflatten(0, source.shape).transpose(1, 2)
            variance = torch.lerp(
                self.copied.float().square(), self.moved.float().square(), moving[..., None]
            )
            deviation = (_CALM * (variance * away[..., None]).sqrt()).clamp_min(_FLOOR)
        seen = seen * share[:, None, :, None, None]
        settled = seen * moving[:, None, :, None, None]
        return View(expected, deviation.mT[..., None, None], share, seen, settled)

    def pixels(self, latents: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 3 height width"]:
        """Read pictures in [0, 1] from latents, by a fitted linear map."""
        weight = self.pixel_weight.float()[..., None, None]
        cells = nn.functional.conv2d(latents, weight, self.pixel_bias.float())
        return nn.functional.pixel_shuffle(cells, CELL)

    def depths(
        self, latents: Float[Tensor, "n c h w"], size: tuple[int, int]
    ) -> Float[Tensor, "n 1 height width"]:
        """Estimate the depth of every pixel from latents of images, in scene units."""
        depth = self.depth(latents.type_as(self.moved)).float()
        depth = depth.clamp(-_DEEPEST, _DEEPEST).exp()
        return nn.functional.interpolate(depth, size=size, mode="bilinear")

    @torch.no_grad()
    def _cameras(self, rays: Float[Tensor, "batch cr n hr wr"]) -> "_Cameras":
        batch, count = rays.shape[0], rays.shape[2]
        images = rays.transpose(1, 2).flatten(0, 1)
        weight = self.ray_weight.float()[..., None, None]
        points = nn.functional.conv2d(images, weight, self.ray_bias.float())
        rotation, center, log_focal = cameras_of_points(points)
        shape = (batch, count)
        return (
            rotation.unflatten(0, shape),
            center.unflatten(0, shape),
            log_focal.unflatten(0, shape),
        )

    def _warped(
        self,
        latents: Tensor,
        source: Tensor,
        relative: "_Relative",
        log_depth: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Return each image's source as its camera sees it, and where the source is visible."""
        height, width = latents.shape[-2:]
        batch, count = source.shape
        wanted = (source + count * torch.arange(batch, device=source.device)[:, None]).flatten()
        used, where = wanted, torch.arange(len(wanted), device=wanted.device)
        if not source.is_meta:  # most images come from a few
            used, where = wanted.unique(return_inverse=True)
        from_latents = latents.transpose(1, 2).flatten(0, 1)[used]
        size = (CELL * height, CELL * width)
        depth = self.depths(from_latents, size)
        if log_depth is not None:
            rest = (0, 0, 0, 0, 0, count - log_depth.shape[1])
            known = nn.functional.pad(log_depth, rest, value=math.nan).flatten(0, 1)[used, None]
            known = known.exp().clamp(MIN_DEPTH, MAX_DEPTH)
            depth = torch.where(known.isnan(), depth, known)
        depth = depth[where]
        pictures = self.pixels(from_latents)[where]
        root = (size[0] * size[1]) ** 0.5
        both = (relative.log_focal, relative.source_log_focal)
        focal, source_focal = ((root * one.flatten(0, 1).exp())[:, None] for one in both)
        rotation, center = relative.rotation.flatten(0, 1), relative.center.flatten(0, 1)
        displacement, visible = reproject(depth, rotation, center, focal, source_focal)
        return warped(pictures, displacement), visible


def _sources(
    images: LatentImages, ray_images: LatentImages
) -> tuple[Int[Tensor, "batch n"], Tensor, Tensor, Tensor]:
    """Choose the image that each image comes from.

    Returns:
        Its number; how far away it is in time, as a share of the clip; how clean it is; and how
        well the cameras of both are known; (B, N) each.
    """
    clear, ray_clear = ((1 - 2 * one.sigma.float()).clamp_min(0) for one in (images, ray_images))
    frame = images.frame
    extent = frame.amax(1, keepdim=True).clamp_min(1)
    away = (frame[:, :, None] - frame[:, None]).abs() / extent[:, :, None]
    score = clear[:, None] * (1 + 0.3 * ray_clear[:, None]) - 0.01 * away
    own = torch.eye(frame.shape[1], device=frame.device) * (frame.shape[1] > 1)
    score = score - 2 * own  # no image comes from itself
    source = score.argmax(2)
    away = away.gather(2, source[:, :, None])[..., 0]
    moving = ray_clear * ray_clear.gather(1, source)
    return source, away, clear.gather(1, source), moving


@dataclass(frozen=True)
class _Relative:
    """Cameras in axes of their sources: rotations (B, N, 3, 3), centres (B, N, 3), log focals."""

    rotation: Tensor
    center: Tensor
    log_focal: Tensor
    source_log_focal: Tensor


_Cameras = tuple[Tensor, Tensor, Tensor]  # rotations, centres, log focal normalised by sqrt(H W)


def _relative(cameras: _Cameras, source: Tensor, moving: Tensor) -> _Relative:
    """Return every camera in axes of its source's; as far as `moving`, its share, is known."""
    row = torch.arange(len(source), device=source.device)[:, None]
    rotations, centers, log_focals = cameras
    rotation, log_focal = rotations[row, source], log_focals[row, source]
    turned = rotation.mT @ rotations
    moved = (rotation.mT @ (centers - centers[row, source])[..., None])[..., 0]
    full = moving[..., None]
    partly = torch.lerp(torch.eye(3).to(turned), turned, full[..., None])
    return _Relative(partly, full * moved, log_focal + full * (log_focals - log_focal), log_focal)
