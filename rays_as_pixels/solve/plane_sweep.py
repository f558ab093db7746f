"""How far away every pixel of a clip's first frame is, once its cameras are known.

Not in the paper. A plane sweep (Collins 1996): for each of many depths the other frames are drawn
as frame 0 would see them if all lay at that depth, and where they look like it the depth is likely.
What is likely at each pixel is put together with its surroundings by semi-global matching
(Hirschmüller 2008): depths may change at little cost where the picture does, at more where not.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rays_as_pixels.geometry.cameras import Cameras
from rays_as_pixels.solve.depth_reprojection import NEAR_PLANE, pixels_from_middle, splat_depth
from rays_as_pixels.solve.inlier_ratio import MIN_FOR_DEPTH

_SIDE = 124.0  # root of the area that is looked at, pixels
_FRAMES = 8  # that frame 0 is compared with, at most, evenly over the clip
_DEPTHS, _REACH, _STEP = (-1.8, 2.4), 0.8, 0.06  # logarithms: limits, beyond the told ones, apart
_AT_ONCE = 8  # depths, to stay small
_UNLIKE = 0.12  # of pictures in [0, 1]; more difference than that counts no more
_OUTSIDE = 0.7  # of that, for what a frame does not show
_SHOWN = 0.5  # share of the frames, the likest, that must agree; others may see what is before it
_TOLD, _TOLD_SPREAD, _TOLD_LIMIT = 0.04, 0.2, 5.0  # weight of told depths, their deviation, limit
_TOLD_MOST = 5.0  # up to so much more, where the inlier ratio is low
_SLOPE, _JUMP = 0.05, 0.4  # what it costs a pixel to be one step of depth off its neighbour, more
_EDGE = 0.06  # difference of neighbours' colours at which a jump costs a third


@torch.no_grad()
def dense_log_depth(
    frames: Float[Tensor, "f 3 height width"],
    cameras: Cameras,
    log_depth: Float[Tensor, "rows columns"],
    *,
    inlier_ratio: float = 1.0,
    number: int = 0,
) -> Float[Tensor, "h w"]:
    """Return the logarithm of the depth of a frame's pixels, along its camera's axis.

    Args:
        frames: In [0, 1], two or more, of the cameras' aspect ratio.
        cameras: (F,) in frame 0's axes and scene units, principal point in the middle.
        log_depth: Roughly known logarithms of frame 0's depths, on any grid over it. They, or what
            another frame sees of them, decide where the frames say nothing.
        inlier_ratio: Share of the frames' patches that look alike where the cameras show them. The
            less, the more the known depths count.
        number: Of the frame whose pixels are meant.

    Returns:
        For pictures of the frames' size, or of an area of 124 x 124 pixels where that is smaller.
    """
    frames = frames.detach().to("cpu", torch.float32)
    if number:
        frames, cameras, log_depth = _from_frame(number, frames, cameras, log_depth)
    own = (frames.shape[-2] * frames.shape[-1]) ** 0.5
    if own > _SIDE:
        size = tuple(max(4, round(n * _SIDE / own)) for n in frames.shape[-2:])
        frames = nn.functional.interpolate(frames, size, mode="area")
    told = log_depth.detach().to(frames)[None, None]
    told = nn.functional.interpolate(told, frames.shape[-2:], mode="bilinear")[0, 0]
    least = max(_DEPTHS[0], float(told.min()) - _REACH)
    most = max(least + 3 * _STEP, min(_DEPTHS[1], float(told.max()) + _REACH))
    tried = torch.arange(least, most, _STEP)
    told_weight = _TOLD * min(_TOLD_MOST, max(1.0, MIN_FOR_DEPTH / max(inlier_ratio, 1e-6)))
    off = ((tried[:, None, None] - told).abs() / _TOLD_SPREAD).clamp_max(_TOLD_LIMIT)
    cost = _unlikeness(frames, cameras, tried) + told_weight * off
    cost = _with_surroundings(cost, frames[0])
    best = cost.argmin(0, keepdim=True).clamp(1, len(tried) - 2)
    before, here, after = (cost.gather(0, best + step)[0] for step in (-1, 0, 1))
    bend = (before + after - 2 * here).clamp_min(1e-6)
    found = tried[best] + _STEP * ((before - after) / (2 * bend)).clamp(-0.5, 0.5)
    around = nn.functional.unfold(nn.functional.pad(found[None], (1, 1, 1, 1), "replicate"), 3)
    return around.median(1).values.view_as(told)


def _from_frame(
    number: int, frames: Tensor, cameras: Cameras, log_depth: Tensor
) -> tuple[Tensor, Cameras, Float[Tensor, "rows columns"]]:
    """Put a frame first, the cameras in its axes, and say roughly what it sees of the depths."""
    order = [number, *(k for k in range(len(frames)) if k != number)]
    pose = cameras.world_from_cam[number].to(log_depth)
    root = (log_depth.shape[0] * log_depth.shape[1]) ** 0.5
    unit = root / (cameras.height * cameras.width) ** 0.5
    lens = (cameras.focal_px * unit).to(log_depth)
    known = splat_depth(
        log_depth.exp()[None, None],
        pose[None, :3, :3],
        pose[None, :3, 3],
        lens[number][None, None],
        lens[0][None, None],
    )
    from_it = cameras[torch.tensor(order)].relative_to(0)
    return frames[order], from_it, known.view(log_depth.shape).log()


def _unlikeness(
    frames: Float[Tensor, "f 3 h w"], cameras: Cameras, tried: Float[Tensor, "d"]
) -> Float[Tensor, "d h w"]:
    """Say from 0 to 1 how unlike frame 0 the others look where it is at each of `tried`."""
    height, width = frames.shape[-2:]
    cameras = cameras.to(device="cpu", dtype=torch.float32)
    scale = torch.tensor([width / cameras.width, height / cameras.height])
    half = torch.tensor([width / 2, height / 2])
    place = pixels_from_middle((height, width)).view(height, width, 2)
    ray = nn.functional.pad(place / (cameras.focal_px[0] * scale), (0, 1), value=1.0)
    grey = nn.functional.pad(frames.mean(1, keepdim=True), (1, 1, 1, 1), "replicate")
    across = (grey[..., 1:-1, 2:] - grey[..., 1:-1, :-2]) / 2
    down = (grey[..., 2:, 1:-1] - grey[..., :-2, 1:-1]) / 2
    looks = torch.cat([grey[..., 1:-1, 1:-1], across, down], 1)
    others = torch.linspace(1, len(frames) - 1, min(_FRAMES, len(frames) - 1)).round().long()
    return torch.cat(
        [
            _unlike_at(part, looks, ray, cameras, others.tolist(), scale / half)
            for part in tried.split(_AT_ONCE)
        ]
    )


def _unlike_at(  # noqa: PLR0917 - what stays the same for all depths
    tried: Float[Tensor, "d"],
    looks: Float[Tensor, "f 3 h w"],
    ray: Float[Tensor, "h w 3"],
    cameras: Cameras,
    others: list[int],
    scale: Float[Tensor, "2"],
) -> Float[Tensor, "d h w"]:
    """Return what `_unlikeness` does of a few depths, from brightness and slopes of the frames."""
    likest: list[Tensor] = []  # of the frames, the likest first
    depth = tried.exp()[:, None, None]
    pixels = _sum_around(torch.ones_like(ray[None, ..., 0]))
    for other in others:
        pose = cameras.world_from_cam[other]
        turned, back = ray @ pose[:3, :3], pose[:3, 3] @ pose[:3, :3]
        x, y, ahead = (depth * turned[..., k] - back[k] for k in range(3))  # d h w
        per_depth = ahead.clamp_min(NEAR_PLANE).reciprocal()
        focal = cameras.focal_px[other] * scale
        x, y = x * per_depth * focal[0], y * per_depth * focal[1]
        shown = nn.functional.grid_sample(
            looks[other][None].expand(len(tried), -1, -1, -1),
            torch.stack([x, y], -1),
            padding_mode="border",
            align_corners=False,
        )
        unlike = _sum_around((shown - looks[0]).abs().mean(1)) / pixels
        inside = (x.abs() < 1) & (y.abs() < 1) & (ahead > NEAR_PLANE)
        one = torch.where(inside, (unlike / _UNLIKE).clamp_max(1), _OUTSIDE)
        for place, likelier in enumerate(likest):  # several times faster than to sort them all
            likest[place], one = torch.minimum(likelier, one), torch.maximum(likelier, one)
        if len(likest) < max(1, round(_SHOWN * len(others))):
            likest.append(one)
    return torch.stack(likest).mean(0)


def _sum_around(images: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """Return the sum of each pixel and its eight neighbours; there is nothing outside."""
    for axis in (1, 2):
        wider = nn.functional.pad(images, (0, 0, 1, 1) if axis == 1 else (1, 1))
        before, here, after = (wider.narrow(axis, at, images.shape[axis]) for at in range(3))
        images = before + here + after
    return images


def _with_surroundings(
    cost: Float[Tensor, "d h w"], picture: Float[Tensor, "3 h w"]
) -> Float[Tensor, "d h w"]:
    """Add to each depth's cost what it costs the pixels left, right, above and below."""
    total = torch.zeros_like(cost)
    for side in ("left", "right", "above", "below"):
        total += _from_one_side(cost, picture, side) / 4
    return total


def _from_one_side(cost: Tensor, picture: Tensor, side: str) -> Tensor:
    """Return the least cost of a line of pixels that comes from a side and ends at each depth."""
    axis = 2 if side in ("left", "right") else 1
    back = [0] if side in ("right", "below") else []
    along = cost.movedim((axis, 0), (0, 2)).flip(back)  # line, other side, depths
    colour = picture.movedim((axis, 0), (0, 2)).flip(back)
    differs = (colour[1:] - colour[:-1]).abs().mean(-1, keepdim=True)
    jump = (_JUMP * torch.exp(-differs / _EDGE)).clamp_min(_SLOPE + 0.01)
    last = along[0]
    lines = [last]
    for own, most in zip(along[1:], jump, strict=True):
        least = last.amin(-1, keepdim=True)
        step = nn.functional.pad(last, (1, 1), value=torch.inf)
        near = torch.minimum(step[:, 2:], step[:, :-2]) + _SLOPE
        last = own + torch.minimum(torch.minimum(last, near), least + most) - least
        lines.append(last)
    return torch.stack(lines).flip(back).movedim((0, 2), (axis, 0))
