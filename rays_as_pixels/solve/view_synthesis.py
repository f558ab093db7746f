"""Views along a path, rendered from images and their depths, as sharp as the images are.

Not in the paper, whose video model draws every frame anew. What an image shows is better read from
it than from latents of 8 x 8 cells: depth-image-based rendering, without a network. Images are
warped back to every camera and blended by how near they were taken, as in unstructured lumigraph
rendering (Buehler et al. 2001).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.geometry.rotations import rotation_angle_rad
from rays_as_pixels.geometry.warp import warped
from rays_as_pixels.solve.depth_reprojection import MAX_DEPTH, MIN_DEPTH, reproject

# Share of the pixels around that must be visible, for one to be rendered at all, and fully
_FADE_FROM, _FADE_TO = 0.4, 0.8
_EDGE_LOG_DEPTH = 0.05  # what lies so far behind its neighbour is at an edge of depth
_MAX_OPENING = 1.0  # cells of the depths' grid; edges that open further are torn
_POWER, _BLUNT = 3, 0.05  # of the weights by distance; share of the mean one, added to distances
_NEXT_IN_TIME = 1e-2  # weight of the image that is next in time to another, where time decides
_MOVED_DEVIATION = 0.06  # of what images show, of pictures in [0, 1], from which time decides
_PIXELS_AT_ONCE = 2**20  # of some frames, which take about 150 bytes each


@dataclass(frozen=True)
class RenderedViews:
    """What a path's cameras see of some images.

    Attributes:
        pictures: In [0, 1], times the share (premultiplied alpha).
        share: 1 where an image shows what the camera sees, 0 where none does; less than 1 at the
            edge of what is rendered.
    """

    pictures: Float[Tensor, "frames 3 height width"]
    share: Float[Tensor, "frames 1 height width"]

    def composite_over(self, video: Float[Tensor, "*seeds frames 3 h w"]) -> Tensor:
        """Return videos of the pictures' size with the views in place of their own pixels.

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
    """Render what images show from where the cameras of a path are.

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
    pose, own = cameras.world_from_cam.double(), sources.world_from_cam
    distance = (pose[:, None, :3, 3] - own[:, :3, 3]).norm(dim=-1) + rotation_angle_rad(
        pose[:, None, :3, :3].mT @ own[:, :3, :3]
    )
    mean = distance.mean(1, keepdim=True).clamp_min(1e-6)
    weights = (distance / mean + _BLUNT) ** -_POWER  # F n
    time_weights = None
    if times is not None and len(images) > 1:
        time_weights = (weights * _weights_by_time(*times).to(weights)).to(images)
    focal, weights = _focal_px(cameras, images), weights.to(images)
    at_once = max(1, _PIXELS_AT_ONCE // (images.shape[-2] * images.shape[-1]))
    parts = []
    for at in torch.arange(len(pose)).split(at_once):
        by_time = None if time_weights is None else time_weights[at]
        parts.append(_blend(sources, pose[at], focal[at], weights[at], by_time))
    return RenderedViews(
        torch.cat([part.pictures for part in parts]), torch.cat([part.share for part in parts])
    )


@dataclass(frozen=True)
class _Sources:
    """Images with depths.

    Attributes:
        images: In [0, 1].
        world_from_cam: Poses of their cameras, scene units, float64.
        focal_px: Of their cameras, (x, y).
        depth: Of every pixel, scene units.
        opening: Pixels of an edge of depth that open per pixel of parallax at depth 1; 0 elsewhere.
        cell_px: Pixels between the depths that were given.
    """

    images: Float[Tensor, "n 3 height width"]
    world_from_cam: Float[Tensor, "n 4 4"]
    focal_px: Float[Tensor, "n 1 2"]
    depth: Float[Tensor, "n 1 height width"]
    opening: Float[Tensor, "n 1 height width"]
    cell_px: int

    @classmethod
    def of(
        cls, images: Tensor, log_depth: Float[Tensor, "n rows columns"], cameras: Cameras
    ) -> "_Sources":
        """Interpolate depths to every pixel, and find their edges; see `render_views`.

        An edge between depths d1 < d2 opens by f b (1/d1 - 1/d2) pixels for a baseline b: the
        difference of disparities.
        """
        size, columns = images.shape[-2:], log_depth.shape[-1]
        grid = log_depth[:, None].to(images)
        near = -nn.functional.max_pool2d(-grid, 3, 1, 1)
        grid, near = (nn.functional.interpolate(one, size, mode="bilinear") for one in (grid, near))
        depth, near = grid.exp().clamp(MIN_DEPTH, MAX_DEPTH), near.exp().clamp(MIN_DEPTH, MAX_DEPTH)
        behind = (grid - near.log() > _EDGE_LOG_DEPTH).float()  # may belong to what is before it
        opening = behind * (1 / near - 1 / depth) * columns / size[1]
        cell = max(1, round(size[1] / columns))
        pose = cameras.world_from_cam.double()
        return cls(images, pose, _focal_px(cameras, images), depth, opening, cell)

    def warp_to(
        self, world_from_cam: Float[Tensor, "m 4 4"], focal_px: Float[Tensor, "m 1 2"], number: int
    ) -> tuple[Float[Tensor, "m 3 height width"], Float[Tensor, "m 1 height width"]]:
        """Return what cameras see of an image, and from 0 to 1 where it shows that.

        Args:
            world_from_cam: Poses of the cameras, in scene units.
            focal_px: For pixels of the images' size.
            number: Of the image.
        """
        images, own, count = self.images, self.world_from_cam[number], len(world_from_cam)
        source_from_cam = own[:3, :3].mT @ world_from_cam[:, :3, :3]
        center = (world_from_cam[:, :3, 3] - own[:3, 3]) @ own[:3, :3]
        displacement, visible = reproject(
            self.depth[number].expand(count, -1, -1, -1),
            source_from_cam.to(images),
            center.to(images),
            focal_px,
            self.focal_px[number].expand(count, -1, -1),
        )
        parallax = (center.norm(dim=-1) * focal_px.amax((1, 2)).double()).to(images)
        torn = (self.opening[number] * parallax[:, None, None, None] > _MAX_OPENING).float()
        visible = visible * (warped(torn, displacement) < 0.5)
        around = nn.functional.avg_pool2d(
            visible, 2 * self.cell_px + 1, 1, self.cell_px, count_include_pad=False
        )
        share = visible * ((around - _FADE_FROM) / (_FADE_TO - _FADE_FROM)).clamp(0, 1)
        return warped(images[number].expand(count, -1, -1, -1), displacement), share


def _blend(
    sources: _Sources,
    world_from_cam: Float[Tensor, "m 4 4"],
    focal_px: Float[Tensor, "m 1 2"],
    weights: Float[Tensor, "m n"],
    time_weights: Float[Tensor, "m n"] | None,
) -> RenderedViews:
    """Blend what images show to some cameras.

    Args:
        sources: The images.
        world_from_cam: Poses of the cameras, in scene units.
        focal_px: For pixels of the images' size.
        weights: Of each image for each camera.
        time_weights: Weights that hold where images differ; None for the same.
    """
    channels = 4 if time_weights is None else 5
    blank = weights.new_zeros(len(world_from_cam), channels, *sources.images.shape[-2:])
    mean, mean_by_time = _Mean(blank), _Mean(blank.clone())
    share = torch.zeros_like(blank[:, :1])
    for number in range(len(sources.images)):
        picture, visible = sources.warp_to(world_from_cam, focal_px, number)
        mean.add(picture, weights[:, number, None, None, None] * visible)
        if time_weights is not None:
            mean_by_time.add(picture, time_weights[:, number, None, None, None] * visible)
        share = torch.maximum(share, visible)
    pictures = mean.pictures()
    if time_weights is not None:
        moved = ((mean.deviation() - _MOVED_DEVIATION) / _MOVED_DEVIATION).clamp(0, 1)
        moved = nn.functional.max_pool2d(moved, 2 * sources.cell_px + 1, 1, sources.cell_px)
        pictures = torch.lerp(pictures, mean_by_time.pictures(), moved)
    return RenderedViews(pictures * share, share)


def _weights_by_time(
    taken: Float[Tensor, "n"], at: Float[Tensor, "frames"]
) -> Float[Tensor, "frames n"]:
    """Return weights of images by time: next to nothing where one nearer shows the same."""
    order = (at[:, None] - taken).abs().argsort(dim=1, stable=True)  # of two as near, the first
    return (_NEXT_IN_TIME ** order.argsort(1)).clamp_min(1e-6)


@dataclass
class _Mean:
    """A weighted mean of pictures that are added one by one.

    Attributes:
        sums: (m, 4, H, W) of weighted colours, then of weights; with a fifth of their mean square
            if their deviation is wanted.
    """

    sums: Tensor

    def add(self, picture: Float[Tensor, "m 3 h w"], weight: Float[Tensor, "m 1 h w"]) -> None:
        """Add one picture for each frame."""
        self.sums[:, :3] += weight * picture
        self.sums[:, 3:4] += weight
        if self.sums.shape[1] == 5:
            self.sums[:, 4:] += weight * picture.square().mean(1, keepdim=True)

    def pictures(self) -> Float[Tensor, "m 3 h w"]:
        """Return the mean."""
        return self.sums[:, :3] / self.sums[:, 3:4].clamp_min(1e-9)

    def deviation(self) -> Float[Tensor, "m 1 h w"]:
        """Return the standard deviation, over the colours."""
        squares = self.sums[:, 4:] / self.sums[:, 3:4].clamp_min(1e-9)
        return (squares - self.pictures().square().mean(1, keepdim=True)).clamp_min(0).sqrt()


def _focal_px(cameras: Cameras, images: Tensor) -> Float[Tensor, "n 1 2"]:
    """Return focal lengths in pixels of the images' size."""
    scale = [images.shape[-1] / cameras.width, images.shape[-2] / cameras.height]
    return (cameras.focal_px.to(images) * images.new_tensor(scale))[:, None]
