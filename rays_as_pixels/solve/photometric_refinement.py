"""Cameras and depths that explain the pixels of a clip, by Gauss and Newton around a first guess.

Not in the paper. Photometric bundle adjustment (Alismail et al. 2016, 1608.02026): small patches of
some frames are looked for where the guess shows them in all others, from coarse to fine, and
cameras, lens and depths move together towards where they fit (Lucas and Kanade 1981). The network
says where to start, to a degree or so; from there pixels say more than its latents of 8x8 cells.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import nearest_rotation
from rays_as_pixels.solve.bundle import BundleState
from rays_as_pixels.solve.motion_selection import likeliest_motion
from rays_as_pixels.solve.patches import LIKE, Level, Patches, pyramid
from rays_as_pixels.solve.photometric_bundle_adjustment import (
    HALF_WINDOWS,
    in_scene_units,
    moved_scene,
    with_anchors,
)

_LEAST_EXPLAINED = 0.02  # share of the patches below which the guess stays
_ENOUGH_EXPLAINED, _MORE_ROUNDS = 0.25, 4  # below that share the guess was poor: so often again
_DEPTHS = (-1.6, 1.6, 17)  # logarithms that are tried where none are told: from, to, how many
_DEPTH_PENALTY, _HIDDEN_COST = 0.02, 0.6


@dataclass(frozen=True)
class PhotometricFit:
    """What became of a guess.

    Attributes:
        cameras: (F,) in frame 0's axes and scene units, float64 on the CPU.
        log_depth: (rows, columns) logarithm of the depths of frame 0's patches, scene units.
        inlier_ratio: Share of patches, over pairs of frames, that look alike where they are shown.
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
    before_round: Callable[[], None] | None = None,
) -> PhotometricFit:
    """Move cameras until patches of some frames fit the others.

    Where the first attempt explains little, the network's guess is not worth holding on to: the
    path found is the guess of the next, several times over. Where a clip can be seen as well with
    another motion, the likelier is kept, and the simpler of two that are as likely: a camera on a
    tripod comes out as one that does not travel at all (`likelier_motion`).

    Args:
        frames: In [0, 1], two or more, of the cameras' aspect ratio; may be larger than they say.
        cameras: (F,) in frame 0's axes and scene units, principal point in the middle, right to a
            few degrees.
        log_depth: Logarithm of what frame 0 shows, on a grid over it; None to try depths.
        shared_focal: One focal length for all frames (the lens does not zoom).
        before_round: Called before each attempt; may raise to end them.

    Returns:
        The cameras moved, or as they were where too little of the clip is explained.
    """
    frames = frames.detach().to("cpu", torch.float32)
    patches = Patches.on(frames)
    guess = _scene_of(cameras, len(patches.place))
    if log_depth is None:
        depth = _tried_depths(list(pyramid(frames))[:2], guess, patches)
    else:
        told = log_depth.detach().to("cpu", torch.float32)[None, None]
        depth = torch.nn.functional.interpolate(told, patches.grid, mode="bilinear").flatten()
    guess = with_anchors(guess, depth.double(), patches)
    check = before_round or (lambda: None)
    check()
    scene, share = moved_scene(frames, guess, patches, shared_focal=shared_focal)
    if _LEAST_EXPLAINED <= share < _ENOUGH_EXPLAINED:
        for _ in range(_MORE_ROUNDS):  # each holds on to the last one's path, not to the guess
            check()
            scene = with_anchors(scene, scene.log_depth[0], patches)
            scene, share = moved_scene(frames, scene, patches, shared_focal=shared_focal)
    scene = in_scene_units(scene)
    if share >= _LEAST_EXPLAINED:
        scene, share = likeliest_motion(
            frames, (guess, scene), share, patches, shared_focal=shared_focal, check=check
        )
    depth = scene.log_depth[0].view(patches.grid)
    moved = _cameras_of(scene, cameras)
    fine = bool(moved.world_from_cam.isfinite().all() and moved.focal_px.isfinite().all())
    if not fine or share < _LEAST_EXPLAINED:
        return PhotometricFit(cameras, guess.log_depth[0].view(patches.grid), share)
    return PhotometricFit(moved, depth, share)


def _tried_depths(pictures: list[Tensor], guess: BundleState, patches: Patches) -> Tensor:
    """Find (N,) logarithms of depths at which the guessed cameras show patches most alike."""
    tried = torch.linspace(*_DEPTHS)
    cost = torch.zeros(len(tried), len(patches.place))
    for picture, half in zip(pictures, HALF_WINDOWS, strict=False):
        level = Level(picture, patches, guess.anchors, half - 1)
        here = (level.template - level.template.mean(-1, keepdim=True))[:, None]
        for number, depth in enumerate(tried.tolist()):
            shown = level.shown(replace(guess, log_depth=guess.log_depth * 0 + depth))
            colour = shown.colour[:, 1:]
            off = (colour - colour.mean(-1, keepdim=True) - here).square().mean((2, 3))
            whole = (shown.weight[:, 1:] > 0).all(-1)
            cost[number] += torch.where(whole, off / (off + LIKE**2), _HIDDEN_COST).mean(1)
    cost = cost + _DEPTH_PENALTY * tried[:, None] ** 2
    images = torch.nn.functional.pad(cost.view(1, -1, *patches.grid), (1, 1, 1, 1), "replicate")
    around = torch.nn.functional.avg_pool2d(images, 3, 1).view(len(tried), -1)
    return tried[(cost + around).argmin(0)]


def _scene_of(cameras: Cameras, count: int) -> BundleState:
    """Take over cameras, all depths 1, patches in frame 0 alone."""
    cameras = cameras.to(device="cpu", dtype=torch.float64)
    log_focal = (cameras.focal_px / (cameras.height * cameras.width) ** 0.5).log()
    return BundleState(
        nearest_rotation(cameras.world_from_cam[:, :3, :3]),
        cameras.world_from_cam[:, :3, 3],
        (log_focal - log_focal[0]).mean(-1),
        log_focal[0],
        torch.zeros(1, dtype=torch.int64),
        torch.zeros(1, count, dtype=torch.float64),
    )


def _cameras_of(scene: BundleState, like: Cameras) -> Cameras:
    pose = rigid(scene.rotation, scene.center)
    focal = scene.focal() * (like.height * like.width) ** 0.5
    return Cameras(pose, focal, like.center_px.to(pose), like.height, like.width).relative_to(0)
