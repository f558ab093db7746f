"""Other motions that explain a clip as well as the one found, and which of them is believed.

Not in the paper. Few frames of little depth can be seen in more than one way: with the travel
reversed and near and far swapped, with a turn in place of a sideways move. And where a camera
stands on a tripod or runs on rails, errors of pixels still make it travel or turn a little. So each
of these is fitted too, coarsely at first; the simpler motion is kept unless it explains less, as
model selection does between a homography and an epipolar geometry (Torr 1998, GRIC).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter

from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.rotations import vector_from_rotation
from rays_as_pixels.solve.bundle import NEAREST, BundleState, reversed_travel
from rays_as_pixels.solve.patches import Patches
from rays_as_pixels.solve.photometric_bundle_adjustment import (
    ANY,
    Motion,
    in_scene_units,
    moved_scene,
    restrained,
    with_anchors,
)

_LEVELS, _NEARLY = 2, 0.97  # of what is explained there, to look again in full
_REVERSED_BETTER, _REVERSED_LEAST = 1.02, 0.4  # of what is explained, to believe in the reverse
_REVERSED_FROM = 0.35  # share explained below which the reverse cannot be believed either
_STAYS_ENOUGH, _LEVEL_ENOUGH = 0.985, 0.99  # of what is explained, to believe in no travel, turn
_STAYS_BELOW = 0.03  # roots of the image's area; more than its travel moves what it shows
_LEVEL_BELOW = 0.09  # radians that it turns by, if it may not turn at all


@dataclass(frozen=True)
class _Other:
    """Another way to see a clip.

    Attributes:
        starts: Where its fit may start: at the one of these that looks likelier.
        motion: What the camera may do.
        enough: Share of what the likeliest explains, to be preferred to it.
        least: Share of the patches, to be believed at all.
    """

    starts: tuple[BundleState, ...]
    motion: Motion
    enough: float
    least: float = 0.0


def likeliest_motion(
    frames: Float[Tensor, "f 3 height width"],
    scenes: tuple[BundleState, BundleState],
    share: float,
    patches: Patches,
    *,
    shared_focal: bool,
    check: Callable[[], None],
) -> tuple[BundleState, float]:
    """Return a scene, or another that is likelier or simpler; with the share of the patches.

    Args:
        frames: See `photometric_adjustment.refine_photometrically`.
        scenes: The guess, and what was found from it, in scene units.
        share: Of the patches that the second explains.
        patches: That both have.
        shared_focal: One focal length for all frames.
        check: Called before each fit in full; may raise to end them.
    """
    told = partial(moved_scene, frames, patches=patches, shared_focal=shared_focal)
    found = scenes[1]
    best, motion, most, coarse = found, ANY, share, None
    for other in _others(*scenes, share, patches):
        if coarse is None:
            coarse = told(_seen_by_first(found), levels=_LEVELS)[1]
        looks = [
            (start, *told(_seen_by_first(start), motion=other.motion, levels=_LEVELS))
            for start in other.starts
        ]
        start, scene, seen = max(looks, key=itemgetter(2))
        if seen < _NEARLY * coarse:
            continue
        check()
        if start is not found:  # whose depths in other frames are the best there are
            start = with_anchors(scene, scene.log_depth[0], patches)
        scene, inlier_ratio = told(start, motion=other.motion)
        enough = max(1.0, other.enough) if other.motion == motion else other.enough
        needed = max(other.least, enough * most)
        if _NEARLY * needed <= inlier_ratio < needed:  # it may not be where it ends yet
            scene, inlier_ratio = told(scene, motion=other.motion)
        if inlier_ratio < needed:
            continue
        best, motion, share = in_scene_units(scene), other.motion, inlier_ratio
        most = max(most, share)
        if not motion.travels:
            break
    return best, share


def _others(
    guess: BundleState, found: BundleState, share: float, patches: Patches
) -> Iterator[_Other]:
    """Yield what is worth a look, the simplest first."""
    level = tuple(one for one in (guess, found) if _turned_by(one) < _LEVEL_BELOW)
    if _moved_by_travel(found, patches) < _STAYS_BELOW:
        if _turned_by(found) < _LEVEL_BELOW:
            yield _Other((found,), Motion(turns=False, travels=False), _STAYS_ENOUGH)
        yield _Other((found,), Motion(travels=False), _STAYS_ENOUGH)
    if share >= _REVERSED_FROM:
        yield _Other((reversed_travel(found),), ANY, _REVERSED_BETTER, _REVERSED_LEAST)
    if level:
        yield _Other(level, Motion(turns=False), _LEVEL_ENOUGH)


def _seen_by_first(scene: BundleState) -> BundleState:
    """Return a scene with frame 0's patches alone."""
    return replace(scene, anchors=scene.anchors[:1], log_depth=scene.log_depth[:1])


def _turned_by(scene: BundleState) -> float:
    return float(vector_from_rotation(scene.rotation).norm(dim=-1).amax())


def _moved_by_travel(scene: BundleState, patches: Patches) -> float:
    """Say how far travel moves nine in ten of frame 0's patches at most, roots of the area."""
    first = _seen_by_first(scene)

    def places(one: BundleState) -> Tensor:
        point = one.in_frames(one.from_anchors(patches.place.double(), one.log_depth))[:, 0]
        return one.focal()[:, None] * point[..., :2] / point[..., 2:].clamp_min(NEAREST)

    moved = places(first) - places(restrained(first, Motion(travels=False)))
    return float(moved.norm(dim=-1).quantile(0.9, dim=-1).amax())
