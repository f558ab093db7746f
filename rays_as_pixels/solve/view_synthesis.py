"""What images show along a path, pixel by pixel and as sharp as they are.

Not in the paper, whose video model draws every frame anew. What an image shows is better read from
it than from latents of 8 x 8 cells: depth-image-based rendering, without a network.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.rotations import rotation_angle_rad
from rays_as_pixels.geometry.warp import warped
from rays_as_pixels.solve.depth_reprojection import MAX_DEPTH, MIN_DEPTH, reproject

_MOST, _ALL = 0.4, 0.8  # share of the pixels around that must be shown, to be shown at all, fully
_FARTHER = 0.05  # logarithm of depth; what lies so far behind its neighbour is at an edge
_PARALLAX = 1.0  # cells of the depths' grid; edges that open further are not shown
_POWER, _BLUNT = 3, 0.05  # of the weights by distance; of the mean one, added to distances
_LATER = 1e-2  # weight of the image that is next in time to another, where time decides
_DIFFER = 0.06  # deviation of what images show, of pictures in [0, 1], from which time decides
_AT_ONCE = 2**20  # pixels of some frames, which take about 150 bytes each


@dataclass(frozen=True)
class RenderedViews:
    """What a path's cameras see of some images.

    Attributes:
        pictures: (F, 3, H, W) in [0, 1], times the share.
        share: (F, 1, H, W) 1 where an image shows what the camera sees, 0 where none does; less
            than 1 at the edge of what is shown.
    """

    pictures: Float[Tensor, "frames 3 height width"]
    share: Float[Tensor, "frames 1 height width"]

    def composite_over(self, video: Float[Tensor, "*seeds frames 3 h w"]) -> Tensor:
        """Return videos of the pictures' size with what is shown in place of their own pixels.

        Args:
            video: In [0, 1]; of another size it is resized.
        """
        size = self.pictures.shape[-2:]
        if video.shape[-2:] != size:
            frames = video.flatten(0, -4)
            frames = nn.functional.interpolate(frames, size, mode="bicubic").clamp(0, 1)
            video = frames.unflatten(0, video.shape[:-3])
        return (video * (1 - self.share) + self.pictures).clamp(0, 1)


@torch.no_grad()
def render_views(
    images: Float[Tensor, "n 3 height width"],
    log_depth: Float[Tensor, "n rows columns"],
    image_cameras: Cameras,
    cameras: Cameras,
    *,
    times: tuple[Float[Tensor, "n"], Float[Tensor, "frames"]] | None = None,
) -> RenderedViews:
    """Read what images show from where the cameras of a path are.

    Where several images show the same, the nearer an image's camera the more it counts (scene units
    and radians, added up), by the inverse cube. Where they differ, something moved: there those
    count that were taken at nearly the time of the frame, or the rest would shine through.

    Args:
        images: In [0, 1], of the cameras' aspect ratio.
        log_depth: Logarithm of how far away what each shows is, along its camera's axis, in scene
            units, on any grid over it.
        image_cameras: (n,) of the images, principal point in the middle.
        cameras: (F,) of the path, likewise; in the same axes and scene units.
        times: Of the images and of the path's frames, on one clock that runs from 0 to 1 over the
            path; None if nothing moves but the camera.
    """
    sources = _Sources.of(images, log_depth, image_cameras)
    pose, own = cameras.world_from_cam.double(), sources.pose
    away = (pose[:, None, :3, 3] - own[:, :3, 3]).norm(dim=-1) + rotation_angle_rad(
        pose[:, None, :3, :3].mT @ own[:, :3, :3]
    )
    weights = (away / away.mean(1, keepdim=True).clamp_min(1e-6) + _BLUNT) ** -_POWER  # F n
    soon = None
    if times is not None and len(images) > 1:
        soon = (weights * _soon(*times).to(weights)).to(images)
    lens, weights = _lenses(cameras, images), weights.to(images)
    at_once = max(1, _AT_ONCE // (images.shape[-2] * images.shape[-1]))
    parts = []
    for at in torch.arange(len(pose)).split(at_once):
        when = None if soon is None else soon[at]
        parts.append(_together(sources, pose[at], lens[at], weights[at], when))
    return RenderedViews(
        torch.cat([part.pictures for part in parts]), torch.cat([part.share for part in parts])
    )


@dataclass(frozen=True)
class _Sources:
    """Images, and what is known of where what they show is.

    Attributes:
        images: In [0, 1].
        pose: world_from_cam of their cameras, scene units, float64.
        lens: Their focal lengths in pixels.
        depth: Of every pixel, scene units.
        opening: Pixels of an edge of depth that open per pixel of parallax at depth 1; 0 elsewhere.
        cell: Pixels between known depths.
    """

    images: Float[Tensor, "n 3 height width"]
    pose: Float[Tensor, "n 4 4"]
    lens: Float[Tensor, "n 1 2"]
    depth: Float[Tensor, "n 1 height width"]
    opening: Float[Tensor, "n 1 height width"]
    cell: int

    @classmethod
    def of(
        cls, images: Tensor, log_depth: Float[Tensor, "n rows columns"], cameras: Cameras
    ) -> "_Sources":
        """Read depths of every pixel, and where they have edges; see `render_views`."""
        size, columns = images.shape[-2:], log_depth.shape[-1]
        grid = log_depth[:, None].to(images)
        near = -nn.functional.max_pool2d(-grid, 3, 1, 1)
        grid, near = (nn.functional.interpolate(one, size, mode="bilinear") for one in (grid, near))
        depth, near = grid.exp().clamp(MIN_DEPTH, MAX_DEPTH), near.exp().clamp(MIN_DEPTH, MAX_DEPTH)
        behind = (grid - near.log() > _FARTHER).float()  # may belong to what is before it
        opening = behind * (1 / near - 1 / depth) * columns / size[1]
        cell = max(1, round(size[1] / columns))
        pose = cameras.world_from_cam.double()
        return cls(images, pose, _lenses(cameras, images), depth, opening, cell)

    def seen_from(
        self, pose: Float[Tensor, "m 4 4"], lens: Float[Tensor, "m 1 2"], number: int
    ) -> tuple[Float[Tensor, "m 3 height width"], Float[Tensor, "m 1 height width"]]:
        """Return what cameras see of an image, and from 0 to 1 where it shows that.

        Args:
            pose: world_from_cam, in scene units.
            lens: Focal lengths in pixels of the images' size.
            number: Of the image.
        """
        images, own, many = self.images, self.pose[number], len(pose)
        turned = own[:3, :3].mT @ pose[:, :3, :3]
        moved = (pose[:, :3, 3] - own[:3, 3]) @ own[:3, :3]
        where, shown = reproject(
            self.depth[number].expand(many, -1, -1, -1),
            turned.to(images),
            moved.to(images),
            lens,
            self.lens[number].expand(many, -1, -1),
        )
        apart = (moved.norm(dim=-1) * lens.amax((1, 2)).double()).to(images)
        torn = (self.opening[number] * apart[:, None, None, None] > _PARALLAX).float()
        shown = shown * (warped(torn, where) < 0.5)
        around = nn.functional.avg_pool2d(
            shown, 2 * self.cell + 1, 1, self.cell, count_include_pad=False
        )
        shown = shown * ((around - _MOST) / (_ALL - _MOST)).clamp(0, 1)
        return warped(images[number].expand(many, -1, -1, -1), where), shown


def _together(
    sources: _Sources,
    pose: Float[Tensor, "m 4 4"],
    lens: Float[Tensor, "m 1 2"],
    weights: Float[Tensor, "m n"],
    soon: Float[Tensor, "m n"] | None,
) -> RenderedViews:
    """Put together what images show to some cameras.

    Args:
        sources: The images.
        pose: world_from_cam, in scene units.
        lens: Focal lengths in pixels of the images' size.
        weights: Of each image for each camera.
        soon: Weights that hold where images differ; None for the same.
    """
    blank = weights.new_zeros(len(pose), 4 if soon is None else 5, *sources.images.shape[-2:])
    every, soonest = _Mean(blank), None if soon is None else (_Mean(blank.clone()), soon)
    share = torch.zeros_like(blank[:, :1])
    for number in range(len(sources.images)):
        seen, shown = sources.seen_from(pose, lens, number)
        every.add(seen, weights[:, number, None, None, None] * shown)
        if soonest is not None:
            soonest[0].add(seen, soonest[1][:, number, None, None, None] * shown)
        share = torch.maximum(share, shown)
    pictures = every.pictures()
    if soonest is not None:
        cell = sources.cell
        differ = ((every.spread() - _DIFFER) / _DIFFER).clamp(0, 1)
        differ = nn.functional.max_pool2d(differ, 2 * cell + 1, 1, cell)
        pictures = torch.lerp(pictures, soonest[0].pictures(), differ)
    return RenderedViews(pictures * share, share)


def _soon(taken: Float[Tensor, "n"], at: Float[Tensor, "frames"]) -> Float[Tensor, "frames n"]:
    """Return weights of images by time: next to nothing where one nearer shows the same."""
    order = (at[:, None] - taken).abs().argsort(dim=1, stable=True)  # of two as near, the first
    return (_LATER ** order.argsort(1)).clamp_min(1e-6)


@dataclass
class _Mean:
    """A weighted mean of pictures that are added one by one.

    Attributes:
        sums: (m, 4, H, W) of weighted colours, then of weights; with a fifth of their mean square
            if their spread is wanted.
    """

    sums: Tensor

    def add(self, seen: Float[Tensor, "m 3 h w"], counts: Float[Tensor, "m 1 h w"]) -> None:
        """Add pictures of the frames."""
        self.sums[:, :3] += counts * seen
        self.sums[:, 3:4] += counts
        if self.sums.shape[1] == 5:
            self.sums[:, 4:] += counts * seen.square().mean(1, keepdim=True)

    def pictures(self) -> Float[Tensor, "m 3 h w"]:
        """Return the mean."""
        return self.sums[:, :3] / self.sums[:, 3:4].clamp_min(1e-9)

    def spread(self) -> Float[Tensor, "m 1 h w"]:
        """Return the standard deviation, over the colours."""
        squares = self.sums[:, 4:] / self.sums[:, 3:4].clamp_min(1e-9)
        return (squares - self.pictures().square().mean(1, keepdim=True)).clamp_min(0).sqrt()


def _lenses(cameras: Cameras, images: Tensor) -> Float[Tensor, "n 1 2"]:
    """Return focal lengths in pixels of the images' size."""
    scale = [images.shape[-1] / cameras.width, images.shape[-2] / cameras.height]
    return (cameras.focal_px.to(images) * images.new_tensor(scale))[:, None]
