"""Photometric bundle adjustment: cameras and depths move to where patches fit, coarse to fine.

Not in the paper (Alismail et al. 2016, 1608.02026). Where it starts, and which of several results
is believed, is decided in `photometric_refinement` and `motion_selection`.
"""

from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.solve.bundle import (
    BundleState,
    BundleStep,
    PriorPrecision,
    gauss_newton_step,
)
from rays_as_pixels.solve.patches import PatchGrid, PatchLevel, pyramid

_MAX_HOSTS = 5  # frames that patches are cut from, evenly over the clip
HALF_WINDOWS_PX = (3, 4, 4, 4)  # from a patch's middle to its sides, per level
_MAX_STEPS = (16, 8, 5, 4)  # per level
_SETTLED_PX = 0.1  # a step that moves nothing by more than about that is a level's last
# Standard deviations of the guess
_ROTATION_RAD, _CENTER, _LOG_FOCAL, _LOG_DEPTH = 0.3, 1.0, 0.1, 1.0  # centre in scene units
_LOG_FOCAL_RATIO, _RATIO_SHARE = 0.01, 0.5  # of the guessed ratio, plus this share of it
_FIXED = 1e-6  # of what does not move
# Limits of one step
_FRAME_LIMIT = (0.1,) * 3 + (0.2,) * 3 + (0.1,)  # rotation, centre, log focal ratio
_LOG_FOCAL_LIMIT, _LOG_DEPTH_LIMIT = 0.1, 0.3
_NEIGHBOUR = 0.06  # normalised by sqrt(H W), over which depths are carried from frame 0 to others
_NOT_IN_FRONT = 9.0  # a distance farther than any in an image


class MotionModel(NamedTuple):
    """What a camera may do.

    Attributes:
        rotates: It may turn.
        translates: Its centre may move.
    """

    rotates: bool = True
    translates: bool = True


FREE_MOTION = MotionModel()


def adjust_photometrically(
    frames: Float[Tensor, "f 3 height width"],
    guess: BundleState,
    patches: PatchGrid,
    *,
    shared_focal: bool,
    motion: MotionModel = FREE_MOTION,
    num_levels: int = len(_MAX_STEPS),
) -> tuple[BundleState, float]:
    """Move a state in float64 towards where its patches fit all frames.

    Args:
        frames: See `refine_photometrically`.
        guess: Where to start.
        patches: That it has.
        shared_focal: See `refine_photometrically`.
        motion: What the camera may do. What it may not is taken out of the guess first.
        num_levels: Of the pyramid's, coarsest first.

    Returns:
        The state moved, its cameras in frame 0's axes; and its inlier ratio.
    """
    prior, limit = _prior(guess, motion, shared_focal=shared_focal)
    state, inlier_ratio, offset = constrained(guess, motion), frames.new_zeros(()), guess.no_step()
    levels = zip(pyramid(frames), HALF_WINDOWS_PX, _MAX_STEPS[:num_levels], strict=False)
    for pictures, half_window, max_steps in levels:
        level = PatchLevel(pictures, patches, guess.host_frames, half_window)
        for _ in range(max_steps):
            residuals, inlier_ratio = level.residuals(state)
            step = gauss_newton_step(residuals, state.host_frames, prior, offset).clamped(limit)
            state, offset = state.retract(step), offset + step
            if float(step.frames.abs().amax()) * level.side_px < _SETTLED_PX:
                break
    return state, float(inlier_ratio)


def _prior(
    guess: BundleState, motion: MotionModel, *, shared_focal: bool
) -> tuple[PriorPrecision, BundleStep]:
    """Return how firmly the guess holds, and the limits of a step, for what a camera may do."""
    rotation = _ROTATION_RAD if motion.rotates else _FIXED
    center = _CENTER if motion.translates else _FIXED
    deviation = guess.center.new_tensor((rotation,) * 3 + (center,) * 3 + (_FIXED,))
    frames = deviation.expand(len(guess.center) - 1, len(deviation)).clone()
    if not shared_focal:
        frames[:, -1] = _LOG_FOCAL_RATIO + _RATIO_SHARE * guess.log_focal_ratio[1:].abs()
    precision = PriorPrecision(
        frames**-2,
        guess.center.new_tensor(_LOG_FOCAL**-2),
        torch.full_like(guess.log_depth, _LOG_DEPTH**-2),
    )
    frame_limit = guess.center.new_tensor(_FRAME_LIMIT)
    frame_limit[:-1] *= deviation[:-1] > _FIXED
    limits = (guess.center.new_tensor(one) for one in (_LOG_FOCAL_LIMIT, _LOG_DEPTH_LIMIT))
    return precision, BundleStep(frame_limit, *limits)


def constrained(state: BundleState, motion: MotionModel) -> BundleState:
    """Return a state whose cameras do only what they may."""
    if not motion.rotates:
        still = torch.eye(3).to(state.world_from_cam)
        state = replace(state, world_from_cam=still.expand_as(state.world_from_cam).clone())
    return state if motion.translates else replace(state, center=torch.zeros_like(state.center))


def host_frames_of(num_frames: int) -> Tensor:
    """Return the frames that patches are cut from, frame 0 first."""
    return torch.linspace(0, num_frames - 1, min(_MAX_HOSTS, num_frames)).round().long()


def with_hosts(
    guess: BundleState, log_depth: Float[Tensor, "n"], patches: PatchGrid
) -> BundleState:
    """Cut patches from more frames, at the depths at which these see what frame 0 shows.

    Args:
        guess: Its own depths are not read.
        log_depth: Of frame 0's patches.
        patches: Where.
    """
    guess = replace(guess, host_frames=guess.host_frames[:1], log_depth=log_depth[None])
    hosts = host_frames_of(len(guess.center))
    centers = patches.centers.double()
    seen = guess.project(centers, targets=hosts)
    image, depth, in_front = seen.image[:, 0], seen.depth[:, 0], seen.in_front[:, 0]
    distance = (centers[:, None] - image[:, None]).norm(dim=-1)
    distance = distance + _NOT_IN_FRONT * ~in_front[:, None]
    near = torch.softmax(-distance / _NEIGHBOUR, -1)
    carried = (near * depth.log()[:, None]).sum(-1)
    return replace(guess, host_frames=hosts, log_depth=torch.cat([log_depth[None], carried[1:]]))
