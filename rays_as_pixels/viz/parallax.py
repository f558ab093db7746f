"""A cheap look along a path before a long run: geometry alone, no model.

The first image stands as a flat card at the median depth (1 scene unit), or as points at the depths
that are given, in front of a grid; each camera of the path looks at that. What the picture shows
where the card ends is grid: there the model would have to invent. Every frame says that it is a
preview.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, joined
from rays_as_pixels.geometry.rays import rays_from_cameras
from rays_as_pixels.geometry.trajectory import Trajectory

CARD_DEPTH = 1.0  # median depth of frame 0 by the definition of the scene unit
GROUND = 0.6  # scene units under the first camera; Y points down
WALL = 6.0  # scene units ahead of the first camera
STEP = 0.25  # between lines of the grids, scene units
TALLEST, SMALLEST = 1080, 48
LARGEST_DEPTH = 1e4
NOTE_FLAT = "Preview: first frame as a flat card at depth 1; not model output."
NOTE_DEPTH = "Preview: first frame at the given depths; not model output."
NOTE_GRID = "Preview: reference grid, card at depth 1; not model output."
_SKY, _FLOOR, _LINE = (0.80, 0.84, 0.90), (0.69, 0.73, 0.80), (0.36, 0.42, 0.52)
_CARD, _CARD_LINE = (0.95, 0.93, 0.88), (0.72, 0.35, 0.05)


@dataclass(frozen=True)
class ParallaxPreview:
    """What the cameras of a path would see of a flat or a known scene.

    Attributes:
        video: (F, 3, H, W) in [0, 1]; every frame carries the note.
        seen_share: (F,) share of each frame that the first image covers, in [0, 1]. The rest a
            model has to invent.
        note: What the preview is, and that it is none of the model's work.
    """

    video: Float[Tensor, "frames 3 height width"]
    seen_share: Float[Tensor, "frames"]
    note: str


def parallax_preview(
    trajectory: Trajectory,
    image: Float[Tensor, "3 h w"] | None = None,
    *,
    depth: Float[Tensor, "h w"] | None = None,
    height: int = 192,
    image_path: Trajectory | None = None,
) -> ParallaxPreview:
    """Look along a path at the first image, without a model.

    Args:
        trajectory: The path.
        image: The first image in [0, 1], or None for a see-through reference card in its place.
        depth: Its depth along the camera's Z, scene units; without it all is at depth 1.
        height: Of the preview, in pixels; the width follows the path's aspect.
        image_path: Path whose first camera took the image, in the trajectory's world; None for the
            trajectory.

    Raises:
        InputError: A size of no use, or an image or depth that does not fit.
    """
    _check(trajectory, image, depth, height)
    cameras = trajectory.cameras
    width = 2 * max(1, round(height * cameras.width / cameras.height / 2))
    taken = (trajectory if image_path is None else image_path).cameras[:1]
    cameras = joined(cameras, taken).to(dtype=torch.float32).resized(height=height, width=width)
    cameras = cameras.relative_to(len(trajectory))
    first = cameras[-1]
    picture = _reference_card(height, width) if image is None else _resized(image, height, width)
    points = None
    if image is not None and depth is not None:
        points = _points(first, _resized(depth[None], height, width)[0])
    note = NOTE_GRID if image is None else NOTE_FLAT if points is None else NOTE_DEPTH
    frames, shares = [], []
    for k in range(len(trajectory)):
        ground = _surroundings(cameras[k])
        if points is None:
            colors, seen = _card(first, cameras[k], picture)
        else:
            colors, seen = _splat(points, picture, cameras[k])
        shares.append(seen.to(torch.float64).mean())
        if image is None:
            colors = torch.lerp(colors, ground, 0.5)
        frames.append(torch.where(seen, colors, ground))
    banner = _banner(note, width)
    video = torch.stack(frames)
    video[:, :, -banner.shape[-2] :] = banner
    return ParallaxPreview(video, torch.stack(shares), note)


def _check(path: Trajectory, image: Tensor | None, depth: Tensor | None, height: int) -> None:
    if not SMALLEST <= height <= TALLEST or height % 2:
        raise InputError(
            f"height must be an even number from {SMALLEST} to {TALLEST}; got {height}. Use 192."
        )
    if image is None and depth is not None:
        raise InputError("depth must come with its image; got depth alone. Pass the image too.")
    if image is not None:
        if image.ndim != 3 or image.shape[0] != 3 or min(image.shape) < 1:
            raise InputError(
                f"image must have shape (3, height, width); got {tuple(image.shape)}. "
                "Pass one frame."
            )
        aspect = path.cameras.width / path.cameras.height
        if abs(image.shape[2] / image.shape[1] / aspect - 1) > 0.05:
            raise InputError(
                f"image must have the path's aspect, {aspect:.3f}; got {image.shape[2]} x "
                f"{image.shape[1]}. Crop it, or restate the path's intrinsics for it."
            )
    if depth is not None and image is not None:
        if depth.shape != image.shape[1:]:
            raise InputError(
                f"depth must have shape {tuple(image.shape[1:])}, as the image; got "
                f"{tuple(depth.shape)}. Resample it."
            )
        if not bool(((depth > 0) & (depth < LARGEST_DEPTH)).all()):
            raise InputError(
                f"depth must be positive and under {LARGEST_DEPTH:g} scene units; got "
                f"{depth.min().item():g} to {depth.max().item():g}. Fill holes first."
            )


def _resized(
    image: Float[Tensor, "c _ _"], height: int, width: int
) -> Float[Tensor, "c {height} {width}"]:
    return torch.nn.functional.interpolate(
        image[None].to(torch.float32), size=(height, width), mode="bilinear", antialias=True
    )[0]


def _rays(cameras: Cameras) -> tuple[Float[Tensor, "3 h w"], Float[Tensor, "3"]]:
    """Return unit directions and the centre, in the world."""
    return rays_from_cameras(cameras).movedim(-1, 0), cameras.world_from_cam[:3, 3]


def _card(
    first: Cameras, cameras: Cameras, picture: Float[Tensor, "3 h w"]
) -> tuple[Float[Tensor, "3 h w"], Bool[Tensor, "h w"]]:
    """Look at the picture on the plane at CARD_DEPTH ahead of the first camera."""
    ray, centre = _rays(cameras)
    steps = (CARD_DEPTH - centre[2]) / ray[2]
    hit = centre[:, None, None] + steps * ray
    u = hit[0] / CARD_DEPTH * first.focal_px[0] + first.center_px[0]
    v = hit[1] / CARD_DEPTH * first.focal_px[1] + first.center_px[1]
    seen = (steps > 0) & torch.isfinite(steps) & (u >= 0) & (v >= 0)
    seen &= (u <= first.width) & (v <= first.height)
    grid = torch.stack([2 * u / first.width - 1, 2 * v / first.height - 1], -1)
    grid = torch.where(seen[..., None], grid, torch.zeros_like(grid))
    colors = torch.nn.functional.grid_sample(
        picture[None], grid[None], align_corners=False, padding_mode="border"
    )[0]
    return colors, seen


def _points(first: Cameras, depth: Float[Tensor, "h w"]) -> Float[Tensor, "3 n"]:
    ray, _ = _rays(first)
    return (ray / ray[2:] * depth).flatten(1)


def _splat(
    points: Float[Tensor, "3 n"], picture: Float[Tensor, "3 h w"], cameras: Cameras
) -> tuple[Float[Tensor, "3 h w"], Bool[Tensor, "h w"]]:
    """Draw the points two by two pixels large, the nearest in front."""
    height, width = cameras.height, cameras.width
    rotation, centre = cameras.world_from_cam[:3, :3], cameras.world_from_cam[:3, 3]
    in_cam = rotation.T @ (points - centre[:, None])
    ahead = in_cam[2] > 1e-3
    in_cam, color = in_cam[:, ahead], picture.flatten(1)[:, ahead]
    corner = in_cam[:2] / in_cam[2] * cameras.focal_px[:, None] + cameras.center_px[:, None] - 1
    left, top = (corner + 0.5).floor().clamp(-2, max(height, width) + 1).to(torch.long)
    x = torch.stack([left, left + 1, left, left + 1])
    y = torch.stack([top, top, top + 1, top + 1])
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    pixel = (y * width + x)[inside]
    source = torch.arange(in_cam.shape[1]).expand(4, -1)[inside]
    order = in_cam[2][source].argsort(descending=True, stable=True)
    nearest = torch.full((height * width,), -1, dtype=torch.long)
    # Of several points in one pixel the one last in this order, the nearest, is kept.
    rank = torch.arange(len(order))
    last = torch.full((height * width,), -1, dtype=torch.long)
    last.scatter_reduce_(0, pixel[order], rank, reduce="amax")
    seen = last >= 0
    nearest[seen] = source[order][last[seen]]
    colors = color[:, nearest.clamp_min(0)].reshape(3, height, width)
    return colors, seen.reshape(height, width)


def _surroundings(cameras: Cameras) -> Float[Tensor, "3 h w"]:
    """Draw the ground, the wall and the sky, with lines a step apart."""
    ray, centre = _rays(cameras)
    pixel = 1.0 / cameras.focal_px[0].item()  # size of a pixel at distance 1
    sky = torch.tensor(_SKY)[:, None, None].expand(3, cameras.height, cameras.width)
    color = sky
    to_wall = (WALL - centre[2]) / ray[2]
    wall_hit = centre[:, None, None] + to_wall * ray
    on_wall = (to_wall > 0) & (wall_hit[1] < GROUND) & (wall_hit[1] > GROUND - 2 * WALL)
    wall = _lined(wall_hit[0], wall_hit[1] - GROUND, 4 * STEP, to_wall * pixel, _SKY)
    color = torch.where(on_wall, wall, color)
    to_ground = (GROUND - centre[1]) / ray[1]
    hit = centre[:, None, None] + to_ground * ray
    on_ground = (to_ground > 0) & torch.isfinite(to_ground) & (hit[2] < WALL)
    slant = to_ground * pixel / ray[1].abs().clamp_min(0.05)
    return torch.where(on_ground, _lined(hit[0], hit[2], STEP, slant, _FLOOR), color)


def _lined(
    a: Float[Tensor, "h w"],
    b: Float[Tensor, "h w"],
    step: float,
    size: Float[Tensor, "h w"],
    ground: tuple[float, float, float],
) -> Float[Tensor, "3 h w"]:
    """Colour a plane by its coordinates: lines about a pixel wide, fading where they crowd."""
    near = torch.minimum(*((c / step - (c / step).round()).abs() * step for c in (a, b)))
    line = (1.3 - near / size.clamp_min(1e-6)).clamp(0, 1) * (1 - 4 * size / step).clamp(0, 1)
    line = torch.nan_to_num(line)
    back = torch.tensor(ground)[:, None, None]
    return back + line * (torch.tensor(_LINE)[:, None, None] - back)


def _reference_card(height: int, width: int) -> Float[Tensor, "3 {height} {width}"]:
    """Return what stands in for an image: a light card with lines and a cross in its middle."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    cell = height // 8
    line = ((x - width // 2) % cell == 0) | ((y - height // 2) % cell == 0)
    cross = ((x - width // 2).abs() <= 1) | ((y - height // 2).abs() <= 1)
    edge = (x < 2) | (y < 2) | (x >= width - 2) | (y >= height - 2)
    strength = torch.where(cross | edge, 1.0, torch.where(line, 0.35, 0.0))
    back = torch.tensor(_CARD)[:, None, None]
    return back + strength * (torch.tensor(_CARD_LINE)[:, None, None] - back)


def _banner(note: str, width: int) -> Float[Tensor, "3 _ {width}"]:
    """Return the note as a strip of pixels, as large as the width allows."""
    size = 13
    font = ImageFont.load_default(size)
    while size > 6 and font.getlength(note) > width - 8:
        size -= 1
        font = ImageFont.load_default(size)
    strip = Image.new("RGB", (width, size + 7), (17, 24, 39))
    ImageDraw.Draw(strip).text((4, 2), note, fill=(253, 230, 138), font=font)
    pixels = torch.frombuffer(bytearray(strip.tobytes()), dtype=torch.uint8)
    return pixels.reshape(size + 7, width, 3).movedim(-1, 0).to(torch.float32) / 255
