"""A cheap look along a path before a long run: geometry alone, no model.

Each camera of the path looks at the first image, which stands at depth 1 (the median depth of frame
0, by the definition of the scene unit) or at depths that are given, before lines of equal direction
that are infinitely far away. Where these show, the model would have to invent. Every frame says
that it is a preview.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, joined
from rays_as_pixels.geometry.rays import rays_from_cameras
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.solve.view_synthesis import render_views

TALLEST, SMALLEST = 1080, 48
LARGEST_DEPTH = 1e4
NOTE_FLAT = "Preview: first frame as a flat card at depth 1; not model output."
NOTE_DEPTH = "Preview: first frame at the given depths; not model output."
NOTE_GRID = "Preview: reference grid, card at depth 1; not model output."
_LINE_STEP_DEG = 10.0  # between lines of the sky
_SKY, _SKY_LINE = (0.69, 0.73, 0.80), (0.36, 0.42, 0.52)
_CARD, _CARD_LINE = (0.95, 0.93, 0.88), (0.72, 0.35, 0.05)


@dataclass(frozen=True)
class ParallaxPreview:
    """What the cameras of a path would see of a flat scene or one of known depths.

    Attributes:
        video: In [0, 1]; every frame carries the note.
        seen_share: Share of each frame that the first image covers, in [0, 1]. The rest a model has
            to invent.
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
        trajectory: The path; principal points are taken to be in the middle.
        image: The first image in [0, 1], or None for a reference card in its place.
        depth: Its depth along the camera's Z, scene units; without it all is at depth 1.
        height: Of the preview, in pixels; the width follows the path's aspect.
        image_path: Path whose first camera took the image, in the trajectory's world; None for the
            trajectory.

    Raises:
        InputError: A size of no use, or an image or depth that does not fit.
    """
    _check(trajectory, image, depth, height)
    path = trajectory.cameras
    width = 2 * max(1, round(height * path.width / path.height / 2))
    source = (trajectory if image_path is None else image_path).cameras[:1]
    cameras = joined(path, source).to(dtype=torch.float64).resized(height=height, width=width)
    cameras = cameras.relative_to(len(trajectory))
    picture = _reference_card(height, width) if image is None else image
    picture, depths = (
        torch.nn.functional.interpolate(
            one[None].to(torch.float32), (height, width), mode="bilinear", antialias=True
        )
        for one in (picture, torch.ones(1, height, width) if depth is None else depth[None])
    )
    views = render_views(picture, depths[0].log(), cameras[-1:], cameras[:-1])
    video = views.composite_over(_sky(cameras[:-1]))
    note = NOTE_GRID if image is None else NOTE_FLAT if depth is None else NOTE_DEPTH
    banner = _banner(note, width)
    video[:, :, -banner.shape[-2] :] = banner
    return ParallaxPreview(video, views.share.double().mean((1, 2, 3)), note)


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


def _sky(cameras: Cameras) -> Float[Tensor, "f 3 h w"]:
    """Draw lines of equal azimuth and elevation in the world, about a pixel wide."""
    x, y, z = rays_from_cameras(cameras).float().unbind(-1)
    step = torch.deg2rad(torch.tensor(_LINE_STEP_DEG))
    pixel_rad = 1 / cameras.focal_px.float().amax(-1)[:, None, None]
    across = torch.hypot(x, z)
    azimuth, elevation = torch.atan2(x, z), torch.atan2(y, across)
    # Azimuths crowd towards the poles: an angle there is so much shorter in the image.
    apart = [(one - (one / step).round() * step).abs() for one in (azimuth, elevation)]
    line = (1 - torch.minimum(apart[0] * across, apart[1]) / pixel_rad).clamp(0, 1)[:, None]
    back, front = (torch.tensor(one)[:, None, None] for one in (_SKY, _SKY_LINE))
    return torch.lerp(back, front, line)


def _reference_card(height: int, width: int) -> Float[Tensor, "3 {height} {width}"]:
    """Return what stands in for an image: a light card with lines and a cross in its middle."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x, y, cell = x - width // 2, y - height // 2, height // 8
    cross = (x.abs() <= 1) | (y.abs() <= 1)
    strength = torch.where(cross, 1.0, torch.where((x % cell == 0) | (y % cell == 0), 0.35, 0.0))
    back, front = (torch.tensor(one)[:, None, None] for one in (_CARD, _CARD_LINE))
    return torch.lerp(back, front, strength)


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
