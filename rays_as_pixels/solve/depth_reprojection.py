"""Depth maps seen from other cameras, both ways: warping pixels back, and splatting depths forward.

Depth-image-based rendering (Fehn 2004): every pixel of an image is drawn where another camera sees
it, and of those that fall together the nearest stays (a z-buffer). Holes are filled from around.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.geometry.rays import pixel_grid_px
from rays_as_pixels.geometry.warp import warped

MIN_DEPTH, MAX_DEPTH = 0.1, 20.0  # scene units; depths beyond are taken for these
NEAR_PLANE = 0.05  # scene units; what is no farther ahead than that is not drawn
_EMPTY = 1e4  # scene units, farther than anything: what no pixel falls on
_LOOK_UPS = 2  # of depths, each where the depths of the last one lead
_SAME_LOG_DEPTH = 0.07  # what an image shows farther off than that is occluded in it
_MIN_SLOPE = 0.2  # of a ray along the other camera's axis; below it depths say little


def pixels_from_middle(size: tuple[int, int]) -> Float[Tensor, "pixels 2"]:
    """Return pixels' centres from an image's middle, (x, y) in pixels, row by row."""
    height, width = size
    grid = pixel_grid_px(height, width, dtype=torch.float32, device="cpu")
    return (grid - grid.new_tensor([width / 2, height / 2])).flatten(0, 1)


def reproject(
    depth: Float[Tensor, "n 1 height width"],
    source_from_target: Float[Tensor, "n 3 3"],
    center: Float[Tensor, "n 3"],
    focal: Float[Tensor, "n 1 2"],
    source_focal: Float[Tensor, "n 1 2"],
) -> tuple[Float[Tensor, "n 2 height width"], Float[Tensor, "n 1 height width"]]:
    """Return where in source images target cameras' pixels are, and which the images show at all.

    A target pixel u at depth d is at R d K^-1 u + c in the source's axes. Its d is not known: it is
    looked up where the source's own depths, splatted to the target, lead, and again from there.
    Differentiable by the depths, through the last look-up.

    Args:
        depth: Of the source images, along their cameras' axes.
        source_from_target: R, rotations of the target cameras in the source cameras' axes.
        center: c, where the target cameras are, likewise, in scene units.
        focal: Of the target cameras, (x, y) in pixels.
        source_focal: Of the source cameras.

    Returns:
        Displacements, source minus target, (x, y) in pixels, for `geometry.warp.warped`; and 1
        where the source shows the pixel, 0 where it is outside, behind or occluded.
    """
    size = (depth.shape[-2], depth.shape[-1])
    pixel = pixels_from_middle(size).to(depth)
    ray = nn.functional.pad(pixel / focal, (0, 1), value=1.0)
    turned, move = ray @ source_from_target.mT, center[:, None]
    # Not from depths of 1: what occludes something would be met by luck.
    target_depth = splat_depth(depth, source_from_target, center, focal, source_focal)
    for look_up in range(_LOOK_UPS + 1):
        point = turned * target_depth + move
        z = point[..., 2:]
        image = point[..., :2] / z.clamp_min(NEAR_PLANE) * source_focal
        displacement = (image - pixel).mT.unflatten(2, size)
        if look_up == _LOOK_UPS:
            break
        found = warped(depth, displacement.detach()).flatten(2).mT
        slope = turned[..., 2:].clamp_min(_MIN_SLOPE)
        target_depth = ((found - move[..., 2:]) / slope).clamp(MIN_DEPTH, MAX_DEPTH)
    inside = (image.abs() < pixel.new_tensor([size[1] / 2, size[0] / 2])).all(-1)
    in_front = z[..., 0] > NEAR_PLANE
    source_depth = warped(depth, displacement).flatten(1).clamp_min(MIN_DEPTH)
    gap = (z[..., 0].clamp_min(NEAR_PLANE) / source_depth).log().abs()
    visible = inside & in_front & (gap < _SAME_LOG_DEPTH)
    return displacement, visible.float().unflatten(1, size)[:, None]


@torch.no_grad()
def splat_depth(
    depth: Float[Tensor, "n 1 height width"],
    source_from_target: Float[Tensor, "n 3 3"],
    center: Float[Tensor, "n 3"],
    focal: Float[Tensor, "n 1 2"],
    source_focal: Float[Tensor, "n 1 2"],
) -> Float[Tensor, "n pixels 1"]:
    """Return the depths that target cameras see, along their axes, in scene units: a z-buffer.

    Gaps of up to two pixels, as they open where things come nearer, are closed. What no pixel falls
    on is as far as what is around it. Arguments as for `reproject`.
    """
    size = (depth.shape[-2], depth.shape[-1])
    height, width = size
    ray = nn.functional.pad(pixels_from_middle(size).to(depth) / source_focal, (0, 1), value=1.0)
    point = (ray * depth.flatten(2).mT - center[:, None]) @ source_from_target
    z = point[..., 2]
    image = point[..., :2] / z.clamp_min(NEAR_PLANE)[..., None] * focal
    column = (image[..., 0] + (width - 1) / 2).floor()
    row = (image[..., 1] + (height - 1) / 2).floor()
    nearest = torch.full_like(z, _EMPTY)
    for x, y in ((0, 0), (1, 0), (0, 1), (1, 1)):  # the four pixels around
        i, j = row + y, column + x
        drawn = (z > NEAR_PLANE) & (i >= 0) & (i < height) & (j >= 0) & (j < width)
        index = torch.where(drawn, i * width + j, 0).long()
        nearest = nearest.scatter_reduce(1, index, torch.where(drawn, z, _EMPTY), "amin")
    buffer = nearest.unflatten(1, size)[:, None]
    # Morphological closing; nothing that was drawn comes nearer by it.
    opened = -nn.functional.max_pool2d(-buffer, 3, 1, 1)
    buffer = buffer.minimum(nn.functional.max_pool2d(opened, 3, 1, 1))
    drawn = (buffer < _EMPTY).float()
    return fill_holes(drawn * buffer.log(), drawn).exp().flatten(2).mT


def fill_holes(
    images: Float[Tensor, "n c h w"], weight: Float[Tensor, "n 1 h w"]
) -> Float[Tensor, "n c h w"]:
    """Fill pixels of no weight with means over ever wider surroundings.

    Pull and push (Gortler et al. 1996, The Lumigraph, section 3.4): means go up a pyramid, and down
    again to where its finer level has nothing.

    Args:
        images: Pictures.
        weight: How far each pixel counts, in [0, 1].
    """
    height, width = images.shape[-2:]
    if height * width == 1:
        return images
    size = (-(-height // 2), -(-width // 2))
    share = nn.functional.adaptive_avg_pool2d(weight, size)
    means = nn.functional.adaptive_avg_pool2d(images * weight, size) / share.clamp_min(1e-3)
    around = fill_holes(means, (4 * share).clamp_max(1))
    around = nn.functional.interpolate(around, size=(height, width), mode="bilinear")
    return torch.lerp(around, images, weight)
