"""Points of a scene from matched images and known cameras, for data sets that come without."""

import math

import torch
from torch import Tensor

from rays_as_pixels.datasets.epipolar import compared_frames
from rays_as_pixels.datasets.matching import Matcher
from rays_as_pixels.datasets.sequences import PosedVideo, ScenePoints
from rays_as_pixels.datasets.two_views import sampson_px, triangulate
from rays_as_pixels.geometry.cameras import Cameras

KEYFRAMES = 16
GAPS = (1, 2, 4, 8, 16)  # frames to the partner, tried until enough points show parallax
ENOUGH_POINTS = 60
LEAST_ANGLE_RAD = math.radians(1.0)  # depth is then good to some 4 % at 0.2 px and 60 degrees
MOST_SAMPSON_PX = 1.0


def triangulated(video: PosedVideo) -> ScenePoints | None:
    """Triangulate matches of up to KEYFRAMES frames with a later or earlier one.

    Returns:
        Points in the cameras' world, with the two frames that saw each; None if no pair of frames
        shows enough parallax (a camera that only turns, or images without texture).

    Raises:
        InputError: OpenCV is not installed, or an image cannot be read.
    """
    count = len(video)
    keys = torch.linspace(0, count - 1, min(KEYFRAMES, count)).round().long().unique().tolist()
    partners = {key: _partners(key, count) for key in keys}
    numbers = sorted({frame for key in keys for frame in (key, *partners[key])})
    matcher, cameras = compared_frames(video, numbers)
    xyz, frame, point, total = [], [], [], 0
    for key in keys:
        best = _best(matcher, cameras, key, partners[key])
        if best is None:
            continue
        found, partner = best
        row = torch.arange(total, total + len(found))
        xyz.append(found)
        frame += [torch.full_like(row, key), torch.full_like(row, partner)]
        point += [row, row]
        total += len(found)
    if not total:
        return None
    return ScenePoints(torch.cat(xyz), torch.cat(frame), torch.cat(point))


def _partners(key: int, count: int) -> list[int]:
    """Return the frame at each gap after a frame, or before it near the end."""
    found = [key + gap if key + gap < count else key - gap for gap in GAPS]
    return [frame for frame in found if frame >= 0]


def _best(
    matcher: Matcher, cameras: Cameras, key: int, partners: list[int]
) -> tuple[Tensor, int] | None:
    best: tuple[Tensor, int] | None = None
    for partner in partners:
        matches = matcher.match(key, partner)
        points = triangulate(cameras, matches)
        good = (points.angle_rad > LEAST_ANGLE_RAD) & (points.depth > 0).all(dim=1)
        good &= sampson_px(cameras, matches) < MOST_SAMPSON_PX
        if best is None or int(good.sum()) > len(best[0]):
            best = points.xyz[good], partner
        if len(best[0]) >= ENOUGH_POINTS:
            break
    return best if best is not None and len(best[0]) else None
