"""Rendered clips with their truth: video, depth and cameras, by seed and split."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, invert_rigid
from rays_as_pixels.geometry.rays import rays_in_cam
from rays_as_pixels.worlds.camera_paths import Motion, cameras_from_motion, draw_motion
from rays_as_pixels.worlds.degrade import degrade
from rays_as_pixels.worlds.dynamic_objects import with_dynamic_objects
from rays_as_pixels.worlds.object_centric import MIN_OVERLAP as MIN_OBJECT_CENTRIC_OVERLAP
from rays_as_pixels.worlds.object_centric import (
    SHARE,
    ObjectCentricWorlds,
    with_object_centric,
)
from rays_as_pixels.worlds.render import render, trace
from rays_as_pixels.worlds.scenes import Scene, draw_scenes
from rays_as_pixels.worlds.seeded_random import SeededRandom
from rays_as_pixels.worlds.textures import TextureBank, texture_bank

SPLITS = ("train", "heldout")
MIN_OVERLAP = 0.4  # every frame sees at least this share of what frame 0 saw
MIN_CLEARANCE = 0.12  # nothing comes closer than this share of frame 0's median depth
_HELDOUT_SEED_OFFSET = 1 << 31  # the two splits never share a seed


@dataclass(frozen=True)
class WorldClips:
    """B rendered clips.

    Attributes:
        video: (B, F, 3, H, W) colour in [0, 1].
        depth: (B, F, H, W) z in camera axes, in scene units.
        cameras: (B, F); frame 0 is the identity and its median depth is 1 (scene units).
        motion_type: (B,) index into `camera_paths.MOTION_TYPES`.
        moving: (B,) True where something in the scene moves by itself.
        seeds: What made them.
    """

    video: Float[Tensor, "batch frames 3 height width"]
    depth: Float[Tensor, "batch frames height width"]
    cameras: Cameras
    motion_type: Int[Tensor, "batch"]
    moving: Tensor
    seeds: tuple[int, ...]


def _median_depth(scene: Scene, first_pose: Tensor, motion: Motion) -> Float[Tensor, "batch"]:
    one = Motion(
        motion.offset[:, :1],
        motion.turn_rad[:, :1],
        motion.orbit,
        motion.zoom[:, :1],
        motion.hfov_rad,
        motion.motion_type,
    )
    unit = torch.ones_like(motion.hfov_rad)
    cameras = cameras_from_motion(one, first_pose, unit, unit, height=12, width=16)
    return trace(scene, cameras)[0].flatten(1).median(dim=-1).values


def _acceptable(
    scene: Scene,
    cameras: Cameras,
    first_depth: Float[Tensor, "batch"],
    min_overlap: Float[Tensor, "batch"],
) -> Tensor:
    """Whether each clip keeps its overlap with frame 0 and its distance from all surfaces."""
    depth, _, _ = trace(scene, cameras)
    nearest = depth.amin(-1) / first_depth[:, None]
    # A thing right before the first camera may stay there: the motion is not to blame for it.
    limit = (0.7 * nearest[:, 0]).clamp(max=MIN_CLEARANCE)
    clear = (nearest > limit[:, None]).all(-1)
    height, width = cameras.height, cameras.width
    point = depth[..., None] * _unit_z_rays(cameras)
    pose = cameras.world_from_cam
    in_world = point @ pose[..., :3, :3].transpose(-1, -2) + pose[..., None, :3, 3]
    first_from_world = invert_rigid(pose[:, :1])
    in_first = (
        in_world @ first_from_world[..., :3, :3].transpose(-1, -2)
        + first_from_world[..., None, :3, 3]
    )
    z = in_first[..., 2].clamp_min(1e-6)
    x = in_first[..., 0] / z * cameras.focal_px[:, :1, None, 0] + cameras.center_px[:, :1, None, 0]
    y = in_first[..., 1] / z * cameras.focal_px[:, :1, None, 1] + cameras.center_px[:, :1, None, 1]
    seen = (in_first[..., 2] > 0) & (x > 0) & (x < width) & (y > 0) & (y < height)
    overlap = seen.float().mean(-1).amin(-1)
    return clear & (overlap >= min_overlap)


def _unit_z_rays(cameras: Cameras) -> Float[Tensor, "batch frames p 3"]:
    ray = rays_in_cam(
        cameras.focal_px, cameras.center_px, height=cameras.height, width=cameras.width
    ).flatten(-3, -2)
    return ray / ray[..., 2:]


def _fitted_strength(
    scene: Scene,
    first_pose: Float[Tensor, "batch 4 4"],
    motion: Motion,
    depth: Float[Tensor, "batch"],
    min_overlap: Float[Tensor, "batch"],
) -> Float[Tensor, "batch"]:
    """Shrink motions that leave the scene or hit something, until they are acceptable."""
    strength = torch.ones_like(depth)
    done = torch.zeros_like(depth, dtype=torch.bool)
    for _ in range(6):
        cameras = cameras_from_motion(motion, first_pose, depth, strength, height=9, width=12)
        looked_at = cameras[:, :: max(1, motion.zoom.shape[1] // 8)]
        done = done | _acceptable(scene, looked_at, depth, min_overlap)
        if bool(done.all()):
            break
        strength = torch.where(done, strength, strength * 0.6)
    return torch.where(done, strength, torch.zeros_like(strength))


@dataclass(frozen=True)
class WorldOptions:
    """What rendered worlds hold and how finely they are drawn.

    Attributes:
        supersample: Samples per pixel along each axis.
        primitives: Most primitives a scene may hold besides its shell.
        degraded: False leaves out exposure drift, noise, blur and block artefacts.
        dynamic_objects: One of `DYNAMIC_OBJECTS`. "none" and "many" render the same world along
            the same path.
        object_centric_share: Share of object-centric worlds (`worlds.object_centric`); if None,
            `object_centric.SHARE` of the training worlds, none of the held-out ones and none where
            `dynamic_objects` is given, whose objects would be out of view.
    """

    supersample: int = 2
    primitives: int = 14
    degraded: bool = True
    dynamic_objects: str = "random"
    object_centric_share: float | None = None


def _draw_worlds(
    rng: SeededRandom,
    bank: TextureBank,
    seeds: Sequence[int],
    *,
    split: str,
    num_frames: int,
    options: WorldOptions,
) -> tuple[ObjectCentricWorlds, Float[Tensor, "batch 4 4"]]:
    """Return scenes with their motions, and the pose of each first camera (world_from_cam)."""
    scene, first_pose = draw_scenes(rng, bank, split=split, primitives=options.primitives)
    motion = draw_motion(rng, num_frames, split)
    scene = with_dynamic_objects(scene, seeds, options.dynamic_objects)
    share = options.object_centric_share
    if share is None:
        share = SHARE if split == "train" and options.dynamic_objects == "random" else 0.0
    worlds = with_object_centric(scene, first_pose, motion, bank, seeds=seeds, share=share)
    return worlds, first_pose


def _depth_and_strength(
    worlds: ObjectCentricWorlds,
    first_pose: Float[Tensor, "batch 4 4"],
    seeds: Sequence[int],
    dynamic_objects: str,
) -> tuple[Float[Tensor, "batch"], Float[Tensor, "batch"]]:
    """Return each motion's unit of length and how much of the motion its scene leaves room for."""
    scene, motion = worlds.scene, worlds.motion
    depth = _median_depth(scene, first_pose, motion)
    depth = torch.where(worlds.present, worlds.distance, depth)
    overlap = torch.where(worlds.present, MIN_OBJECT_CENTRIC_OVERLAP, MIN_OVERLAP)
    strength = _fitted_strength(scene, first_pose, motion, depth, overlap)
    if dynamic_objects != "random":
        # One path for both, clear of things that move and of those that stay.
        other_kind = "none" if dynamic_objects == "many" else "many"
        other = with_dynamic_objects(scene, seeds, other_kind)
        other_strength = _fitted_strength(other, first_pose, motion, depth, overlap)
        strength = strength.minimum(other_strength)
    return depth, strength


@torch.no_grad()
def render_clips(
    seeds: Sequence[int],
    *,
    split: str,
    num_frames: int,
    height: int,
    width: int,
    device: "torch.device | str" = "cpu",
    options: WorldOptions = WorldOptions(),
) -> WorldClips:
    """Render one clip per seed; the same seed gives the same clip in any batch, on any device.

    Args:
        seeds: Whole numbers from 0 to 2^31 - 1; the splits never share a world.
        split: `train`, or `heldout` with scene and texture families and fields of view that
            training never sees.
        num_frames: Frames F.
        height: Image height in pixels, a multiple of 8.
        width: Image width in pixels, a multiple of 8.
        device: Where to render.
        options: What the worlds hold and how finely they are drawn.

    Raises:
        InputError: An unknown split or kind of dynamic objects, a seed out of range, or a size
            that is no multiple of 8.
    """
    _check_request(seeds, split=split, frames=num_frames, height=height, width=width)
    offset = _HELDOUT_SEED_OFFSET if split == "heldout" else 0
    own_seeds = [seed + offset for seed in seeds]
    rng = SeededRandom(own_seeds, device=device)
    bank = texture_bank(split, device=str(device))
    worlds, first_pose = _draw_worlds(
        rng, bank, own_seeds, split=split, num_frames=num_frames, options=options
    )
    scene, motion = worlds.scene, worlds.motion
    unit, strength = _depth_and_strength(worlds, first_pose, own_seeds, options.dynamic_objects)
    cameras = cameras_from_motion(motion, first_pose, unit, strength, height=height, width=width)
    video, depth = render(scene, bank, cameras, supersample=options.supersample)
    if options.degraded:
        video = degrade(video, rng)
    unit = depth[:, 0].flatten(1).median(dim=-1).values
    return WorldClips(
        video=video,
        depth=depth / unit[:, None, None, None],
        cameras=cameras.relative_to(0).scaled((1 / unit)[:, None]),
        motion_type=motion.motion_type,
        moving=(scene.velocity.abs().sum(-1) * scene.present).sum(-1) > 0,
        seeds=tuple(seeds),
    )


def _check_request(
    seeds: Sequence[int], *, split: str, frames: int, height: int, width: int
) -> None:
    if split not in SPLITS:
        raise InputError(f"split must be one of {SPLITS}; got {split!r}. Use 'train' or 'heldout'.")
    if height % 8 or width % 8 or height < 8 or width < 8 or frames < 1:
        raise InputError(
            f"height and width must be multiples of 8 and num_frames 1 or more; got {height} x "
            f"{width} x {frames}. Round the size to a multiple of 8."
        )
    if not seeds or min(seeds) < 0 or max(seeds) >= _HELDOUT_SEED_OFFSET:
        raise InputError(
            f"seeds must be whole numbers from 0 to {_HELDOUT_SEED_OFFSET - 1}; got "
            f"{list(seeds)[:3]}. Number the clips from 0."
        )
