"""Things that move by themselves: none, those that training draws, or many."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.worlds.scenes import Scene
from rays_as_pixels.worlds.seeded_random import SeededRandom

DYNAMIC_OBJECTS = ("random", "none", "many")
MANY_COUNT = 5  # training's worlds have at most two dynamic_objects, and most have none
MANY_TRAVEL = (0.3, 0.8)  # over the clip, as a share of the distance; training's: about 0.25
_SALT = 0x3C6EF372  # so that these numbers are none of the scene's


def check_dynamic_objects(dynamic_objects: str) -> None:
    """Refuse a name that is none of `DYNAMIC_OBJECTS`."""
    if dynamic_objects not in DYNAMIC_OBJECTS:
        raise InputError(
            f"dynamic_objects must be one of {', '.join(DYNAMIC_OBJECTS)}; got "
            f"{dynamic_objects!r}. Use 'random' for what training sees."
        )


def with_dynamic_objects(scene: Scene, seeds: Sequence[int], dynamic_objects: str) -> Scene:
    """Return scenes in which other things move; all else stays as it was.

    Args:
        scene: B scenes as drawn.
        seeds: (B,) of the clips.
        dynamic_objects: "random" changes nothing. "many", of which training sees few: five things
            that go their way over the ground, across much of the view. "none" shows the same five
            where they are at the start, and nothing moves: the control for "many".

    Raises:
        InputError: An unknown name.
    """
    check_dynamic_objects(dynamic_objects)
    if dynamic_objects == "random":
        return scene
    rng = SeededRandom([seed ^ _SALT for seed in seeds], device=scene.velocity.device)
    heading = rng.uniform(0.0, 2 * torch.pi, MANY_COUNT)
    share = rng.uniform(*MANY_TRAVEL, MANY_COUNT)
    ahead = torch.stack([heading.cos(), torch.zeros_like(heading), 0.5 * heading.sin()], -1)
    who = slice(1, 1 + MANY_COUNT)  # slot 0 is the shell
    velocity, present = torch.zeros_like(scene.velocity), scene.present.clone()
    present[:, who] = True
    if dynamic_objects == "many":
        velocity[:, who] = ahead * (share * scene.center[:, who, 2])[..., None]
    return replace(scene, velocity=velocity, present=present)
