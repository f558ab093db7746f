"""Cameras and depths move towards where patches fit, from coarse to fine: the fit itself.

Not in the paper. Where it starts, and which of several results is believed, is said in
`photometric_adjustment` and `likelier_motion`.
"""

from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.solve.bundle import NEAREST, BundleState, solved
from rays_as_pixels.solve.patches import Level, Patches, pyramid

_ANCHORS = 5  # frames that patches are cut from, evenly over the clip
HALF_WINDOWS = (3, 4, 4, 4)  # pixels from a patch's middle to its sides, per level
_STEPS = (16, 8, 5, 4)  # per level, at most
_SETTLED = 0.1  # pixels; a step that moves nothing by more than about that is a level's last
_ROTATION, _CENTER, _LENS, _DEPTH = 0.3, 1.0, 0.1, 1.0  # deviations of the guess: rad, units, logs
_ZOOM, _ZOOM_SHARE = 0.01, 0.5  # of the guessed zoom, plus this share of it
_FIXED = 1e-6  # deviation of what is known
_LIMITS = (0.1,) * 3 + (0.2,) * 3 + (0.1,)  # of one step of a frame
_LENS_LIMIT, _DEPTH_LIMIT = 0.1, 0.3
_NEAR = 0.06  # roots of the image's area, over which depths are carried from frame 0 to others


class Motion(NamedTuple):
    """What a camera may do.

    Attributes:
        turns: It may turn.
        travels: Its centre may move.
    """

    turns: bool = True
    travels: bool = True


ANY = Motion()


def moved_scene(
    frames: Float[Tensor, "f 3 height width"],
    guess: BundleState,
    patches: Patches,
    *,
    shared_focal: bool,
    motion: Motion = ANY,
    levels: int = len(_STEPS),
) -> tuple[BundleState, float]:
    """Move a scene in float64, and say which share of the patches it explains.

    Args:
        frames: See `refine_photometrically`.
        guess: Where to start.
        patches: That it has.
        shared_focal: See `refine_photometrically`.
        motion: What the camera may do. What it may not is taken out of the guess first.
        levels: So many of the pyramid's, coarsest first.

    Returns:
        The scene moved, its cameras in frame 0's axes; and the share of the patches it explains.
    """
    turn, travel = _ROTATION if motion.turns else _FIXED, _CENTER if motion.travels else _FIXED
    deviation = guess.center.new_tensor((turn,) * 3 + (travel,) * 3 + (_FIXED,))
    held = deviation.expand(len(frames), 7).clone()
    if not shared_focal:
        held[:, 6] = _ZOOM + _ZOOM_SHARE * guess.zoom.abs()
    held = held**-2
    off = torch.zeros_like(held), torch.zeros_like(guess.lens[0]), guess.log_depth * 0
    limit = held.new_tensor(_LIMITS) * (deviation > _FIXED)
    limit[6] = _LIMITS[6]
    scene, inlier_ratio = restrained(guess, motion), frames.new_zeros(())
    sizes = zip(pyramid(frames), HALF_WINDOWS, _STEPS[:levels], strict=False)
    for picture, half, steps in sizes:
        level = Level(picture, patches, guess.anchors, half)
        for _ in range(steps):
            places, inlier_ratio = level.look(scene)
            change = solved(
                places, scene.anchors, held, off, held_lens=_LENS**-2, held_depth=_DEPTH**-2
            )
            step = (
                change[0].clamp(-limit, limit),
                change[1].clamp(-_LENS_LIMIT, _LENS_LIMIT),
                change[2].clamp(-_DEPTH_LIMIT, _DEPTH_LIMIT),
            )
            scene = scene.moved(*step)
            off = off[0] + step[0], off[1] + step[1], off[2] + step[2]
            if float(step[0].abs().amax()) * level.side < _SETTLED:
                break
    return scene, float(inlier_ratio)


def restrained(scene: BundleState, motion: Motion) -> BundleState:
    """Return a scene whose cameras do only what they may."""
    if not motion.turns:
        still = torch.eye(3, dtype=scene.rotation.dtype, device=scene.rotation.device)
        scene = replace(scene, rotation=still.expand_as(scene.rotation).clone())
    return scene if motion.travels else replace(scene, center=torch.zeros_like(scene.center))


def in_scene_units(scene: BundleState) -> BundleState:
    """Return a scene scaled so that the median depth of frame 0's patches is 1."""
    unit = scene.log_depth[0].median()
    return replace(scene, center=scene.center * (-unit).exp(), log_depth=scene.log_depth - unit)


def anchors_of(num_frames: int) -> Tensor:
    """Return the frames that patches are cut from, frame 0 first."""
    return torch.linspace(0, num_frames - 1, min(_ANCHORS, num_frames)).round().long()


def with_anchors(guess: BundleState, depth: Tensor, patches: Patches) -> BundleState:
    """Cut patches from more frames, at the depths at which these see what frame 0 shows.

    Args:
        guess: Its own depths are not read.
        depth: (N,) logarithms, of frame 0's patches.
        patches: Where.
    """
    guess = replace(guess, anchors=guess.anchors[:1])
    anchors = anchors_of(len(guess.zoom))
    place = patches.place.double()
    point = guess.in_frames(guess.from_anchors(place, depth[None]))[anchors, 0]
    ahead = point[..., 2:].clamp_min(NEAREST)
    at = guess.focal()[anchors][:, None] * point[..., :2] / ahead
    far = (place[:, None] - at[:, None]).norm(dim=-1) + 9.0 * (point[..., 2] <= NEAREST)[:, None]
    near = torch.softmax(-far / _NEAR, -1)
    carried = (near * ahead[..., 0].log()[:, None]).sum(-1)
    return replace(guess, anchors=anchors, log_depth=torch.cat([depth[None], carried[1:]]))
