"""Other motions that explain a clip as well as the one found, and which of them is believed.

Not in the paper. Few frames of little depth can be seen in more than one way: with the travel
reversed and near and far swapped, with a turn in place of a sideways move. And where a camera
stands on a tripod or runs on rails, errors of pixels still make it travel or turn a little. So each
of these is fitted too, coarsely at first; the simpler motion is kept unless it explains less, as
model selection does between a homography and an epipolar geometry (Torr 1998, GRIC; ORB-SLAM).
A motion's score is its inlier ratio.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from operator import itemgetter

from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.rotations import vector_from_rotation
from rays_as_pixels.solve.bundle import BundleState, reversed_travel
from rays_as_pixels.solve.inlier_ratio import MIN_FOR_REVERSAL, MIN_REVERSED
from rays_as_pixels.solve.patches import PatchGrid
from rays_as_pixels.solve.photometric_bundle_adjustment import (
    FREE_MOTION,
    MotionModel,
    adjust_photometrically,
    constrained,
    with_hosts,
)

_COARSE_LEVELS = 2  # of the pyramid, on which a motion is tried first
_NEARLY = 0.97  # of the best score, to be worth a full fit, or a second one
# What a motion must reach of the best score to be preferred to it
_MIN_REVERSED, _MIN_WITHOUT_TRANSLATION, _MIN_WITHOUT_ROTATION = 1.02, 0.985, 0.99
_MAX_PARALLAX = 0.03  # normalised by sqrt(H W); travel that moves the image more is travel
_MAX_ROTATION_RAD = 0.09  # a camera that turns further does turn


@dataclass(frozen=True)
class _Candidate:
    """Another way to see a clip.

    Attributes:
        starts: Where its fit may start: at the one of these that scores higher.
        motion: What the camera may do.
        min_relative_score: Share of the best score, to be preferred to that.
        min_score: To be believed at all.
    """

    starts: tuple[BundleState, ...]
    motion: MotionModel
    min_relative_score: float
    min_score: float = 0.0


def select_motion(
    frames: Float[Tensor, "f 3 height width"],
    states: tuple[BundleState, BundleState],
    score: float,
    patches: PatchGrid,
    *,
    shared_focal: bool,
    check: Callable[[], None],
) -> tuple[BundleState, float]:
    """Return a state, or another that is likelier or simpler; with its inlier ratio.

    Args:
        frames: See `photometric_refinement.refine_photometrically`.
        states: The guess, and what was found from it, in scene units.
        score: Inlier ratio of the second.
        patches: That both have.
        shared_focal: One focal length for all frames.
        check: Called before each fit in full; may raise to end them.
    """
    adjust = partial(adjust_photometrically, frames, patches=patches, shared_focal=shared_focal)
    found = states[1]
    chosen, motion, best_score, coarse_score = found, FREE_MOTION, score, None
    for candidate in _candidates(*states, score, patches):
        if coarse_score is None:
            coarse_score = adjust(_first_host_only(found), num_levels=_COARSE_LEVELS)[1]
        coarse = partial(adjust, motion=candidate.motion, num_levels=_COARSE_LEVELS)
        tried = [(start, *coarse(_first_host_only(start))) for start in candidate.starts]
        start, state, tried_score = max(tried, key=itemgetter(2))
        if tried_score < _NEARLY * coarse_score:
            continue
        check()
        if start is not found:  # whose depths in other frames are the best there are
            start = with_hosts(state, state.log_depth[0], patches)
        state, new_score = adjust(start, motion=candidate.motion)
        relative = candidate.min_relative_score
        relative = max(1.0, relative) if candidate.motion == motion else relative
        needed = max(candidate.min_score, relative * best_score)
        if _NEARLY * needed <= new_score < needed:  # it may not be where it ends yet
            state, new_score = adjust(state, motion=candidate.motion)
        if new_score < needed:
            continue
        chosen, motion, score = state.in_scene_units(), candidate.motion, new_score
        best_score = max(best_score, score)
        if not motion.translates:
            break
    return chosen, score


def _candidates(
    guess: BundleState, found: BundleState, score: float, patches: PatchGrid
) -> Iterator[_Candidate]:
    """Yield what is worth a try, the simplest first."""
    level = tuple(one for one in (guess, found) if _rotation_rad(one) < _MAX_ROTATION_RAD)
    if _parallax(found, patches) < _MAX_PARALLAX:
        if _rotation_rad(found) < _MAX_ROTATION_RAD:
            still = MotionModel(rotates=False, translates=False)
            yield _Candidate((found,), still, _MIN_WITHOUT_TRANSLATION)
        yield _Candidate((found,), MotionModel(translates=False), _MIN_WITHOUT_TRANSLATION)
    if score >= MIN_FOR_REVERSAL:
        yield _Candidate((reversed_travel(found),), FREE_MOTION, _MIN_REVERSED, MIN_REVERSED)
    if level:
        yield _Candidate(level, MotionModel(rotates=False), _MIN_WITHOUT_ROTATION)


def _first_host_only(state: BundleState) -> BundleState:
    """Return a state with frame 0's patches alone."""
    return replace(state, host_frames=state.host_frames[:1], log_depth=state.log_depth[:1])


def _rotation_rad(state: BundleState) -> float:
    """Return the largest angle between a camera and frame 0's."""
    return float(vector_from_rotation(state.world_from_cam).norm(dim=-1).amax())


def _parallax(state: BundleState, patches: PatchGrid) -> float:
    """Return how far travel moves nine in ten of frame 0's patches at most, over sqrt(H W)."""
    first, centers = _first_host_only(state), patches.centers.double()
    turned = constrained(first, MotionModel(translates=False))
    moved = (first.project(centers).image - turned.project(centers).image)[:, 0]
    return float(moved.norm(dim=-1).quantile(0.9, dim=-1).amax())
