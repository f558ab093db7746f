"""Things that move by themselves: none, those that training draws, or a crowd of them."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from rays_as_pixels.errors import InputError
from rays_as_pixels.worlds.scenes import Scene
from rays_as_pixels.worlds.seeded_random import SeededDraws

MOVERS = ("random", "none", "many")
CROWD = 5  # training's worlds have at most two movers, and most have none
CROWD_TRAVEL = (0.3, 0.8)  # over the clip, as a share of the distance; training's: about 0.25
_SALT = 0x3C6EF372  # so that a crowd's numbers are none of the scene's


def check_movers(movers: str) -> None:
    """Refuse a name that is none of `MOVERS`."""
    if movers not in MOVERS:
        raise InputError(
            f"movers must be one of {', '.join(MOVERS)}; got {movers!r}. "
            "Use 'drawn' for what training sees."
        )


def with_movers(scene: Scene, seeds: Sequence[int], movers: str) -> Scene:
    """Return scenes in which other things move; all else stays as it was.

    Args:
        scene: B scenes as drawn.
        seeds: (B,) of the clips.
        movers: "random" changes nothing. "many", of which training sees few: five things
            that go their way over the ground, across much of the view. "none" shows the same five
            where they are at the start, and nothing moves: the crowd's control.

    Raises:
        InputError: An unknown name.
    """
    check_movers(movers)
    if movers == "random":
        return scene
    draws = SeededDraws([seed ^ _SALT for seed in seeds], device=scene.velocity.device)
    heading = draws.uniform(0.0, 2 * torch.pi, CROWD)
    share = draws.uniform(*CROWD_TRAVEL, CROWD)
    ahead = torch.stack([heading.cos(), torch.zeros_like(heading), 0.5 * heading.sin()], -1)
    who = slice(1, 1 + CROWD)  # slot 0 is the shell
    velocity, present = torch.zeros_like(scene.velocity), scene.present.clone()
    present[:, who] = True
    if movers == "many":
        velocity[:, who] = ahead * (share * scene.center[:, who, 2])[..., None]
    return replace(scene, velocity=velocity, present=present)
