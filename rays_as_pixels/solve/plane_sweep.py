"""The depth of every pixel of a frame, from a clip whose cameras are known.

Not in the paper. A plane sweep (Collins 1996): for each of many depths the other frames are warped
to the reference frame as if all it shows lay at that depth, and where they look like it the depth
is likely. The costs are aggregated by semi-global matching (Hirschmüller 2008): depths may change
at little cost where the picture does, at more where not.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.solve.depth_reprojection import NEAR_PLANE, pixels_from_middle, splat_depth
from rays_as_pixels.solve.inlier_ratio import MIN_FOR_DEPTH

_SIDE_PX = 124.0  # sqrt(H W) of the pictures that are swept
_MAX_FRAMES = 8  # that the reference frame is compared with, evenly over the clip
# Logarithms of the planes' depths: limits, how far beyond the prior's, and their spacing
_LOG_DEPTH_LIMITS, _MARGIN, _SPACING = (-1.8, 2.4), 0.8, 0.06
_PLANES_AT_ONCE = 8  # to take little memory
_MAX_DIFFERENCE = 0.12  # of pictures in [0, 1]; more counts no more
_OUTSIDE_COST = 0.7  # of what another frame does not show
_VISIBLE_SHARE = 0.5  # of the frames, the best ones, that must agree: others may be occluded
_PRIOR_COST, _PRIOR_DEVIATION, _PRIOR_LIMIT = 0.04, 0.2, 5.0  # per deviation of log depth, at most
_MAX_PRIOR_FACTOR = 5.0  # on the prior's cost, where the inlier ratio is low
# Hirschmüller's P1 and P2: to be one plane off a neighbour, and more than one
_SMALL_CHANGE, _JUMP = 0.05, 0.4
_EDGE = 0.06  # difference of neighbours' colours at which P2 falls to a third


@torch.no_grad()
def dense_log_depth(
    frames: Float[Tensor, "f 3 height width"],
    cameras: Cameras,
    log_depth: Float[Tensor, "rows columns"],
    *,
    inlier_ratio: float = 1.0,
    reference_frame: int = 0,
) -> Float[Tensor, "h w"]:
    """Return the logarithm of the depth of a frame's pixels, along its camera's axis.

    Args:
        frames: In [0, 1], two or more, of the cameras' aspect ratio.
        cameras: (F,) in frame 0's axes and scene units, principal point in the middle.
        log_depth: A prior: rough logarithms of frame 0's depths, on any grid over it. They, or what
            another reference frame sees of them, decide where the frames say nothing.
        inlier_ratio: Of the path, see `solve.inlier_ratio`. The less, the more the prior counts.
        reference_frame: The frame whose pixels are meant.

    Returns:
        For pictures of the frames' size, or of an area of 124 x 124 pixels where that is smaller.
    """
    frames = frames.detach().to("cpu", torch.float32)
    if reference_frame:
        frames, cameras, log_depth = _relative_to(reference_frame, frames, cameras, log_depth)
    own = (frames.shape[-2] * frames.shape[-1]) ** 0.5
    if own > _SIDE_PX:
        size = tuple(max(4, round(n * _SIDE_PX / own)) for n in frames.shape[-2:])
        frames = nn.functional.interpolate(frames, size, mode="area")
    prior = log_depth.detach().to(frames)[None, None]
    prior = nn.functional.interpolate(prior, frames.shape[-2:], mode="bilinear")[0, 0]
    first = max(_LOG_DEPTH_LIMITS[0], float(prior.min()) - _MARGIN)
    last = max(first + 3 * _SPACING, min(_LOG_DEPTH_LIMITS[1], float(prior.max()) + _MARGIN))
    planes = torch.arange(first, last, _SPACING)
    doubt = min(_MAX_PRIOR_FACTOR, max(1.0, MIN_FOR_DEPTH / max(inlier_ratio, 1e-6)))
    off = ((planes[:, None, None] - prior).abs() / _PRIOR_DEVIATION).clamp_max(_PRIOR_LIMIT)
    cost = _photo_cost_volume(frames, cameras, planes) + _PRIOR_COST * doubt * off
    found = _best_planes(_aggregate_semi_global(cost, frames[0]), planes)
    around = nn.functional.unfold(
        nn.functional.pad(found[None, None], (1, 1, 1, 1), "replicate"), 3
    )
    return around.median(1).values.view_as(prior)


def _best_planes(cost: Float[Tensor, "d h w"], planes: Float[Tensor, "d"]) -> Float[Tensor, "h w"]:
    """Return the log depth of least cost, between planes by a parabola through three costs."""
    best = cost.argmin(0, keepdim=True).clamp(1, len(planes) - 2)
    before, here, after = (cost.gather(0, best + step)[0] for step in (-1, 0, 1))
    curvature = (before + after - 2 * here).clamp_min(1e-6)
    return planes[best][0] + _SPACING * ((before - after) / (2 * curvature)).clamp(-0.5, 0.5)


def _relative_to(
    reference_frame: int, frames: Tensor, cameras: Cameras, log_depth: Tensor
) -> tuple[Tensor, Cameras, Float[Tensor, "rows columns"]]:
    """Put a frame first, the cameras in its axes, and reproject frame 0's rough depths to it."""
    order = [reference_frame, *(k for k in range(len(frames)) if k != reference_frame)]
    first_from_reference = cameras.world_from_cam[reference_frame].to(log_depth)
    side = (log_depth.shape[0] * log_depth.shape[1]) ** 0.5
    grid_from_image = side / (cameras.height * cameras.width) ** 0.5
    focal = (cameras.focal_px * grid_from_image).to(log_depth)
    reprojected = splat_depth(
        log_depth.exp()[None, None],
        first_from_reference[None, :3, :3],
        first_from_reference[None, :3, 3],
        focal[reference_frame][None, None],
        focal[0][None, None],
    )
    cameras = cameras[torch.tensor(order)].relative_to(0)
    return frames[order], cameras, reprojected.view(log_depth.shape).log()


def _photo_cost_volume(
    frames: Float[Tensor, "f 3 h w"], cameras: Cameras, planes: Float[Tensor, "d"]
) -> Float[Tensor, "d h w"]:
    """Return from 0 to 1 how unlike frame 0 the others look if it shows each of the planes.

    Brightness and its gradients are compared: the latter do not change with the exposure.
    """
    height, width = frames.shape[-2:]
    cameras = cameras.to(device="cpu", dtype=torch.float32)
    px_from_px = torch.tensor([width / cameras.width, height / cameras.height])
    half = torch.tensor([width / 2, height / 2])
    pixel = pixels_from_middle((height, width)).view(height, width, 2)
    ray = nn.functional.pad(pixel / (cameras.focal_px[0] * px_from_px), (0, 1), value=1.0)
    grey = nn.functional.pad(frames.mean(1, keepdim=True), (1, 1, 1, 1), "replicate")
    across = (grey[..., 1:-1, 2:] - grey[..., 1:-1, :-2]) / 2
    down = (grey[..., 2:, 1:-1] - grey[..., :-2, 1:-1]) / 2
    features = torch.cat([grey[..., 1:-1, 1:-1], across, down], 1)
    count = min(_MAX_FRAMES, len(frames) - 1)
    others = torch.linspace(1, len(frames) - 1, count).round().long().tolist()
    focal = cameras.focal_px * px_from_px / half  # half the image's sides are 1, as grids have it
    return torch.cat(
        [
            _plane_costs(
                part,
                features,
                ray,
                poses=cameras.world_from_cam[others],
                focal=focal[others],
                others=others,
            )
            for part in planes.split(_PLANES_AT_ONCE)
        ]
    )


def _plane_costs(
    planes: Float[Tensor, "d"],
    features: Float[Tensor, "f 3 h w"],
    ray: Float[Tensor, "h w 3"],
    *,
    others: list[int],
    poses: Float[Tensor, "n 4 4"],
    focal: Float[Tensor, "n 2"],
) -> Float[Tensor, "d h w"]:
    """Return what `_photo_cost_volume` does of a few planes.

    A pixel of frame 0 at depth d is at R^T (d K^-1 u - c) in another camera (R, c), which is the
    homography of the plane (Hartley and Zisserman 2004, section 13.1) without its matrix.
    """
    best: list[Tensor] = []  # costs of the frames, the lowest first
    depth = planes.exp()[:, None, None]
    pixels = _sum_around(torch.ones_like(ray[None, ..., 0]))
    for other, pose, (fx, fy) in zip(others, poses, focal, strict=True):
        turned, back = ray @ pose[:3, :3], pose[:3, 3] @ pose[:3, :3]
        x, y, z = (depth * turned[..., k] - back[k] for k in range(3))  # d h w
        inverse = z.clamp_min(NEAR_PLANE).reciprocal()
        x, y = x * inverse * fx, y * inverse * fy
        warped = nn.functional.grid_sample(
            features[other][None].expand(len(planes), -1, -1, -1),
            torch.stack([x, y], -1),
            padding_mode="border",
            align_corners=False,
        )
        difference = _sum_around((warped - features[0]).abs().mean(1)) / pixels
        inside = (x.abs() < 1) & (y.abs() < 1) & (z > NEAR_PLANE)
        cost = torch.where(inside, (difference / _MAX_DIFFERENCE).clamp_max(1), _OUTSIDE_COST)
        for rank, lower in enumerate(best):  # several times faster than to sort them all
            best[rank], cost = torch.minimum(lower, cost), torch.maximum(lower, cost)
        if len(best) < max(1, round(_VISIBLE_SHARE * len(others))):
            best.append(cost)
    return torch.stack(best).mean(0)


def _sum_around(images: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """Return the sum of each pixel and its eight neighbours; there is nothing outside."""
    for axis in (1, 2):
        wider = nn.functional.pad(images, (0, 0, 1, 1) if axis == 1 else (1, 1))
        before, here, after = (wider.narrow(axis, at, images.shape[axis]) for at in range(3))
        images = before + here + after
    return images


def _aggregate_semi_global(
    cost: Float[Tensor, "d h w"], picture: Float[Tensor, "3 h w"]
) -> Float[Tensor, "d h w"]:
    """Add up the path costs L_r from the left, right, above and below (semi-global matching)."""
    total = torch.zeros_like(cost)
    for side in ("left", "right", "above", "below"):
        total += _path_cost(cost, picture, side) / 4
    return total


def _path_cost(
    cost: Float[Tensor, "d h w"], picture: Float[Tensor, "3 h w"], side: str
) -> Float[Tensor, "d h w"]:
    """Return the least cost of a line of pixels that comes from a side and ends at each plane.

    With q the pixel before p (Hirschmüller 2008, the recursion for L_r):

        L(p, d) = C(p, d) + min(L(q, d), L(q, d - 1) + P1, L(q, d + 1) + P1, min_k L(q, k) + P2)
                  - min_k L(q, k)

    P2 falls where colours change, since depths may jump there.
    """
    axis = 2 if side in ("left", "right") else 1
    flipped = [0] if side in ("right", "below") else []
    along = cost.movedim((axis, 0), (0, 2)).flip(flipped)  # line, other side, planes
    colour = picture.movedim((axis, 0), (0, 2)).flip(flipped)
    differs = (colour[1:] - colour[:-1]).abs().mean(-1, keepdim=True)
    jump = (_JUMP * torch.exp(-differs / _EDGE)).clamp_min(_SMALL_CHANGE + 0.01)  # P1 < P2
    last = along[0]
    lines = [last]
    for own, penalty in zip(along[1:], jump, strict=True):
        least = last.amin(-1, keepdim=True)
        step = nn.functional.pad(last, (1, 1), value=torch.inf)
        next_plane = torch.minimum(step[:, 2:], step[:, :-2]) + _SMALL_CHANGE
        last = own + torch.minimum(torch.minimum(last, next_plane), least + penalty) - least
        lines.append(last)
    return torch.stack(lines).flip(flipped).movedim((0, 2), (axis, 0))
