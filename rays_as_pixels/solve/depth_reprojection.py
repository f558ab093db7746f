"""Which depths another camera sees, and what it sees of nothing known.

Depth-image-based rendering: every pixel of an image is drawn where another camera sees it, and of
those that fall together the nearest stays. What stays unknown is filled from around.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.geometry.warp import warped

MIN_DEPTH, MAX_DEPTH = 0.1, 20.0  # scene units; depths beyond are taken for these
NEAR_PLANE = 0.05  # scene units; what is no farther ahead than that is not drawn
_NOTHING = 1e4  # farther than anything, scene units
_ROUNDS = 2  # of looking depths up where the last round's depths lead
_SAME_DEPTH = 0.07  # logarithms apart; what an image shows farther off than that is hidden in it


def pixels_from_middle(size: tuple[int, int]) -> Float[Tensor, "pixels 2"]:
    """Return pixels' centres from an image's middle, (x, y) in pixels, row by row."""
    rows, columns = (torch.arange(n) + 0.5 - n / 2 for n in size)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], -1)


def reproject(
    depth: Float[Tensor, "n 1 height width"],
    rotation: Float[Tensor, "n 3 3"],
    center: Float[Tensor, "n 3"],
    lens: Float[Tensor, "n 1 2"],
    source_lens: Float[Tensor, "n 1 2"],
) -> tuple[Float[Tensor, "n 2 height width"], Float[Tensor, "n 1 height width"]]:
    """Return where in images other cameras' pixels are, and which of them the images show at all.

    The first is there minus here, (x, y) in pixels, for `geometry.warp.warped`; the second 1 or 0.
    Differentiable by the depths, through the last look at them.

    Args:
        depth: See `splat_depth`, as all others.
        rotation: Of the other cameras.
        center: Of these.
        lens: Of these.
        source_lens: Of the images' cameras.
    """
    size = (depth.shape[-2], depth.shape[-1])
    pixel = pixels_from_middle(size).to(depth)
    ray = nn.functional.pad(pixel / lens, (0, 1), value=1.0)
    turned, move = ray @ rotation.mT, center[:, None]
    # Depths along the targets' axes. From all at 1, what hides something would be met by luck.
    far = splat_depth(depth, rotation, center, lens, source_lens)
    for turn in range(_ROUNDS + 1):
        point = turned * far + move
        ahead = point[..., 2:]
        seen = point[..., :2] / ahead.clamp_min(NEAR_PLANE) * source_lens
        displacement = (seen - pixel).mT.unflatten(2, size)
        if turn == _ROUNDS:
            break
        found = warped(depth, displacement.detach()).flatten(2).mT
        slope = turned[..., 2:].clamp_min(0.2)
        far = ((found - move[..., 2:]) / slope).clamp(MIN_DEPTH, MAX_DEPTH)
    inside = (seen.abs() < pixel.new_tensor([size[1] / 2, size[0] / 2])).all(-1)
    inside = inside & (ahead[..., 0] > NEAR_PLANE)
    shown = warped(depth, displacement).flatten(1)  # how far away what the source shows is
    apart = (ahead[..., 0].clamp_min(NEAR_PLANE) / shown.clamp_min(MIN_DEPTH)).log().abs()
    inside = inside & (apart < _SAME_DEPTH)
    return displacement, inside.float().unflatten(1, size)[:, None]


@torch.no_grad()
def splat_depth(
    depth: Float[Tensor, "n 1 height width"],
    rotation: Float[Tensor, "n 3 3"],
    center: Float[Tensor, "n 3"],
    lens: Float[Tensor, "n 1 2"],
    source_lens: Float[Tensor, "n 1 2"],
) -> Float[Tensor, "n pixels 1"]:
    """Return how far away what other cameras see is, along their axes, in scene units.

    Gaps of up to two pixels, as they open where things come nearer, are closed. What no pixel
    falls on is as far as what is around it.

    Args:
        depth: Of the images, along their cameras' axes.
        rotation: Of the other cameras, in axes of the images' cameras.
        center: Where they are, likewise.
        lens: Their focal lengths in pixels, (x, y).
        source_lens: Those of the images' cameras.
    """
    size = (depth.shape[-2], depth.shape[-1])
    height, width = size
    ray = nn.functional.pad(pixels_from_middle(size).to(depth) / source_lens, (0, 1), value=1.0)
    point = (ray * depth.flatten(2).mT - center[:, None]) @ rotation
    ahead = point[..., 2]
    at = point[..., :2] / ahead.clamp_min(NEAR_PLANE)[..., None] * lens
    column = (at[..., 0] + (width - 1) / 2).floor()
    row = (at[..., 1] + (height - 1) / 2).floor()
    nearest = torch.full_like(ahead, _NOTHING)
    for x, y in ((0, 0), (1, 0), (0, 1), (1, 1)):  # the four pixels around
        i, j = row + y, column + x
        drawn = (ahead > NEAR_PLANE) & (i >= 0) & (i < height) & (j >= 0) & (j < width)
        where = torch.where(drawn, i * width + j, 0).long()
        nearest = nearest.scatter_reduce(1, where, torch.where(drawn, ahead, _NOTHING), "amin")
    image = nearest.unflatten(1, size)[:, None]
    spread = -nn.functional.max_pool2d(-image, 3, 1, 1)
    image = image.minimum(nn.functional.max_pool2d(spread, 3, 1, 1))
    known = (image < _NOTHING).float()
    return filled(known * image.log(), known).exp().flatten(2).mT


def filled(
    images: Float[Tensor, "n c h w"], known: Float[Tensor, "n 1 h w"]
) -> Float[Tensor, "n c h w"]:
    """Fill pixels that are not known with means over ever wider surroundings.

    Args:
        images: Pictures.
        known: How far each pixel counts, in [0, 1].
    """
    height, width = images.shape[-2:]
    if height * width == 1:
        return images
    size = (-(-height // 2), -(-width // 2))
    share = nn.functional.adaptive_avg_pool2d(known, size)
    means = nn.functional.adaptive_avg_pool2d(images * known, size) / share.clamp_min(1e-3)
    around = filled(means, (4 * share).clamp_max(1))
    around = nn.functional.interpolate(around, size=(height, width), mode="bilinear")
    return torch.lerp(around, images, known)
