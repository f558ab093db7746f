"""Do the images agree with the cameras? Matched points must lie on each other's epipolar lines.

The stated cameras are held against the best that a free fit reaches on the same matches (five
points, RANSAC), so that dynamic scenes and poor texture do not count against them. Epipolar lines
cannot see a path that is mirrored through its first camera: points that agree must also lie in
front of both cameras.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rays_as_pixels.datasets.matching import Matcher, Matches, opencv
from rays_as_pixels.datasets.sequences import PosedVideo
from rays_as_pixels.datasets.two_views import sampson_px, triangulate
from rays_as_pixels.geometry.cameras import Cameras

LIMIT_PX = 1.0  # of the Sampson distance of a match that agrees; SIFT places points to 0.2 px
LARGEST_SIDE_PX = 1280  # larger images are compared at this size
PAIRS = 6
FEWEST_MATCHES = 30
LEAST_OF_FIT = 0.7  # share of the fit's agreeing matches that the stated cameras must reach
LEAST_IN_FRONT = 0.75
_PARALLAX_RAD = 0.01


@dataclass(frozen=True)
class Agreement:
    """How well a sequence's images agree with its cameras; medians over frame pairs.

    Attributes:
        pairs: Frame pairs with enough matches to say anything.
        sampson_px: Sampson distance under the stated cameras, in pixels.
        stated: Share of matches within LIMIT_PX under the stated cameras.
        fitted: The same for cameras fitted to the matches.
        in_front: Share of agreeing matches with parallax that lie in front of both cameras.
    """

    pairs: int
    sampson_px: float
    stated: float
    fitted: float
    in_front: float


def agreement(video: PosedVideo) -> Agreement:
    """Match frames one and two apart at up to PAIRS places and measure their agreement.

    Raises:
        InputError: An image cannot be read, or OpenCV is not installed.
    """
    starts = torch.linspace(0, max(0, len(video) - 3), PAIRS).long().unique().tolist()
    pairs = [(i, min(i + 1 + k % 2, len(video) - 1)) for k, i in enumerate(starts)]
    frames, cameras = compared_frames(video, sorted({index for pair in pairs for index in pair}))
    matches = [frames.match(*pair) for pair in pairs]
    matches = [found for found in matches if len(found.first_px) >= FEWEST_MATCHES]
    if not matches:
        return Agreement(0, math.nan, math.nan, math.nan, math.nan)
    errors = [sampson_px(cameras, found) for found in matches]
    front = [_in_front(cameras, found, off) for found, off in zip(matches, errors, strict=True)]
    known = [share for share in front if not math.isnan(share)]
    return Agreement(
        len(matches),
        _median([float(off.median()) for off in errors]),
        _median([float((off < LIMIT_PX).double().mean()) for off in errors]),
        _median([_fitted(cameras, found) for found in matches]),
        _median(known) if known else math.nan,
    )


def compared_frames(video: PosedVideo, numbers: list[int]) -> tuple[Matcher, Cameras]:
    """Read frames for matching, at most LARGEST_SIDE_PX long, and state the cameras for them."""
    frames = video.frames.read(numbers)
    height, width = frames.shape[-2:]
    scale = min(1.0, LARGEST_SIDE_PX / max(height, width))
    size = (round(height * scale), round(width * scale))
    if size != (height, width):
        frames = torch.nn.functional.interpolate(frames, size, mode="bilinear", antialias=True)
    return Matcher(frames, numbers), video.cameras.resized(height=size[0], width=size[1])


def _median(values: list[float]) -> float:
    return float(torch.tensor(values, dtype=torch.float64).median())


def _in_front(cameras: Cameras, matches: Matches, error: Tensor) -> float:
    points = triangulate(cameras, matches)
    clear = (error < LIMIT_PX) & (points.angle_rad > _PARALLAX_RAD)
    if int(clear.sum()) < FEWEST_MATCHES // 2:
        return math.nan
    return float((points.depth[clear] > 0).all(dim=1).double().mean())


def _fitted(cameras: Cameras, matches: Matches) -> float:
    """Return the share of matches that some relative pose explains."""
    cv2 = opencv()
    one, two = cameras[matches.first], cameras[matches.second]
    first = ((matches.first_px - one.center_px) / one.focal_px).numpy()
    second = ((matches.second_px - two.center_px) / two.focal_px).numpy()
    cv2.setRNGSeed(0)
    focal = float((one.focal_px.mean() + two.focal_px.mean()) / 2)
    _, mask = cv2.findEssentialMat(
        first,
        second,
        torch.eye(3, dtype=torch.float64).numpy(),
        method=cv2.RANSAC,
        prob=0.999,
        threshold=LIMIT_PX / focal,
    )
    return 0.0 if mask is None else float(mask.mean())


def check_agreement(name: str, found: Agreement) -> str | None:
    """Return why the images contradict the cameras, or None where they do not.

    A sequence whose images give no matches says nothing and is kept.
    """
    if found.pairs == 0:
        return None
    if found.stated < LEAST_OF_FIT * found.fitted:
        return (
            f"{name}: matched points must lie on the cameras' epipolar lines to {LIMIT_PX:g} px; "
            f"got {found.stated:.0%} of them, where a free fit explains {found.fitted:.0%} (median "
            f"{found.sampson_px:.2f} px). The poses, their axes or the intrinsics are wrong."
        )
    if found.in_front < LEAST_IN_FRONT:
        return (
            f"{name}: matched points must lie in front of both cameras; got {found.in_front:.0%} "
            "of them. The path is mirrored or the poses are inverted."
        )
    return None
