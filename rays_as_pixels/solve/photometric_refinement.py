"""Cameras and depths that explain the pixels of a clip, found around a first guess.

Not in the paper. Photometric bundle adjustment (Alismail et al. 2016, 1608.02026): small patches of
some frames are looked for where the guess projects them to in all others, from coarse to fine, and
cameras, focal length and depths move together towards where they fit (Lucas and Kanade 1981). The
network says where to start, to a degree or so; from there pixels say more than its latents of 8x8
cells.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import nearest_rotation
from rays_as_pixels.solve.bundle import BundleState
from rays_as_pixels.solve.inlier_ratio import MIN_ACCEPTED, MIN_CONVERGED
from rays_as_pixels.solve.motion_selection import select_motion
from rays_as_pixels.solve.patches import DISSIMILAR_RMS, PatchGrid, PatchLevel, pyramid
from rays_as_pixels.solve.photometric_bundle_adjustment import (
    HALF_WINDOWS_PX,
    adjust_photometrically,
    with_hosts,
)

MAX_ROUNDS = 5  # of fitting, each from where the last one ended
_LOG_DEPTHS = (-1.6, 1.6, 17)  # that are tried where none are given: from, to, how many
_LOG_DEPTH_PENALTY, _HIDDEN_COST = 0.02, 0.6


@dataclass(frozen=True)
class PhotometricFit:
    """What became of a guess.

    Attributes:
        cameras: (F,) in frame 0's axes and scene units, float64 on the CPU.
        log_depth: Logarithm of the depths of frame 0's patches, scene units.
        inlier_ratio: Share of patches, over pairs of frames, that look alike where they are
            projected to; what it decides is in `solve.inlier_ratio`.
    """

    cameras: Cameras
    log_depth: Float[Tensor, "rows columns"]
    inlier_ratio: float


@torch.no_grad()
def refine_photometrically(
    frames: Float[Tensor, "f 3 height width"],
    cameras: Cameras,
    log_depth: Float[Tensor, "rows columns"] | None = None,
    *,
    shared_focal: bool = False,
    max_rounds: int = MAX_ROUNDS,
    before_round: Callable[[], None] | None = None,
) -> PhotometricFit:
    """Move cameras until patches of some frames fit the others.

    Where the first round explains little, the network's guess is not worth holding on to: the path
    found is the guess of the next, several times over. Where a clip can be seen as well with
    another motion, the likelier is kept, and the simpler of two that are as likely: a camera on a
    tripod comes out as one that does not travel at all (`motion_selection`).

    Args:
        frames: In [0, 1], two or more, of the cameras' aspect ratio; may be larger than they say.
        cameras: (F,) in frame 0's axes and scene units, principal point in the middle, right to a
            few degrees.
        log_depth: Logarithm of what frame 0 shows, on a grid over it; None to try depths.
        shared_focal: One focal length for all frames (the lens does not zoom).
        max_rounds: Of fitting.
        before_round: Called before each round; may raise to end them.

    Returns:
        The cameras moved, or as they were where too little of the clip is explained.
    """
    frames = frames.detach().to("cpu", torch.float32)
    patches = PatchGrid.over(frames)
    guess = _state_of(cameras, frames, patches, log_depth)
    check = before_round or (lambda: None)
    check()
    state, score = adjust_photometrically(frames, guess, patches, shared_focal=shared_focal)
    if MIN_ACCEPTED <= score < MIN_CONVERGED:
        for _ in range(1, max_rounds):
            check()  # each round holds on to the last one's path, not to the guess
            state = with_hosts(state, state.log_depth[0], patches)
            state, score = adjust_photometrically(frames, state, patches, shared_focal=shared_focal)
    if score >= MIN_ACCEPTED:
        states = guess, state.in_scene_units()
        state, score = select_motion(
            frames, states, score, patches, shared_focal=shared_focal, check=check
        )
        moved = _cameras_of(state, cameras)
        if moved is not None and score >= MIN_ACCEPTED:
            return PhotometricFit(moved, state.log_depth[0].view(patches.grid), score)
    return PhotometricFit(cameras, guess.log_depth[0].view(patches.grid), score)


def _state_of(
    cameras: Cameras,
    frames: Float[Tensor, "f 3 height width"],
    patches: PatchGrid,
    log_depth: Float[Tensor, "rows columns"] | None,
) -> BundleState:
    """Take over cameras, and depths where they are given; others are tried."""
    cameras = cameras.to(device="cpu", dtype=torch.float64)
    log_focal = (cameras.focal_px / (cameras.height * cameras.width) ** 0.5).log()
    state = BundleState(
        nearest_rotation(cameras.world_from_cam[:, :3, :3]),
        cameras.world_from_cam[:, :3, 3],
        (log_focal - log_focal[0]).mean(-1),
        log_focal[0],
        torch.zeros(1, dtype=torch.int64),
        torch.zeros(1, len(patches.centers), dtype=torch.float64),
    )
    if log_depth is None:
        own = _sweep_patch_depths(list(pyramid(frames))[:2], state, patches)
    else:
        given = log_depth.detach().to("cpu", torch.float32)[None, None]
        own = torch.nn.functional.interpolate(given, patches.grid, mode="bilinear").flatten()
    return with_hosts(state, own.double(), patches)


def _sweep_patch_depths(
    levels: list[Tensor], guess: BundleState, patches: PatchGrid
) -> Float[Tensor, "n"]:
    """Find the log depths at which the guessed cameras show frame 0's patches most alike.

    A plane sweep (Collins 1996) whose planes are whole patches; the cost of a pixel is that of
    Geman and McClure (1987), e^2 / (e^2 + sigma^2), each patch's mean taken off.
    """
    tried = torch.linspace(*_LOG_DEPTHS)
    cost = torch.zeros(len(tried), len(patches.centers))
    for pictures, half_window in zip(levels, HALF_WINDOWS_PX, strict=False):
        level = PatchLevel(pictures, patches, guess.host_frames, half_window - 1)
        template = (level.template - level.template.mean(-1, keepdim=True))[:, None]
        for number, log_depth in enumerate(tried.tolist()):
            plane = torch.full_like(guess.log_depth, log_depth)
            warped = level.warp(replace(guess, log_depth=plane))
            colour = warped.colour[:, 1:]
            squared = (colour - colour.mean(-1, keepdim=True) - template).square().mean((2, 3))
            visible = (warped.weight[:, 1:] > 0).all(-1)
            unlike = squared / (squared + DISSIMILAR_RMS**2)
            cost[number] += torch.where(visible, unlike, _HIDDEN_COST).mean(1)
    cost = cost + _LOG_DEPTH_PENALTY * tried[:, None] ** 2
    images = torch.nn.functional.pad(cost.view(1, -1, *patches.grid), (1, 1, 1, 1), "replicate")
    around = torch.nn.functional.avg_pool2d(images, 3, 1).view(len(tried), -1)
    return tried[(cost + around).argmin(0)]


def _cameras_of(state: BundleState, like: Cameras) -> Cameras | None:
    """Return a state's cameras in pixels of others' size; None where a number is not finite."""
    pose = rigid(state.world_from_cam, state.center)
    focal = state.focal() * (like.height * like.width) ** 0.5
    if not bool(pose.isfinite().all() and focal.isfinite().all()):
        return None
    return Cameras(pose, focal, like.center_px.to(pose), like.height, like.width).relative_to(0)
