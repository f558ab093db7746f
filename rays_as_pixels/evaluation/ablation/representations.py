"""Cameras as images in three ways, and read back from each: what raxels are compared with.

All three go through the same frozen autoencoder, three channels at a time. They are read in closed
form from the decoded images, against the decoded reference, so that the comparison is of what the
network predicts and not of how well its answer is polished.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, invert_rigid, rigid
from rays_as_pixels.geometry.raxels import (
    RASTER_STRIDE,
    cameras_from_raxels,
    focal_from_raxel,
    raxels_from_cameras,
)
from rays_as_pixels.geometry.rays import rays_from_cameras
from rays_as_pixels.geometry.rotations import nearest_rotation
from rays_as_pixels.model.autoencoder import LatentCodec, LatentStatistics

Images = tuple[Float[Tensor, "batch frames 3 h w"], ...]
_FAR_SCALE = 0.5  # origins and moments reach further than raxels, and the autoencoder only to 2
_MIN_FOCAL, _MAX_FOCAL = 0.05, 50.0  # per width; beyond, Eq. 7 has read noise


@dataclass(frozen=True)
class Representation:
    """One way to turn cameras into images.

    Attributes:
        name: Short name.
        images_from_cameras: From cameras (B, F), frame 0 the identity, to images of half the
            video's size.
        cameras_from_images: From those images, as decoded, to cameras (B, F). Its inverse.
    """

    name: str
    images_from_cameras: Callable[[Cameras], Images]
    cameras_from_images: Callable[[Images], Cameras]


def _raster(cameras: Cameras) -> Cameras:
    return cameras.resized(
        height=cameras.height // RASTER_STRIDE, width=cameras.width // RASTER_STRIDE
    ).relative_to(0)


def _directions(cameras: Cameras) -> Float[Tensor, "batch frames 3 h w"]:
    return rays_from_cameras(_raster(cameras)).movedim(-1, -3)


def _origins(cameras: Cameras) -> Float[Tensor, "batch frames 3 h w"]:
    """Draw camera centres as flat images, halved."""
    raster = _raster(cameras)
    size = (raster.height, raster.width)
    origin = raster.world_from_cam[..., :3, 3, None, None] * _FAR_SCALE
    return origin.expand(*raster.batch_shape, 3, *size)


def _apart(cameras: Cameras) -> Images:
    return _directions(cameras), _origins(cameras)


def _plucker(cameras: Cameras) -> Images:
    direction = _directions(cameras)
    return direction, torch.linalg.cross(_origins(cameras), direction, dim=-3)


def _turns_and_focals(direction: Float[Tensor, "batch frames 3 h w"]) -> tuple[Tensor, Tensor]:
    """Read rotations (Procrustes against the decoded frame 0) and focal lengths (Eq. 7)."""
    rows = direction.flatten(-2).mT  # B F n 3
    rotation = nearest_rotation(rows.mT @ rows[:, :1])
    height, width = direction.shape[-2:]
    center = direction.new_tensor([width / 2, height / 2]).expand(*direction.shape[:2], 2)
    pose = rigid(rotation, torch.zeros_like(rotation[..., 0]))
    focal = focal_from_raxel(direction.movedim(-3, -1), pose, center)
    bad = ~torch.isfinite(focal) | (focal < _MIN_FOCAL * width) | (focal > _MAX_FOCAL * width)
    return rotation, torch.where(bad, torch.full_like(focal, float(width)), focal)


def _assembled(
    rotation: Tensor, origin: Float[Tensor, "batch frames 3"], focal: Tensor, size: torch.Size
) -> Cameras:
    height, width = size[-2:]
    pose = rigid(rotation, origin)
    pose = invert_rigid(pose[:, :1]) @ pose
    center = focal.new_tensor([width / 2, height / 2]).expand_as(focal)
    return Cameras(pose, focal, center, height, width).resized(
        height=height * RASTER_STRIDE, width=width * RASTER_STRIDE
    )


def _read_apart(images: Images) -> Cameras:
    direction, origin = images
    rotation, focal = _turns_and_focals(direction)
    return _assembled(rotation, origin.mean(dim=(-2, -1)) / _FAR_SCALE, focal, direction.shape)


def _read_plucker(images: Images) -> Cameras:
    """Read origins by least squares from m = o x d, that is m = -[d]x o, over all pixels."""
    direction, moment = images
    rotation, focal = _turns_and_focals(direction)
    d, m = direction.flatten(-2).mT, moment.flatten(-2).mT
    squared = (d * d).sum((-2, -1))[..., None, None]
    normal = squared * torch.eye(3).to(d) - d.mT @ d  # sum of [d]x^T [d]x
    right = torch.linalg.cross(d, m, dim=-1).sum(-2)  # sum of [d]x m = [d]x^T (-m)
    origin = torch.linalg.solve(normal, right)
    return _assembled(rotation, origin / _FAR_SCALE, focal, direction.shape)


REPRESENTATIONS = {
    each.name: each
    for each in (
        Representation(
            "raxels",
            lambda cameras: (raxels_from_cameras(cameras),),
            lambda images: cameras_from_raxels(images[0]).cameras,
        ),
        Representation("apart", _apart, _read_apart),
        Representation("plucker", _plucker, _read_plucker),
    )
}


def representation(name: str) -> Representation:
    """Look a representation up by name.

    Raises:
        InputError: There is none of that name.
    """
    if name not in REPRESENTATIONS:
        raise InputError(
            f"representation must be one of {', '.join(REPRESENTATIONS)}; got {name!r}. "
            "Use 'raxels', the paper's."
        )
    return REPRESENTATIONS[name]


@dataclass(frozen=True)
class RayCodec:
    """Cameras to normalised latents and back, in one representation.

    Attributes:
        codec: The frozen autoencoder.
        representation: How cameras become images.
        statistics: Of this representation's latents, per channel.
    """

    codec: LatentCodec
    representation: Representation
    statistics: LatentStatistics

    @classmethod
    def measured(
        cls, codec: LatentCodec, kind: Representation, latents: Float[Tensor, "n c frames h w"]
    ) -> "RayCodec":
        """Build one whose statistics are those of raw `latents` (see `raw_latents`)."""
        rows = latents.transpose(0, 1).flatten(1).double()
        return cls(
            codec, kind, LatentStatistics(tuple(rows.mean(1).tolist()), tuple(rows.std(1).tolist()))
        )

    @torch.no_grad()
    def cameras_from_images(self, latents: Float[Tensor, "batch c frames h w"]) -> Cameras:
        """Decode normalised latents and read their cameras (B, F), float64 on the CPU."""
        parts = self.statistics.restore(latents).split(latents.shape[1] // self._images, dim=1)
        images = tuple(self.codec.decode_raxels(part).cpu().double() for part in parts)
        return self.representation.cameras_from_images(images)

    @property
    def _images(self) -> int:
        channels = len(self.statistics.mean)
        return channels // len(self.codec.raxel_statistics.mean)


@torch.no_grad()
def raw_latents(
    codec: LatentCodec, kind: Representation, cameras: Cameras
) -> Float[Tensor, "batch c frames h w"]:
    """Encode cameras (B, F) as images of a representation, channels of all images in a row."""
    images = kind.images_from_cameras(cameras)
    return torch.cat([codec.encode_raxels(image.float()) for image in images], dim=1)
