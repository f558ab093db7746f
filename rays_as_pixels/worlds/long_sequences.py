"""Long rendered videos: a camera that looks far around a world, or sways before one view of it."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rays_as_pixels.errors import InputError
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.rotations import rotation_from_vector
from rays_as_pixels.worlds.degrade import degrade
from rays_as_pixels.worlds.dynamic_objects import with_dynamic_objects
from rays_as_pixels.worlds.render import render, trace
from rays_as_pixels.worlds.scenes import CLUTTER, CORRIDOR, ROOM, Scene, draw_scenes
from rays_as_pixels.worlds.seeded_random import SeededRandom
from rays_as_pixels.worlds.textures import texture_bank

KINDS = {"around": (100.0, 170.0), "sway": (10.0, 25.0)}  # how far the view turns, in degrees
_INDOORS = (ROOM, CLUTTER, CORRIDOR)  # wherever the camera turns there is something to see
_HFOV_DEG = (55.0, 75.0)
_CLEARANCE = 0.15  # of frame 0's median depth
_CHUNK = 12  # frames rendered at once
_SEED_OFFSET = 3 << 30  # neither training's worlds nor those held out


@dataclass(frozen=True)
class LongClip:
    """One long clip.

    Attributes:
        video: (F, 3, H, W) in [0, 1].
        cameras: (F,) in float64; frame 0 is the identity and its median depth is 1.
    """

    video: Float[Tensor, "frames 3 height width"]
    cameras: Cameras


@torch.no_grad()
def render_long_clip(
    seed: int, *, num_frames: int, height: int, width: int, kind: str = "around"
) -> LongClip:
    """Render a long clip of a still world of the held-out texture families.

    Args:
        seed: Whole number from 0 to 2^29 - 1.
        num_frames: Frames F, 2 or more.
        height: Image height in pixels, a multiple of 8.
        width: Image width in pixels, a multiple of 8.
        kind: "around": turns on by 100 to 170 degrees, so that the last frame shares nothing with
            the first. "sway": turns to and fro by 10 to 25, so that all frames share most.

    Raises:
        InputError: An unknown kind, or a number out of range.
    """
    if kind not in KINDS:
        raise InputError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}. Use 'around'.")
    if not 0 <= seed < 1 << 29 or num_frames < 2 or height % 8 or width % 8:
        raise InputError(
            "a long clip must have a seed from 0 to 2^29 - 1, 2 or more frames and sides of "
            f"multiples of 8; got seed {seed}, {num_frames} frames, {height} x {width}. "
            "Round the size."
        )
    rng = SeededRandom([seed + _SEED_OFFSET])
    bank = texture_bank("heldout", device="cpu")
    scene, first_pose = draw_scenes(rng, bank, split="heldout", families=_INDOORS)
    scene = with_dynamic_objects(scene, [seed], "none")
    cameras = _cameras(
        rng, scene, first_pose, num_frames=num_frames, size=(height, width), kind=kind
    )
    parts = [
        render(scene, bank, cameras[:, start : start + _CHUNK])
        for start in range(0, num_frames, _CHUNK)
    ]
    unit = parts[0][1][0, 0].median()
    return LongClip(
        video=degrade(torch.cat([video for video, _ in parts], 1), rng)[0],
        cameras=cameras[0].to(dtype=torch.float64).relative_to(0).scaled(1 / float(unit)),
    )


def _cameras(
    rng: SeededRandom,
    scene: Scene,
    first_pose: Float[Tensor, "1 4 4"],
    *,
    num_frames: int,
    size: tuple[int, int],
    kind: str,
) -> Cameras:
    """Draw the path; where it would touch something, its travel shrinks and its turns stay."""
    time = torch.linspace(0, 1, num_frames)[:, None]
    total = torch.deg2rad(rng.uniform(*KINDS[kind]))
    side = 1 - 2 * rng.integers(2).float()
    course = time * time * (3 - 2 * time) if kind == "around" else torch.sin(2 * math.pi * time)
    turn = 0.06 * _waves(rng, time)
    turn[:, 1:2] += total * side * course
    offset = 0.35 * _waves(rng, time)
    hfov = torch.deg2rad(rng.uniform(*_HFOV_DEG))
    focal = (size[1] / (2 * torch.tan(hfov / 2))).expand(num_frames, 2)[None]
    center = focal.new_tensor([size[1] / 2, size[0] / 2]).expand_as(focal)

    def along(share: float) -> Cameras:
        pose = first_pose[:, None] @ rigid(rotation_from_vector(turn), share * offset)[None]
        return Cameras(pose, focal, center, *size)

    def depths(cameras: Cameras) -> Float[Tensor, "frames p"]:
        return trace(scene, cameras.resized(height=9, width=12))[0][0]

    middle = depths(along(0.0)[:, :1]).median()
    offset = offset * middle
    for share in (1.0, 0.6, 0.36, 0.2, 0.1):
        if float(depths(along(share)[:, ::8]).min()) > _CLEARANCE * float(middle):
            return along(share)
    return along(0.05)


def _waves(rng: SeededRandom, time: Float[Tensor, "frames 1"]) -> Float[Tensor, "frames 3"]:
    """Smooth curves from 0 with two to five swings over the clip, about unit size."""
    swings = torch.tensor([1.0, 2.3, 4.7])
    rate = math.pi * swings * rng.uniform(0.7, 1.3, 3, 3)[0]  # axes, waves
    phase = rng.uniform(0.0, 2 * math.pi, 3, 3)[0]
    size = rng.normal(3, 3)[0] / swings
    wave = (rate * time[..., None] + phase).sin() - phase.sin()
    return (size * wave).sum(-1)
