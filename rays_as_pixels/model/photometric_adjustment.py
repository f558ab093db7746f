"""Cameras and depths that explain the pixels of a clip, by Gauss and Newton around a first guess.

Not in the paper. Photometric bundle adjustment (Alismail et al. 2016, 1608.02026): small patches of
some frames are looked for where the guess shows them in all others, from coarse to fine, and
cameras, lens and depths move together towards where they fit (Lucas and Kanade 1981). The network
says where to start, to a degree or so; from there pixels say more than its latents of 8x8 cells.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import nearest_rotation
from rays_as_pixels.model.anchored_scene import NEAREST, AnchoredScene, reversed_travel, solved
from rays_as_pixels.model.photometric_patches import LIKE, Level, Patches, pyramid

_ANCHORS = 5  # frames that patches are cut from, evenly over the clip
_HALF_WINDOWS = (3, 4, 4, 4)  # pixels from a patch's middle to its sides, per level
_STEPS = (16, 8, 5, 4)  # per level, at most
_SETTLED = 0.1  # pixels; a step that moves nothing by more than about that is a level's last
_ROTATION, _CENTER, _LENS, _DEPTH = 0.3, 1.0, 0.1, 1.0  # deviations of the guess: rad, units, logs
_ZOOM, _ZOOM_SHARE = 0.01, 0.5  # of the guessed zoom, plus this share of it
_FIXED = 1e-6  # deviation of a zoom that is known
_LIMITS = (0.1,) * 3 + (0.2,) * 3 + (0.1,)  # of one step of a frame
_LENS_LIMIT, _DEPTH_LIMIT = 0.1, 0.3
_LEAST_EXPLAINED = 0.02  # share of the patches below which the guess stays
_ENOUGH_EXPLAINED, _MORE_ROUNDS = 0.25, 4  # below that share the guess was poor: so often again
_REVERSED_LEVELS, _REVERSED_NEARLY = 2, 0.97  # of what is explained there, to look again in full
_REVERSED_BETTER, _REVERSED_LEAST = 1.02, 0.4  # of what is explained, to believe it
_REVERSED_FROM = 0.35  # share explained below which the reverse cannot be believed either
_DEPTHS = (-1.6, 1.6, 17)  # logarithms that are tried where none are told: from, to, how many
_DEPTH_PENALTY, _HIDDEN_COST = 0.02, 0.6
_NEAR = 0.06  # roots of the image's area, over which depths are carried from frame 0 to others


@dataclass(frozen=True)
class PhotometricFit:
    """What became of a guess.

    Attributes:
        cameras: (F,) in frame 0's axes and scene units, float64 on the CPU.
        log_depth: (rows, columns) logarithm of the depths of frame 0's patches, scene units.
        explained: Share of patches, over pairs of frames, that look alike where they are shown.
    """

    cameras: Cameras
    log_depth: Float[Tensor, "rows columns"]
    explained: float


@torch.no_grad()
def adjusted_to_frames(
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
    the travel reversed and near and far swapped, both are fitted, and the likelier is kept.

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
    guess = _with_anchors(guess, depth.double(), patches)
    check = before_round or (lambda: None)
    check()
    scene, share = moved_scene(frames, guess, patches, shared_focal=shared_focal)
    if _LEAST_EXPLAINED <= float(share) < _ENOUGH_EXPLAINED:
        for _ in range(_MORE_ROUNDS):  # each holds on to the last one's path, not to the guess
            check()
            scene = _with_anchors(scene, scene.log_depth[0], patches)
            scene, share = moved_scene(frames, scene, patches, shared_focal=shared_focal)
    scene, share = _likelier_way(
        frames, _in_scene_units(scene), share, patches, shared_focal=shared_focal, check=check
    )
    explained, depth = float(share), scene.log_depth[0].view(patches.grid)
    moved = _cameras_of(scene, cameras)
    fine = bool(moved.world_from_cam.isfinite().all() and moved.focal_px.isfinite().all())
    if not fine or explained < _LEAST_EXPLAINED:
        return PhotometricFit(cameras, guess.log_depth[0].view(patches.grid), explained)
    return PhotometricFit(moved, depth, explained)


def moved_scene(
    frames: Float[Tensor, "f 3 height width"],
    guess: AnchoredScene,
    patches: "Patches",
    *,
    shared_focal: bool,
    levels: int = len(_STEPS),
) -> tuple[AnchoredScene, Tensor]:
    """Move a scene in float64, and say which share of the patches it explains.

    Args:
        frames: See `adjusted_to_frames`.
        guess: Where to start.
        patches: That it has.
        shared_focal: See `adjusted_to_frames`.
        levels: So many of the pyramid's, coarsest first.
    """
    deviation = guess.center.new_tensor((_ROTATION,) * 3 + (_CENTER,) * 3 + (_FIXED,))
    held = deviation.expand(len(frames), 7).clone()
    if not shared_focal:
        held[:, 6] = _ZOOM + _ZOOM_SHARE * guess.zoom.abs()
    held = held**-2
    off = torch.zeros_like(held), torch.zeros_like(guess.lens[0]), guess.log_depth * 0
    limit = held.new_tensor(_LIMITS)
    scene, explained = guess, frames.new_zeros(())
    sizes = zip(pyramid(frames), _HALF_WINDOWS, _STEPS[:levels], strict=False)
    for picture, half, steps in sizes:
        level = Level(picture, patches, guess.anchors, half)
        for _ in range(steps):
            places, explained = level.look(scene)
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
    return scene, explained


def _likelier_way(
    frames: Tensor,
    found: AnchoredScene,
    share: Tensor,
    patches: Patches,
    *,
    shared_focal: bool,
    check: Callable[[], None],
) -> tuple[AnchoredScene, Tensor]:
    """Return a scene, or its reverse if that explains more; with the share of the patches."""
    if share < _REVERSED_FROM:
        return found, share
    told = partial(moved_scene, frames, patches=patches, shared_focal=shared_focal)
    other = reversed_travel(found)
    same, reverse = (
        told(replace(one, anchors=one.anchors[:1], log_depth=one.log_depth[:1]),
             levels=_REVERSED_LEVELS)[1]
        for one in (found, other)
    )  # fmt: skip
    if reverse < _REVERSED_NEARLY * same:
        return found, share
    check()
    scene, explained = told(_with_anchors(other, other.log_depth[0], patches))
    if explained < max(_REVERSED_LEAST, _REVERSED_BETTER * float(share)):
        return found, share
    return _in_scene_units(scene), explained


def _in_scene_units(scene: AnchoredScene) -> AnchoredScene:
    """Return a scene scaled so that the median depth of frame 0's patches is 1."""
    unit = scene.log_depth[0].median()
    return replace(scene, center=scene.center * (-unit).exp(), log_depth=scene.log_depth - unit)


def _tried_depths(pictures: list[Tensor], guess: AnchoredScene, patches: Patches) -> Tensor:
    """Find (N,) logarithms of depths at which the guessed cameras show patches most alike."""
    tried = torch.linspace(*_DEPTHS)
    cost = torch.zeros(len(tried), len(patches.place))
    for picture, half in zip(pictures, _HALF_WINDOWS, strict=False):
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


def _scene_of(cameras: Cameras, count: int) -> AnchoredScene:
    """Take over cameras, all depths 1, patches in frame 0 alone."""
    cameras = cameras.to(device="cpu", dtype=torch.float64)
    log_focal = (cameras.focal_px / (cameras.height * cameras.width) ** 0.5).log()
    return AnchoredScene(
        nearest_rotation(cameras.world_from_cam[:, :3, :3]),
        cameras.world_from_cam[:, :3, 3],
        (log_focal - log_focal[0]).mean(-1),
        log_focal[0],
        torch.zeros(1, dtype=torch.int64),
        torch.zeros(1, count, dtype=torch.float64),
    )


def anchors_of(num_frames: int) -> Tensor:
    """Return the frames that patches are cut from, frame 0 first."""
    return torch.linspace(0, num_frames - 1, min(_ANCHORS, num_frames)).round().long()


def _with_anchors(guess: AnchoredScene, depth: Tensor, patches: Patches) -> AnchoredScene:
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


def _cameras_of(scene: AnchoredScene, like: Cameras) -> Cameras:
    pose = rigid(scene.rotation, scene.center)
    focal = scene.focal() * (like.height * like.width) ** 0.5
    return Cameras(pose, focal, like.center_px.to(pose), like.height, like.width).relative_to(0)
